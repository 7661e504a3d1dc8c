"""`flowctl dev` under edits and kills: what arrives at the sink is told event by event."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

pytestmark = [pytest.mark.sweep, pytest.mark.requires_tool("go")]

EDITS = int(os.environ.get("DEV_EDITS", "100"))
KILLS = int(os.environ.get("DEV_KILLS", "60"))

SOURCE = """
import json, os, sys, time
n, began = 0, time.monotonic()
while True:
    due = int((time.monotonic() - began) * 1000)  # a thousand a second
    if n < due:
        run = os.getpid()
        sys.stdout.write("".join('{"run":%d,"n":%d,"pad":"%s"}\\n' % (run, i, "x" * 150) for i in range(n, due)))
        sys.stdout.flush()
        n = due
    time.sleep(0.005)
"""
PROCESSOR = """
package main

import (
	"bufio"
	"fmt"
	"os"
)

const version = VERSION

func main() {
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(make([]byte, 1<<16), 1<<20)
	for in.Scan() {
		fmt.Printf("{\\"v\\":%d,%s\\n", version, in.Text()[1:])
	}
}
"""
SINK = """
import sys
with open("got", "ab", buffering=0) as file:
    for line in sys.stdin.buffer:
        file.write(line)
"""
PIPELINE = """\
apiVersion: flowctl/v1
kind: Pipeline
metadata: {{name: faults}}
spec:
  sources: [{{id: source, command: [{python}, -u, source.py]}}]
  processors: [{{id: processor, path: processor, inputs: [source]}}]
  sinks: [{{id: sink, command: [{python}, sink.py], inputs: [processor]}}]
"""


def write_processor(folder: Path, version: int) -> None:
    file = folder / "processor" / "main.go"
    file.with_suffix(".new").write_text(PROCESSOR.replace("VERSION", str(version)))
    file.with_suffix(".new").rename(file)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "processor").mkdir()
    (tmp_path / "processor" / "go.mod").write_text("module example.com/processor\n\ngo 1.20\n")
    write_processor(tmp_path, 0)
    (tmp_path / "source.py").write_text(SOURCE)
    (tmp_path / "sink.py").write_text(SINK)
    (tmp_path / "pipeline.yaml").write_text(PIPELINE.format(python=sys.executable))
    return tmp_path


class Dev:
    def __init__(self, folder: Path) -> None:
        self.got = folder / "got"
        self.out = folder / "events"
        with self.out.open("wb") as out, (folder / "stderr").open("wb") as err:
            argv = [sys.executable, "-m", "flowctl_core", "dev", "-o", "json"]
            self.process = subprocess.Popen(argv, cwd=folder, stdout=out, stderr=err)

    def newest(self) -> dict[str, int]:
        """The last event that arrived; {} before the first."""
        if not self.got.exists():
            return {}
        with self.got.open("rb") as file:
            file.seek(max(0, self.got.stat().st_size - 4096))
            lines = file.read().splitlines()[:-1]
        return json.loads(lines[-1]) if len(lines) > 1 else {}

    def until(self, condition: Callable[[], bool], seconds: float = 180) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert self.process.poll() is None, self.out.read_text()[-3000:]
            assert time.monotonic() < deadline, self.out.read_text()[-3000:]
            time.sleep(0.01)

    def stop(self) -> list[dict[str, object]]:
        """Ctrl-C; the events that it told."""
        below = psutil.Process(self.process.pid).children(recursive=True)
        self.process.send_signal(signal.SIGINT)
        assert self.process.wait(60) == 0, self.out.read_text()[-3000:]
        _, alive = psutil.wait_procs(below, timeout=5)
        assert alive == []
        return [json.loads(line) for line in self.out.read_text().splitlines()]


def numbers(got: Path) -> dict[int, list[int]]:
    """The sequence of each run of the source, in the order in which it arrived."""
    found: dict[int, list[int]] = {}
    for line in got.read_bytes().splitlines():
        event = json.loads(line)
        found.setdefault(event["run"], []).append(event["n"])
    return found


def test_edits_under_a_thousand_events_a_second_lose_double_and_reorder_nothing(folder: Path) -> None:
    dev = Dev(folder)
    dev.until(lambda: bool(dev.newest()))
    for version in range(1, EDITS + 1):
        write_processor(folder, version)
        dev.until(lambda wanted=version: dev.newest().get("v") == wanted)  # type: ignore[misc]
    dev.stop()
    (sequence,) = numbers(dev.got).values()
    assert sequence == list(range(len(sequence)))
    versions = [json.loads(line)["v"] for line in dev.got.read_bytes().splitlines()]
    assert versions == sorted(versions)
    assert set(versions) == set(range(EDITS + 1))


@pytest.mark.parametrize("seed", [1, 2])
def test_killed_components_lose_nothing_that_the_window_covers(folder: Path, seed: int) -> None:
    chance = random.Random(seed)
    dev = Dev(folder)
    dev.until(lambda: bool(dev.newest()))
    killed = 0
    while killed < KILLS // 2:
        time.sleep(chance.uniform(0.2, 1.5))
        running = [
            p for p in psutil.Process(dev.process.pid).children() if "sink.py" in p.cmdline() or "processor" in p.name()
        ]
        if running:
            chance.choice(running).kill()
            killed += 1
    settled = time.time()
    size = dev.got.stat().st_size
    dev.until(lambda: dev.got.stat().st_size > size + 100_000 and time.time() > settled + 2)
    told = dev.stop()
    statuses = [event for event in told if event["event"] == "end"][-1]["components"]
    replayed = sum(status["replayed"] for status in statuses)  # type: ignore[attr-defined,union-attr]
    (sequence,) = numbers(dev.got).values()
    assert set(sequence) == set(range(max(sequence) + 1)), "lost"
    doubled = len(sequence) - len(set(sequence))
    assert 0 <= doubled <= replayed
    assert replayed > 0
