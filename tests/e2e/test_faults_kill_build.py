"""kill -9 at random moments of a build: the state stays whole, a re-run completes, nothing is left lying about."""

import json
import os
import random
import signal
import subprocess
import time

import pytest

BIG = """\
set -e
mkdir -p out
{ echo '#!/bin/sh'; echo "echo $(cat word.txt)"; echo exit; head -c 300000 /dev/zero; } > out/greeter.new
chmod +x out/greeter.new
mv out/greeter.new out/greeter
"""


def strike(process: subprocess.Popen[str], after_s: float) -> bool:
    """Kill it after so many seconds; False when it had ended before."""
    try:
        process.wait(after_s)
    except subprocess.TimeoutExpired:
        process.kill()
    process.communicate()
    return process.returncode == -signal.SIGKILL


def check(flowctl, component, word: str, known: set[str]) -> None:
    """After a kill: what is there is whole, and a re-run gives the right program."""
    program = component.root / "greeter"
    if program.exists():
        assert component.say() in known, "an earlier program, or the new one; never half of one"
    for name in ("state.json", "inputs.json"):
        file = component.root / ".flowctl" / name
        if file.exists():
            json.loads(file.read_bytes())
    done = flowctl.run("component", "build", "-o", "json", cwd=component.root)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "warning" not in done.stderr, "the cache is sound, too"
    assert component.say() == word
    assert component.leftovers() == []
    assert json.loads(done.stdout)["artifacts"][0]["size"] == (component.root / ".flowctl/bin/greeter").stat().st_size
    assert flowctl.json("component", "build", cwd=component.root)["cache"] == "fresh"


def is_sound(flowctl, component) -> None:
    """Every stored file holds what its name says, and every entry can be restored."""
    import hashlib

    cache = flowctl.home / "cache"
    stored = [path for path in cache.rglob("*") if len(path.name) in (62, 64) and path.is_file()]
    assert stored, "no content found: has the layout changed?"
    for path in stored:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        assert digest.endswith(path.name) or path.name.endswith(digest), path
    flowctl.ok("component", "clean", cwd=component.root)
    # The program is in its place before the cache takes its copy: a kill between the two leaves nothing to restore.
    assert flowctl.json("component", "build", "--cache", cwd=component.root)["cache"] in ("hit", "miss")
    flowctl.ok("component", "clean", cwd=component.root)
    assert flowctl.json("component", "build", "--cache", cwd=component.root)["cache"] == "hit"
    flowctl.ok("cache", "prune", "--all")
    left = [path for path in cache.rglob("*") if path.is_file() and path.name.endswith(".tmp")]
    assert left == []


def rounds(flowctl, component, chance: random.Random, count: int, *, beside: bool) -> int:
    flowctl.ok("component", "build", cwd=component.root)
    began = time.monotonic()
    component.write("word.txt", "hello again")
    flowctl.ok("component", "build", cwd=component.root)
    usual_s = time.monotonic() - began
    known, killed = {"hello", "hello again"}, 0
    for number in range(count):
        word = f"word {number}"
        component.write("word.txt", word)
        known.add(word)
        what = chance.choice([["build"], ["build"], ["build", "--no-cache"], ["clean"]])
        processes = [flowctl.start("component", *what, cwd=component.root)]
        if beside:
            processes.append(flowctl.start("component", "build", cwd=component.root))
        for process in processes:
            killed += strike(process, chance.uniform(0, usual_s * 1.1))
        check(flowctl, component, word, known)
    is_sound(flowctl, component)
    return killed


def test_kill_9_at_random_moments_of_a_build(flowctl, greeter) -> None:
    seed = int(os.environ.get("SWEEP_SEED", str(time.time_ns() % 2**32)))
    killed = rounds(flowctl, greeter(make__sh=BIG), random.Random(seed), 20, beside=False)
    assert killed >= 5, f"too few were hit, seed {seed}"


@pytest.mark.sweep
@pytest.mark.timeout(3600)
def test_kill_9_at_random_moments_of_two_builds_at_once(flowctl, greeter, record_property) -> None:
    seed = int(os.environ.get("SWEEP_SEED", str(time.time_ns() % 2**32)))
    count = int(os.environ.get("SWEEP_ROUNDS", "200"))
    record_property("detail", f"{count} rounds, seed {seed}")
    killed = rounds(flowctl, greeter(make__sh=BIG), random.Random(seed), count, beside=True)
    assert killed > count / 2, f"too few were hit, seed {seed}"
