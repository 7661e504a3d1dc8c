"""Every way of starting a process, connecting or writing is seen."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from flowctl_core.testing.observation import observe


@pytest.mark.parametrize(
    "start",
    [
        lambda: subprocess.run(["true"], check=True),
        lambda: os.system("true"),
        lambda: os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0),
        lambda: os.spawnlp(os.P_WAIT, "true", "true"),
    ],
    ids=["subprocess", "system", "posix_spawn", "spawn"],
)
def test_processes_are_seen(tmp_path: Path, start):
    with observe(tmp_path) as seen:
        start()
    assert seen.started


def test_connections_are_seen(tmp_path: Path):
    with observe(tmp_path) as seen, socket.socket() as one:
        one.settimeout(0.2)
        one.connect_ex(("127.0.0.1", 9))
    assert seen.connected


@pytest.mark.parametrize(
    "write",
    [
        lambda root: (root / "new").write_text("x"),
        lambda root: (root / "old").open("a").close(),
        lambda root: os.close(os.open(root / "raw", os.O_CREAT | os.O_WRONLY)),
        lambda root: (root / "dir").mkdir(),
        lambda root: (root / "old").unlink(),
        lambda root: (root / "old").rename(root / "moved"),
        lambda root: (root / "old").chmod(0o600),
        lambda root: os.utime(root / "old"),
        lambda root: (root / "link").symlink_to("old"),
        lambda root: os.truncate(root / "old", 0),
        lambda root: shutil.rmtree(root / "folder"),
    ],
)
def test_writes_below_the_root_are_seen(tmp_path: Path, write):
    (tmp_path / "old").write_text("x")
    (tmp_path / "folder").mkdir()
    with observe(tmp_path) as seen:
        write(tmp_path)
    assert seen.written


def test_reading_and_writing_elsewhere_is_nothing(tmp_path: Path):
    root, elsewhere = tmp_path / "root", tmp_path / "root-beside"
    root.mkdir()
    (root / "a").write_text("x")
    with observe(root) as seen:
        (root / "a").read_text()
        list(root.iterdir())
        elsewhere.write_text("y")
    assert not seen.started and not seen.connected and not seen.written
    (root / "later").write_text("after the end")
    assert not seen.written
