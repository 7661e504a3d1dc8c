"""Where API processes keep the counters that they share."""

from __future__ import annotations

import os
from pathlib import Path

from flowctl_core.liveness import is_alive

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""The library's own name for it."""


def prepare(folder: Path) -> None:
    """An empty folder for this process and its children."""
    folder.mkdir(parents=True, exist_ok=True)
    for left in folder.glob("*.db"):
        left.unlink(missing_ok=True)
    os.environ[FOLDER] = str(folder)


def forget_dead() -> None:
    """Gauges of processes that were killed count no more."""
    for path in Path(os.environ[FOLDER]).glob("gauge_live*_*.db"):
        number = path.stem.rpartition("_")[2]
        if number.isdecimal() and not is_alive(int(number)):
            path.unlink(missing_ok=True)
