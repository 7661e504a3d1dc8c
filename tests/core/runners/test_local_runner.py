"""The local runner with real processes: streams, limits, failures to start, ends."""

import gc
import os
import sys
import threading
import time
from pathlib import Path

import pytest

from flowctl_core.errors import CancelledError, ToolchainError, ToolTimeoutError
from flowctl_core.models import Command
from flowctl_core.runners import local
from flowctl_core.runners.capture import CAPTURE_LIMIT, LINE_LIMIT
from flowctl_core.runners.local import LocalRunner


def command(*argv: str, cwd: Path = Path("/"), timeout_s: float | None = None, **variables: str) -> Command:
    return Command(argv=argv, cwd=cwd, environment={"PATH": os.environ["PATH"], **variables}, timeout_s=timeout_s)


def python(code: str, *arguments: str, **options: object) -> Command:
    return command(sys.executable, "-c", code, *arguments, **options)  # type: ignore[arg-type]


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"


def gone(pid: int, within_s: float = 5.0) -> bool:
    deadline = time.monotonic() + within_s
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not alive(pid)


def read_pid(path: Path) -> int:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if path.exists() and (text := path.read_text()).endswith("\n"):
            return int(text)
        time.sleep(0.01)
    raise AssertionError(f"{path} was not written")


def test_streams_exit_code_and_environment() -> None:
    seen: list[str] = []
    done = LocalRunner().run(
        python("import os,sys;print('out');print(os.environ['X'],file=sys.stderr);sys.exit(3)", X="é ü"),
        on_line=seen.append,
    )
    assert (done.exit_code, done.stdout, done.stderr, done.ok) == (3, "out\n", "é ü\n", False)
    assert sorted(seen) == ["out", "é ü"]
    assert done.duration_s > 0


def test_death_by_signal_is_a_negative_exit_code() -> None:
    assert LocalRunner().run(python("import os;os.kill(os.getpid(),9)")).exit_code == -9


def test_lines_arrive_while_the_command_runs() -> None:
    times: list[float] = []
    LocalRunner().run(
        python("import time\nfor i in range(3): print(i,flush=True);time.sleep(0.3)"),
        on_line=lambda _: times.append(time.monotonic()),
    )
    assert times[-1] - times[0] > 0.4


def test_line_ends_and_a_last_line_without_one() -> None:
    seen: list[str] = []
    LocalRunner().run(python(r"import os;os.write(1,b'a\r\n\nb\xff');os.write(1,b'c')"), on_line=seen.append)
    assert seen == ["a", "", "b�c"]


def test_input_is_empty_and_there_is_no_terminal() -> None:
    code = (
        "import sys;print(repr(sys.stdin.read()))\ntry: open('/dev/tty'); print('tty')\nexcept OSError: print('none')"
    )
    assert LocalRunner().run(python(code)).stdout == "''\nnone\n"


def test_much_output_on_both_streams_does_not_deadlock() -> None:
    code = "import sys\nfor i in range(20000): print('o'*100); print('e'*100,file=sys.stderr)"
    done = LocalRunner().run(python(code, timeout_s=60))
    assert (len(done.stdout), len(done.stderr)) == (2_020_000, 2_020_000)


def test_output_beyond_the_limit_keeps_head_and_tail_and_says_how_much_is_missing() -> None:
    total = 3 * CAPTURE_LIMIT
    code = f"import os\nb=b'x'*65535+b'\\n'\nos.write(1,b'first\\n')\nfor i in range({total}//65536): os.write(1,b)\nos.write(1,b'last\\n')"
    done = LocalRunner().run(python(code))
    assert done.stdout.startswith("first\n")
    assert done.stdout.endswith("last\n")
    dropped = total + len("first\nlast\n") - CAPTURE_LIMIT
    assert f"{dropped:,} bytes of output left out" in done.stdout
    assert len(done.stdout) < CAPTURE_LIMIT + 200


def test_a_line_without_end_is_bounded() -> None:
    seen: list[str] = []
    LocalRunner().run(python(f"import os\nfor _ in range(5): os.write(1,b'x'*{LINE_LIMIT})"), on_line=seen.append)
    assert len(seen) == 1
    assert len(seen[0]) < LINE_LIMIT + 100
    assert seen[0].endswith(f"[… {4 * LINE_LIMIT:,} bytes more]")


