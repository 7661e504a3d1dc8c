"""Taps and feeds with real processes at their pipes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from flowctl_core.dev.edges import Batch, DeadLetters, Edge, Feed, Limits, Tap


class Kept:
    """An outlet that remembers."""

    def __init__(self) -> None:
        self.data = b""
        self.finished = False

    def push(self, batch: Batch) -> None:
        self.data += batch.data

    def finish(self) -> None:
        self.finished = True

    @property
    def numbers(self) -> list[int]:
        return [json.loads(line)["n"] for line in self.data.splitlines()]


def events(numbers: range) -> bytes:
    return b"".join(b'{"n":%d}\n' % n for n in numbers)


def push(edge: Edge, numbers: range) -> None:
    edge.push(Batch(events(numbers), len(numbers), numbers.start))


def process(code: str, *, feed: Feed | None = None, tap: Tap | None = None) -> subprocess.Popen[bytes]:
    child = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE if feed else subprocess.DEVNULL,
        stdout=subprocess.PIPE if tap else subprocess.DEVNULL,
        start_new_session=True,
    )
    if feed is not None:
        assert child.stdin is not None
        feed.attach(os.dup(child.stdin.fileno()))
        child.stdin.close()
    if tap is not None:
        assert child.stdout is not None
        tap.attach(os.dup(child.stdout.fileno()))
        child.stdout.close()
    return child


def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.01)


COPY = "import sys\nfor line in sys.stdin: print(line, end='', flush=True)"
SLEEP = "import time; time.sleep(600)"


@pytest.fixture
def letters(tmp_path: Path) -> DeadLetters:
    return DeadLetters(tmp_path / "made" / "dead-letters.jsonl")


@pytest.fixture
def tap(letters: DeadLetters) -> Tap:
    return Tap("given", letters)


@pytest.fixture
def kept(tap: Tap) -> Kept:
    kept = Kept()
    tap.connect(kept)
    return kept


def test_a_whole_pipeline_ends_by_itself_and_loses_nothing(letters: DeadLetters) -> None:
    source, processor, end = Tap("source", letters), Tap("processor", letters), Kept()
    feed = Feed("processor")
    source.connect(edge := feed.edge("source"))
    processor.connect(end)
    second = process(COPY, feed=feed, tap=processor)
    first = process("for n in range(20000): print('{\"n\":%d}' % n)", tap=source)
    assert (first.wait(20), source.drained.wait(20)) == (0, True)
    source.finish()
    assert (second.wait(20), processor.drained.wait(20)) == (0, True)
    processor.finish()
    assert end.numbers == list(range(20000))
    assert feed.exhausted.is_set() and end.finished
    assert feed.detach(crashed=False).unread == 0
    counters = edge.counters
    assert (counters.entered, counters.events, counters.lag, counters.lost) == (20000, 20000, 0, 0)
    assert counters.bytes == source.bytes == len(end.data)


def test_two_edges_merge_at_line_ends_and_each_keeps_its_order(letters: DeadLetters, tap: Tap, kept: Kept) -> None:
    feed = Feed("given")
    sources = [Tap(name, letters) for name in "ab"]
    children = []
    for sign, source in zip(("", "-"), sources, strict=True):
        source.connect(feed.edge(source.component))
        children.append(process(f"for n in range(1, 30001): print('{{\"n\":{sign}%d}}' % n)", tap=source))
    copy = process(COPY, feed=feed, tap=tap)
    for child, source in zip(children, sources, strict=True):
        child.wait(20)
        source.drained.wait(20)
        source.finish()
    copy.wait(20)
    tap.drained.wait(20)
    assert [n for n in kept.numbers if n > 0] == list(range(1, 30001))
    assert [-n for n in kept.numbers if n < 0] == list(range(1, 30001))


def test_all_edges_that_leave_get_every_event(tap: Tap) -> None:
    both = [Kept(), Kept()]
    for one in both:
        tap.connect(one)
    process("for n in range(1000): print('{\"n\":%d}' % n)", tap=tap).wait(20)
    tap.drained.wait(20)
    assert both[0].data == both[1].data == events(range(1000))


def test_lines_that_are_no_events_are_kept_in_a_file_and_counted(tap: Tap, kept: Kept, letters: DeadLetters) -> None:
    process('import os; os.write(1, b\'{"n":1}\\nhello\\n"\\xff"\\n{"n":2}\\n\')', tap=tap).wait(20)
    tap.drained.wait(20)
    assert kept.numbers == [1, 2]
    entries = [json.loads(line) for line in letters.path.read_text().splitlines()]
    assert [(e["component"], e["line"], e["text"]) for e in entries] == [("given", 2, "hello"), ("given", 3, '"\\xff"')]
    assert all(e["reason"] and e["time"] for e in entries)
    assert (tap.dead_letters, tap.events, letters.written) == (2, 2, 2)


def test_a_dead_letter_file_that_cannot_be_written_or_is_full_stops_no_event(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for letters in (DeadLetters(tmp_path / "file" / "letters"), DeadLetters(tmp_path / "letters", size_limit=10)):
        tap, kept = Tap("given", letters), Kept()
        tap.connect(kept)
        process("print('oops'); print('{\"n\":1}')", tap=tap).wait(20)
        tap.drained.wait(20)
        assert (kept.numbers, letters.unwritten, tap.dead_letters) == ([1], 1, 1)
        assert letters.problem is not None


def test_a_swap_by_eof_loses_and_doubles_nothing(tap: Tap, kept: Kept) -> None:
    feed = Feed("given")
    edge = feed.edge("source")
    sent = 0
    done = threading.Event()

    def give() -> None:
        nonlocal sent
        while not done.is_set():
            push(edge, range(sent, sent + 10))
            sent += 10
            time.sleep(0.001)
        edge.finish()

    giving = threading.Thread(target=give)
    giving.start()
    for _ in range(10):
        child = process(COPY, feed=feed, tap=tap)
        before = len(kept.data)
        until(lambda: len(kept.data) > before)  # noqa: B023 -- it is called at once
        feed.end()
        assert child.wait(20) == 0
        assert tap.drained.wait(20)
        returned = feed.detach(crashed=False)
        assert (returned.unread, returned.replayed, returned.older) == (0, 0, 0)
    last = process(COPY, feed=feed, tap=tap)
    done.set()
    giving.join()
    last.wait(20)
    tap.drained.wait(20)
    assert kept.numbers == list(range(sent))
    assert (edge.counters.events, edge.counters.replayed) == (sent, 0)


@pytest.mark.parametrize("count", [50, 200_000])
def test_what_a_killed_process_never_read_is_sent_to_the_next_one(tap: Tap, kept: Kept, count: int) -> None:
    feed = Feed("given")
    edge = feed.edge("source")
    threading.Thread(target=lambda: [push(edge, range(n, n + 50)) for n in range(0, count, 50)], daemon=True).start()
    child = process(SLEEP, feed=feed, tap=tap)
    until(lambda: edge.counters.events >= min(count, 4000))
    child.kill()
    child.wait()
    returned = feed.detach(crashed=True)
    assert (returned.replayed, returned.older) == (0, 0)
    assert returned.unread >= min(count, 4000)
    assert edge.counters.events == 0
    child = process(COPY, feed=feed, tap=tap)
    until(lambda: edge.counters.events == count)
    edge.finish()
    child.wait(60)
    tap.drained.wait(20)
    assert kept.numbers == list(range(count))
    assert (edge.counters.replayed, edge.counters.lag) == (0, 0)


def test_a_line_that_was_read_in_part_is_sent_again_from_its_beginning(tap: Tap, kept: Kept) -> None:
    feed = Feed("given", window=2)
    edge = feed.edge("source")
    push(edge, range(10, 20))  # nine bytes each
    read = os.fspath(Path(os.devnull))
    child = process(
        f"import os, time; os.read(0, 40); open({read!r}); print('{{}}', flush=True); time.sleep(600)",
        feed=feed,
        tap=tap,
    )
    until(lambda: kept.data == b"{}\n" and edge.counters.events == 10)
    child.kill()
    child.wait()
    tap.drained.wait(20)
    kept.data = b""
    returned = feed.detach(crashed=True)  # 40 bytes are four events and a half
    assert (returned.unread, returned.replayed, returned.older) == (6, 2, 2)
    edge.finish()
    process(COPY, feed=feed, tap=tap).wait(20)
    tap.drained.wait(20)
    assert kept.numbers == list(range(12, 20))
    assert (edge.counters.events, edge.counters.replayed, edge.counters.older) == (10, 2, 2)


def test_a_process_that_ignores_eof_and_is_killed_gives_back_what_it_did_not_read(tap: Tap, kept: Kept) -> None:
    feed = Feed("given", window=0)
    edge = feed.edge("source")
    push(edge, range(1000))
    child = process(SLEEP, feed=feed, tap=tap)
    until(lambda: edge.counters.events == 1000)
    feed.end()
    until(feed._deliveries[0].closed.is_set)
    child.kill()
    child.wait()
    assert feed.detach(crashed=True).unread == 1000
    edge.finish()
    process(COPY, feed=feed, tap=tap).wait(20)
    tap.drained.wait(20)
    assert kept.numbers == list(range(1000))


def test_a_stray_child_that_holds_the_pipes_holds_nothing_up(tap: Tap, kept: Kept) -> None:
    feed = Feed("given", window=0)
    edge = feed.edge("source")
    code = "import os, time\nif os.fork(): os.abort()\nos.setsid(); print('{\"n\":%d}' % os.getpid(), flush=True); time.sleep(600)"
    child = process(code, feed=feed, tap=tap)
    for n in range(0, 100_000, 1000):
        push(edge, range(n, n + 1000))
        if edge.counters.lag > 20_000:
            break
    child.wait(20)
    until(lambda: bool(kept.data))
    stray = kept.numbers[0]
    try:
        tap.abandon()
        assert tap.drained.wait(5)
        returned = feed.detach(crashed=True)
        assert returned.unread > 0 and returned.replayed == 0
        assert edge.counters.lag == edge.counters.entered
    finally:
        os.kill(stray, signal.SIGKILL)


def test_the_last_events_come_again_when_asked_for_and_each_once(tap: Tap, kept: Kept) -> None:
    feed = Feed("given", keep=30)
    edge = feed.edge("source")
    push(edge, range(1, 101))
    for start in (101, 111):
        child = process(COPY, feed=feed, tap=tap)
        until(lambda: edge.counters.lag == 0)
        feed.end()
        child.wait(20)
        tap.drained.wait(20)
        assert feed.detach(crashed=False, replay=30).replayed == 30
        push(edge, range(start, start + 10))
    assert kept.numbers == [*range(1, 101), *range(71, 101), *range(101, 111)]
    kept.data = b""
    edge.finish()
    process(COPY, feed=feed, tap=tap).wait(20)
    tap.drained.wait(20)
    assert kept.numbers == list(range(81, 121))
    assert edge.counters.replayed == 60


def test_a_full_edge_stops_what_gives_and_another_edge_flows_on(letters: DeadLetters) -> None:
    source, feed = Tap("source", letters), Feed("slow")
    source.connect(edge := feed.edge("source", limits=Limits(events=1000, bytes=10**9)))
    other = feed.edge("other")
    child = process("n = 0\nwhile True: print('{\"n\":%d}' % n); n += 1", tap=source)
    until(lambda: edge.counters.lag >= 1000)
    time.sleep(0.2)
    seen = source.events
    time.sleep(0.3)
    assert source.events == seen
    push(other, range(10))
    end = Kept()
    tap = Tap("slow", letters)
    tap.connect(end)
    slow = process(COPY, feed=feed, tap=tap)
    until(lambda: source.events > seen and other.counters.lag == 0)
    for one in (child, slow):
        one.kill()
        one.wait()
    feed.discard()
    assert source.drained.wait(20)
    assert edge.counters.lost > 0 and edge.counters.lag == 0
    assert edge.counters.entered == edge.counters.events + edge.counters.lost


def test_held_feeds_give_nothing_until_they_are_released(tap: Tap, kept: Kept) -> None:
    feed = Feed("given")
    edge = feed.edge("source")
    feed.hold()
    child = process(COPY, feed=feed, tap=tap)
    push(edge, range(100))
    time.sleep(0.3)
    assert (edge.counters.events, feed.held) == (0, True)
    feed.release()
    edge.finish()
    child.wait(20)
    tap.drained.wait(20)
    assert kept.numbers == list(range(100))


def test_replicas_share_the_events_and_their_outputs_merge(tap: Tap, kept: Kept) -> None:
    feed = Feed("given")
    edge = feed.edge("source")
    children = [process(COPY, feed=feed, tap=tap) for _ in range(3)]
    for n in range(0, 30_000, 100):
        push(edge, range(n, n + 100))
    edge.finish()
    for child in children:
        child.wait(20)
    tap.drained.wait(20)
    assert sorted(kept.numbers) == list(range(30_000))
