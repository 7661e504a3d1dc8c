"""Files and folders under their digests."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import time
from pathlib import Path

import pytest

from flowctl_core.store import tree
from flowctl_core.store.content import ContentStore, measure
from flowctl_core.store.files import remove_any


@pytest.fixture
def store(tmp_path: Path) -> ContentStore:
    return ContentStore(tmp_path / "cache")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with everything that a tree may hold."""
    root = tmp_path / "made"
    (root / "bin/deep").mkdir(parents=True)
    (root / "empty").mkdir()
    (root / "bin/tool").write_bytes(b"\x7fELF")
    (root / "bin/tool").chmod(0o755)
    (root / "bin/deep/data").write_text("x" * 100_000)
    (root / "secret").write_text("s")
    (root / "secret").chmod(0o600)
    (root / "bin/link").symlink_to("tool")
    (root / "absolute").symlink_to("/usr/bin/env")
    (root / "loop").symlink_to("loop")
    Path(os.fsdecode(os.fsencode(root) + b"/caf\xe9")).write_text("not utf-8")
    (root / "read-only").mkdir()
    (root / "read-only/f").write_text("1")
    (root / "read-only/f").chmod(0o444)
    (root / "read-only").chmod(0o555)
    return root


def listing(root: Path) -> list[tuple[str, int, bytes]]:
    """Everything about a folder that matters, read independently of the code under test."""
    found = []
    for here, folders, files in os.walk(root):
        for name in folders + files:
            path = Path(here) / name
            mode = path.lstat().st_mode
            if stat.S_ISLNK(mode):
                content = os.fsencode(path.readlink())
            else:
                content = path.read_bytes() if stat.S_ISREG(mode) else b""
            found.append((str(path.relative_to(root)), 0 if stat.S_ISLNK(mode) else mode, content))
    return sorted(found)


@pytest.mark.parametrize("size", [0, 1, 100_000, 9_000_001])
def test_put_and_get(store: ContentStore, tmp_path: Path, size: int) -> None:
    data = os.urandom(size)
    source = tmp_path / "source"
    source.write_bytes(data)
    digest = store.put(source)
    assert digest == "sha256:" + hashlib.sha256(data).hexdigest()
    assert measure(source) == (digest, size)
    source.write_bytes(b"changed afterwards")
    target = tmp_path / "target"
    target.write_text("old")
    before = time.time()
    assert store.get(digest, target, 0o751)
    assert target.read_bytes() == data
    assert stat.S_IMODE(target.stat().st_mode) == 0o751
    assert target.stat().st_mtime >= before - 1
    assert target.stat().st_nlink == 1, "a copy: the user's edits must not reach the store"
    target.write_bytes(b"edited by the user")
    assert store.get_bytes(digest) == data
    assert not list(tmp_path.glob(".*.tmp")) and not list(store.temporary_folder.iterdir())


@pytest.mark.parametrize("size", [10, 6_000_000])
@pytest.mark.parametrize("damage", ["truncated", "changed", "longer", "empty", "gone"])
def test_damaged_file_is_missing_and_removed(store: ContentStore, tmp_path: Path, size: int, damage: str) -> None:
    source = tmp_path / "source"
    source.write_bytes(os.urandom(size))
    digest = store.put(source)
    path = store.path(digest)
    path.chmod(0o644)
    data = path.read_bytes()
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(
            {"truncated": data[:-1], "changed": data[:-1] + bytes([data[-1] ^ 1]), "longer": data + b"x", "empty": b""}[
                damage
            ]
        )
    target = tmp_path / "target"
    target.write_text("what was there before")
    assert store.get(digest, target) is False
    assert target.read_text() == "what was there before"
    assert not path.exists()
    assert not list(tmp_path.glob(".*.tmp"))
    assert store.put(source) == digest
    assert store.get(digest, target)


def test_put_again_claims(store: ContentStore, tmp_path: Path) -> None:
    """The sweep goes by age: putting what is there already makes it young."""
    source = tmp_path / "source"
    source.write_text("x")
    path = store.path(store.put(source))
    os.utime(path, (1, 1))
    inode = path.stat().st_ino
    store.put(source)
    assert path.stat().st_mtime > time.time() - 100
    assert path.stat().st_ino == inode


