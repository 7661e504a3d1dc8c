"""`flowctl doctor`: which toolchains, plugins and engines are here, and what to install."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from flowctl_core.cli.console import emit, say, table
from flowctl_core.cli.options import Output

if TYPE_CHECKING:
    from flowctl_core.cli.documents import (
        CacheState,
        CommandState,
        DoctorDocument,
        EngineState,
        PluginState,
        ToolState,
    )


def doctor(output: Output = None) -> None:
    """Tell which toolchains, plugins and engines are here, which version, and what to install.

    Exit code 1 when something that an installed builder needs is missing.
    """
    from flowctl_core.cli.documents import DoctorDocument
    from flowctl_core.cli.session import load_configuration

    cache_dir = load_configuration().config.build.local.cache_dir
    document = DoctorDocument(
        flowctl=_command(),
        plugins=_plugins(),
        toolchains=_toolchains(cache_dir),
        engines=_engines(),
        cache=_cache(cache_dir),
    )
    if not emit(document.model_dump(mode="json")):
        _show(document)
    missing = [tool for tool in document.toolchains if tool.state == "missing" and not tool.optional]
    problems = [plugin for plugin in document.plugins if plugin.state != "active"]
    if missing or problems or document.flowctl.foreign:
        raise typer.Exit(1)


def _command() -> CommandState:
    """This command and any other program called flowctl that would be found before it."""
    import flowctl_core
    from flowctl_core.cli.documents import CommandState

    found = shutil.which("flowctl")
    own = Path(sys.prefix) / "bin" / "flowctl"
    foreign = None if found is None or _is_ours(Path(found), own) else found
    return CommandState(version=flowctl_core.__version__, python=sys.version.split()[0], path=str(own), foreign=foreign)


def _is_ours(found: Path, own: Path) -> bool:
    """True for this command, and for that of another installation of flowctl-core."""
    try:
        with found.open("rb") as file:
            return found.samefile(own if own.exists() else sys.argv[0]) or b"flowctl_core" in file.read(4096)
    except OSError:  # a program that may be run and not read is none of Python's scripts
        return False


def _plugins() -> tuple[PluginState, ...]:
    from flowctl_core.cli.documents import PluginState
    from flowctl_core.plugins.manager import load_plugins

    return tuple(
        PluginState(name=r.name, distribution=r.distribution, version=r.version, state=r.state, problem=r.problem)
        for r in load_plugins().records
    )


def _toolchains(cache_dir: Path) -> tuple[ToolState, ...]:
    from flowctl_core.cli.documents import ToolState
    from flowctl_core.plugins.call import InProcessCaller
    from flowctl_core.plugins.manager import load_plugins
    from flowctl_core.toolchains.find import describe, probe

    rows = []
    for answer in InProcessCaller(load_plugins()).toolchains():
        for requirement in answer.requirements:
            candidates = probe(requirement, os.environ, cache_path=cache_dir / "tools.json")
            chosen = next((c for c in candidates if c.problem is None), None)
            rows.append(
                ToolState(
                    builder=answer.builder,
                    tool=requirement.name,
                    state="found" if chosen else "missing",
                    optional=requirement.optional,
                    version=chosen.version if chosen else None,
                    path=str(chosen.path) if chosen else None,
                    origin=chosen.origin if chosen else None,
                    refused=tuple(describe(c) for c in candidates if c.problem),
                    hint=None if chosen else requirement.install_hint,
                )
            )
    return tuple(rows)


def _engines() -> tuple[EngineState, ...]:
    import subprocess

    from flowctl_core.cli.documents import EngineState

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
        rows.append(EngineState(engine=name, purpose=what, version=version, problem=problem or None))
    return tuple(rows)


def _cache(cache_dir: Path) -> CacheState:
    from flowctl_core.cli.documents import CacheState

    existing = next(folder for folder in (cache_dir, *cache_dir.parents) if folder.exists())
    return CacheState(path=str(cache_dir), writable=os.access(existing, os.W_OK))


def _show(document: DoctorDocument) -> None:
    command = document.flowctl
    say(f"flowctl {command.version}, Python {command.python}")
    if command.foreign:
        say(f"  another program called flowctl comes first on PATH: {command.foreign}")
        say(f"  start this one as {command.path}, or put {Path(command.path).parent} before the other's folder in PATH")
    say()
    table(("PLUGIN", "DISTRIBUTION", "VERSION", "STATE"), [
        (plugin.name, plugin.distribution, plugin.version, plugin.state) for plugin in document.plugins
    ])  # fmt: skip
    for plugin in document.plugins:
        if plugin.problem:
            say(f"  {plugin.name} ({plugin.distribution}): {plugin.problem}")
    say()
    table(("TOOL", "FOR", "VERSION", "FROM", "PATH"), [
        (tool.tool, tool.builder, tool.version or tool.state, tool.origin or "-", tool.path or "-")
        for tool in document.toolchains
    ])  # fmt: skip
    for tool in document.toolchains:
        if tool.hint:
            for refused in tool.refused:
                say(f"  {tool.tool} for {tool.builder}: {refused}")
            say(f"  {tool.tool} for {tool.builder}{' (optional)' if tool.optional else ''}: {tool.hint}")
    say()
    table(("ENGINE", "FOR", "VERSION"), [
        (engine.engine, engine.purpose, engine.version or engine.problem or "-") for engine in document.engines
    ])  # fmt: skip
    say()
    cache = document.cache
    say(f"cache  {cache.path}{'' if cache.writable else '  (not writable)'}")
