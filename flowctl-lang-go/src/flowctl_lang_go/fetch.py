"""Brings modules into Go's module cache, and changes nothing in the source."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from flowctl_core.errors import FetchError
from flowctl_core.models import BuildContext, CompletedCommand, FetchReport, Plan
from flowctl_lang_go.failures import build_failure, fetch_failure
from flowctl_lang_go.pinned import fetching, target_environment
from flowctl_lang_go.platforms import able
from flowctl_lang_go.toolchain import build_flags, module_mode, run_go
from flowctl_lang_go.workfile import write_atomically

_DOWNLOADED = re.compile(r"# get \S*?//[^/]+/(?P<module>\S+)/@v/(?P<version>\S+)\.zip: 200 OK")


def fetch(plan: Plan, context: BuildContext) -> FetchReport:
    """`go mod download`, which is for all platforms, then a look whether the program's imports are all accounted for.

    Nothing to do for vendored modules and loose files. Raises FetchError, ToolchainError or StoreError.
    """
    if plan.profile == "release":
        context = fetching(plan, context)
    if module_mode(plan, context) != "readonly":
        return FetchReport(fetched=0)
    what = "go mod download"
    arguments = ["mod", "download", "-json", "-x"]
    copy = _private_copy(plan, context) if plan.details.get("workspace") is not True else None
    if copy is not None:
        arguments.append(f"-modfile={copy}")
    context.progress.step(what)
    done = run_go(
        plan,
        context,
        arguments,
        network=not context.offline,
        on_line=lambda line: _show(line, context),
    )
    modules = list(json_objects(done.stdout))
    failed = [str(module["Error"]) for module in modules if module.get("Error")]
    if not done.ok or failed:
        raise fetch_failure(
            _readable(done, failed, copy, context.source_root / plan.root), what, offline=context.offline
        )
    _check_imports(plan, context)
    return FetchReport(fetched=len(modules))


def _private_copy(plan: Plan, context: BuildContext) -> Path:
    """go.mod and go.sum outside the source: `go mod download` writes checksums it finds missing into go.sum."""
    folder = context.work_dir / "modules"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    root = context.source_root / plan.root
    for name in ("go.mod", "go.sum"):
        if (root / name).is_file():
            write_atomically(folder / name, (root / name).read_bytes())
    return folder / "go.mod"


def _check_imports(plan: Plan, context: BuildContext) -> None:
    """Say now, not in the build, that go.mod or go.sum lacks what the program imports."""
    package = str(plan.details["package"])
    for environment in [target_environment(plan, one) for one in able(plan)] if plan.profile == "release" else [{}]:
        arguments = ["list", *build_flags(plan, context), "-deps", package]
        done = run_go(plan, context, arguments, environment=environment, on_line=lambda _: None)
        if not done.ok:
            error = build_failure(done, "go list")
            if error.hint and "go mod tidy" in error.hint:
                raise FetchError(error.message, hint=error.hint, output=error.output)


def json_objects(text: str) -> Iterator[dict[str, Any]]:
    """The JSON objects that `go mod download -json` and `go list -json` print one after the other."""
    decoder = json.JSONDecoder()
    position = text.find("{")
    while position >= 0:
        try:
            value, end = decoder.raw_decode(text, position)
        except ValueError:
            break
        if isinstance(value, dict):
            yield value
        position = text.find("{", end)


def _readable(done: CompletedCommand, failed: list[str], copy: Path | None, cwd: Path) -> CompletedCommand:
    """Only the words that are for people: no JSON, no list of requests, and the source's own go.mod by its name."""
    said = [line for line in done.stderr.splitlines() if not line.startswith("# get ")]
    known = "\n".join(said)
    text = "\n".join([*said, *(error for error in failed if error not in known)])
    if copy is not None:
        for path in (str(copy), os.path.relpath(copy, cwd)):
            text = text.replace(path, "go.mod")
    return done.model_copy(update={"stdout": "", "stderr": text})


def _show(line: str, context: BuildContext) -> None:
    match = _DOWNLOADED.match(line)
    if match:
        # The proxy's spelling of upper case: !burnt!sushi.
        module = re.sub(r"!([a-z])", lambda letter: letter[1].upper(), match["module"])
        context.progress.line(f"downloaded {module} {match['version']}")
    elif line.startswith("go: "):
        context.progress.line(line)
