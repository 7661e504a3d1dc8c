from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

DROPPED = """\
import signal, sys, time, weakref
from flowctl_core.cli import interruption
if sys.argv[1] == "prepared":
    interruption.prepare()
class Thing: pass
thing = Thing()
reference = weakref.ref(thing, lambda _: signal.raise_signal(signal.SIGINT))
try:
    del thing
    time.sleep(float(sys.argv[2]))
except KeyboardInterrupt:
    print("interrupted")
else:
    print("went on")
"""
OTHERS = """\
from flowctl_core.cli import interruption
interruption.prepare()
class Thing:
    def __del__(self): raise ValueError("another mistake")
Thing()
"""


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", *arguments], capture_output=True, text=True, check=True, timeout=120)


@pytest.mark.parametrize(("how", "wait", "says"), [("prepared", "60", "interrupted"), ("plain", "0.1", "went on")])
def test_an_interruption_that_python_drops_comes_again(how: str, wait: str, says: str) -> None:
    done = run(DROPPED, how, wait)
    assert done.stdout == f"{says}\n"
    assert ("Exception ignored" in done.stderr) is (how == "plain")


def test_other_exceptions_that_python_drops_are_still_shown() -> None:
    assert "another mistake" in run(OTHERS).stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_command_that_waits_says_that_it_was_interrupted(tmp_path: Path, number: signal.Signals) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        environment = {"HOME": str(tmp_path), "FLOWCTL_REGISTRY_URL": f"http://127.0.0.1:{silent.getsockname()[1]}"}
        process = subprocess.Popen(
            [sys.executable, "-m", "flowctl_core", "component", "search", "x"],
            env={"PATH": os.environ["PATH"], **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        silent.settimeout(120)
        connection, _ = silent.accept()
        with connection:
            process.send_signal(number)
            said = process.communicate(timeout=120)
    assert (process.returncode, said[0]) == (130, "")
    assert "error: interrupted" in said[1]
