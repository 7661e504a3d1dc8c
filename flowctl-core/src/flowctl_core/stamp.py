"""Writes the stamp that lets the next `flowctl component build` answer without work (see `flowctl_core.noop`)."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from flowctl_core import noop
from flowctl_core.build.place import BIN
from flowctl_core.build.record import FILE
from flowctl_core.config.load import config_paths
from flowctl_core.errors import StoreError
from flowctl_core.models import BuildReport
from flowctl_core.store.files import atomic_write
from flowctl_core.workflow import Job


def write_stamp(job: Job, report: BuildReport) -> None:
    """Write the stamp of a build that has just succeeded; a fault here only makes the next build slower.

    Nothing is written where the answer could depend on more than the stamp holds: another folder than the current
    one, or an input as young as the digest itself.
    """
    if str(job.root) != os.getcwd() or job.missing_tools is not None:  # noqa: PTH109
        return
    entries = job.inputs.stamp_entries()
    if entries is None:
        return
    document = {
        "version": noop.VERSION,
        "cwd": str(job.root),
        "python": [sys.version, sys.prefix],
        "environment": noop.environment_digest(),
        "inputs": entries,
        "others": [[path, noop.fingerprint(path)] for path in sorted(_others(job))],
        "report": report.model_copy(update={"cache": "fresh", "explanation": ()}).model_dump(
            mode="json", exclude={"explanation"}
        ),
    }
    try:
        atomic_write(job.root / noop.STAMP, json.dumps(document, separators=(",", ":")).encode())
    except (StoreError, OSError, UnicodeEncodeError):
        (job.root / noop.STAMP).unlink(missing_ok=True)


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
        paths.update((str(tool.path), str(tool.path.resolve())))
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        paths.add(folder or ".")
    paths.update(job.engine.plugins.manager.watched_paths())
    return paths
