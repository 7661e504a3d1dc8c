"""`flowctl doctor`: which toolchains, plugins and engines are here, and what to install."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Any

import typer

from flowctl_core.cli.console import emit, say, table
from flowctl_core.cli.options import Output


def doctor(output: Output = None) -> None:
    """Tell which toolchains, plugins and engines are here, which version, and what to install.

    Exit code 1 when something that an installed builder needs is missing.
    """
    from flowctl_core.cli.session import load_configuration

    loaded = load_configuration()
    cache_dir = loaded.config.build.local.cache_dir
    document: dict[str, Any] = {
        "flowctl": _command(),
        "plugins": (plugins := _plugins()),
        "toolchains": (tools := _toolchains(cache_dir)),
        "engines": (engines := _engines()),
        "cache": _cache(cache_dir),
    }
    missing = [row for row in tools if row["state"] == "missing" and not row["optional"]]
    problems = [row for row in plugins if row["state"] != "active"]
    if not emit(document):
        _show(document, plugins, tools, engines)
    if missing or problems or document["flowctl"]["foreign"]:
        raise typer.Exit(1)


def _command() -> dict[str, Any]:
    """This command and any other program called flowctl that would be found before it."""
    import flowctl_core

    found = shutil.which("flowctl")
    own = Path(sys.prefix) / "bin" / "flowctl"
    foreign = None
    if found is not None and not Path(found).samefile(own if own.exists() else sys.argv[0]):
        text = Path(found).read_bytes()[:4096]
        foreign = None if b"flowctl_core" in text else found
    return {"version": flowctl_core.__version__, "python": sys.version.split()[0], "path": str(own), "foreign": foreign}


def _plugins() -> list[dict[str, Any]]:
    from flowctl_core.plugins.manager import load_plugins

    return [
        {"name": r.name, "distribution": r.distribution, "version": r.version, "state": r.state, "problem": r.problem}
        for r in load_plugins().records
    ]


def _toolchains(cache_dir: Path) -> list[dict[str, Any]]:
    from flowctl_core.plugins.call import InProcessCaller
    from flowctl_core.plugins.manager import load_plugins
    from flowctl_core.toolchains.find import describe, probe

    rows = []
    for answer in InProcessCaller(load_plugins()).toolchains():
        for requirement in answer.requirements:
            candidates = probe(requirement, os.environ, cache_path=cache_dir / "tools.json")
            chosen = next((c for c in candidates if c.problem is None), None)
            rows.append(
                {
                    "builder": answer.builder,
                    "tool": requirement.name,
                    "state": "found" if chosen else "missing",
                    "optional": requirement.optional,
                    "version": chosen.version if chosen else None,
                    "path": str(chosen.path) if chosen else None,
                    "origin": chosen.origin if chosen else None,
                    "refused": [describe(c) for c in candidates if c.problem],
                    "hint": None if chosen else requirement.install_hint,
                }
            )
    return rows


def _engines() -> list[dict[str, Any]]:
    import subprocess

    rows = []
    for name, arguments, what in (
        ("git", ["--version"], "source identity"),
        ("docker", ["version", "--format", "{{.Server.Version}}"], "container builds"),
    ):
        path = shutil.which(name)
        version, problem = None, f"{name} is not on PATH"
        if path is not None:
            try:
                done = subprocess.run([path, *arguments], capture_output=True, text=True, timeout=5, check=False)
            except (OSError, subprocess.TimeoutExpired) as error:
                problem = str(error)
            else:
                ok = done.returncode == 0
                version = done.stdout.strip().removeprefix("git version ") if ok else None
                problem = "" if ok else (done.stderr.strip().splitlines() or ["it does not answer"])[-1]
        rows.append({"engine": name, "for": what, "version": version, "problem": problem or None})
    return rows


def _cache(cache_dir: Path) -> dict[str, Any]:
    existing = next(folder for folder in (cache_dir, *cache_dir.parents) if folder.exists())
    return {"path": str(cache_dir), "writable": os.access(existing, os.W_OK)}


def _show(
    document: dict[str, Any], plugins: list[dict[str, Any]], tools: list[dict[str, Any]], engines: list[dict[str, Any]]
) -> None:
    command = document["flowctl"]
    say(f"flowctl {command['version']}, Python {command['python']}")
    if command["foreign"]:
        say(f"  another program called flowctl comes first on PATH: {command['foreign']}")
    say()
    table(("PLUGIN", "DISTRIBUTION", "VERSION", "STATE"), [
        (row["name"], row["distribution"], row["version"], row["state"]) for row in plugins
    ])  # fmt: skip
    for row in plugins:
        if row["problem"]:
            say(f"  {row['name']}: {row['problem']}")
    say()
    table(("TOOL", "FOR", "VERSION", "FROM", "PATH"), [
        (row["tool"], row["builder"], row["version"] or row["state"], row["origin"] or "-", row["path"] or "-")
        for row in tools
    ])  # fmt: skip
    for row in tools:
        if row["hint"]:
            say(f"  {row['tool']}{' (optional)' if row['optional'] else ''}: {row['hint']}")
    say()
    table(
        ("ENGINE", "FOR", "VERSION"), [(row["engine"], row["for"], row["version"] or row["problem"]) for row in engines]
    )
    say()
    cache = document["cache"]
    say(f"cache  {cache['path']}{'' if cache['writable'] else '  (not writable)'}")
