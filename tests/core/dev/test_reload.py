"""Edits while a pipeline runs."""

from __future__ import annotations

import pytest

SPEC = """\
apiVersion: component.flowctl.io/v1
kind: ComponentSpec
metadata: {name: mid, version: 0.1.0}
spec:
  type: processor
  interface: {inputEventTypes: [n], outputEventTypes: [n]}
  build: {native: {command: [sh, build.sh], binary: out/mid}}
"""
BUILD = "set -e\nmkdir -p out\nsed 's/^#.*//' mid.awk >/dev/null\n(echo '#!/usr/bin/awk -f'; cat mid.awk) >out/mid\nchmod +x out/mid\n"
GEN = """
    import signal, sys, time
    running = True
    def stop(*_):
        global running
        running = False
    signal.signal(signal.SIGTERM, stop)
    n = 0
    while running:
        n += 1
        print(n, flush=True)
        time.sleep(0.001)
"""
SINK = """
    import sys
    before = 0
    for line in sys.stdin:
        n = int(line)
        if n != before + 1:
            print("gap", before, n, flush=True)
        before = n
    print("last", before, flush=True)
"""
PIPELINE = """
    sources:
      - {id: gen, path: gen.py}
    processors:
      - {id: mid, path: mid, inputs: [gen]}
    sinks:
      - {id: out, path: out.py, inputs: [mid]}
"""


@pytest.fixture
def mid(tmp_path, program):
    """A processor that a command builds: it passes numbers on."""
    program("gen.py", GEN)
    program("out.py", SINK)
    folder = tmp_path / "mid"
    folder.mkdir()
    (folder / "component.yaml").write_text(SPEC)
    (folder / "build.sh").write_text(BUILD)
    (folder / ".gitignore").write_text("out/\nnotes.txt\n")
    (folder / "mid.awk").write_text(awk(0))
    return folder


def awk(version: int) -> str:
    return f'BEGIN {{ print "version {version}" > "/dev/stderr" }}\n{{ print; fflush() }}\n'


def test_edits_lose_double_and_reorder_nothing(dev, mid):
    run = dev(PIPELINE)
    after = run.line("version 0")
    for version in range(1, 6):
        (mid / "mid.awk").write_text(awk(version))
        after = run.line(f"version {version}", after=after)
    assert run.interrupt() == 0, run.told()
    (last,) = run.lines("out")
    gen = run.status("gen")["events_out"]
    assert last == f"last {gen}"
    assert gen > 0
    assert run.status("mid")["rebuilds"] == 5
    assert run.status("mid")["replayed"] == 0


def test_a_build_error_leaves_the_old_one_running_and_shows_the_tools_words(dev, mid):
    run = dev(PIPELINE)
    after = run.event("ready", "mid")
    pid = run.of("ready", "mid")[0]["pid"]
    (mid / "build.sh").write_text("echo 'mid.awk:7: no such luck' >&2; exit 1\n")
    after = run.event("build-failed", "mid", after=after)
    failed = run.events[after - 1]
    assert "no such luck" in failed["output"]
    assert "the old process goes on" in failed["text"]
    (mid / "build.sh").write_text(BUILD.replace("set -e", "set -eu"))
    (mid / "mid.awk").write_text(awk(9))
    after = run.event("swapped", "mid", after=after)
    assert run.of("draining", "mid")[0]["pid"] == pid
    assert run.interrupt() == 0
    assert run.lines("out") == [f"last {run.status('gen')['events_out']}"]


def test_a_first_build_that_fails_waits_for_an_edit(dev, mid):
    (mid / "build.sh").write_text("exit 1\n")
    run = dev(PIPELINE)
    after = run.event("build-failed", "mid")
    assert not run.of("ready", "out"), "it takes events from mid"
    (mid / "build.sh").write_text(BUILD)
    run.event("ready", "out", after=after)
    assert run.interrupt() == 0


def test_only_inputs_are_watched(dev, mid):
    run = dev(PIPELINE)
    after = run.event("ready", "out")
    (mid / "notes.txt").write_text("ignored by git")
    (mid / "out" / "mid").touch()
    (mid / "mid.awk").touch()  # the same content
    (mid / "new").mkdir()
    after = run.wait(lambda e: True, after=0)
    (mid / "new" / "file.txt").write_text("an input in a new folder")
    after = run.event("building", "mid", after=after)
    after = run.event("built", "mid", after=after)
    (mid / "new" / "file.txt").write_text("the new folder is watched as well")
    after = run.event("building", "mid", after=after)
    assert run.interrupt() == 0
    assert not run.of("build-failed")


def test_a_storm_of_ten_thousand_files_is_one_change_or_few(dev, mid):
    run = dev(PIPELINE)
    after = run.event("ready", "out")
    builds = len(run.of("built", "mid"))
    for number in range(10_000):
        (mid / f"{number}.txt").write_text(str(number))
    (mid / "mid.awk").write_text(awk(1))
    run.line("version 1", after=after)
    assert run.interrupt() == 0
    assert len(run.of("built", "mid")) - builds < 50
    assert run.lines("out") == [f"last {run.status('gen')['events_out']}"]


def test_replay_gives_a_restarted_component_the_last_events_again(dev, mid):
    run = dev(PIPELINE, "--replay", "50")
    after = run.line("version 0")
    run.wait(lambda e: e["event"] == "ready" and e["component"] == "out")
    (mid / "mid.awk").write_text(awk(1))
    after = run.line("version 1", after=after)
    assert run.interrupt() == 0
    (replayed,) = run.of("replayed", "mid")
    assert 0 < replayed["replayed"] <= 50
    (gap, last) = run.lines("out")
    before, n = map(int, gap.split()[1:])
    assert before + 1 - n == replayed["replayed"]
    assert last == f"last {run.status('gen')['events_out']}"


GO = """package main

import (
	"bufio"
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "version 0")
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		fmt.Println(lines.Text())
	}
}
"""


@pytest.mark.requires_tool("go")
def test_a_program_that_a_language_builds_is_swapped(dev, mid):
    for name in ("component.yaml", "build.sh", "mid.awk"):
        (mid / name).unlink()
    (mid / "go.mod").write_text("module example.com/mid\n\ngo 1.23\n")
    (mid / "main.go").write_text(GO)
    run = dev(PIPELINE)
    after = run.line("version 0")
    run.event("ready", "out")
    (mid / "main.go").write_text(GO.replace("version 0", "version 1"))
    after = run.line("version 1", after=after)
    assert run.interrupt() == 0
    assert len(run.of("draining", "mid")) == 1
    assert run.status("mid")["rebuilds"] == 1
    assert run.lines("out") == [f"last {run.status('gen')['events_out']}"]
