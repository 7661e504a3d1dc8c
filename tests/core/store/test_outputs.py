"""Outputs appear by atomic rename, the link never hides a file of the source, clean removes only what is ours."""

import os
import stat
from pathlib import Path

import pytest

from flowctl_core.errors import BuildError
from flowctl_core.models import Artifact, Platform
from flowctl_core.store import outputs as place
from flowctl_core.store.files import make_state_dir


def staged(root: Path, name: str, text: str = "#!/bin/sh\n") -> tuple[Path, Artifact]:
    staging = place.new_staging(make_state_dir(root))
    (staging / name).write_text(text)
    return staging, Artifact(path=(staging / name).relative_to(root).as_posix(), platform=Platform.host())


def test_a_program_lands_in_bin_and_is_executable(tmp_path: Path) -> None:
    staging, artifact = staged(tmp_path, "tool")
    [placed] = place.place(tmp_path, staging, [artifact])
    assert placed.path == ".flowctl/bin/tool"
    assert (tmp_path / placed.path).stat().st_mode & stat.S_IXUSR
    assert not staging.exists()


def test_state_keeps_itself_out_of_git(tmp_path: Path) -> None:
    assert (make_state_dir(tmp_path) / ".gitignore").read_text() == "*\n"


def test_programs_of_an_earlier_name_are_removed(tmp_path: Path) -> None:
    for name in ("old", "new"):
        staging, artifact = staged(tmp_path, name)
        place.place(tmp_path, staging, [artifact])
    assert [path.name for path in (tmp_path / place.BIN).iterdir()] == ["new"]


def test_a_reported_artifact_must_exist(tmp_path: Path) -> None:
    staging = place.new_staging(make_state_dir(tmp_path))
    with pytest.raises(BuildError, match=r"ghost, which does not exist"):
        place.place(tmp_path, staging, [Artifact(path="ghost", platform=Platform.host())])


def test_what_an_interrupted_build_left_is_swept(tmp_path: Path) -> None:
    state = make_state_dir(tmp_path)
    left = place.new_staging(state)
    (left / "half").write_text("x")
    place.new_staging(state)
    assert not left.exists()


def test_the_link_leads_to_the_program_and_follows_a_rename(tmp_path: Path) -> None:
    staging, artifact = staged(tmp_path, "tool")
    place.place(tmp_path, staging, [artifact])
    assert place.link_program(tmp_path, "tool") is None
    assert os.readlink(tmp_path / "tool") == ".flowctl/bin/tool"
    assert place.link_program(tmp_path, "tool") is None


@pytest.mark.parametrize("make", [Path.mkdir, Path.touch, lambda path: path.symlink_to("elsewhere")])
def test_the_link_never_takes_a_name_of_the_source(tmp_path: Path, make) -> None:
    make(tmp_path / "tool")
    before = os.lstat(tmp_path / "tool")
    staging, artifact = staged(tmp_path, "tool")
    place.place(tmp_path, staging, [artifact])
    assert "only at .flowctl/bin/tool" in (place.link_program(tmp_path, "tool") or "")
    assert os.lstat(tmp_path / "tool").st_ino == before.st_ino


def test_clean_removes_state_and_our_link_and_nothing_else(tmp_path: Path) -> None:
    staging, artifact = staged(tmp_path, "tool")
    place.place(tmp_path, staging, [artifact])
    place.link_program(tmp_path, "tool")
    (tmp_path / "main.go").write_text("package main")
    read_only = tmp_path / ".flowctl" / "work" / "cache"
    read_only.mkdir(parents=True)
    (read_only / "file").write_text("x")
    read_only.chmod(0o500)
    assert place.remove_outputs(tmp_path) == ["tool", ".flowctl"]
    assert [path.name for path in tmp_path.iterdir()] == ["main.go"]


def test_clean_leaves_a_file_that_only_has_the_name(tmp_path: Path) -> None:
    (tmp_path / "tool").write_text("mine")
    assert place.remove_outputs(tmp_path) == []
    assert (tmp_path / "tool").read_text() == "mine"


def test_a_state_folder_that_is_a_link_elsewhere_is_only_unlinked(tmp_path: Path) -> None:
    elsewhere, root = tmp_path / "precious", tmp_path / "component"
    elsewhere.mkdir(), root.mkdir()
    (elsewhere / "data").write_text("keep")
    (root / ".flowctl").symlink_to(elsewhere)
    place.remove_outputs(root)
    assert (elsewhere / "data").read_text() == "keep"
