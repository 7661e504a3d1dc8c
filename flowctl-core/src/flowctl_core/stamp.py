"""Writes the stamp that lets the next `flowctl component build` answer without work (see `flowctl_core.noop`)."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from flowctl_core import noop
from flowctl_core.config.load import config_paths
from flowctl_core.errors import FlowctlError
from flowctl_core.job import Job
from flowctl_core.models import BuildReport
from flowctl_core.plugins.watched import watched_paths
from flowctl_core.runners.local import LocalRunner
from flowctl_core.steps import COMPONENT_FILE
from flowctl_core.store.files import STATE_DIR, atomic_write
from flowctl_core.store.outputs import BIN
from flowctl_core.store.record import FETCHED, FILE, MANIFEST, read_record
from flowctl_core.toolchains.selection import deciding_paths

_TREE_FILES = 1000
"""Files of an output folder that the no-op path looks at one by one."""


def write_stamp(job: Job, report: BuildReport) -> None:
    """Write the stamp of a build that has just succeeded. Never raises: a fault only makes the next build slower.

    Nothing is written where the answer could depend on more than the stamp holds: another folder than the current
    one, a toolchain that is missing, a broken plugin that each build warns about.
    """
    elsewhere = str(job.root) != os.getcwd()  # noqa: PTH109
    if elsewhere or job.missing_tools is not None or job.engine.plugins.manager.problems:
        return
    root = str(job.root)
    file_name = noop.stamp_path(root)
    if file_name is None:
        return
    try:
        document = _document(job, report, root)
        Path(file_name).parent.mkdir(parents=True, exist_ok=True)
        atomic_write(Path(file_name), json.dumps(document, separators=(",", ":")).encode(), durable=False)
    except (FlowctlError, OSError, ValueError, RuntimeError):  # RuntimeError: links that loop, no home
        with suppress(OSError):
            Path(file_name).unlink()


def _document(job: Job, report: BuildReport, root: str) -> dict[str, Any]:
    outputs = _outputs(job)
    inputs: dict[str, list[int] | None] = {
        path: None if state is None else list(state)
        for path, state in job.inputs.stamp_entries()
        if path.rstrip("/") != root
    }
    inputs.update((path, noop.fingerprint(path)) for path in _others(job) if path not in inputs)
    made = [[path, noop.fingerprint(path)] for path in outputs]
    last = read_record(job.root / STATE_DIR)
    if last is None or last.key != job.key:
        raise ValueError("another process has built here since the lock was released")
    return {
        "version": noop.VERSION,
        "cwd": root,
        "python": [sys.version, sys.prefix],
        "environment": noop.environment_digest(),
        "ours": (ours := _ours(job)),
        "names": sorted(name for name in job.names if name not in ours),
        "inputs": sorted(inputs.items()),
        "outputs": made,
        "report": report.model_copy(update={"cache": "fresh", "explanation": ()}).model_dump(
            mode="json", exclude={"explanation"}
        ),
        "restore": _restorable(job),
        "early": _early(job, root, inputs, job.engine.environ),
    }


def sweep_stamps(*, everything: bool) -> None:
    """Remove all stamps, or those of folders that are gone. Never raises."""
    folder = noop.stamps_folder()
    for file in Path(folder).glob("*.json") if folder is not None else ():
        try:
            if everything or not Path(json.loads(file.read_bytes())["cwd"]).is_dir():
                file.unlink()
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            with suppress(OSError):
                file.unlink()


def _ours(job: Job) -> list[str]:
    """Names in the component's folder that flowctl makes; they are checked as outputs, not as part of the listing."""
    made = (*job.plan.generated, *job.plan.fetched)
    return sorted({STATE_DIR, job.plan.component, *(Path(path).parts[0] for path in made)})


def _outputs(job: Job) -> list[str]:
    state = job.root / STATE_DIR
    paths = {state / FILE, job.root / BIN, job.root / job.plan.component}
    paths.update(job.root / artifact.path for artifact in job.artifacts)
    for artifact in job.artifacts:
        if artifact.kind == "tree":
            paths.update(_tree_paths(job.root / artifact.path))
    return sorted(map(str, paths))


