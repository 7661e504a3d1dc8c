"""Commands that take more than they may are ended, and the outcome says for what."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from flowctl_registry.sandbox.disk import remove
from flowctl_registry.sandbox.owner import owner
from sandbox_box import Box, wait_gone


def test_an_honest_command(box: Box) -> None:
    ran = box.python(
        "import os; open('made', 'w').write('x'); print(os.getcwd(), os.getuid() != 0, flush=True); os._exit(3)"
    )
    assert (ran.output, ran.outcome.exit_code, ran.outcome.reached) == ("/work True\n", 3, None)
    assert (box.work / "made").read_text() == "x"
    if box.sandbox.name != "docker":  # which samples: a command may be gone before the first
        assert ran.outcome.cpu_s is not None


def test_a_command_that_does_not_exist(box: Box) -> None:
    ran = box.run("no-such-tool")
    assert ran.outcome.exit_code == 127
    assert "no-such-tool cannot be started: No such file or directory" in ran.output


def test_fork_bomb(box: Box) -> None:
    ran = box.python(
        "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass", "bomb-of-the-test", wall_s=30
    )
    assert (ran.outcome.reached, ran.outcome.exit_code) == ("processes", None)
    assert wait_gone("bomb-of-the-test")


def test_memory_hog(box: Box) -> None:
    ran = box.python("x = []\nwhile True: x.append(bytearray(10_000_000))", memory_bytes=128_000_000)
    if box.counts:
        assert ran.outcome.reached == "memory"
    else:  # a process that meets RLIMIT_DATA fails by itself
        assert ran.outcome.reached == "memory" or "MemoryError" in ran.output


def test_memory_hog_of_many_processes(box: Box) -> None:
    code = "import os, time\nfor _ in range(5): os.fork()\nx = bytearray(b'x' * 20_000_000)\ntime.sleep(60)"
    assert box.python(code, memory_bytes=200_000_000).outcome.reached == "memory"


def test_memory_that_is_files_in_tmp(box: Box) -> None:
    code = "f = open('/tmp/x', 'wb')\nwhile True: f.write(bytes(1_000_000)); f.flush()"
    ran = box.python(code, memory_bytes=128_000_000)
    assert ran.outcome.reached == "memory" or "No space left on device" in ran.output


def test_cpu_of_all_processes_together(box: Box) -> None:
    ran = box.python("import os\nfor _ in range(2): os.fork()\nwhile True: pass", cpu_s=2)
    assert ran.outcome.reached == "cpu"


def test_a_command_that_never_ends(box: Box) -> None:
    assert box.run("sleep", "3600", wall_s=1).outcome.reached == "wall"


def test_cancelling_a_command_that_ignores_every_signal(box: Box) -> None:
    cancelled = threading.Event()
    code = """
import os, signal, sys, time
for number in range(1, 65):
    try: signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError): pass
if os.fork() == 0: os.setsid()
print('ready', flush=True)
while True: time.sleep(1)
"""
    ran = box.python(
        code, "deaf-of-the-test", cancelled=cancelled, output=lambda data: cancelled.set() if b"ready" in data else None
    )
    assert (ran.outcome.reached, ran.outcome.exit_code) == ("cancelled", None)
    assert wait_gone("deaf-of-the-test")


def test_cancelled_before_the_start(box: Box) -> None:
    cancelled = threading.Event()
    cancelled.set()
    assert box.run("sleep", "3600", cancelled=cancelled).outcome.reached == "cancelled"


def test_gigabytes_of_output(box: Box) -> None:
    ran = box.run("sh", "-c", "yes & yes >&2 & wait")
    assert ran.outcome.reached == "output"
    assert len(ran.output) == box.limits.output_bytes


def test_a_file_that_is_too_large(box: Box) -> None:
    ran = box.run("sh", "-c", "head -c 40000000 /dev/zero > big", file_bytes=10_000_000)
    assert ran.outcome.reached == "disk"
    assert (box.work / "big").stat().st_size <= 10_000_000


def test_a_file_that_is_too_large_for_a_tool_that_minds_no_signal(box: Box) -> None:
    code = "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\nopen('big', 'wb').write(bytes(40_000_000))"
    ran = box.python(code, file_bytes=10_000_000)
    assert ran.outcome.reached == "disk"
    assert "File too large" in ran.output


@pytest.mark.parametrize("how", ["many files", "deleted files", "deep folders"])
def test_more_bytes_than_the_folders_may_take(box: Box, how: str) -> None:
    code = {
        "many files": "import time\nfor n in range(40):\n    open(f'f{n}', 'wb').write(bytes(1_000_000))\ntime.sleep(60)",
        "deleted files": """
import os, time
kept = []
for n in range(40):
    kept.append(open('f', 'wb')); os.unlink('f'); kept[-1].write(bytes(1_000_000)); kept[-1].flush()
time.sleep(60)""",
        "deep folders": """
import os, time
for n in range(60): os.mkdir('d' * 100); os.chdir('d' * 100)
time.sleep(60)""",
    }[how]
    try:
        assert box.python(code, disk_bytes=20_000_000).outcome.reached == "disk"
    finally:
        (box.work / "closed").mkdir(mode=0)
        remove(box.work)
    assert not box.work.exists()


def test_leftover_processes_end_with_the_command(box: Box) -> None:
    code = """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for fd in (0, 1, 2): os.close(fd)
        time.sleep(3600)
    os._exit(0)
os.wait()
"""
    ran = box.python(code, "daemon-of-the-test")
    assert ran.outcome.exit_code == 0
    assert wait_gone("daemon-of-the-test")


def test_output_that_cannot_be_taken_ends_the_command(box: Box) -> None:
    def fails(data: bytes) -> None:
        raise RuntimeError("the log is full")

    with pytest.raises(RuntimeError, match="the log is full"):
        box.run("sh", "-c", "echo x; exec sleep 3600 # full-log-of-the-test", output=fails)
    assert wait_gone("full-log-of-the-test")


def test_nothing_is_left_of_a_run(bubble: Box) -> None:
    from flowctl_registry.sandbox import cgroups

    before = len(os.listdir("/proc/self/fd"))
    assert bubble.run("true").outcome.exit_code == 0
    assert len(os.listdir("/proc/self/fd")) == before
    for place in cgroups.places().values():
        assert not list(place.folder.glob(f"flowctl-run-{owner()}-*"))


def test_runs_beside_each_other_do_not_meet(bubble: Box, tmp_path: Path) -> None:
    """Each ends for its own reason, and none holds another's output open."""
    ends: dict[int, str | None] = {}

    def attempt(number: int) -> None:
        work = tmp_path / f"work{number}"
        work.mkdir()
        box = Box(bubble.sandbox, work, True)
        script = f"echo {number} > mine; cat mine; sleep {0 if number % 2 else 3600}"
        ran = box.run("sh", "-c", script, wall_s=2)
        ends[number] = ran.outcome.reached if ran.output == f"{number}\n" else ran.output

    threads = [threading.Thread(target=attempt, args=(number,)) for number in range(6)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert ends == {number: None if number % 2 else "wall" for number in range(6)}
