"""One process at a time: with real processes, also killed ones."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from flowctl_core.errors import LockedError, StoreError
from flowctl_core.store.lock import component_lock, file_lock


def hold(root: Path, seconds: float = 60) -> subprocess.Popen[str]:
    """Another process that holds the lock when this returns."""
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom flowctl_core.store.lock import component_lock\n"
        "with component_lock(Path(sys.argv[1])):\n    print('held', flush=True)\n    time.sleep(float(sys.argv[2]))\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code, root, str(seconds)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_excludes_another_process_and_names_it(tmp_path: Path) -> None:
    waited_for = []
    with hold(tmp_path) as holder:
        try:
            began = time.monotonic()
            with (
                pytest.raises(LockedError) as caught,
                component_lock(tmp_path, timeout_s=0.5, on_wait=waited_for.append),
            ):
                pass
            assert 0.4 < time.monotonic() - began < 5
            assert f"process {holder.pid}" in caught.value.message
            assert "waited 0.5 s" in caught.value.message
            assert caught.value.exit_code == 41
            assert waited_for == [holder.pid]
        finally:
            holder.kill()


def test_kill_9_releases(tmp_path: Path) -> None:
    with hold(tmp_path) as holder:
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        began = time.monotonic()
        with component_lock(tmp_path, timeout_s=5):
            assert time.monotonic() - began < 1
            assert (tmp_path / ".flowctl/lock").read_text() == f"{os.getpid()}\n"


def test_waits_for_the_end(tmp_path: Path) -> None:
    with hold(tmp_path, 0.5) as holder, component_lock(tmp_path, timeout_s=20):
        assert holder.wait(5) == 0


def test_child_processes_do_not_inherit(tmp_path: Path) -> None:
    """A toolchain's daemon that outlives the build must not keep the folder locked."""
    with component_lock(tmp_path):
        child = subprocess.Popen(["sleep", "60"], close_fds=False)
    try:
        with component_lock(tmp_path, timeout_s=0.2):
            pass
    finally:
        child.kill()
        child.wait()


def test_lock_removed_while_waiting(tmp_path: Path) -> None:
    """`clean` removes .flowctl with the lock in it: who waited must lock what is there now, not a ghost."""
    with hold(tmp_path) as holder:

        def clean(_: int | None) -> None:
            shutil.rmtree(tmp_path / ".flowctl")
            (tmp_path / ".flowctl").mkdir()
            holder.kill()

        with component_lock(tmp_path, timeout_s=10, on_wait=clean):
            with pytest.raises(LockedError), component_lock(tmp_path, timeout_s=0.1):
                pass
            assert (tmp_path / ".flowctl/lock").read_text() == f"{os.getpid()}\n"


def test_shared_holders_do_not_exclude_each_other(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with (
        file_lock(path, what="x", timeout_s=1, shared=True),
        file_lock(path, what="x", timeout_s=1, shared=True),
        pytest.raises(LockedError, match="the cache is in use"),
        file_lock(path, what="the cache", timeout_s=0.1),
    ):
        pass


def test_state_folder_keeps_itself_out_of_git(tmp_path: Path) -> None:
    with component_lock(tmp_path):
        assert (tmp_path / ".flowctl/.gitignore").read_text() == "*\n"


@pytest.mark.parametrize("kind", ["file", "link"])
def test_state_folder_that_is_something_else(tmp_path: Path, kind: str) -> None:
    root = tmp_path / "c"
    root.mkdir()
    if kind == "file":
        (root / ".flowctl").write_text("")
    else:
        (root / ".flowctl").symlink_to(tmp_path)
    with pytest.raises(StoreError, match="is not a folder"), component_lock(root):
        pass


def test_lock_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / ".flowctl").mkdir()
    (tmp_path / ".flowctl/lock").symlink_to(victim)
    with pytest.raises(StoreError), component_lock(tmp_path):
        pass
    assert victim.read_text() == "precious"