def _tree_paths(folder: Path) -> Iterator[Path]:
    """Every folder of a tree, so that what is added or gone is noticed; the files too, unless there are thousands."""
    files: list[Path] = []
    for place, _, names in os.walk(folder):
        yield Path(place)
        files.extend(Path(place, name) for name in names)
    if len(files) <= _TREE_FILES:
        yield from files


def _restorable(job: Job) -> dict[str, Any] | None:
    """What `quick_restore` needs; None where restoring takes more than copying files into `.flowctl/bin`."""
    cache = job.engine.cache
    if cache is None or any(a.kind == "tree" or not a.path.startswith(f"{BIN}/") for a in job.artifacts):
        return None
    programs = []
    for artifact in job.artifacts:
        blob = str(cache.content.path(artifact.digest))
        seen = noop.fingerprint(blob)
        if seen is None:
            return None
        programs.append([artifact.path, blob, seen, (job.root / artifact.path).stat().st_mode & 0o7777])
    state = job.root / STATE_DIR
    kept = [name for name in (FETCHED, MANIFEST) if (state / name).is_file()]
    return {
        "programs": programs,
        "record": (state / FILE).read_text(encoding="utf-8"),
        "files": [[name, (state / name).read_text(encoding="utf-8")] for name in kept],
        "link": job.plan.component if (job.root / job.plan.component).is_symlink() else None,
    }


def _early(job: Job, root: str, inputs: Mapping[str, list[int] | None], caller: Mapping[str, str]) -> object:
    """What `head_start` needs; None where the build is more than one command that may begin early.

    Variables that the tool has from the caller are kept by name only, since they may be secrets.
    """
    if job.engine.plugins.manager.wrappers or not isinstance(job.engine.runner, LocalRunner):
        return None
    if not job.commands:  # nothing was built: the last command is still the likeliest
        recorded = _recorded_early(root)
        return None if recorded is None else {**recorded, "firm": _firm(job, inputs)}
    command = job.commands[0]
    if len(job.commands) > 1 or not command.early or command.network:
        return None
    inherited = sorted(name for name, value in command.environment.items() if caller.get(name) == value)
    return {
        "argv": command.argv,
        "cwd": str(command.cwd),
        "staging": str(job.staging),
        "inherited": inherited,
        "set": {name: value for name, value in command.environment.items() if name not in inherited},
        "firm": _firm(job, inputs),
    }


def _recorded_early(root: str) -> dict[str, Any] | None:
    try:
        stamp = json.loads(Path(str(noop.stamp_path(root))).read_bytes())
        early = stamp["early"] if stamp["version"] == noop.VERSION else None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return early if isinstance(early, dict) else None


def _firm(job: Job, inputs: Mapping[str, list[int] | None]) -> list[tuple[str, list[int] | None]]:
    """What must be as it was for the last command to be likely: all but plain source files and their folders."""
    loose = {path for path, _ in job.inputs.stamp_entries()}
    loose.difference_update(str(job.root / path) for path in (COMPONENT_FILE, *job.plan.inputs.fetch))
    return [(path, state) for path, state in sorted(inputs.items()) if path not in loose]


def _others(job: Job) -> set[str]:
    """Paths besides inputs and outputs whose change could change the answer."""
    paths = {str(job.root / path) for path in job.plan.fetched}
    paths.update(str(path) for path in config_paths(Path.home()))
    named = os.environ.get("FLOWCTL_CONFIG")
    if named:
        paths.add(str(Path(named).absolute()))
    for tool in (job.tools or {}).values():
        paths.add(str(tool.path.resolve()))
        paths.update(map(str, deciding_paths(tool.path, job.environment, job.root / job.plan.root)))
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        paths.add(folder or ".")
    paths.update(watched_paths(job.engine.plugins.manager.records))
    return paths
