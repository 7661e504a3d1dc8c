"""The source digest: what is an input (git is the judge), and when content is read again."""

from __future__ import annotations

import os
import random
import shutil
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from flowctl_core.errors import SourceError
from flowctl_core.models import Inputs
from flowctl_core.store import rehash, stat_index
from flowctl_core.store.files import remove_any
from flowctl_core.store.source_digest import SourceDigest, changed_inputs, digest_source

SEED = int(os.environ.get("FLOWCTL_FUZZ_SEED", "20260801"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    tree = tmp_path / "component"
    tree.mkdir()
    write(tree, {"main.go": "package main", "pkg/a.go": "a", "pkg/b.go": "b", "run.sh": "#!/bin/sh"})
    (tree / "run.sh").chmod(0o755)
    return tree


def write(tree: Path, contents: dict[str, str]) -> None:
    for name, text in contents.items():
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def git(tree: Path, *argv: str) -> bytes:
    if shutil.which("git") is None:
        if os.environ.get("CI"):
            pytest.fail("git is needed")
        pytest.skip("git is needed")
    command = ["git", "-c", "core.excludesFile=/dev/null", "-c", "user.name=t", "-c", "user.email=t@example.com"]
    return subprocess.run([*command, *argv], cwd=tree, check=True, capture_output=True).stdout


def settle(tree: Path) -> SourceDigest:
    """Digest until nothing is too young to be trusted."""
    for _ in range(50):
        digest = digest_source(tree, Inputs())
        if digest.hashed == 0 and stat_index.unchanged_digest(tree, tree / ".flowctl/index"):
            return digest
        time.sleep(0.02)
    raise AssertionError("the index never settles")


def paths(digest: SourceDigest) -> list[str]:
    return [path for path, _, _ in digest.entries()]


def cold(tree: Path, tmp_path: Path, inputs: Inputs | None = None) -> SourceDigest:
    """The digest without any index."""
    return digest_source(tree, inputs or Inputs(), index_path=tmp_path / f"none-{time.time_ns()}" / "index")


def test_entries(root: Path) -> None:
    (root / "link").symlink_to("pkg")
    digest = digest_source(root, Inputs())
    assert [(path, kind) for path, kind, _ in digest.entries()] == [
        ("link", "symlink"),
        ("main.go", "file"),
        ("pkg/a.go", "file"),
        ("pkg/b.go", "file"),
        ("run.sh", "exec"),
    ]
    assert digest.files == 5
    assert digest.digest.startswith("sha256:") and len(digest.digest) == 71


def test_same_content_elsewhere_has_the_same_digest(root: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(root, copy)
    assert digest_source(copy, Inputs()).digest == digest_source(root, Inputs()).digest


@pytest.mark.parametrize(
    "change",
    [
        lambda r: (r / "pkg/a.go").write_text("A"),
        lambda r: (r / "pkg/c.go").write_text(""),
        lambda r: (r / "pkg/a.go").unlink(),
        lambda r: (r / "pkg/a.go").rename(r / "pkg/z.go"),
        lambda r: (r / "run.sh").chmod(0o644),
        lambda r: (r / "main.go").chmod(0o755),
        lambda r: ((r / "main.go").unlink(), (r / "main.go").symlink_to("run.sh")),
        lambda r: (r / ".gitignore").write_text("pkg/\n"),
    ],
    ids=["content", "added", "removed", "renamed", "not-executable", "executable", "file-to-link", "ignored"],
)
def test_change_is_seen_warm(root: Path, tmp_path: Path, change: object) -> None:
    before = settle(root).digest
    change(root)  # type: ignore[operator]
    after = digest_source(root, Inputs())
    assert after.digest != before
    assert after.digest == cold(root, tmp_path).digest


def test_irrelevant_changes_keep_the_digest(root: Path) -> None:
    write(root, {".gitignore": "*.log\n/dist/\n"})
    before = settle(root).digest
    write(root, {"x.log": "1", "dist/a": "1", ".flowctl/bin/component": "x", "sub/.flowctl/bin/c": "x"})
    (root / "component").symlink_to(".flowctl/bin/component")
    (root / "main.go").touch()
    (root / "main.go").chmod(0o600)
    (root / "empty").mkdir()
    assert digest_source(root, Inputs()).digest == before


def test_warm_digest_reads_nothing(root: Path) -> None:
    settle(root)
    assert stat_index.unchanged_digest(root, root / ".flowctl/index") == digest_source(root, Inputs()).digest
    index = (root / ".flowctl/index").stat()
    assert digest_source(root, Inputs()).hashed == 0
    assert (root / ".flowctl/index").stat().st_mtime_ns == index.st_mtime_ns, "nothing to write either"


def test_one_edit_reads_one_file(root: Path) -> None:
    settle(root)
    write(root, {"pkg/a.go": "edited"})
    assert digest_source(root, Inputs()).hashed == 1


def test_same_size_and_mtime_is_noticed(root: Path) -> None:
    """An editor or tool may set mtime back: the change time tells."""
    before = settle(root).digest
    seen = (root / "main.go").stat()
    (root / "main.go").write_text("PACKAGE MAIN")
    os.utime(root / "main.go", ns=(seen.st_atime_ns, seen.st_mtime_ns))
    assert (root / "main.go").stat().st_size == seen.st_size
    assert digest_source(root, Inputs()).digest != before


def test_racy_edits_are_never_missed(root: Path) -> None:
    """Edit of equal size right after a digest, in the same clock tick as often as the machine can."""
    same_tick = 0
    for number in range(300):
        text = f"{number:04d}"
        (root / "main.go").write_text(text)
        first = digest_source(root, Inputs())
        stat_first = (root / "main.go").stat()
        (root / "main.go").write_text(text[::-1] + "")
        (root / "main.go").write_text(f"{number + 5000:04d}")
        same_tick += stat_first.st_ctime_ns == (root / "main.go").stat().st_ctime_ns
        assert digest_source(root, Inputs()).digest != first.digest


def test_young_entries_are_not_trusted(root: Path) -> None:
    """What is not older than the digest's beginning is read again, however equal lstat looks."""
    first = settle(root)
    future = time.time_ns() + 3600 * 10**9
    os.utime(root / "main.go", ns=(future, future))
    for _ in range(3):
        digest = digest_source(root, Inputs())
        assert (digest.hashed, digest.digest) == (1, first.digest)
        assert dict(digest.stamp_entries())[str(root / "main.go")][1] == -1  # type: ignore[index]
        assert [kind for path, kind, _ in digest.entries() if path == "main.go"] == ["file"]
    os.utime(root / "main.go", ns=(0, 0))
    assert settle(root).digest == first.digest


def test_young_is_decided_by_the_file_systems_own_clock(root: Path) -> None:
    """The beginning is the time of a file made beside the index; whole-second times are taken as coarse."""
    began = 1_700_000_001_500_000_000
    stats = [
        (0o100644, 1, began - 1, began - 1, 7),
        (0o100644, 1, began, 5, 7),
        (0o100644, 1, 5, began, 7),
        (0o100644, 1, 1_700_000_000_000_000_000, 1_700_000_000_000_000_000, 7),
        (0o100644, 1, 1_600_000_000_000_000_000, 1_600_000_000_000_000_000, 7),
    ]
    rehash._distrust_young(stats, began)
    assert [seen[1] for seen in stats] == [1, -1, -1, -1, 1]


def test_include_exclude_generated(root: Path, tmp_path: Path) -> None:
    write(root, {"docs/x.md": "", "out/gen.go": "", "pkg/sub/deep.go": "", "node_modules/m/index.js": ""})
    assert paths(cold(root, tmp_path, Inputs(include=("*.go", "!pkg/sub/"), exclude=("out/",)))) == [
        "main.go",
        "pkg/a.go",
        "pkg/b.go",
        "pkg/sub/deep.go",  # its own name matches; git-style negation of the folder does not reach it
    ]
    assert paths(cold(root, tmp_path, Inputs(include=("/pkg", "main.go"), exclude=("b.go",)))) == [
        "main.go",
        "pkg/a.go",
        "pkg/sub/deep.go",
    ]
    got = digest_source(root, Inputs(include=("**",)), generated=["./out/", "node_modules", "docs/x.md"])
    assert paths(got) == ["main.go", "pkg/a.go", "pkg/b.go", "pkg/sub/deep.go", "run.sh"]
    assert digest_source(root, Inputs()).files == 8, "other options are another listing"


def test_component_in_a_subfolder_of_a_repository(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    tree = tmp_path / "services/sink"
    write(
        tmp_path,
        {
            ".gitignore": "*.tmp\n/services/sink/private\n",
            "services/.gitignore": "cache\n",
            ".git/info/exclude": "secret.txt\n",
        },
    )
    write(tree, dict.fromkeys(("main.go", "a.tmp", "private/x", "cache/y", "secret.txt", "keep.txt"), "1"))
    assert paths(settle(tree)) == ["keep.txt", "main.go"]
    write(tmp_path, {"services/.gitignore": "keep.txt\n"})
    assert paths(digest_source(tree, Inputs())) == ["cache/y", "main.go"]
    (tmp_path / "services/.gitignore").unlink()
    assert paths(settle(tree)) == ["cache/y", "keep.txt", "main.go"]
    write(tmp_path, {"services/.gitignore": "main.go\n"})
    assert paths(digest_source(tree, Inputs())) == ["cache/y", "keep.txt"], "an ignore file that comes to be"


def test_repository_that_comes_to_be(tmp_path: Path, root: Path) -> None:
    write(tmp_path, {".gitignore": "main.go\n"})
    assert "main.go" in paths(settle(root)), "without a repository the parents' rules do not count"
    git(tmp_path, "init", "-q")
    assert "main.go" not in paths(digest_source(root, Inputs()))


def test_component_in_an_ignored_folder_has_inputs(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    write(tmp_path, {".gitignore": "/scratch\n", "scratch/c/main.go": "1", "scratch/c/.gitignore": "x\n"})
    assert paths(digest_source(tmp_path / "scratch/c", Inputs())) == [".gitignore", "main.go"]


@pytest.mark.parametrize("version", ["2", "4"])
def test_tracked_files_are_never_ignored(tmp_path: Path, version: str) -> None:
    """`git add -f` of an ignored file: git tracks it, so a change must rebuild."""
    git(tmp_path, "init", "-q")
    git(tmp_path, "config", "index.version", version)
    write(tmp_path, {".gitignore": "*.a\nvendor/\n", "main.go": "", "vendor/lib.a": "1", "vendor/other.a": "1"})
    assert paths(settle(tmp_path)) == [".gitignore", "main.go"]
    git(tmp_path, "add", "-f", "vendor/lib.a", "main.go")
    tracked = settle(tmp_path)
    assert paths(tracked) == [".gitignore", "main.go", "vendor/lib.a"]
    write(tmp_path, {"vendor/lib.a": "2"})
    assert digest_source(tmp_path, Inputs()).digest != tracked.digest
    git(tmp_path, "rm", "-q", "--cached", "-f", "vendor/lib.a")
    assert paths(digest_source(tmp_path, Inputs())) == [".gitignore", "main.go"]


def test_git_housekeeping_reads_nothing(tmp_path: Path) -> None:
    """Commits and status rewrite git's index; no content is read for that."""
    git(tmp_path, "init", "-q")
    write(tmp_path, {"a": "1", "b": "2", ".gitignore": "ignored\n", "ignored": "x"})
    before = settle(tmp_path).digest
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "x")
    after = digest_source(tmp_path, Inputs())
    assert (after.digest, after.hashed) == (before, 0)


def test_nested_repository_has_its_own_rules(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    write(tmp_path, {".gitignore": "*.x\n", "a.x": "", "sub/b.x": "", "sub/c.y": "", "sub/main": ""})
    git(tmp_path / "sub", "init", "-q")
    write(tmp_path, {"sub/.git/info/exclude": "*.y\n"})
    assert paths(settle(tmp_path)) == [".gitignore", "sub/b.x", "sub/main"]
    shutil.rmtree(tmp_path / "sub/.git")
    assert paths(digest_source(tmp_path, Inputs())) == [".gitignore", "sub/c.y", "sub/main"]
    git(tmp_path / "sub", "init", "-q")
    assert paths(digest_source(tmp_path, Inputs())) == [".gitignore", "sub/b.x", "sub/c.y", "sub/main"]


def test_new_ignore_file_in_a_known_folder(root: Path) -> None:
    write(root, {"pkg/deep/x.log": "", "pkg/deep/y": ""})
    settle(root)
    write(root, {"pkg/.gitignore": "*.log\n"})
    assert "pkg/deep/x.log" not in paths(digest_source(root, Inputs()))
    settle(root)
    (root / "pkg/.gitignore").unlink()
    assert "pkg/deep/x.log" in paths(digest_source(root, Inputs()))


def test_odd_names(tmp_path: Path) -> None:
    names = [b"caf\xc3\xa9.go", b"\xff\xfe", b"new\nline", b" space ", b"-rf", b"quote'\"", b"a\\b", b"[x]"]
    for name in names:
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).write_bytes(name)
    digest = settle(tmp_path)
    assert [os.fsencode(path) for path in paths(digest)] == sorted(names)


def test_loops_and_links_out_are_links(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    tree = tmp_path / "t"
    (tree / "d").mkdir(parents=True)
    (tree / "d/up").symlink_to("..")
    (tree / "self").symlink_to("self")
    (tree / "away").symlink_to(tmp_path / "out")
    (tree / "dangling").symlink_to("nowhere")
    first = settle(tree)
    assert [(p, k) for p, k, _ in first.entries()] == [(n, "symlink") for n in ("away", "d/up", "dangling", "self")]
    write(tmp_path, {"out/file": "1"})
    assert digest_source(tree, Inputs()).digest == first.digest, "what a link points to is no input"
    (tree / "dangling").unlink()
    (tree / "dangling").symlink_to("elsewhere")
    assert digest_source(tree, Inputs()).digest != first.digest


def test_special_files_are_skipped_and_said(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = digest_source(root, Inputs()).digest
    os.mkfifo(root / "pkg/pipe")
    monkeypatch.chdir(root)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("sock")
        digest = settle(root)
        assert digest.skipped == ("pkg/pipe", "sock")
        assert digest.digest == before
        assert digest_source(root, Inputs()).skipped == ("pkg/pipe", "sock"), "also when nothing changed"


def test_very_deep_tree(tmp_path: Path) -> None:
    """Deeper than Python's recursion limit would allow."""
    here = Path.cwd()
    try:
        os.chdir(tmp_path)
        for _ in range(1500):
            Path("d").mkdir()
            os.chdir("d")
        Path("leaf").write_text("1")
    finally:
        os.chdir(here)
    digest = settle(tmp_path)
    assert digest.files == 1
    deep = "d/" * 1500
    os.utime(str(tmp_path / deep))  # only the deepest folder is read again
    assert digest_source(tmp_path, Inputs()).digest == digest.digest
    remove_any(tmp_path / "d")
    assert not (tmp_path / "d").exists()


@pytest.mark.parametrize("damage", ["truncate", "flip", "empty", "garbage", "folder", "link", "fifo"])
def test_damaged_index_is_only_slower(root: Path, damage: str) -> None:
    right = settle(root).digest
    index = root / ".flowctl/index"
    data = index.read_bytes()
    if damage == "truncate":
        index.write_bytes(data[: len(data) // 2])
    elif damage == "flip":
        middle = len(data) // 2
        index.write_bytes(data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :])
    elif damage == "empty":
        index.write_bytes(b"")
    elif damage == "garbage":
        index.write_bytes(os.urandom(5000))
    else:
        index.unlink()
        if damage == "folder":
            index.mkdir()
        elif damage == "link":
            index.symlink_to("/etc/passwd")
        else:
            os.mkfifo(index)
    digest = digest_source(root, Inputs())
    assert (digest.digest, digest.hashed) == (right, 4)


def test_state_folder_that_is_a_link_is_not_followed(root: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (root / ".flowctl").symlink_to(elsewhere)
    assert digest_source(root, Inputs()).files == 4
    assert list(elsewhere.iterdir()) == []


def test_missing_root_and_file_as_root(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="cannot be read"):
        digest_source(tmp_path / "missing", Inputs())
    (tmp_path / "file").write_text("")
    with pytest.raises(SourceError, match="not a folder"):
        digest_source(tmp_path / "file", Inputs())
    assert not (tmp_path / "missing").exists()


def as_nobody(code: str) -> str:
    """Run Python code as a user without rights (the tests may run as root)."""
    drop = "import os\nif os.getuid() == 0: os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
    load = "from flowctl_core.store import rehash\nfrom flowctl_core.errors import FlowctlError\n"
    head = "from pathlib import Path\nfrom flowctl_core.models import Inputs\nfrom flowctl_core.store.source_digest import digest_source\n"
    done = subprocess.run(
        [sys.executable, "-c", head + load + drop + code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture
def public(root: Path, public_folder: Path) -> Path:
    """The tree, in folders that every user may enter."""
    return Path(shutil.copytree(root, public_folder / "component"))


def test_unreadable_file_is_named(public: Path) -> None:
    (public / "pkg/b.go").chmod(0)
    out = as_nobody(
        f"try: digest_source(Path({str(public)!r}), Inputs())\nexcept FlowctlError as e: print(e.code, e, e.hint)"
    )
    assert out.startswith("source pkg/b.go cannot be read: Permission denied")
    assert ".gitignore" in out
    (public / "pkg/b.go").chmod(0o644)
    (public / "pkg").chmod(0)
    try:
        out = as_nobody(f"try: digest_source(Path({str(public)!r}), Inputs())\nexcept FlowctlError as e: print(e)")
    finally:
        (public / "pkg").chmod(0o755)
    assert out == "pkg cannot be read: Permission denied"


def test_read_only_tree_is_digested(public: Path) -> None:
    expected = digest_source(public, Inputs()).digest
    shutil.rmtree(public / ".flowctl")
    public.chmod(0o555)
    try:
        assert as_nobody(f"print(digest_source(Path({str(public)!r}), Inputs()).digest)") == expected
    finally:
        public.chmod(0o755)
    assert not (public / ".flowctl").exists() or os.getuid() != 0


def test_file_that_never_rests_is_an_error(root: Path) -> None:
    """Appended to all the time by another process: said, and not a digest of something that never existed."""
    big = root / "growing"
    big.write_bytes(os.urandom(30_000_000))
    code = f"f=open({str(big)!r},'ab',0)\nprint('go',flush=True)\nwhile True: f.write(b'x')"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        try:
            writer.stdout.readline()
            with pytest.raises(SourceError, match="growing changes while it is read"):
                digest_source(root, Inputs())
        finally:
            writer.kill()


def test_files_that_come_and_go_meanwhile(root: Path, tmp_path: Path) -> None:
    """Temporary files of an editor or a test run must not fail a digest."""
    stop = threading.Event()

    def churn() -> None:
        while not stop.wait(0.005):
            (root / "pkg/tmp").write_text("x")
            (root / "pkg/tmp").unlink()

    thread = threading.Thread(target=churn)
    thread.start()
    try:
        for _ in range(30):
            digest_source(root, Inputs())
    finally:
        stop.set()
        thread.join()
    assert digest_source(root, Inputs()).digest == cold(root, tmp_path).digest


def test_changed_inputs(root: Path) -> None:
    old = digest_source(root, Inputs()).manifest()
    write(root, {"new.go": "", "pkg/a.go": "other"})
    (root / "pkg/b.go").unlink()
    (root / "run.sh").chmod(0o644)
    new = digest_source(root, Inputs()).manifest()
    assert changed_inputs(old, new) == ["added new.go", "changed pkg/a.go", "removed pkg/b.go", "changed run.sh"]
    assert changed_inputs(new, new) == []


def test_stamp_entries_notice_everything(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    tree = tmp_path / "c"
    write(tree, {"main.go": "1", "pkg/a.go": "1"})

    def holds(entries: list[tuple[str, tuple[int, ...] | None]]) -> bool:
        for path, seen in entries:
            try:
                now: tuple[int, ...] | None = stat_index.stat_of(os.lstat(path))
            except OSError:
                now = None
            if now != seen:
                return False
        return True

    changes = [
        lambda: write(tree, {"main.go": "2"}),
        lambda: write(tree, {"pkg/new.go": ""}),
        lambda: write(tree, {".gitignore": "x"}),
        lambda: write(tmp_path, {".gitignore": "pkg"}),
        lambda: write(tmp_path, {".git/info/exclude": "pkg\n"}),
        lambda: (tree / "main.go").unlink(),
    ]
    for change in changes:
        entries = settle(tree).stamp_entries()
        assert holds(entries)
        change()
        assert not holds(entries)


def test_random_edits_warm_equals_cold_equals_git(tmp_path: Path) -> None:
    """Random changes to a repository; after each the warm digest is the cold one, and the inputs are git's."""
    rng = random.Random(SEED)
    tree = tmp_path / "t"
    tree.mkdir()
    git(tree, "init", "-q")
    folders = ["", "a/", "a/b/", "c/", "build/", "a/build/"]
    names = ["x.go", "y.log", "z", "build", ".gitignore"]
    rules = ["*.log", "!y.log", "build/", "/z", "a/", "!a/", "**/b", "z", "c/*", "!c/z"]
    for step in range(80):
        path = tree / (rng.choice(folders) + rng.choice(names))
        action = rng.random()
        if action < 0.6:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                if path.name == ".gitignore":
                    path.write_text("\n".join(rng.choices(rules, k=2)))
                elif not path.is_dir():
                    path.write_text(str(step))
            except (FileExistsError, NotADirectoryError):
                path.parent.unlink()
        elif action < 0.8:
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True) if path.parent.is_dir() else None
        elif action < 0.9 and path.is_file():
            git(tree, "add", "-f", str(path))
        else:
            git(tree, "commit", "-q", "--allow-empty", "-m", "x")
        warm = digest_source(tree, Inputs())
        assert warm.digest == cold(tree, tmp_path).digest, step
        listed = git(tree, "ls-files", "-z", "-c", "-o", "--exclude-standard", "--deduplicate").decode().split("\0")
        expected = sorted(n for n in listed if n and (tree / n).is_file() and not n.startswith(".flowctl/"))
        assert paths(warm) == expected, step


def test_import_is_cheap() -> None:
    """The no-op path imports this: nothing slow may creep in."""
    code = (
        "import sys; import flowctl_core.store.source_digest; "
        "print([m for m in ('pydantic','pathlib','typing_extensions','sqlite3','diskcache','json','hashlib',"
        "'flowctl_core.models','dataclasses','pathspec') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-S", "-c", f"import sys; sys.path[:0]={sys.path!r};" + code],
                          capture_output=True, text=True, check=True)  # fmt: skip
    assert done.stdout.strip() == "[]"
