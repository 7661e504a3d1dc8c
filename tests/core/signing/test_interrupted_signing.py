"""kill -9 while a release is signed: it has the signatures that it had, or none, and the next run completes."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
from pathlib import Path

import pytest

from flowctl_core.hookspecs import hookimpl
from flowctl_core.models import Attestation, SigningRequest, Subject
from flowctl_core.plugins.call import InProcessCaller
from flowctl_core.plugins.discovery import PluginReference
from flowctl_core.plugins.manager import load_plugins
from flowctl_core.sign.embedded import plugin as embedded
from flowctl_core.sign.release import sign_release


class Mortal:
    """Signs with a key, and its process is killed at one of its calls."""

    contract = 3

    def __init__(self, last_call: int) -> None:
        self.calls_left = last_call

    @hookimpl
    def flowctl_sign(self, subjects: tuple[Subject, ...], request: SigningRequest) -> tuple[Attestation, ...] | None:
        self.calls_left -= 1
        if self.calls_left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return embedded.flowctl_sign(subjects, request)


def sign_and_die(root: Path, key: Path, last_call: int) -> None:
    manager = load_plugins(extra=[PluginReference("mortal", plugin=Mortal(last_call))])
    sign_release(root, InProcessCaller(manager), SigningRequest(signer="mortal", key=str(key)))


def bytes_of(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.mark.parametrize("last_call", [1, 2])
@pytest.mark.parametrize("was", ["unsigned", "signed"])
def test_the_release_is_as_it_was(signed, unsigned: Path, sign_with, tmp_path: Path, last_call: int, was: str) -> None:
    """The second call comes when half of the signed copy is written."""
    if was == "unsigned":
        shutil.rmtree(signed.root)
        shutil.copytree(unsigned / "dist", signed.root)
    before = bytes_of(signed.root)
    worker = multiprocessing.get_context("spawn").Process(
        target=sign_and_die, args=(signed.root, signed.keys / "other.key", last_call)
    )
    worker.start()
    worker.join(120)
    assert worker.exitcode == -signal.SIGKILL
    assert bytes_of(signed.root) == before
    assert (signed.verify().failure is None) == (was == "signed")
    left = list(signed.root.parent.glob(".dist.*.tmp"))
    assert len(left) == last_call - 1, "at the second call there is a half-made copy"
    sign_with(signed, "default")
    assert signed.verify().failure is None
    assert list(signed.root.parent.glob(".dist.*.tmp")) == []
