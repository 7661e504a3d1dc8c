from __future__ import annotations

import subprocess
import sys

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
