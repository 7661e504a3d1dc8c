"""Writes every event that any component gives to one file (`flowctl dev --record FILE`).

A file of JSON lines. The first: `{"recording": 1, "pipeline": name, "started": time, "inputs": {id: [ids]}}`; then one
an event, in the order in which flowctl read them: `{"c": component, "n": sequence, "t": seconds since the start,
"e": event}`, the event being the component's own bytes.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from flowctl_core.dev.edges.batch import Batch
from flowctl_core.dev.recording.errors import RecordingError

VERSION = 1


class Recorder:
    """Give `outlet(id)` of every component to its tap. A disk that is full ends the recording, not the pipeline."""

    def __init__(self, path: Path, *, pipeline: str, inputs: Mapping[str, Sequence[str]]) -> None:
        """A new file, readable by its owner only: events may hold what is nobody else's. Raises RecordingError."""
        self.path = path
        self.events = 0
        self.problem: str | None = None
        self._lock = threading.Lock()
        self._started = time.monotonic()
        self._file: BinaryIO | None = None
        header = {
            "recording": VERSION,
            "pipeline": pipeline,
            "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds"),
            "inputs": {component: list(ids) for component, ids in inputs.items()},
        }
        try:
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except FileExistsError:
            raise RecordingError(f"{path} is there already", hint="Name a new file, or remove that one.") from None
        except OSError as error:
            raise RecordingError(f"{path} cannot be made: {error.strerror}") from error
        self._file = os.fdopen(fd, "wb", buffering=0)
        self._write(json.dumps(header).encode() + b"\n")

    def outlet(self, component: str) -> RecordingOutlet:
        """What records this component's events."""
        return RecordingOutlet(self, component)

    def add(self, component: str, batch: Batch) -> None:
        """Write these events."""
        before = b'{"c":%b,"n":' % json.dumps(component).encode()
        after = b',"t":%.3f,"e":' % (time.monotonic() - self._started)
        lines = batch.data.split(b"\n")
        text = b"".join(
            b"%b%d%b%b}\n" % (before, number, after, line) for number, line in enumerate(lines[:-1], batch.first)
        )
        with self._lock:
            if self._write(text):
                self.events += batch.count

    def close(self) -> None:
        """The file is whole."""
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None

    def _write(self, text: bytes) -> bool:
        if self._file is None:
            return False
        try:
            view = memoryview(text)
            while view:
                view = view[self._file.write(view) :]
        except OSError as error:
            self.problem = f"{self.path} cannot be written: {error.strerror}; the recording ends there"
            with contextlib.suppress(OSError):
                self._file.close()
            self._file = None
            return False
        return True


class RecordingOutlet:
    """One component's way into the recording."""

    def __init__(self, recorder: Recorder, component: str) -> None:
        self._recorder = recorder
        self._component = component

    def push(self, batch: Batch) -> None:
        """Record them."""
        self._recorder.add(self._component, batch)

    def finish(self) -> None:
        """Other components may still go on."""
