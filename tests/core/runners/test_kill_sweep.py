"""Sweep: flowctl is killed at random moments, and nothing of what it had started may live on."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

ROUNDS = int(os.environ.get("SWEEP_ROUNDS", "150"))

HOST = """
import os, sys
from pathlib import Path
from flowctl_core.models import Command
from flowctl_core.runners.local import LocalRunner
# A toolchain in small: children, grandchildren, some of which leave the group, coming and going.
tool = '''
import subprocess, sys
while True:
    p = subprocess.Popen(["sh", "-c", "sleep 300 & setsid sleep 300 & exec sleep 0.05"], stdout=subprocess.DEVNULL)
    p.wait()
'''
while True:
    LocalRunner().run(Command(argv=(sys.executable, "-c", tool, sys.argv[1]), cwd=Path("/"), environment=dict(os.environ)))
"""


def environment_holders(text: str) -> list[int]:
    """Processes whose environment carries a text that only this round uses."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != os.getpid():
            try:
                if text.encode() in Path(f"/proc/{name}/environ").read_bytes():
                    found.append(int(name))
            except OSError:
                continue
    return found


@pytest.mark.sweep
@pytest.mark.timeout(1800)
def test_kill_at_random_moments(record_property: Callable[[str, object], None]) -> None:
    seed = int(os.environ.get("SWEEP_SEED", str(time.time_ns() % 2**32)))
    record_property("detail", f"{ROUNDS} rounds, seed {seed}")
    chance, busy = random.Random(seed), 0
    for number in range(ROUNDS):
        tag = f"sweep-{os.getpid()}-{number}-{seed}"
        environment = {**os.environ, "SWEEP_TAG": tag}
        host = subprocess.Popen([sys.executable, "-c", HOST, tag], env=environment, start_new_session=True)
        time.sleep(chance.uniform(0.1, 1.2))
        busy += len(environment_holders(tag)) > 2
        host.send_signal(chance.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGHUP]))
        host.wait(10)
        deadline = time.monotonic() + 5
        while (left := environment_holders(tag)) and time.monotonic() < deadline:
            time.sleep(0.02)
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        assert left == [], f"round {number} of seed {seed}"
    assert busy > ROUNDS / 3, "most rounds must have had something to end"