def test_no_shell_sees_the_arguments() -> None:
    odd = "$(touch /tmp/never); `id` * \n 'q\" é"
    assert LocalRunner().run(python("import sys;print(ascii(sys.argv[1]))", odd)).stdout == ascii(odd) + "\n"


# ---- it does not start -------------------------------------------------------------------------------------------


def test_missing_program(tmp_path: Path) -> None:
    with pytest.raises(ToolchainError, match="no-such-tool was not found on PATH") as caught:
        LocalRunner().run(command("no-such-tool"))
    assert caught.value.hint == "Install no-such-tool."
    with pytest.raises(ToolchainError, match="was not found"):
        LocalRunner().run(command(str(tmp_path / "gone")))


def test_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(ToolchainError, match=r"the folder .*nowhere does not exist"):
        LocalRunner().run(command("true", cwd=tmp_path / "nowhere"))


def test_not_executable(tmp_path: Path) -> None:
    tool = tmp_path / "tool"
    tool.write_text("#!/bin/sh\n")
    with pytest.raises(ToolchainError, match="not executable") as caught:
        LocalRunner().run(command(str(tool)))
    assert caught.value.hint == f"chmod +x {tool}"
    with pytest.raises(ToolchainError, match="not executable"):
        LocalRunner().run(command(str(tmp_path)))


def test_neither_program_nor_script(tmp_path: Path) -> None:
    tool = tmp_path / "tool"
    tool.write_bytes(b"\x00\x01garbage")
    tool.chmod(0o755)
    with pytest.raises(ToolchainError, match="neither a program for this machine nor a script"):
        LocalRunner().run(command(str(tool)))


def test_script_whose_interpreter_is_missing(tmp_path: Path) -> None:
    tool = tmp_path / "tool"
    tool.write_text("#!/no/such/interpreter\n")
    tool.chmod(0o755)
    with pytest.raises(ToolchainError, match="the interpreter that its first line names"):
        LocalRunner().run(command(str(tool)))


def test_arguments_that_are_too_long() -> None:
    with pytest.raises(ToolchainError, match=r"arguments and environment take [\d,]+ bytes, too many"):
        LocalRunner().run(command("true", *(["x" * 100_000] * 200)))


def test_arguments_that_are_not_text() -> None:
    with pytest.raises(ToolchainError, match="not text"):
        LocalRunner().run(command("true", "a\0b"))
    with pytest.raises(ToolchainError, match="without a program"):
        LocalRunner().run(command())


def test_no_descriptor_leaks() -> None:
    runner = LocalRunner()
    runner.run(command("true"))
    gc.collect()  # what other tests left open would otherwise be closed in between
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        runner.run(command("true"))
        with pytest.raises(ToolchainError):
            runner.run(command("no-such-tool"))
    assert len(os.listdir("/proc/self/fd")) == before


# ---- it ends -----------------------------------------------------------------------------------------------------


def test_timeout_ends_the_group_and_keeps_the_output(tmp_path: Path) -> None:
    code = (
        "import subprocess,sys,time\n"
        "p=subprocess.Popen(['sleep','100']);open(sys.argv[1],'w').write(f'{p.pid}\\n')\n"
        "print('so far',flush=True);time.sleep(100)"
    )
    started = time.monotonic()
    with pytest.raises(ToolTimeoutError, match=r"python.* ran longer than 1\.5 s") as caught:
        LocalRunner().run(python(code, str(tmp_path / "pid"), timeout_s=1.5))
    assert time.monotonic() - started < 1.5 + local.GRACE_S
    assert caught.value.output == "so far"
    assert gone(read_pid(tmp_path / "pid"), 0)


def test_a_command_that_ignores_sigterm_is_killed_after_the_grace(tmp_path: Path) -> None:
    code = "import signal,time;signal.signal(15,lambda *a:print('no',flush=True));print('up',flush=True)\nwhile 1: time.sleep(1)"
    started = time.monotonic()
    with pytest.raises(ToolTimeoutError) as caught:
        LocalRunner().run(python(code, timeout_s=1))
    assert 1 + local.GRACE_S <= time.monotonic() - started < 1 + local.GRACE_S + 3
    assert caught.value.output == "up\nno"


def test_timeout_ends_what_left_the_group(tmp_path: Path) -> None:
    code = (
        "import subprocess,sys,time\n"
        "p=subprocess.Popen(['sleep','100'],start_new_session=True);open(sys.argv[1],'w').write(f'{p.pid}\\n')\n"
        "time.sleep(100)"
    )
    with pytest.raises(ToolTimeoutError):
        LocalRunner().run(python(code, str(tmp_path / "pid"), timeout_s=1.5))
    assert gone(read_pid(tmp_path / "pid"), 0)


