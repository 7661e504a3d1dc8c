from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from flowctl_core.dev.edges import Batch, Feed
from flowctl_core.dev.recording.compare import compare
from flowctl_core.dev.recording.errors import RecordingError
from flowctl_core.dev.recording.play import Player
from flowctl_core.dev.recording.read import Recording
from flowctl_core.dev.recording.record import Recorder

INPUTS = {"both": ["a", "b"], "a": [], "b": []}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "events.jsonl"
    recorder = Recorder(path, pipeline="shop", inputs=INPUTS)
    outlets = {name: recorder.outlet(name) for name in INPUTS}
    outlets["a"].push(Batch(b'{"n": 1}\n{"n":2 }\n', 2, 1))
    outlets["b"].push(Batch('{"text":"Grüße \\" }"}\n'.encode(), 1, 1))
    outlets["a"].push(Batch(b"3\n", 1, 3))
    outlets["both"].push(Batch(b"null\n", 1, 1))
    recorder.close()
    assert (recorder.events, recorder.problem) == (5, None)
    return path


def test_events_come_back_as_they_were_and_in_their_order(path: Path) -> None:
    recording = Recording(path)
    assert (recording.pipeline, recording.inputs, recording.torn) == ("shop", INPUTS, False)
    assert [(e.component, e.number, e.line) for e in recording.events({"a", "b"})] == [
        ("a", 1, b'{"n": 1}'),
        ("a", 2, b'{"n":2 }'),
        ("b", 1, '{"text":"Grüße \\" }"}'.encode()),
        ("a", 3, b"3"),
    ]
    assert all(json.loads(line) for line in path.read_text().splitlines())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_is_there_is_not_written_over(path: Path) -> None:
    before = path.read_bytes()
    with pytest.raises(RecordingError, match="there already"):
        Recorder(path, pipeline="shop", inputs={})
    assert path.read_bytes() == before


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
def test_a_full_disk_ends_the_recording_and_nothing_else(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "events", pipeline="shop", inputs={})
    assert recorder._file is not None
    os.dup2(os.open("/dev/full", os.O_WRONLY), recorder._file.fileno())
    recorder.add("a", Batch(b"1\n", 1, 1))
    recorder.add("a", Batch(b"2\n", 1, 2))
    assert recorder.events == 0
    assert "No space left" in (recorder.problem or "")


def test_a_recording_that_was_cut_off_is_read_up_to_there(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-6])
    recording = Recording(path)
    assert [event.number for event in recording.events({"a", "both"})] == [1, 2, 3]
    assert recording.torn


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b"", "is no recording"),
        (b'{"n":1}\n', "is no recording"),
        (b"\xff\xfe\n", "is no recording"),
        (b'{"recording":9,"pipeline":"shop"}\n', "of version 9"),
        (b'{"recording":1,"pipeline":"shop"}\n{"c":"a","n":1,"e":1}\noops\n', ":3: the line is damaged"),
        (b'{"recording":1,"pipeline":"shop"}\n{"c":"a","n":"x","e":1}\n', ":2: the line is damaged"),
    ],
)
def test_what_is_no_recording_is_refused_with_its_place(tmp_path: Path, text: bytes, problem: str) -> None:
    path = tmp_path / "events"
    path.write_bytes(text)
    with pytest.raises(RecordingError, match=problem):
        list(Recording(path).events({"a"}))


@pytest.mark.parametrize("name", ["missing", "."])
def test_a_file_that_cannot_be_read_is_said(tmp_path: Path, name: str) -> None:
    with pytest.raises(RecordingError, match="cannot be read"):
        Recording(tmp_path / name)


def test_a_component_runs_on_recorded_events(path: Path, tmp_path: Path) -> None:
    feed = Feed("both")
    edge = feed.edge("recording")
    player = Player(Recording(path), {"a": [edge], "b": [edge]})
    code = "import sys; open('got', 'wb').write(sys.stdin.buffer.read())"
    child = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, cwd=tmp_path)
    assert child.stdin is not None
    feed.attach(os.dup(child.stdin.fileno()))
    child.stdin.close()
    player.start()
    assert child.wait(20) == 0
    lines = (tmp_path / "got").read_bytes().splitlines()
    assert lines == [b'{"n": 1}', b'{"n":2 }', '{"text":"Grüße \\" }"}'.encode(), b"3"]
    assert (player.events, player.problem) == (4, None)


def test_equal_outputs_are_equal_whatever_their_spelling() -> None:
    diff = compare("c", [b'{"a":1,"b":[2]}'], [b'{"b":[2], "a":1}'])
    assert (diff.same, diff.added, diff.removed, diff.changed, diff.changes) == (1, 0, 0, 0, ())


def test_a_difference_is_told_by_event_and_field() -> None:
    before = [b'{"n":%d,"amount":{"value":%d},"at":%d}' % (n, n, n) for n in range(100)]
    after = [line.replace(b'"at":', b'"at":1') for line in before]
    after[10] = after[10].replace(b'"value":10', b'"value":"10"')
    del after[50]
    after.append(b'{"n":100}')
    diff = compare("c", before, after, ignore=["at", "no.such"])
    assert (diff.before, diff.after, diff.same) == (100, 100, 98)
    assert (diff.changed, diff.removed, diff.added, diff.lined_up) == (1, 1, 1, True)
    changed, removed, added = diff.changes
    assert (changed.before, changed.after) == (11, 11)
    assert [(f.path, f.before, f.after) for f in changed.fields] == [("amount.value", 10, "10")]
    assert (removed.kind, removed.before, removed.event["n"]) == ("removed", 51, 50)
    assert (added.kind, added.after, added.event) == ("added", 100, {"n": 100})


def test_outputs_that_have_nothing_in_common_are_counted() -> None:
    diff = compare("c", [b"%d" % n for n in range(10_000)], [b"-%d" % n for n in range(5_001)])
    assert (diff.same, diff.added, diff.removed, diff.lined_up) == (1, 5_000, 9_999, False)  # -0 is 0
    assert diff.before == 10_000 and diff.after == 5_001
