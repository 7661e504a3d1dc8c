"""kill -9 at random moments of an install, two installs side by side: the store is whole, and a re-run completes."""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import User
from .store_check import assert_whole, digest_of

VERSIONS = ("1.2.0", "1.3.0", "1.4.0")


@pytest.mark.parametrize(
    "rounds", [pytest.param(20, id="gate"), pytest.param(200, id="sweep", marks=pytest.mark.sweep)]
)
def test_kills_leave_the_store_whole(
    rounds: int,
    user: User,
    published: Callable[..., str],
    make_release: Callable[..., Path],
    record_property: Callable[[str, object], None],
) -> None:
    component = published(*VERSIONS)
    programs = {
        f"{component}@{version}": {digest_of(make_release("greeting", version) / "binaries" / "greeting-linux-amd64")}
        for version in VERSIONS
    }
    began = time.monotonic()
    user.run("component", "install", component)
    usual = time.monotonic() - began
    seed = random.SystemRandom().randrange(10**9)
    chance, killed, finished = random.Random(seed), 0, 0
    for number in range(rounds):
        if chance.random() < 0.5:
            shutil.rmtree(user.home / ".flowctl" / "components", ignore_errors=True)
            shutil.rmtree(user.home / ".flowctl" / "bin", ignore_errors=True)
        if chance.random() < 0.5:
            shutil.rmtree(user.home / ".flowctl" / "store", ignore_errors=True)
        wanted = [f"{component}@{chance.choice(VERSIONS)}" for _ in range(2)]
        running = [user.start("component", "install", each) for each in wanted]
        ends = sorted((chance.uniform(0.3 * usual, 1.6 * usual), each) for each in range(2))
        start = time.monotonic()
        for after, which in ends:
            time.sleep(max(0.0, start + after - time.monotonic()))
            if chance.random() < 0.85:
                running[which].send_signal(signal.SIGKILL)
        for process in running:
            out, problem = process.communicate(timeout=120)
            assert process.returncode in (0, -signal.SIGKILL), f"seed {seed}, round {number}: {out}{problem}"
            killed += process.returncode != 0
            finished += process.returncode == 0
        assert_whole(user.home, programs)
        if number % 5 == 4:
            user.run("component", "install", wanted[0])
            assert_whole(user.home, programs)
            assert os.access(user.bin / "greeting", os.X_OK)
    user.run("component", "install", component)
    assert_whole(user.home, programs)
    assert (user.bin / "greeting").resolve().parts[-3] == VERSIONS[-1]
    for folder in ("components", "bin"):
        assert not list((user.home / ".flowctl" / folder).rglob(".*.tmp")), "what killed ones left is swept by the next"
    record_property("detail", f"{rounds} rounds, seed {seed}: {killed} killed, {finished} finished")
    assert killed >= rounds // 2


def test_two_at_once_receive_a_file_once(user: User, published: Callable[..., str]) -> None:
    component = published("1.2.0")
    running = [user.start("component", "install", component) for _ in range(3)]
    for process in running:
        out, problem = process.communicate(timeout=120)
        assert process.returncode == 0, out + problem
    assert len(user.json("component", "list")["components"]) == 1
