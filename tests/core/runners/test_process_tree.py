"""What happens to a toolchain's processes when flowctl itself is interrupted or killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

HOST = """
import os, sys, threading
from pathlib import Path
from flowctl_core.errors import CancelledError
from flowctl_core.models import Command
from flowctl_core.runners.local import LocalRunner

tool = '''
import os, subprocess, sys, time
def note(name, pid):
    open(os.path.join(sys.argv[1], name + ".new"), "w").write(str(pid))
    os.rename(os.path.join(sys.argv[1], name + ".new"), os.path.join(sys.argv[1], name))
child = subprocess.Popen(["sleep", "100"])
escaped = subprocess.Popen(["sleep", "100"], start_new_session=True, stdout=subprocess.DEVNULL)
note("child", child.pid); note("escaped", escaped.pid); note("tool", os.getpid())
print("begun", flush=True)
time.sleep(100)
'''
command = Command(argv=(sys.executable, "-c", tool, sys.argv[1]), cwd=Path("/"), environment=dict(os.environ))
def run():
    try:
        LocalRunner().run(command)
    except CancelledError as error:
        print("cancelled:", error, "|", error.output, flush=True)
        sys.exit(130)
if sys.argv[2] == "thread":
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
else:
    run()
"""


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture
def host(tmp_path: Path):
    """Starts a process that runs a tool with children, one of which left the group; waits until they are up."""
    started = []

    def start(where: str = "main", **options: object) -> tuple[subprocess.Popen[str], list[int]]:
        process = subprocess.Popen(
            [sys.executable, "-c", HOST, str(tmp_path), where],
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
            **options,  # type: ignore[call-overload]
        )
        started.append(process)
        deadline = time.monotonic() + 20
        names = ("child", "escaped", "tool")
        while not all((tmp_path / name).exists() for name in names):
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.02)
        time.sleep(0.2)
        return process, [int((tmp_path / name).read_text()) for name in names]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def wait_gone(pids: list[int], within_s: float = 5.0) -> list[int]:
    deadline = time.monotonic() + within_s
    while any(map(alive, pids)) and time.monotonic() < deadline:
        time.sleep(0.02)
    return [pid for pid in pids if alive(pid)]


def test_ctrl_c_ends_the_tree_and_is_a_cancellation(host) -> None:
    process, pids = host()
    os.killpg(process.pid, signal.SIGINT)
    out, _ = process.communicate(timeout=10)
    assert process.returncode == 130
    assert out.startswith("cancelled: python")
    assert out.endswith("was cancelled | begun\n")
    assert wait_gone(pids, 0) == []


@pytest.mark.parametrize("where", ["main", "thread"])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_the_death_of_flowctl_ends_the_tree(host, where: str, number: signal.Signals) -> None:
    process, pids = host(where)
    assert all(map(alive, pids))
    process.send_signal(number)
    process.wait(5)
    assert wait_gone(pids) == []


def test_killing_the_whole_group_of_flowctl_does_not_spare_the_tools(host) -> None:
    process, pids = host()
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(5)
    assert wait_gone(pids) == []


def test_a_killed_watcher_is_replaced_with_the_next_command(tmp_path: Path) -> None:
    from flowctl_core.models import Command
    from flowctl_core.runners import watcher
    from flowctl_core.runners.local import LocalRunner

    runner = LocalRunner()
    command = Command(argv=("true",), cwd=tmp_path, environment={"PATH": os.environ["PATH"]})
    runner.run(command)
    first = watcher._watcher
    assert first is not None
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    runner.run(command)
    assert watcher._watcher is not None
    assert watcher._watcher.pid != first.pid
    assert watcher._watcher.poll() is None


def test_the_watcher_goes_with_a_normal_end() -> None:
    code = (
        "import os;from pathlib import Path;from flowctl_core.models import Command\n"
        "from flowctl_core.runners.local import LocalRunner;from flowctl_core.runners import watcher\n"
        "LocalRunner().run(Command(argv=('true',),cwd=Path('/'),environment=dict(os.environ)))\n"
        "print(watcher._watcher.pid)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert wait_gone([int(done.stdout)]) == []


def test_a_flowctl_inside_a_command_is_ended_with_it_and_so_are_its_tools(tmp_path: Path) -> None:
    from flowctl_core.errors import ToolTimeoutError
    from flowctl_core.models import Command
    from flowctl_core.runners.local import LocalRunner

    argv = (sys.executable, "-c", HOST, str(tmp_path), "main")
    with pytest.raises(ToolTimeoutError):
        LocalRunner().run(Command(argv=argv, cwd=tmp_path, environment=dict(os.environ), timeout_s=3))
    assert wait_gone([int((tmp_path / name).read_text()) for name in ("child", "escaped", "tool")]) == []


def test_flowctl_killed_before_it_knows_what_it_started(tmp_path: Path) -> None:
    """The moment between a command's start and its registration: found by the sweep."""
    code = (
        "import os, sys\nfrom pathlib import Path\nfrom flowctl_core.models import Command\n"
        "from flowctl_core.runners import watcher\nfrom flowctl_core.runners.local import LocalRunner\n"
        "tell = watcher.watch_command\n"
        "watcher.watch_command = lambda group, marker: os.kill(os.getpid(), 9) if group else tell(group, marker)\n"
        "argv = ('sh', '-c', 'echo $$ > $0.new; mv $0.new $0; setsid sleep 100 & sleep 100', sys.argv[1])\n"
        "LocalRunner().run(Command(argv=argv, cwd=Path('/'), environment={'PATH': os.environ['PATH'], 'TAG': sys.argv[2]}))"
    )
    tag = f"window-{os.getpid()}-{time.time_ns()}"
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "pid"), tag])
    assert done.returncode == -signal.SIGKILL
    time.sleep(1.5)
    assert [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if tag.encode() in environ(pid)] == []


def environ(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return b""
