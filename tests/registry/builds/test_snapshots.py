"""What steps leave for the next ones: packed and unpacked in the sandbox."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.conftest import unavailable

from flowctl_registry.builds.run_folders import new_run, sweep_runs
from flowctl_registry.builds.snapshots import Snapshots
from flowctl_registry.database import migrate
from flowctl_registry.database.engine import open_engine
from flowctl_registry.errors import SandboxError
from flowctl_registry.sandbox.choose import choose
from flowctl_registry.services import Services
from flowctl_registry.settings import Settings


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    (tmp_path / "data").mkdir()
    settings = Settings.model_validate({"data": tmp_path / "data"})
    engine = open_engine(settings.database)
    migrate.upgrade(engine)
    engine.dispose()
    opened = Services.open(settings)
    yield opened
    opened.close()


def test_a_tree_comes_back_without_what_tools_make_anew(services: Services, tmp_path: Path) -> None:
    try:
        snapshots = Snapshots(services, choose(services.settings.sandbox))
    except SandboxError as error:
        unavailable(f"a sandbox: {error.message}")
    (tree := tmp_path / "tree").mkdir()
    files = ("cache/go-mod/cache/download/x.org/a.zip", "cache/go-mod/x.org/a/a.go", "cache/go-build/00", "a b/*.go")
    for name in files:
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(name)
    (tree / "a b/link").symlink_to("/etc/passwd")
    without = ("cache/go-build", "cache/go-mod/*.*")
    digest = snapshots.take("b1", tree, ["cache", "a b", "none"], threading.Event(), without)
    (other := tmp_path / "other").mkdir()
    snapshots.restore(other, digest, threading.Event())
    found = {
        path.relative_to(other).as_posix() for path in other.rglob("*") if path.is_file() and not path.is_symlink()
    }
    assert found == {files[0], files[3]}
    assert (other / "a b/link").is_symlink()
    assert list((tmp_path / "data" / "runs").iterdir()) == []


def test_what_a_killed_worker_left_is_removed_and_what_others_use_is_kept(tmp_path: Path) -> None:
    mine = new_run(tmp_path)
    left = mine.with_name(f"{mine.name.partition('-')[0]}-1-1-abc")
    other = mine.with_name("00000000-1-1-abc")  # of a container that shares the folder: its processes are not seen here
    for folder in (left, other):
        (folder / "scratch").mkdir(parents=True)
    sweep_runs(tmp_path)
    assert mine.is_dir() and other.is_dir() and not left.exists()
