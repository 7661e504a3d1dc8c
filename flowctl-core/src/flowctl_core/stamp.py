"""Writes the stamp that lets the next `flowctl component build` answer without work (see `flowctl_core.noop`)."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from flowctl_core import noop
from flowctl_core.config.load import config_paths
from flowctl_core.errors import StoreError
from flowctl_core.job import Job
from flowctl_core.models import BuildReport
from flowctl_core.plugins.watched import watched_paths
from flowctl_core.store.files import STATE_DIR, atomic_write
from flowctl_core.store.outputs import BIN
from flowctl_core.store.record import FILE
from flowctl_core.toolchains.selection import deciding_paths


def write_stamp(job: Job, report: BuildReport) -> None:
    """Write the stamp of a build that has just succeeded; a fault here only makes the next build slower.

    Nothing is written where the answer could depend on more than the stamp holds: another folder than the current
    one, a toolchain that is missing, a broken plugin that each build warns about.
    """
    elsewhere = str(job.root) != os.getcwd()  # noqa: PTH109
    if elsewhere or job.missing_tools is not None or job.engine.plugins.manager.problems:
        return
    paths = dict(_inputs(job))
    paths.update((path, noop.fingerprint(path)) for path in _others(job) if path not in paths)
    document = {
        "version": noop.VERSION,
        "cwd": str(job.root),
        "python": [sys.version, sys.prefix],
        "environment": noop.environment_digest(),
        "paths": sorted(paths.items()),
        "report": report.model_copy(update={"cache": "fresh", "explanation": ()}).model_dump(
            mode="json", exclude={"explanation"}
        ),
    }
    try:
        atomic_write(job.root / noop.STAMP, json.dumps(document, separators=(",", ":")).encode())
    except (StoreError, OSError, UnicodeEncodeError):
        (job.root / noop.STAMP).unlink(missing_ok=True)


def _inputs(job: Job) -> Iterator[tuple[str, list[int] | None]]:
    """The inputs as the digest saw them; the component's own folder as it is now, if only we changed it."""
    ours = {STATE_DIR, job.plan.component, *(Path(p).parts[0] for p in (*job.plan.generated, *job.plan.fetched))}
    for path, state in job.inputs.stamp_entries():
        if path.rstrip("/") == str(job.root) and set(os.listdir(job.root)) ^ job.names <= ours:  # noqa: PTH208
            yield path, noop.fingerprint(path)
        else:
            yield path, list(state) if state is not None else None


def _others(job: Job) -> set[str]:
    """Paths besides the inputs whose change could change the answer."""
    state = job.root / ".flowctl"
    paths = {str(state / FILE), str(job.root / BIN), str(job.root / job.plan.component)}
    paths.update(str(job.root / artifact.path) for artifact in job.artifacts)
    paths.update(str(job.root / path) for path in job.plan.fetched)
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