def test_timeout_ends_a_tree_that_keeps_forking(tmp_path: Path) -> None:
    marker = f"fork-{os.getpid()}-{time.time_ns()}"
    code = (
        "import os,time\nfor _ in range(4): os.fork()\nos.setsid() if os.getpid()!=os.getsid(0) else 0\ntime.sleep(100)"
    )
    with pytest.raises(ToolTimeoutError):
        LocalRunner().run(python(code, marker, timeout_s=1.5))
    assert running_with(marker) == []


def running_with(argument: str) -> list[int]:
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != os.getpid():
            try:
                content = Path(f"/proc/{name}/cmdline").read_bytes()
            except OSError:
                continue
            if argument.encode() in content.split(b"\0"):
                found.append(int(name))
    return found


def test_a_grandchild_that_holds_the_pipe_does_not_hang_the_run(tmp_path: Path) -> None:
    code = "import subprocess,sys;p=subprocess.Popen(['sleep','100']);open(sys.argv[1],'w').write(f'{p.pid}\\n');print('done')"
    started = time.monotonic()
    done = LocalRunner().run(python(code, str(tmp_path / "pid")))
    assert (done.exit_code, done.stdout) == (0, "done\n")
    assert time.monotonic() - started < 5
    assert gone(read_pid(tmp_path / "pid")), "what stays in the group is ended with the command"


def test_a_daemon_survives_a_normal_end_and_does_not_hang_it(tmp_path: Path) -> None:
    code = (
        "import subprocess,sys\n"
        "p=subprocess.Popen(['sleep','100'],start_new_session=True);open(sys.argv[1],'w').write(f'{p.pid}\\n');print('done')"
    )
    started = time.monotonic()
    done = LocalRunner().run(python(code, str(tmp_path / "pid")))
    daemon = read_pid(tmp_path / "pid")
    try:
        assert done.stdout == "done\n"
        assert time.monotonic() - started < 5
        assert alive(daemon)
    finally:
        os.kill(daemon, 9)


def test_late_output_of_a_background_child_is_still_read() -> None:
    done = LocalRunner().run(python("import subprocess,sys;subprocess.Popen(['sh','-c','sleep 0.1; echo late'])"))
    assert done.stdout == "late\n"


def test_cancel_from_another_thread_ends_all_runs_and_refuses_later_ones(tmp_path: Path) -> None:
    runner, failures = LocalRunner(), []

    def run(number: int) -> None:
        code = "import os,sys,time;open(sys.argv[1],'w').write(f'{os.getpid()}\\n');print('begun',flush=True);time.sleep(100)"
        try:
            runner.run(python(code, str(tmp_path / str(number))))
        except CancelledError as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(n,)) for n in range(3)]
    for thread in threads:
        thread.start()
    pids = [read_pid(tmp_path / str(n)) for n in range(3)]
    time.sleep(0.1)
    runner.cancel()
    for thread in threads:
        thread.join(10)
    assert [error.output for error in failures] == ["begun"] * 3
    assert all(gone(pid, 0) for pid in pids)
    with pytest.raises(CancelledError):
        runner.run(command("true"))


def test_an_error_in_on_line_ends_the_command(tmp_path: Path) -> None:
    def fail(line: str) -> None:
        raise LookupError(line)

    code = "import os,sys,time;open(sys.argv[1],'w').write(f'{os.getpid()}\\n');print('x',flush=True);time.sleep(100)"
    with pytest.raises(LookupError):
        LocalRunner().run(python(code, str(tmp_path / "pid")), on_line=fail)
    assert gone(read_pid(tmp_path / "pid"), 0)


def test_one_command_costs_little() -> None:
    """The runner against bare subprocess.run, interleaved, best of each: less than 5 ms more."""
    import subprocess

    runner = LocalRunner()
    runner.run(command("true"))
    ours, bare = [], []
    for _ in range(20):
        started = time.perf_counter()
        runner.run(command("true"))
        ours.append(time.perf_counter() - started)
        started = time.perf_counter()
        subprocess.run(["true"], capture_output=True, check=True)
        bare.append(time.perf_counter() - started)
    assert min(ours) - min(bare) < 0.005
