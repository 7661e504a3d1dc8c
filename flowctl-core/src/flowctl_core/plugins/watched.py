"""The paths whose change could change which plugins there are, or what they do."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable

from flowctl_core.plugins.identity import PluginRecord


def watched_paths(records: Iterable[PluginRecord]) -> set[str]:
    """Folders that distributions are installed into (a new one changes its folder), each plugin's RECORD, and
    the source files and folders of plugins that are installed editable."""
    paths = {entry for entry in sys.path if entry and os.path.isdir(entry)}  # noqa: PTH112
    for record in records:
        if record.metadata is not None:
            paths.add(str(record.metadata / "RECORD"))
        paths.update(record.source_paths())
    return paths
