"""What can be wrong with a recording."""

from __future__ import annotations

from flowctl_core.errors import UsageError


class RecordingError(UsageError):
    """A recording cannot be written or read, or does not fit the pipeline."""