def test_put_repairs_a_truncated_file(store: ContentStore, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_text("content")
    path = store.path(store.put(source))
    path.chmod(0o644)
    path.write_text("")
    digest = store.put(source)
    assert store.get_bytes(digest) == b"content"


def test_only_regular_files_are_put(store: ContentStore, tmp_path: Path) -> None:
    (tmp_path / "f").write_text("")
    (tmp_path / "link").symlink_to("f")
    with pytest.raises(OSError):
        store.put(tmp_path / "link")
    with pytest.raises(OSError):
        store.put(tmp_path)


@pytest.mark.parametrize("digest", ["sha256:../../../etc/passwd", "md5:abc", "", "sha256:" + "A" * 64])
def test_strange_digests_are_refused(store: ContentStore, tmp_path: Path, digest: str) -> None:
    with pytest.raises(ValueError):
        store.get(digest, tmp_path / "x")


def test_tree_round_trip(store: ContentStore, folder: Path, tmp_path: Path) -> None:
    digest = store.put_tree(folder)
    assert measure(folder)[0] == digest
    assert measure(folder)[1] == sum(len(c) for _, m, c in listing(folder) if stat.S_ISREG(m))
    target = tmp_path / "restored"
    target.mkdir()
    (target / "stale").write_text("from an earlier build")
    assert store.get_tree(digest, target)
    assert listing(target) == listing(folder)
    assert measure(target)[0] == digest
    assert not list(tmp_path.glob(".*.tmp"))


def test_tree_replaces_a_file_a_link_and_a_read_only_folder(store: ContentStore, folder: Path, tmp_path: Path) -> None:
    digest = store.put_tree(folder)
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious/data").write_text("1")
    targets = [tmp_path / name for name in ("file", "link", "again")]
    targets[0].write_text("x")
    targets[1].symlink_to("precious")
    for target in targets:
        for _ in range(2):  # the second time over what was restored, with its read-only folder
            assert store.get_tree(digest, target)
            assert listing(target) == listing(folder) and not target.is_symlink()
    assert (tmp_path / "precious/data").read_text() == "1", "links are replaced, not followed"


@pytest.mark.parametrize("what", ["manifest", "member"])
def test_damaged_tree_leaves_the_old_one(store: ContentStore, folder: Path, tmp_path: Path, what: str) -> None:
    digest = store.put_tree(folder)
    members = store.members(digest)
    assert members is not None
    store.path(digest if what == "manifest" else members[0]).unlink()
    target = tmp_path / "restored"
    target.mkdir()
    (target / "old").write_text("1")
    assert store.get_tree(digest, target) is False
    assert [p.name for p in target.iterdir()] == ["old"]
    assert not list(tmp_path.glob(".*.tmp"))


def test_equal_folders_have_equal_digests_and_each_difference_counts(folder: Path) -> None:
    digest = measure(folder)[0]
    os.utime(folder / "secret", (1, 1))
    assert measure(folder)[0] == digest
    seen = {digest}
    for change in (
        lambda: (folder / "secret").chmod(0o640),
        lambda: (folder / "secret").write_text("t"),
        lambda: (folder / "secret").rename(folder / "secret2"),
        lambda: (folder / "empty").rmdir(),
        lambda: ((folder / "loop").unlink(), (folder / "loop").symlink_to("elsewhere")),
    ):
        change()
        assert measure(folder)[0] not in seen
        seen.add(measure(folder)[0])


def test_pipe_in_a_tree_is_refused(store: ContentStore, folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    with pytest.raises(ValueError, match="pipe"):
        store.put_tree(folder)


ROOT = ["", "dir", 0o755, ""]
BLOB = "sha256:" + hashlib.sha256(b"evil").hexdigest()


@pytest.mark.parametrize(
    "entries",
    [
        [ROOT, ["../evil", "file", 0o644, BLOB]],
        [ROOT, ["/tmp/evil", "file", 0o644, BLOB]],
        [ROOT, ["..", "dir", 0o755, ""]],
        [ROOT, ["a", "dir", 0o755, ""], ["a/../../evil", "file", 0o644, BLOB]],
        [ROOT, ["l", "symlink", 0, ".."], ["l/evil", "file", 0o644, BLOB]],
        [ROOT, ["l", "symlink", 0, ".."], ["l", "dir", 0o755, ""], ["l/evil", "file", 0o644, BLOB]],
        [ROOT, ["a\0b", "file", 0o644, BLOB]],
        [ROOT, ["x", "device", 0o644, ""]],
        [ROOT, ["x/y", "file", 0o644, BLOB]],
        [["", "symlink", 0, "/tmp"]],
        [["", "file", 0o644, BLOB]],
        [ROOT, ["x", "file", "0644", BLOB]],
        [ROOT, ["x", "file"]],
        [],
        {},
        7,
        None,
    ],
)
def test_hostile_manifest_is_refused(store: ContentStore, tmp_path: Path, entries: object) -> None:
    store.put_bytes(b"evil")
    digest = store.put_bytes(json.dumps(entries).encode())
    place = tmp_path / "a/b"
    place.mkdir(parents=True)
    with pytest.raises(ValueError):
        store.get_tree(digest, place / "target")
    assert store.members(digest) is None
    assert [p for p in tmp_path.rglob("*") if "cache" not in p.parts] == [tmp_path / "a", place]


def test_very_deep_tree(store: ContentStore, tmp_path: Path) -> None:
    """Deeper than the recursion limit; within the system's limit for paths."""
    here = Path.cwd()
    try:
        (tmp_path / "t").mkdir()
        os.chdir(tmp_path / "t")
        for _ in range(1200):
            Path("d").mkdir()
            os.chdir("d")
        Path("leaf").write_text("1")
    finally:
        os.chdir(here)
    digest = store.put_tree(tmp_path / "t")
    assert store.get_tree(digest, tmp_path / "u")
    assert measure(tmp_path / "u")[0] == digest
    assert store.get_tree(digest, tmp_path / "u")
    remove_any(tmp_path / "t")
    remove_any(tmp_path / "u")


def test_manifest_is_canonical(folder: Path) -> None:
    entries, _ = tree.describe(folder, lambda path: "sha256:0")
    data = tree.dump(entries)
    assert tree.load(data) == entries
    assert tree.dump(tree.load(data)) == data
    assert b" " not in data
