"""Reads a recording; the format is described in `record`."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from flowctl_core.dev.edges.lines import LINE_LIMIT
from flowctl_core.dev.recording.errors import RecordingError
from flowctl_core.dev.recording.record import VERSION


class _Header(msgspec.Struct):
    recording: int
    pipeline: str
    started: str = ""
    inputs: dict[str, list[str]] = {}


class _Line(msgspec.Struct):
    c: str
    n: int
    e: msgspec.Raw
    t: float = 0.0


@dataclass(frozen=True, slots=True)
class RecordedEvent:
    """Event `number` of `component`, `seconds` after the recording began; `line` is without its end."""

    component: str
    number: int
    seconds: float
    line: bytes


class Recording:
    """A file of recorded events; only its head is in memory."""

    def __init__(self, path: Path) -> None:
        """Raises RecordingError when there is no such file or it is no recording."""
        self.path = path
        self.torn = False
        try:
            with path.open("rb") as file:
                first = file.readline(2**20)
            header = msgspec.json.decode(first, type=_Header)
        except OSError as error:
            raise RecordingError(f"{path} cannot be read: {error.strerror}") from error
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            hint = "Record one: flowctl dev pipeline.yaml --record FILE"
            raise RecordingError(f"{path} is no recording: {error}", hint=hint) from error
        if header.recording != VERSION:
            raise RecordingError(f"{path} is a recording of version {header.recording}; this flowctl reads {VERSION}")
        self.pipeline = header.pipeline
        self.started = header.started
        self.inputs = header.inputs

    def events(self, components: Collection[str]) -> Iterator[RecordedEvent]:
        """What these gave, in the recorded order; a last line that was cut off ends it (`torn`).

        Raises RecordingError for a line that is damaged.
        """
        decode = msgspec.json.Decoder(_Line).decode
        try:
            with self.path.open("rb") as file:
                file.readline(2**20)
                number = 1
                while line := file.readline(LINE_LIMIT + 2**16):
                    number += 1
                    if not line.endswith(b"\n") and not file.read(1):
                        self.torn = True
                        return
                    try:
                        entry = decode(line)
                    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                        raise RecordingError(f"{self.path}:{number}: the line is damaged: {error}") from error
                    if entry.c in components:
                        yield RecordedEvent(entry.c, entry.n, entry.t, bytes(entry.e))
        except OSError as error:
            raise RecordingError(f"{self.path} cannot be read: {error.strerror}") from error
