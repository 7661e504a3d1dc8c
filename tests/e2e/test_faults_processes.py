"""A time limit, Ctrl-C, SIGTERM and kill -9 end the toolchain's whole tree, and the next build works."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

# A toolchain in small: a child that ignores SIGTERM, a grandchild, and one that leaves the process group.
FORKS = """\
pids="../${PWD##*/}.pids"
sh -c 'trap "" TERM; echo $$ >> "$1"; while :; do sleep 1; done' - "$pids" &
sh -c 'sleep 300 & echo $! >> "$1"; echo $$ >> "$1"; wait' - "$pids" &
command -v setsid >/dev/null && setsid sh -c 'echo $$ >> "$1"; exec sleep 300' - "$pids" &
echo $$ >> "$pids"
sleep 0.2
echo half of the work is done
touch "$pids.ready"
wait
sleep 300
"""


class Watched:
    """The processes that FORKS started in one component."""

    def __init__(self, root: Path) -> None:
        self.file = root.parent / f"{root.name}.pids"

    def await_start(self) -> None:
        ready = self.file.with_name(self.file.name + ".ready")
        deadline = time.monotonic() + 30
        while not ready.exists():
            assert time.monotonic() < deadline, "the toolchain was never started"
            time.sleep(0.01)
        assert len(self.alive()) >= 4

    def alive(self) -> list[int]:
        return [pid for pid in map(int, self.file.read_text().split()) if is_alive(pid)]

    def assert_gone(self, within_s: float = 0.0) -> None:
        deadline = time.monotonic() + within_s
        while self.alive() and time.monotonic() < deadline:
            time.sleep(0.02)
        assert self.alive() == []


def is_alive(pid: int) -> bool:
    """Zombies count as dead: in a container nobody may reap what outlived its parent."""
    if not os.path.isdir("/proc/self"):
        state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True).stdout
        return bool(state.strip()) and not state.startswith("Z")
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except OSError:
        return False


@pytest.fixture
def stuck(flowctl, greeter):
    """A component that was built once, and whose build command now forks and hangs."""
    component = greeter()
    flowctl.ok("component", "build", str(component.root))
    component.write("make.sh", FORKS)
    component.write("word.txt", "goodbye")
    return component


def assert_nothing_is_lost(flowctl, component) -> None:
    """The last good program runs; the mended source builds, and leaves no rubbish."""
    assert component.say() == "hello"
    component.mend()
    assert flowctl.json("component", "build", str(component.root))["cache"] == "miss"
    assert component.say() == "goodbye"
    assert component.leftovers() == []


def test_a_time_limit_ends_the_whole_tree(flowctl, stuck) -> None:
    error = flowctl.failure("component", "build", "--timeout", "1s", str(stuck.root))
    Watched(stuck.root).assert_gone()
    assert (error["code"], error["exit_code"]) == ("timeout", 36)
    assert "sh ran longer than 1 s and was ended" in error["message"]
    assert "build.local.timeout" in error["hint"]
    assert "half of the work is done" in error["output"]
    assert_nothing_is_lost(flowctl, stuck)


@pytest.mark.parametrize(("number", "form"), [(signal.SIGINT, "table"), (signal.SIGTERM, "json")])
def test_interrupting_ends_the_whole_tree(flowctl, stuck, number: int, form: str) -> None:
    process = flowctl.start("component", "build", "-o", form, cwd=stuck.root)
    watched = Watched(stuck.root)
    watched.await_start()
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    watched.assert_gone()
    assert process.returncode == 130
    assert "Traceback" not in err
    if form == "json":
        error = json.loads(out)["error"]
        assert (error["code"], error["exit_code"]) == ("cancelled", 130)
        assert "half of the work is done" in error["output"]
    else:
        assert out == ""
        assert "half of the work is done" in err
        assert "cancelled" in err.splitlines()[-1]
    assert_nothing_is_lost(flowctl, stuck)


def test_a_second_ctrl_c_does_not_wait_for_those_who_ignore_the_first(flowctl, stuck) -> None:
    process = flowctl.start("component", "build", cwd=stuck.root)
    watched = Watched(stuck.root)
    watched.await_start()
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert time.monotonic() - began < 1.5, "the grace is two seconds"
    watched.assert_gone()
    assert process.returncode == 130
    assert "Traceback" not in err
    assert_nothing_is_lost(flowctl, stuck)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere what left the process group cannot be found")
def test_kill_9_ends_the_whole_tree(flowctl, stuck) -> None:
    process = flowctl.start("component", "build", cwd=stuck.root)
    watched = Watched(stuck.root)
    watched.await_start()
    process.kill()
    process.communicate(timeout=20)
    watched.assert_gone(within_s=3)
    assert_nothing_is_lost(flowctl, stuck)


SEVERAL: list[tuple[str, Callable[[subprocess.Popen[str]], None], int]] = [
    ("ctrl-c", lambda process: process.send_signal(signal.SIGINT), 130),
    ("sigterm", lambda process: process.terminate(), 130),
    ("kill", lambda process: process.kill(), -9),
]


@pytest.mark.parametrize(("name", "strike", "code"), SEVERAL, ids=[row[0] for row in SEVERAL])
def test_several_components_at_once(flowctl, greeter, name: str, strike, code: int) -> None:
    components = [greeter(f"{name} {number}", make__sh=FORKS) for number in range(3)]
    folders = [component.root.name for component in components]
    process = flowctl.start("component", "build", "-j", "2", *folders, cwd=components[0].root.parent)
    running = [Watched(component.root) for component in components[:2]]
    for watched in running:
        watched.await_start()
    strike(process)
    _, err = process.communicate(timeout=20)
    for watched in running:
        watched.assert_gone(within_s=3 if code == -9 else 0)
    assert process.returncode == code
    assert "Traceback" not in err
    assert not Watched(components[2].root).file.exists(), "one that waited must not be started"


def test_a_time_limit_of_one_of_several_does_not_end_the_others(flowctl, greeter) -> None:
    hanging, good = greeter("hanging", make__sh=FORKS), greeter("good")
    done = flowctl.run("component", "build", "--timeout", "2s", "hanging", "good", cwd=good.root.parent)
    Watched(hanging.root).assert_gone()
    assert done.returncode == 36
    assert "Traceback" not in done.stderr
    assert good.say() == "hello"


def test_component_test_is_ended_as_well(flowctl, stuck) -> None:
    stuck.mend()
    stuck.write("check.sh", FORKS)
    config = flowctl.home / ".flowctl" / "config.yaml"
    config.parent.mkdir()
    config.write_text("build: {local: {languages: {command: {test_command: [sh, check.sh]}}}}")
    watched = Watched(stuck.root)
    error = flowctl.failure("component", "test", "--timeout", "2s", cwd=stuck.root)
    watched.assert_gone()
    assert (error["code"], error["exit_code"]) == ("timeout", 36)
    for number, code in ((signal.SIGINT, 130), (signal.SIGKILL, -9)):
        watched.file.with_name(watched.file.name + ".ready").unlink()
        process = flowctl.start("component", "test", cwd=stuck.root)
        watched.await_start()
        process.send_signal(number)
        _, err = process.communicate(timeout=20)
        watched.assert_gone(within_s=3 if number == signal.SIGKILL else 0)
        assert process.returncode == code
        assert "Traceback" not in err
    assert stuck.say() == "goodbye"
    stuck.write("check.sh", "exit 0")
    assert flowctl.json("component", "test", cwd=stuck.root)["ok"] is True
