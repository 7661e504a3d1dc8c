"""Pipelines that run: `flowctl dev -o json` as a process of its own, its events read as they come."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

FLOWCTL = str(Path(sys.executable).with_name("flowctl"))
PATIENCE_S = 90.0
"""Against a machine that is busy with other things."""
Event = dict[str, Any]


class DevRun:
    """One `flowctl dev`."""

    def __init__(self, folder: Path, *arguments: str, environ: dict[str, str] | None = None) -> None:
        self.folder = folder
        self.process = subprocess.Popen(
            [FLOWCTL, "-o", "json", "dev", *arguments],
            cwd=folder,
            env={**os.environ, "FLOWCTL_CACHE_DIR": str(folder / "cache"), **(environ or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=(folder / "stderr.txt").open("w"),
            text=True,
        )
        self.events: list[Event] = []
        self._changed = threading.Condition()
        self._ended = False
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._changed:
                self.events.append(json.loads(line))
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def wait(self, what: Callable[[Event], bool], *, after: int = 0) -> int:
        """Wait for an event that fits, at `after` or later; returns the position behind it."""

        def found() -> int | None:
            return next((i + 1 for i, event in enumerate(self.events) if i >= after and what(event)), None)

        with self._changed:
            self._changed.wait_for(lambda: found() is not None or self._ended, PATIENCE_S)
            position = found()
        assert position is not None, self.told()
        return position

    def event(self, name: str, component: str | None = None, *, after: int = 0) -> int:
        """Wait for an event by its name."""
        return self.wait(lambda e: e["event"] == name and component in (None, e.get("component")), after=after)

    def line(self, text: str, *, after: int = 0) -> int:
        """Wait for a line that a component wrote."""
        return self.wait(lambda e: e["event"] == "log" and text in e["text"], after=after)

    def of(self, name: str, component: str | None = None) -> list[Event]:
        """All events of that name so far."""
        return [e for e in self.events if e["event"] == name and component in (None, e.get("component"))]

    def lines(self, component: str) -> list[str]:
        """What a component wrote so far."""
        return [e["text"] for e in self.of("log", component)]

    def interrupt(self) -> int:
        """Ctrl-C; returns the exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.end()

    def end(self) -> int:
        """Wait for its end; returns the exit code."""
        code = self.process.wait(PATIENCE_S)
        with self._changed:
            self._changed.wait_for(lambda: self._ended, PATIENCE_S)
        return code

    def status(self, component: str) -> Event:
        """Where a component stood at the end."""
        (last,) = self.of("end")
        return next(c for c in last["components"] if c["component"] == component)

    def told(self) -> str:
        """Everything, for a failed assertion."""
        events = "\n".join(json.dumps(event) for event in self.events[-60:])
        return f"{events}\n{(self.folder / 'stderr.txt').read_text()}"

    def pids(self) -> set[int]:
        """Processes of components that were ever told of."""
        return {event["pid"] for event in self.events if event.get("pid")}


@pytest.fixture
def dev(tmp_path: Path) -> Iterator[Callable[..., DevRun]]:
    """Write `pipeline` into pipeline.yaml and run it; whatever happens, it is gone afterwards, and so is all it began."""
    started: list[DevRun] = []

    def start(pipeline: str, *arguments: str, environ: dict[str, str] | None = None) -> DevRun:
        write_pipeline(tmp_path, pipeline)
        run = DevRun(tmp_path, *arguments, environ=environ)
        started.append(run)
        return run

    yield start
    for run in started:
        if run.process.poll() is None:
            run.process.kill()
            run.process.wait()


def write_pipeline(folder: Path, components: str) -> None:
    """pipeline.yaml whose spec is this text."""
    head = "apiVersion: flowctl/v1\nkind: Pipeline\nmetadata: {name: test}\nspec:\n"
    (folder / "pipeline.yaml").write_text(head + textwrap.indent(textwrap.dedent(components), "  "))


@pytest.fixture
def program(tmp_path: Path) -> Callable[[str, str], Path]:
    """Writes an executable Python program; replaced at once, as editors do."""

    def write(name: str, text: str) -> Path:
        file = tmp_path / name
        new = tmp_path / f".{name}.new"
        new.write_text(f"#!{sys.executable}\n{textwrap.dedent(text)}")
        new.chmod(0o755)
        new.replace(file)
        return file

    return write


def alive(pid: int) -> bool:
    """True while a process is there and no zombie."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.fixture(name="alive")
def alive_fixture() -> Callable[[int], bool]:
    return alive
