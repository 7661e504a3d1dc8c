"""`flowctl dev --record` and `--replay-from`: the commands, with real components."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

PIPELINE = """\
apiVersion: flowctl/v1
kind: Pipeline
metadata: {name: doubling}
spec:
  sources:
    - {id: odd, command: [sh, -c, 'for n in 1 3 5; do echo "{\\"n\\":$n}"; done; echo ran >> sources-ran']}
    - {id: even, command: [sh, -c, 'while [ ! -e sources-ran ]; do sleep 0.1; done; sleep 1; for n in 2 4; do echo "{\\"n\\":$n}"; done']}
  processors:
    - {id: double, path: double, inputs: [odd, even]}
  sinks:
    - {id: archive, command: [sh, -c, 'cat >> archived'], inputs: [double]}
"""
"""The order in which two sources come together is nobody's promise: one is later here."""
DOUBLE = """\
#!{python}
import json, sys
for line in sys.stdin:
    event = json.loads(line)
    print(json.dumps({{"n": event["n"] * {factor}, "of": event["n"]}}), flush=True)
"""


def write_double(folder: Path, factor: str) -> None:
    new = folder / "double.new"
    new.write_text(DOUBLE.format(python=sys.executable, factor=factor))
    new.chmod(0o755)
    new.rename(folder / "double")


def argv(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "flowctl_core", "dev", *arguments]


def flowctl(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(argv(*arguments), cwd=cwd, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    (tmp_path / "pipeline.yaml").write_text(PIPELINE)
    write_double(tmp_path, "2")
    done = flowctl("--once", "--plain", "--record", "traffic", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "recorded 10 events in" in done.stderr
    return tmp_path


def test_recorded_events_take_the_place_of_the_sources(recorded: Path) -> None:
    done = flowctl("--once", "--plain", "--replay-from", "traffic", "--diff", cwd=recorded)
    assert done.returncode == 0, done.stderr
    assert "double: 5 events, the same as in the recording" in done.stdout
    assert (recorded / "sources-ran").read_text() == "ran\n"
    archived = (recorded / "archived").read_text().splitlines()
    assert archived[:5] == archived[5:]  # both sources' events in the recorded order


def test_one_component_runs_alone_and_its_differences_are_told(recorded: Path) -> None:
    write_double(recorded, '(2 if event["n"] != 3 else 7)')
    done = flowctl("--once", "--plain", "--replay-from", "traffic", "--only", "double", "--diff", cwd=recorded)
    assert "double: 1 changed, 4 the same as in the recording" in done.stdout
    assert "n: 6 → 21" in done.stdout
    assert len((recorded / "archived").read_text().splitlines()) == 5
    done = flowctl("--once", "--replay-from", "traffic", "--diff", "--ignore", "n", "-o", "json", cwd=recorded)
    events = [json.loads(line) for line in done.stdout.splitlines()]
    (diff,) = [event for event in events if event["event"] == "diff"]
    assert (diff["component"], diff["same"], diff["changed"], diff["lined_up"]) == ("double", 5, 0, True)


def test_after_an_edit_it_runs_again_and_shows_what_the_edit_changed(recorded: Path) -> None:
    child = subprocess.Popen(
        argv("--plain", "--replay-from", "traffic", "--only", "double", "--diff"),
        cwd=recorded, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert child.stdout is not None and child.stderr is not None
    end = threading.Timer(120, child.kill)
    end.start()
    try:
        assert "the same as in the recording" in child.stdout.readline()
        while "waiting for an edit" not in child.stderr.readline():
            assert child.poll() is None
        threading.Timer(1, write_double, (recorded, "3")).start()
        assert "double: 5 changed, 0 the same as in the run before" in child.stdout.readline()
        child.send_signal(signal.SIGINT)
        assert child.wait(30) == 0
    finally:
        end.cancel()
        child.kill()
        child.wait()
        child.stdout.close()
        child.stderr.close()


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("--diff",), "--diff is for recorded events"),
        (("--replay-from", "missing"), "cannot be read"),
        (("--replay-from", "pipeline.yaml"), "is no recording"),
        (("--replay-from", "traffic", "--only", "nobody"), "no such component"),
        (("--replay-from", "traffic", "--only", "odd"), "takes no events"),
        (("--replay-from", "traffic", "--ignore", "n"), "what --diff leaves out"),
        (("--replay-from", "traffic", "--record", "other"), "exclude each other"),
        (("--record", "traffic"), "is there already"),
    ],
)
def test_what_makes_no_sense_is_refused(recorded: Path, arguments: tuple[str, ...], problem: str) -> None:
    done = flowctl("--once", *arguments, cwd=recorded)
    assert done.returncode == 2
    assert problem in done.stderr and "Traceback" not in done.stderr
    assert not os.path.exists(recorded / "other")


def test_a_recording_of_another_pipeline_is_refused(recorded: Path) -> None:
    text = PIPELINE.replace("id: odd", "id: uneven").replace("[odd, even]", "[uneven, even]")
    (recorded / "pipeline.yaml").write_text(text)
    done = flowctl("--once", "--replay-from", "traffic", cwd=recorded)
    assert done.returncode == 2
    assert "has no events of uneven" in done.stderr
