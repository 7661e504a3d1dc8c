"""What can be wrong with a recording."""

from __future__ import annotations

from flowctl_core.errors import FlowctlError


class RecordingError(FlowctlError):
    """A recording cannot be written or read, or does not fit the pipeline."""

    code = "recording"
    exit_code = 2
    http_status = 400
