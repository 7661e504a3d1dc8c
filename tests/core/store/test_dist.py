"""`dist/` holds the old release or the new one at every moment."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from flowctl_core.errors import StoreError
from flowctl_core.store import dist


def _release(folder: Path, text: str) -> Path:
    made = dist.new_release_folder(folder)
    (made / "metadata").mkdir()
    (made / "metadata" / "build-info.json").write_text(text)
    (made / "binaries").mkdir()
    for number in range(20):
        (made / "binaries" / str(number)).write_text(text)
    return made


def _state(folder: Path) -> str:
    """The text that all files of a release share."""
    texts = {path.read_text() for path in folder.rglob("*") if path.is_file() and path.name != ".gitignore"}
    assert len(texts) == 1 and len(list((folder / "binaries").iterdir())) == 20
    return texts.pop()


def test_a_new_release_takes_the_old_ones_place(tmp_path: Path) -> None:
    target = tmp_path / "dist"
    for text in ("one", "two"):
        dist.place_release(_release(target, text), target)
        assert _state(target) == text
    assert [path.name for path in tmp_path.iterdir()] == ["dist"]


def test_where_names_cannot_be_exchanged_the_old_one_is_moved_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dist, "_exchange", lambda one, other: False)
    target = tmp_path / "dist"
    for text in ("one", "two"):
        dist.place_release(_release(target, text), target)
    assert _state(target) == "two"
    assert [path.name for path in tmp_path.iterdir()] == ["dist"]


def test_a_release_keeps_itself_out_of_git(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    dist.place_release(_release(tmp_path / "dist", "one"), tmp_path / "dist")
    done = subprocess.run(["git", "status", "--porcelain"], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout == ""


def test_something_else_in_the_place_is_never_replaced(tmp_path: Path) -> None:
    target = tmp_path / "dist"
    made = _release(target, "one")
    target.mkdir()
    (target / "mine").write_text("mine")
    with pytest.raises(StoreError, match="something else"):
        dist.place_release(made, target)
    assert (target / "mine").read_text() == "mine"


def test_leftovers_of_dead_processes_are_removed_and_those_of_living_ones_stay(tmp_path: Path) -> None:
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    dead, alive = tmp_path / f".dist.{done.pid}-00.tmp", tmp_path / f".dist.{os.getppid()}-00.tmp"
    for folder in (dead, alive):
        folder.mkdir()
        (folder / "x").write_text("x")
    made = dist.new_release_folder(tmp_path / "dist")
    assert not dead.exists() and alive.exists() and made.exists()


@pytest.mark.parametrize("name", ["file", "link"])
def test_a_file_or_a_link_called_dist_is_left_alone(tmp_path: Path, name: str) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    if name == "file":
        (tmp_path / "dist").write_text("mine")
    else:
        (tmp_path / "dist").symlink_to(elsewhere)
    assert dist.choose_dist(tmp_path, None, (), frozenset()) == tmp_path / ".flowctl" / "dist"


REPLACE = """
import sys
from pathlib import Path
sys.path[:0] = {path!r}
from flowctl_core.store import dist
target = Path({target!r})
number = 0
while True:
    number += 1
    made = dist.new_release_folder(target)
    (made / "metadata").mkdir()
    (made / "binaries").mkdir()
    for name in ("metadata/build-info.json", *(f"binaries/{{n}}" for n in range(20))):
        (made / name).write_text(str(number))
    dist.place_release(made, target)
    print(number, flush=True)
"""


def test_kill_9_leaves_a_whole_release(tmp_path: Path) -> None:
    target = tmp_path / "dist"
    code = REPLACE.format(path=sys.path, target=str(target))
    for round_ in range(12):
        with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None and process.stdout.readline()
            deadline = time.monotonic() + 0.01 * round_
            while time.monotonic() < deadline:
                assert target.is_dir()
            process.send_signal(signal.SIGKILL)
        _state(target)
    dist.place_release(_release(target, "end"), target)
    assert _state(target) == "end" and [path.name for path in tmp_path.iterdir()] == ["dist"]
