"""Where API processes keep the counters that they share."""

from __future__ import annotations

import os
from pathlib import Path

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""The library's own name for it."""


def prepare(folder: Path) -> None:
    """An empty folder for this process and its children."""
    folder.mkdir(parents=True, exist_ok=True)
    for left in folder.glob("*.db"):
        left.unlink(missing_ok=True)
    os.environ[FOLDER] = str(folder)
