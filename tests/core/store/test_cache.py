"""The build cache: what is found, what goes, and that no fault of it ever reaches a build."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from flowctl_core.models import Artifact, Platform, Tool
from flowctl_core.store.cache import BuildCache
from flowctl_core.store.cache_entry import CacheEntry
from flowctl_core.store.content import measure

LIMIT = 1 << 30
HOST = Platform("linux/amd64")
GO = Tool(name="go", version="1.23.0", path=Path("/usr/bin/go"), digest="sha256:aa")
GO_NEWER = Tool(name="go", version="1.24.0", path=Path("/usr/bin/go"), digest="sha256:bb")


class Warnings(list[str]):
    """Receives what the cache has to say."""


@pytest.fixture
def warnings() -> Warnings:
    return Warnings()


@pytest.fixture
def cache(tmp_path: Path, warnings: Warnings) -> Iterator[BuildCache]:
    with BuildCache(tmp_path / "cache", LIMIT, warn=warnings.append) as opened:
        yield opened


@pytest.fixture
def source(tmp_path: Path) -> Path:
    root = tmp_path / "source"
    (root / ".flowctl/bin").mkdir(parents=True)
    return root


def program(root: Path, content: bytes = b"\x7fELF program", name: str = "component") -> Artifact:
    path = root / ".flowctl/bin" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.write_bytes(content)
    path.chmod(0o755)
    digest, size = measure(path)
    return Artifact(path=f".flowctl/bin/{name}", platform=HOST, digest=digest, size=size)


def environment(root: Path, *, relocatable: bool = True) -> Artifact:
    folder = root / ".flowctl/env"
    (folder / "bin").mkdir(parents=True, exist_ok=True)
    (folder / "bin/python").unlink(missing_ok=True)
    (folder / "bin/python").symlink_to("/usr/bin/python3")
    (folder / "lib.py").write_text("x = 1")
    digest, size = measure(folder)
    return Artifact(path=".flowctl/env", kind="tree", platform=HOST, digest=digest, size=size, relocatable=relocatable)


def put(cache: BuildCache, root: Path, key: str, content: bytes = b"x", **more: object) -> CacheEntry:
    """Store one program and return its entry."""
    artifact = program(root, content)
    assert cache.store(key, component="sink", source_root=root, artifacts=[artifact], tools=[GO], **more)  # type: ignore[arg-type]
    entry = cache.lookup(key, [GO])
    assert entry is not None
    return entry


def test_store_clean_restore(cache: BuildCache, source: Path, warnings: Warnings) -> None:
    artifacts = [program(source), environment(source)]
    assert cache.store(
        "k",
        component="sink",
        source_root=source,
        artifacts=artifacts,
        tools=[GO],
        plugins={"flowctl-lang-go": "0.1.0"},
        explain={"source": "sha256:1"},
        manifest={"main.go": "file:1"},
    )
    shutil.rmtree(source / ".flowctl")
    entry = cache.lookup("k", [GO])
    assert entry is not None
    assert cache.restore(entry, source) == artifacts
    assert [measure(source / a.path) for a in artifacts] == [(a.digest, a.size) for a in artifacts]
    assert os.access(source / ".flowctl/bin/component", os.X_OK)
    assert entry.explain == {"source": "sha256:1"} and entry.plugins == {"flowctl-lang-go": "0.1.0"}
    assert cache.manifest(entry) == {"main.go": "file:1"}
    assert warnings == []
    assert not list(source.rglob("*.tmp"))


def test_tools_are_the_second_level(cache: BuildCache, source: Path) -> None:
    program(source)
    put(cache, source, "k", b"by 1.23")
    artifact = program(source, b"by 1.24")
    assert cache.lookup("k", [GO_NEWER]) is None
    assert cache.store("k", component="sink", source_root=source, artifacts=[artifact], tools=[GO_NEWER])
    old, new, newest = cache.lookup("k", [GO]), cache.lookup("k", [GO_NEWER]), cache.lookup("k", None)
    assert old is not None and new is not None
    assert old.artifacts[0].digest != new.artifacts[0].digest
    assert newest == new
    assert cache.lookup("k", []) is None, "a build without tools is not a build with unknown tools"
    assert cache.lookup("other") is None


def test_latest_for_explains_a_miss(cache: BuildCache, source: Path, tmp_path: Path) -> None:
    put(cache, source, "k1", explain={"source": "1"})
    put(cache, source, "k2", explain={"source": "2"})
    other = tmp_path / "other"
    put(cache, other, "k3", explain={"source": "3"})
    latest = cache.latest_for("sink", os.path.realpath(source))
    assert latest is not None and latest.key == "k2" and latest.explain == {"source": "2"}
    assert cache.latest_for("source", os.path.realpath(source)) is None


def test_not_relocatable_stays_at_home(cache: BuildCache, source: Path, tmp_path: Path) -> None:
    artifact = environment(source, relocatable=False)
    assert cache.store("k", component="c", source_root=source, artifacts=[artifact])
    entry = cache.lookup("k", [])
    assert entry is not None
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    assert cache.restore(entry, elsewhere) is None
    assert list(elsewhere.iterdir()) == []
    assert cache.restore(entry, source) is not None


def test_artifact_that_changed_since_it_was_measured_is_not_stored(
    cache: BuildCache, source: Path, warnings: Warnings
) -> None:
    artifact = program(source)
    (source / artifact.path).write_bytes(b"tampered")
    assert cache.store("k", component="c", source_root=source, artifacts=[artifact]) is False
    assert cache.lookup("k") is None
    assert "changed while it was stored" in warnings[0]


@pytest.mark.parametrize("path", ["../outside", "/etc/hostname", "link/f", "."])
def test_nothing_outside_of_the_source_is_touched(cache: BuildCache, source: Path, tmp_path: Path, path: str) -> None:
    entry = put(cache, source, "k")
    (tmp_path / "away").mkdir()
    (source / "link").symlink_to(tmp_path / "away")
    hostile = entry.model_copy(update={"artifacts": (entry.artifacts[0].model_copy(update={"path": path}),)})
    assert cache.restore(hostile, source) is None
    assert list((tmp_path / "away").iterdir()) == []
    assert not (tmp_path / "outside").exists()
    assert not cache.store("h", component="c", source_root=source, artifacts=hostile.artifacts)


@pytest.mark.parametrize("what", ["gone", "changed", "changed-with-old-times"])
def test_restore_is_all_or_nothing(cache: BuildCache, source: Path, what: str) -> None:
    artifacts = [program(source, b"1", "a"), program(source, b"2", "b")]
    assert cache.store("k", component="c", source_root=source, artifacts=artifacts)
    entry = cache.lookup("k")
    assert entry is not None
    blob = cache.content.path(artifacts[1].digest)
    blob.chmod(0o644)
    before = blob.stat()
    blob.unlink() if what == "gone" else blob.write_bytes(b"3")
    if what == "changed-with-old-times":
        blob.chmod(0o444)
        os.utime(blob, ns=(before.st_atime_ns, before.st_mtime_ns))
    (source / ".flowctl/bin/a").write_bytes(b"what is there now")
    assert cache.restore(entry, source) is None
    assert (source / ".flowctl/bin/a").read_bytes() == b"what is there now"
    assert cache.lookup("k") is None, "an entry that cannot be restored is forgotten"
    assert not list(source.rglob("*.tmp"))


def test_a_touched_file_is_hashed_and_still_good(cache: BuildCache, source: Path) -> None:
    entry = put(cache, source, "k", b"content")
    os.utime(cache.content.path(entry.artifacts[0].digest))
    assert cache.content.look(entry.artifacts[0].digest) not in entry.seen.values()
    assert cache.restore(entry, source) == list(entry.artifacts)


def test_info_and_prune_everything(cache: BuildCache, source: Path) -> None:
    empty = cache.info()
    assert empty is not None and (empty.entries, empty.bytes) == (0, 0)
    put(cache, source, "k1", b"1" * 1000)
    put(cache, source, "k2", b"2" * 1000)
    info = cache.info()
    assert info is not None and (info.entries, info.files, info.bytes, info.limit) == (2, 2, 2000, LIMIT)
    report = cache.prune(everything=True)
    assert report is not None and (report.entries, report.files, report.bytes) == (2, 2, 2000)
    assert cache.lookup("k1") is None
    assert cache.latest_for("sink", os.path.realpath(source)) is None
    assert not list((cache.directory / "content/sha256").glob("*/*"))
    put(cache, source, "k3")


def test_least_recently_used_goes_first_with_its_files(
    cache: BuildCache, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time()
    for age, key in ((4000, "old"), (3000, "middle"), (2000, "new")):
        monkeypatch.setattr(time, "time", lambda at=now - age: at)
        put(cache, source, key, key.encode() * 300)
    monkeypatch.setattr(time, "time", lambda: now)
    assert cache.lookup("old", [GO]) is not None  # used again
    report = cache.prune(max_size=2000)
    assert report is not None and report.entries == 1 and report.bytes == 1800
    assert cache.lookup("middle") is None
    assert cache.lookup("new") is not None and cache.lookup("old") is not None
    assert len(list((cache.directory / "content/sha256").glob("*/*"))) == 2
    report = cache.prune(older_than_s=1000)
    assert report is not None and report.entries == 0, "the lookups were uses"
    report = cache.prune(older_than_s=-1)
    assert report is not None and report.entries == 2


def test_shared_files_stay_while_someone_needs_them(cache: BuildCache, source: Path) -> None:
    first = put(cache, source, "k1", b"same")
    put(cache, source, "k2", b"same")
    cache._forget(first)
    report = cache.prune()
    assert report is not None and report.files == 0
    entry = cache.lookup("k2")
    assert entry is not None and cache.restore(entry, source)


def test_tree_members_count_and_go(cache: BuildCache, source: Path) -> None:
    artifact = environment(source)
    assert cache.store("k", component="c", source_root=source, artifacts=[artifact])
    report = cache.prune()
    assert report is not None and report.files == 0
    entry = cache.lookup("k")
    assert entry is not None and cache.restore(entry, source)
    report = cache.prune(max_size=0)
    assert report is not None and report.files == 2  # lib.py and the manifest


def test_limit_is_kept_without_being_asked(tmp_path: Path, source: Path) -> None:
    with BuildCache(tmp_path / "cache", 10_000) as cache:
        for number in range(30):
            put(cache, source, f"k{number}", bytes([number]) * 1000)
        info = cache.info()
        assert info is not None and 5_000 <= info.bytes <= 10_000
        assert cache.lookup("k29") is not None and cache.lookup("k0") is None


def test_orphans_go_after_the_grace(cache: BuildCache, source: Path) -> None:
    put(cache, source, "k")
    orphan = cache.content.path(cache.content.put_bytes(b"orphan"))
    report = cache.prune()
    assert report is not None and report.files == 0 and orphan.exists(), "somebody may be about to need it"
    os.utime(orphan, (1, 1))
    report = cache.prune()
    assert report is not None and report.files == 1 and not orphan.exists()


DAMAGE = ["garbage", "truncated", "zeros", "file-for-folder", "no-table", "pickle", "gone", "values"]


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_index_is_set_aside(tmp_path: Path, source: Path, warnings: Warnings, damage: str) -> None:
    directory = tmp_path / "cache"
    with BuildCache(directory, LIMIT) as cache:
        for number in range(50):
            put(cache, source, f"k{number}", bytes([number]))
    database = directory / "index/cache.db"
    data = database.read_bytes()
    if damage == "garbage":
        database.write_bytes(os.urandom(len(data)))
    elif damage == "truncated":
        database.write_bytes(data[: len(data) // 3])
    elif damage == "zeros":
        database.write_bytes(data[:200] + bytes(len(data) - 200))
    elif damage == "file-for-folder":
        shutil.rmtree(directory / "index")
        (directory / "index").write_text("?")
    elif damage == "gone":
        shutil.rmtree(directory / "index")
    else:
        with sqlite3.connect(database) as connection:
            if damage == "no-table":
                connection.execute("drop table Cache")
            elif damage == "pickle":
                import pickle

                class Evil:
                    def __reduce__(self) -> tuple[object, tuple[str]]:
                        return os.mkdir, (str(tmp_path / "pwned"),)

                evil = pickle.dumps(Evil())
                connection.execute("update Cache set mode = 4, value = ?", (evil,))
                connection.execute("insert into Cache (key, raw, mode, value) values (?, 0, 4, ?)", (evil, evil))
            else:
                connection.execute("update Cache set value = '{not json'")
        connection.close()
    for suffix in ("-wal", "-shm"):
        (directory / f"index/cache.db{suffix}").unlink(missing_ok=True) if (directory / "index").is_dir() else None
    with BuildCache(directory, LIMIT, warn=warnings.append) as cache:
        for number in range(50):
            assert cache.lookup(f"k{number}", [GO]) is None or damage in ("truncated", "zeros")
        cache.prune()
        cache.info()
        put(cache, source, "again")
        entry = cache.lookup("again", [GO])
        assert entry is not None and cache.restore(entry, source)
        assert len(list(directory.glob("index.damaged-*"))) <= 1
    assert not (tmp_path / "pwned").exists()
    if damage not in ("gone", "no-table"):  # an empty index is no damage, and diskcache makes missing tables
        assert warnings, "said once"


def exercise(cache: BuildCache, source: Path) -> list[object]:
    """Every public method; returns what they answered."""
    artifact = program(source)
    entry = CacheEntry(
        key="k", component="c", root_id=os.path.realpath(source), created=0, last_used=0, artifacts=(artifact,)
    )
    return [
        cache.lookup("k", [GO]),
        cache.lookup("k"),
        cache.latest_for("c", "r"),
        cache.store("k", component="c", source_root=source, artifacts=[artifact]),
        cache.restore(entry.model_copy(update={"artifacts": (artifact.model_copy(update={"digest": "sha256:" + "0" * 64}),)}), source),
        cache.manifest(entry),
        cache.prune(),
        cache.info(),
        cache.close(),
    ]  # fmt: skip


def test_cache_folder_that_is_a_file(tmp_path: Path, source: Path, warnings: Warnings) -> None:
    (tmp_path / "cache").write_text("")
    answers = exercise(BuildCache(tmp_path / "cache", LIMIT, warn=warnings.append), source)
    assert answers[:6] == [None, None, None, False, None, None]
    assert any("goes on without it" in text for text in warnings)


def test_held_lock_is_a_warning(cache: BuildCache, source: Path, monkeypatch: pytest.MonkeyPatch, warnings: Warnings) -> None:  # fmt: skip
    from flowctl_core.store import cache as module
    from flowctl_core.store.lock import file_lock

    monkeypatch.setattr(module, "_LOCK_WAIT_S", 0.1)
    put(cache, source, "k")
    with file_lock(cache.directory / "lock", what="x", timeout_s=1):
        assert cache.store("k2", component="c", source_root=source, artifacts=[program(source)]) is False
        assert cache.prune() is None
        assert cache.lookup("k") is not None, "reading needs no lock"
    assert len(warnings) == 1 and "in use" in warnings[0]


def test_busy_database_is_a_miss(cache: BuildCache, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from flowctl_core.store import cache_index

    monkeypatch.setattr(cache_index, "_BUSY_TIMEOUT_S", 0.2)
    put(cache, source, "k")
    cache.close()
    other = sqlite3.connect(cache.directory / "index/cache.db", isolation_level=None)
    other.execute("begin exclusive")
    try:
        began = time.monotonic()
        assert cache.store("k2", component="c", source_root=source, artifacts=[program(source)]) is False
        assert time.monotonic() - began < 20
    finally:
        other.execute("rollback")
        other.close()
    assert cache.lookup("k") is not None, "a busy index is not a damaged one"
    assert not list(cache.directory.glob("index.damaged-*"))


def child(code: str, *argv: object, **kwargs: object) -> subprocess.Popen[str]:
    """Another process with this module's names at hand."""
    head = f"""
        import importlib.util, os, random, signal, sys, time
        from pathlib import Path
        spec = importlib.util.spec_from_file_location("t", {__file__!r})
        t = importlib.util.module_from_spec(spec); sys.modules["t"] = t; spec.loader.exec_module(t)
        cache_dir, source = Path(sys.argv[1]), Path(sys.argv[2])
    """
    text = textwrap.dedent(head) + textwrap.dedent(code)
    return subprocess.Popen([sys.executable, "-c", text, *map(str, argv)], text=True, **kwargs)  # type: ignore[call-overload,no-any-return]


