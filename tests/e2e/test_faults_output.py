"""What commands print: one JSON document whatever happens, plain lines in a pipe, nothing broken on a terminal."""

import json
import os
import pty
import re
import select
import subprocess
import sys
import time

import pytest

from flowctl_core import __version__

FLOWCTL = sys.prefix + "/bin/flowctl"
ESCAPE = "\x1b"


def on_terminal(argv: list[str], cwd, environment: dict[str, str], *, strike_after: str = "") -> tuple[int, str]:
    """Run with a terminal for everything, as a foreground job; press Ctrl-C when a text has appeared."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        argv,
        cwd=cwd,
        env={**environment, "TERM": "xterm-256color", "COLUMNS": "100", "LINES": "30"},
        stdin=slave,
        stdout=slave,
        stderr=slave,
        # A session whose controlling terminal this is: Ctrl-C then reaches it as in a shell.
        preexec_fn=lambda: (os.setsid(), __import__("fcntl").ioctl(0, __import__("termios").TIOCSCTTY, 0)),
    )
    os.close(slave)
    seen = b""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if select.select([master], [], [], 0.1)[0]:
            try:
                data = os.read(master, 65536)
            except OSError:  # Linux's way to say that the other end has closed
                break
            if not data:
                break
            seen += data
            if strike_after and strike_after.encode() in seen:
                os.write(master, b"\x03")
                strike_after = ""
        elif process.poll() is not None:
            break
    code = process.wait(20)
    os.close(master)
    return code, seen.decode()


def screen(text: str) -> list[str]:
    """The lines that are left to be seen, for the few control codes that we use."""
    rows: list[str] = [""]
    row = 0
    for part in re.findall(r"\x1b\[[0-9;?]*[A-Za-z]|\r\n|\n|\r|[^\x1b\r\n]+|\x1b.", text):
        if part in ("\n", "\r\n"):
            row += 1
            if row == len(rows):
                rows.append("")
        elif part == "\r":
            rewind = True
            continue
        elif part.endswith("A") and part.startswith(ESCAPE):
            row = max(0, row - int(re.sub(r"\D", "", part) or 1))
        elif part == "\x1b[2K":
            rows[row] = ""
        elif not part.startswith(ESCAPE):
            rows[row] = part if "rewind" in locals() and rewind else rows[row] + part
        rewind = False
    return [line.rstrip() for line in rows if line.strip()]


FAILURES = [
    (["component", "build", "no such folder"], "source", 12),
    (["component", "build", "--no-such-option"], "usage", 2),
    (["component", "no-such-command"], "usage", 2),
    (["no-such-command"], "usage", 2),
    (["component", "build", "--jobs", "0"], "usage", 2),
    (["component", "build", "--jobs", "many"], "usage", 2),
    (["component", "build", "--timeout", "soon"], "usage", 2),
    (["component", "build", ".", "."], "usage", 2),
    (["component", "build"], "nothing-detected", 20),
    (["component", "test"], "nothing-detected", 20),
    (["component", "detect"], "nothing-detected", 20),
    (["component", "validate"], "spec", 10),
    (["--config", "missing.yaml", "component", "detect"], "config", 11),
    (["cache", "prune", "--max-size", "big"], "usage", 2),
]


@pytest.mark.parametrize(("arguments", "code", "exit_code"), FAILURES, ids=[" ".join(row[0]) for row in FAILURES])
def test_a_failure_is_one_json_document(flowctl, tmp_path, arguments: list[str], code: str, exit_code: int) -> None:
    done = flowctl.run(*arguments, "-o", "json", cwd=tmp_path)
    error = json.loads(done.stdout)["error"]
    assert (error["code"], error["exit_code"], done.returncode) == (code, exit_code, exit_code)
    assert error["message"]
    assert "Traceback" not in done.stderr
    assert ESCAPE not in done.stdout + done.stderr


@pytest.mark.parametrize("form", [["-ojson"], ["--output=json"], ["--output", "json"]])
def test_every_spelling_of_the_format_counts_for_usage_errors(flowctl, tmp_path, form: list[str]) -> None:
    done = flowctl.run("component", "build", *form, "--no-such-option", cwd=tmp_path)
    assert json.loads(done.stdout)["error"]["code"] == "usage"


def test_yaml_failures_are_yaml(flowctl, tmp_path) -> None:
    from ruamel.yaml import YAML

    done = flowctl.run("component", "build", "-o", "yaml", cwd=tmp_path)
    assert YAML(typ="safe").load(done.stdout)["error"]["code"] == "nothing-detected"


def test_plain_lines_in_a_pipe(flowctl, greeter) -> None:
    component = greeter()
    done = flowctl.run("component", "build", "-v", cwd=component.root, FORCE_COLOR="", TERM="xterm-256color")
    assert done.returncode == 0
    assert ESCAPE not in done.stdout + done.stderr
    assert "\r" not in done.stdout + done.stderr
    assert "sh make.sh" in done.stderr
    assert "greeter 1.2.0 built" in done.stdout


def test_json_goes_alone_to_standard_output(flowctl, greeter) -> None:
    component = greeter(
        make__sh="echo noise; echo noise >&2; mkdir out; cp greeter.sh out/greeter", greeter__sh="#!/bin/sh\n"
    )
    done = flowctl.run("component", "build", "-v", "-o", "json", cwd=component.root)
    assert json.loads(done.stdout)["cache"] == "miss"
    assert "noise" in done.stderr


@pytest.mark.parametrize("before", ["nothing was built", "up to date"])
@pytest.mark.parametrize("form", ["table", "json"])
def test_a_reader_that_has_gone_is_no_error(flowctl, greeter, before: str, form: str) -> None:
    component = greeter()
    if before == "up to date":
        for _ in range(2):  # the stamp answers the third
            flowctl.ok("component", "build", "-o", form, cwd=component.root)
    read, write = os.pipe()
    os.close(read)
    process = subprocess.Popen(
        [*flowctl.before, FLOWCTL, "component", "build", "-o", form],
        cwd=component.root,
        env=flowctl.environment,
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(write)
    _, err = process.communicate(timeout=60)
    assert "Traceback" not in err and "BrokenPipe" not in err and "Exception ignored" not in err
    assert process.returncode == 0
    assert component.say() == "hello"


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["plugin", "list"], ["schema", "component"]])
def test_other_commands_into_head(flowctl, arguments: list[str]) -> None:
    command = f"'{FLOWCTL}' {' '.join(arguments)} | head -c 1 >/dev/null; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], env=flowctl.environment, capture_output=True, text=True)
    assert done.stderr == ""
    assert done.returncode == 0


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="only Linux has /dev/full")
@pytest.mark.parametrize("arguments", [["--version"], ["plugin", "list"], ["component", "build"]])
def test_output_that_cannot_be_written_is_an_error(flowctl, greeter, arguments: list[str]) -> None:
    component = greeter()
    flowctl.ok("component", "build", cwd=component.root)
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [FLOWCTL, *arguments],
            cwd=component.root,
            env=flowctl.environment,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert done.returncode == 40
    assert "Traceback" not in done.stderr and "Exception ignored" not in done.stderr
    assert "standard output" in done.stderr and "No space left on device" in done.stderr


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", ">&- 2>&-"])
def test_closed_standard_streams(flowctl, greeter, closed: str) -> None:
    component = greeter()
    done = subprocess.run(
        ["bash", "-c", f"'{FLOWCTL}' component build {closed}"],
        cwd=component.root,
        env=flowctl.environment,
        capture_output=True,
        text=True,
    )
    assert "Traceback" not in done.stderr and "Exception ignored" not in done.stderr
    assert done.returncode == 0, done.stderr
    assert component.say() == "hello"


def test_names_that_no_encoding_holds(flowctl, greeter, tmp_path) -> None:
    component = greeter()
    root = os.fsencode(tmp_path) + b"/caf\xe9 \xff"
    os.rename(component.root, root)
    named = [os.fsdecode(root), os.fsdecode(root + b"2")]
    for settings in ({"LC_ALL": "C"}, {"PYTHONIOENCODING": "utf-8:strict"}, {"PYTHONIOENCODING": "ascii:strict"}):
        for form in ("table", "json", "yaml"):
            done = flowctl.run("component", "build", "-o", form, *named, **settings)
            assert "Traceback" not in done.stderr
            assert done.returncode == 12
            if form == "json":
                rows = json.loads(done.stdout)
                assert [row["path"] for row in rows] == named
                assert [row.get("cache") for row in rows] in (["miss", None], ["fresh", None])
    assert subprocess.run([root + b"/greeter"], capture_output=True).stdout == b"hello\n"


def test_a_terminal_shows_live_progress_and_is_left_clean(flowctl, greeter) -> None:
    component = greeter(
        make__sh="echo compiling; sleep 1.5; mkdir out; cp greeter.sh out/greeter", greeter__sh="#!/bin/sh\n"
    )
    command = [FLOWCTL, "component", "build"]
    code, text = on_terminal(command, component.root, flowctl.environment)
    assert code == 0, text
    assert "compiling" in text and " s  " in text, "a live row with the time and the tool's latest line"
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") == 1, "the cursor is shown again"
    seen = screen(text)
    assert "compiling" not in "\n".join(seen)
    assert seen[0].startswith("greeter 1.2.0 built for "), seen
    assert seen[-1] == "  run it:  ./greeter"


def test_a_quick_build_on_a_terminal_needs_no_live_row(flowctl, greeter) -> None:
    component = greeter()
    flowctl.ok("component", "build", cwd=component.root)
    code, text = on_terminal([FLOWCTL, "component", "build", "."], component.root, flowctl.environment)
    assert code == 0
    assert text.startswith("greeter 1.2.0 is up to date")
    assert ESCAPE not in text


def test_ctrl_c_on_a_terminal(flowctl, greeter) -> None:
    component = greeter(make__sh="echo compiling; sleep 300")
    command = [FLOWCTL, "component", "build"]
    code, text = on_terminal(command, component.root, flowctl.environment, strike_after="compiling")
    assert code == 130
    assert "Traceback" not in text
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h"), "the cursor is shown again"
    assert "error:" in screen(text)[-1] and "cancelled" in screen(text)[-1]


def test_errors_have_colour_on_a_terminal_unless_no_color(flowctl, tmp_path) -> None:
    command = [FLOWCTL, "component", "build"]
    code, text = on_terminal(command, tmp_path, flowctl.environment)
    assert code == 20
    assert "\x1b[31m" in text
    code, text = on_terminal(command, tmp_path, {**flowctl.environment, "NO_COLOR": "1"})
    assert code == 20
    assert "\x1b[3" not in text and "error: no builder recognises" in text


def test_no_color_on_a_terminal_during_a_build(flowctl, greeter) -> None:
    component = greeter(make__sh="echo compiling; sleep 1; exit 1")
    environment = {**flowctl.environment, "NO_COLOR": "1"}
    code, text = on_terminal([FLOWCTL, "component", "build"], component.root, environment)
    assert code == 32
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]m", text), "no colours"


def test_a_dumb_terminal_gets_plain_lines(flowctl, greeter) -> None:
    component = greeter(make__sh="echo compiling; sleep 1; exit 1")
    argv = ["env", "TERM=dumb", FLOWCTL, "component", "build"]
    code, text = on_terminal(argv, component.root, flowctl.environment)
    assert code == 32
    assert ESCAPE not in text


def test_version_is_the_packages(flowctl) -> None:
    assert flowctl.ok("--version") == f"flowctl {__version__}\n"


def test_a_current_folder_that_is_gone(flowctl, tree) -> None:
    gone = tree({"x": ""})
    code = (
        "import os, shutil, sys; os.chdir(sys.argv[1]); shutil.rmtree(sys.argv[1]); os.execv(sys.argv[2], sys.argv[2:])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(gone), FLOWCTL, "component", "build", "-o", "json"],
        env=flowctl.environment,
        capture_output=True,
        text=True,
    )
    error = json.loads(done.stdout)["error"]
    assert error["exit_code"] == done.returncode == 12
    assert "the current folder does not exist any more" in error["message"]
    assert done.stderr == ""


def test_a_fault_of_ours_is_one_json_document_too(flowctl) -> None:
    code = """if True:
        import sys
        from flowctl_core import __main__
        from flowctl_core.cli import app

        def fail(arguments):
            raise ZeroDivisionError("nobody foresaw this")

        app._invoke = fail
        __main__.main()
    """
    for form, stream in (("json", "stdout"), ("table", "stderr")):
        argv = [sys.executable, "-c", code, "component", "build", ".", "-o", form]
        done = subprocess.run(argv, env=flowctl.environment, capture_output=True, text=True)
        assert done.returncode == 70
        assert "nobody foresaw this" in getattr(done, stream)
        if form == "json":
            error = json.loads(done.stdout)["error"]
            assert (error["code"], error["exit_code"]) == ("internal", 70)
            assert "please report it" in error["message"]


def test_a_build_goes_on_when_nobody_reads_its_progress(flowctl, greeter) -> None:
    component = greeter(
        make__sh="for i in 1 2 3 4 5 6; do echo $i; sleep 0.1; done; mkdir out; cp greeter.sh out/greeter",
        greeter__sh="#!/bin/sh\necho done\n",
    )
    command = f"'{FLOWCTL}' component build -v 2>&1 | head -n 1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", command], cwd=component.root, env=flowctl.environment, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert component.say() == "done"
    component.write("make.sh", "for i in 1 2 3 4 5 6; do echo $i; sleep 0.1; done; exit 1")
    done = subprocess.run(
        ["bash", "-c", command], cwd=component.root, env=flowctl.environment, capture_output=True, text=True
    )
    assert done.returncode == 32, "and it still fails as it fails"
