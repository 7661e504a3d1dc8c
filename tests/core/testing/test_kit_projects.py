"""Projects from dicts and folders, git commits, snapshots."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from flowctl_core.testing import commit_all, write_project
from flowctl_core.testing.projects import Snapshot


def test_a_dict_of_files_becomes_a_folder(tmp_path: Path):
    files = {"a/ü b.txt": "text\r\n", "run.sh": "#!/bin/sh\n", "data": b"\x00\xff"}
    root = write_project(tmp_path / "p", files, {"a/ü b.txt": "changed", "data": None})
    assert (root / "a/ü b.txt").read_bytes() == b"changed"
    assert os.access(root / "run.sh", os.X_OK) and not (root / "data").exists()


def test_a_folder_is_copied_without_its_outputs(tmp_path: Path):
    original = write_project(tmp_path / "o", {"x": "1", ".flowctl/bin/x": "built"})
    (original / "link").symlink_to("x")
    copy = write_project(tmp_path / "c", original)
    assert (copy / "link").is_symlink() and (copy / "x").read_text() == "1" and not (copy / ".flowctl").exists()


@pytest.mark.parametrize("name", ["../out", "/abs", "a/../../b", ""])
def test_a_path_that_leads_outside_is_refused(tmp_path: Path, name: str):
    with pytest.raises(ValueError, match="not a path inside"):
        write_project(tmp_path / "p", {name: "x"})


def test_commit_all_ignores_the_users_git_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    hostile = tmp_path / "gitconfig"
    hostile.write_text("[commit]\n\tgpgsign = true\n[user]\n\tname = me\n[core]\n\thooksPath = /nonexistent\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(hostile))
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    root = write_project(tmp_path / "p", {"a": "1"})
    first = commit_all(root)
    (root / "b").write_text("2")
    second = commit_all(root, "more")
    monkeypatch.delenv("GIT_DIR")
    log = subprocess.run(["git", "log", "--format=%H %s"], cwd=root, capture_output=True, text=True, check=True).stdout
    assert log.split("\n")[:2] == [f"{second} more", f"{first} Start"]


def test_a_snapshot_sees_content_mode_kind_and_names(tmp_path: Path):
    root = write_project(tmp_path / "p", {"same": "1", "edited": "1", "gone": "1", "mode": "1", "out/x": "1"})
    before = Snapshot.take(root, without=["out"])
    (root / "edited").write_text("2")
    (root / "gone").unlink()
    (root / "mode").chmod(0o700)
    (root / "new").symlink_to("same")
    (root / "out" / "y").write_text("1")
    after = Snapshot.take(root, without=["out"])
    assert before.changes_to(after) == ["changed edited", "removed gone", "changed mode", "added new"]
    assert before.changes_to(before) == []
