"""Children of `serve`, which start beside a server that forks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_PROGRAM = """\
import os, sys, threading, time
from flowctl_registry.child import Child
from flowctl_registry.settings import load_settings

def forks():
    for _ in range(20):
        if os.fork() == 0:  # as the server does: it keeps all that is open, and lives long
            time.sleep(60)
            os._exit(0)

settings = load_settings(None, {"FLOWCTL_REGISTRY_DATA": sys.argv[1]})
for _ in range(10):
    child = Child(settings, "json.tool", "test", after_s=60)
    thread = threading.Thread(target=forks)
    thread.start()
    process = child._start()
    thread.join()
    assert process.wait(30) == 0
print("told", flush=True)
os.killpg(0, 9)
"""


def test_a_child_is_told_while_others_fork(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _PROGRAM, tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, start_new_session=True)
    assert done.stdout.endswith("told\n"), done.stderr
