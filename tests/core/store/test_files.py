"""Writing whole or not at all, and what the user reads when the system refuses."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from flowctl_core.errors import StoreError
from flowctl_core.store import files


def test_write_replaces_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "f"
    files.atomic_write(path, b"one")
    files.atomic_write(path, b"two", mode=0o600)
    assert path.read_bytes() == b"two"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [p.name for p in tmp_path.iterdir()] == ["f"]


def test_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("precious")
    (tmp_path / "f").symlink_to("victim")
    files.atomic_write(tmp_path / "f", b"new")
    assert (tmp_path / "victim").read_text() == "precious"
    assert not (tmp_path / "f").is_symlink()


def test_missing_folder_is_a_store_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be written: No such file"):
        files.atomic_write(tmp_path / "missing/f", b"")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 256 KiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.getuid() != 0 or shutil.which("mount") is None:
        if os.environ.get("CI"):
            pytest.fail("mounting a small disk needs root")
        pytest.skip("mounting a small disk needs root")
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", disk], capture_output=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"no mounts here: {done.stderr.decode()}")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


def test_full_disk(small_disk: Path) -> None:
    path = small_disk / "f"
    files.atomic_write(path, b"old")
    with pytest.raises(StoreError) as caught:
        files.atomic_write(path, os.urandom(1 << 20))
    assert "No space left on device" in caught.value.message
    assert caught.value.hint is not None and "disk is full" in caught.value.hint
    assert path.read_bytes() == b"old"
    assert [p.name for p in small_disk.iterdir()] == ["f"]


def test_read_only_disk(small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    with pytest.raises(StoreError) as caught:
        files.make_state_dir(small_disk)
    assert "Read-only file system" in caught.value.message
    assert caught.value.hint is not None and "read-only" in caught.value.hint


def limited(code: str, *argv: object) -> str:
    """Run code as a user without rights, under a file size limit of 64 KiB."""
    head = """
        import os, resource, signal, sys
        from pathlib import Path
        from flowctl_core.errors import StoreError
        from flowctl_core.store import files
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))
        if os.getuid() == 0: os.setgroups([]); os.setgid(65534); os.setuid(65534)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(head) + textwrap.dedent(code), *map(str, argv)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_file_size_limit(public_folder: Path) -> None:
    code = """
        path = Path(sys.argv[1]) / "f"
        files.atomic_write(path, b"old")
        try: files.atomic_write(path, b"x" * 100_000)
        except StoreError as e: print(e, e.hint)
        print(path.read_text(), len(list(path.parent.iterdir())))
    """
    out = limited(code, public_folder)
    assert "File too large" in out and "ulimit" in out
    assert out.endswith("old 1\n")


def test_no_permission(public_folder: Path) -> None:
    public_folder.chmod(0o555)
    code = """
        for act in (lambda p: files.atomic_write(p / "f", b""), files.make_state_dir):
            try: act(Path(sys.argv[1])); print("wrote")
            except StoreError as e: print(e.exit_code, e, e.hint)
    """
    lines = limited(code, public_folder).splitlines()
    public_folder.chmod(0o755)
    assert len(lines) == 2
    assert all(line.startswith("40 ") and "Permission denied" in line and "no permission" in line for line in lines)


def test_readers_never_see_half_a_file_and_kill_9_leaves_a_whole_one(tmp_path: Path) -> None:
    path = tmp_path / "f"
    code = """
        import sys
        from pathlib import Path
        from flowctl_core.store.files import atomic_write
        n = 0
        while True:
            n += 1
            atomic_write(Path(sys.argv[1]), bytes([n % 256]) * 300_000, durable=False)
            print(n, flush=True)
    """
    seen = set()
    for _ in range(8):
        with subprocess.Popen([sys.executable, "-c", textwrap.dedent(code), path], stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            writer.stdout.readline()
            until = time.monotonic() + 0.1
            while time.monotonic() < until:
                data = path.read_bytes()
                assert len(data) == 300_000 and len(set(data)) == 1
                seen.add(data[0])
            writer.send_signal(signal.SIGKILL)
        data = path.read_bytes()
        assert len(data) == 300_000 and len(set(data)) == 1
    assert len(seen) > 3
    for left in tmp_path.glob(".*.tmp"):
        os.utime(left, (1, 1))
    files.sweep_temporaries(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["f"]


def test_sweep_leaves_the_young_and_the_named(tmp_path: Path) -> None:
    young, named = tmp_path / ".x.1-a.tmp", tmp_path / "x.tmp"
    young.write_text("")
    named.write_text("")
    os.utime(named, (1, 1))
    files.sweep_temporaries(tmp_path)
    assert young.exists() and named.exists()


def test_what_a_killed_writer_left_is_abandoned_however_young(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait()
    names = (f".f.{gone.pid}-a.tmp", f".f.{os.getpid()}-b.tmp", f".g.{gone.pid}-c.tmp", ".f.x-d.tmp")
    for name in names:
        (tmp_path / name).write_text("")
    files.sweep_abandoned(tmp_path / "f")
    assert {path.name for path in tmp_path.iterdir()} == set(names[1:])


@pytest.mark.parametrize("old", ["nothing", "file", "link", "empty", "full"])
@pytest.mark.parametrize("new", ["file", "folder"])
def test_replace(tmp_path: Path, old: str, new: str) -> None:
    source, target = tmp_path / "new", tmp_path / "target"
    if new == "file":
        source.write_text("new")
    else:
        source.mkdir()
        (source / "inside").write_text("new")
    (tmp_path / "elsewhere").mkdir()
    if old == "file":
        target.write_text("old")
    elif old == "link":
        target.symlink_to("elsewhere")
    elif old in ("empty", "full"):
        target.mkdir()
        if old == "full":
            (target / "stale").write_text("old")
    files.atomic_replace(source, target)
    assert (target.read_text() if new == "file" else (target / "inside").read_text()) == "new"
    assert {p.name for p in tmp_path.iterdir()} == {"target", "elsewhere"}


def test_remove_any(tmp_path: Path) -> None:
    (tmp_path / "t/ro").mkdir(parents=True)
    (tmp_path / "t/ro/f").write_text("")
    (tmp_path / "t/ro").chmod(0o500)
    (tmp_path / "keep").mkdir()
    (tmp_path / "t/out").symlink_to(tmp_path / "keep")
    files.remove_any(tmp_path / "t")
    files.remove_any(tmp_path / "t")
    assert [p.name for p in tmp_path.iterdir()] == ["keep"]


def test_remove_read_only_folders_as_a_plain_user(public_folder: Path) -> None:
    code = """
        root = Path(sys.argv[1]) / "mod"
        (root / "pkg").mkdir(parents=True); (root / "pkg/f").write_text(""); (root / "pkg").chmod(0o500); root.chmod(0o500)
        files.remove_any(root); print(root.exists())
    """
    assert limited(code, public_folder) == "False\n"