@pytest.mark.parametrize("state", ["unreadable", "read-only", "read-only-index", "fresh-read-only"])
def test_permissions(public_folder: Path, state: str) -> None:
    """As a user who may not: a process without root's rights."""
    directory, source = public_folder / "cache", public_folder / "source"
    source.mkdir()
    if state == "fresh-read-only":
        directory.mkdir()
    else:
        with BuildCache(directory, LIMIT) as cache:
            put(cache, source, "k")
    for path in [source, *source.rglob("*")]:
        path.chmod(0o777)
    for path in [directory, *directory.rglob("*")]:
        if state == "read-only-index" and "index" not in path.parts:
            path.chmod(0o777)
        elif state == "unreadable":
            path.chmod(0o700 if os.getuid() == 0 else 0)
        else:
            path.chmod(0o555 if path.is_dir() else 0o444)
    code = """
        import diskcache, json, sqlite3  # the interpreter's own files may be closed to that user
        t.exercise(t.BuildCache(cache_dir.parent / "warm-up", 1 << 30), source.with_name("warm-source"))
        if os.getuid() == 0: os.setgroups([]); os.setgid(65534); os.setuid(65534)
        said = []
        cache = t.BuildCache(cache_dir, 1 << 30, warn=said.append)
        answers = t.exercise(cache, source)
        assert answers[3] is False, answers
        assert said and all("goes on without it" in text for text in said), said
        print("fine")
    """
    process = child(code, directory, source, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    out, error = process.communicate(timeout=60)
    for path in [directory, *directory.rglob("*")]:
        path.chmod(0o755)
    assert out == "fine\n", error


def test_full_disk(tmp_path: Path, source: Path, warnings: Warnings) -> None:
    """A real file system of 2 MiB: first the artifact does not fit, then nothing does."""
    if os.getuid() != 0:
        if os.environ.get("CI"):
            pytest.fail("mounting a small disk needs root")
        pytest.skip("mounting a small disk needs root")
    disk = tmp_path / "disk"
    disk.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", disk], capture_output=True, check=False)
    if done.returncode != 0:
        pytest.skip("no mounts here")
    try:
        with BuildCache(disk / "cache", LIMIT, warn=warnings.append) as cache:
            small = put(cache, source, "small")
            big = [program(source, os.urandom(900_000), name) for name in ("a", "b", "c")]
            assert cache.store("big", component="c", source_root=source, artifacts=big) is False
            assert "No space left" in warnings[0]
            info = cache.info()
            assert info is not None and info.files == 1, "what did not fit left nothing behind"
            assert cache.restore(small, source)
            (disk / "filler").write_bytes(b"")
            with pytest.raises(OSError), open(disk / "filler", "ab", 0) as filler:
                while True:
                    filler.write(bytes(4096))
            exercise(cache, source)
            (disk / "filler").unlink()
            put(cache, source, "afterwards")
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


def test_two_writers_and_a_sweeper_killed_at_random(tmp_path: Path, source: Path) -> None:
    """kill -9 at any moment: what the cache then has is whole, and it goes on working."""
    rng = random.Random(int(os.environ.get("FLOWCTL_FUZZ_SEED", "20260801")))
    rounds = int(os.environ.get("FLOWCTL_KILL_ROUNDS", "12"))
    directory = tmp_path / "cache"
    work = """
        said = []
        cache = t.BuildCache(cache_dir, 60_000, warn=said.append)
        mine = source / f"w{sys.argv[3]}"
        mine.mkdir(exist_ok=True)
        rng = random.Random()
        print("ready", flush=True)
        while True:
            number = rng.randrange(20)
            artifacts = [t.program(mine, bytes([number]) * rng.randrange(1, 9000)), t.environment(mine)]
            cache.store(f"k{number}", component="c", source_root=mine, artifacts=artifacts, manifest={"n": str(number)})
            if rng.random() < 0.3: cache.prune(max_size=rng.choice((0, 20_000, 60_000)), everything=rng.random() < 0.1)
            entry = cache.lookup(f"k{rng.randrange(20)}")
            if entry is not None and cache.restore(entry, mine):
                for a in entry.artifacts: assert t.measure(mine / a.path)[0] == a.digest
            assert not [w for w in said if "goes on without" in w and "locked" not in w.lower()], said
    """
    restored = 0
    for _ in range(rounds):
        workers = [
            child(work, directory, source, name, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for name in range(2)
        ]
        for worker in workers:
            assert worker.stdout is not None and worker.stdout.readline() == "ready\n", worker.communicate()
        time.sleep(rng.uniform(0.05, 0.6))
        for worker in rng.sample(workers, 2):
            worker.send_signal(signal.SIGKILL)
            time.sleep(rng.uniform(0, 0.02))
        for worker in workers:
            _, error = worker.communicate(timeout=30)
            assert worker.returncode == -signal.SIGKILL, error
        said: list[str] = []
        with BuildCache(directory, LIMIT, warn=said.append) as cache:
            for number in range(20):
                entry = cache.lookup(f"k{number}")
                if entry is None:
                    continue
                home = Path(entry.root_id)
                if cache.restore(entry, home) is not None:
                    restored += 1
                    for artifact in entry.artifacts:
                        assert measure(home / artifact.path)[0] == artifact.digest
            for digest, path, _ in cache.content.stored():
                assert measure(path)[0] == digest, "whatever is visible is complete"
            assert said == []
        assert not list(directory.glob("index.damaged-*"))
    assert restored > 0
    with BuildCache(directory, LIMIT) as cache:
        report = cache.prune(everything=True)
        info = cache.info()
        assert report is not None and info is not None and (info.entries, info.files) == (0, 0)
        assert not list(cache.content.temporary_folder.iterdir())
