"""The export of a source: exactly its files, incrementally, through no link, and the same from a tree and a commit."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from flowctl_core.errors import SourceError
from flowctl_core.store.export import export_commit, export_working_tree
from flowctl_core.store.git_commit import find_commit, is_dirty, remote_address


def git(root: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(root), "-c", "user.name=n", "-c", "user.email=n@example.org", "-c", "protocol.file.allow=always",
         *arguments],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.strip()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "name with spaces ü"
    (root / "deep" / "er").mkdir(parents=True)
    (root / "a.txt").write_text("a")
    (root / "run.sh").write_text("#!/bin/sh\n")
    (root / "run.sh").chmod(0o755)
    (root / "deep" / "er" / "ñandú.txt").write_bytes(b"crlf\r\n")
    (root / "link").symlink_to("deep/er")
    (root / ".gitattributes").write_text("*.txt text eol=lf\na.txt export-ignore\n")
    (root / ".gitignore").write_text("ignored/\n")
    (root / "ignored").mkdir()
    (root / "ignored" / "secret").write_text("key")
    git(root, "init", "--quiet")
    git(root, "config", "core.autocrlf", "true")
    git(root, "-c", "core.autocrlf=false", "add", "--all")
    git(root, "commit", "--quiet", "--message", "one")
    return root


def _listing(folder: Path) -> dict[str, object]:
    found: dict[str, object] = {}
    for here, folders, names in os.walk(folder):
        for name in [*names, *(f for f in folders if (Path(here) / f).is_symlink())]:
            path = Path(here) / name
            relative = path.relative_to(folder).as_posix()
            found[relative] = (
                os.readlink(path) if path.is_symlink() else (path.read_bytes(), path.stat().st_mode & 0o777)
            )
    return found


def test_a_tree_without_what_git_ignores(root: Path, tmp_path: Path) -> None:
    target = tmp_path / "out" / "source"
    exported = export_working_tree(root, target, ())
    listing = _listing(target)
    assert set(listing) == {"a.txt", "run.sh", "deep/er/ñandú.txt", "link", ".gitattributes", ".gitignore"}
    assert listing["run.sh"] == (b"#!/bin/sh\n", 0o755) and listing["a.txt"] == (b"a", 0o644)
    assert listing["link"] == "deep/er"
    assert exported.files == 6


def test_a_commit_is_exported_as_git_stores_it(root: Path, tmp_path: Path) -> None:
    commit = find_commit(root)
    assert commit is not None
    target = tmp_path / "out" / "source"
    exported = export_commit(commit, target, ())
    assert "a.txt" in _listing(target)  # export-ignore is for archives
    stored = subprocess.run(["git", "-C", str(root), "show", "HEAD:deep/er/ñandú.txt"], capture_output=True, check=True)
    assert (target / "deep/er/ñandú.txt").read_bytes() == stored.stdout
    (root / "deep/er/ñandú.txt").write_bytes(stored.stdout)
    assert exported.tree_digest == export_working_tree(root, tmp_path / "other" / "source", ()).tree_digest


def test_only_what_changed_is_written_again(root: Path, tmp_path: Path) -> None:
    target = tmp_path / "out" / "source"
    first = export_working_tree(root, target, ())
    before = {path: path.stat().st_mtime_ns for path in target.rglob("*.txt")}
    (root / "a.txt").write_text("b")
    second = export_working_tree(root, target, ())
    changed = {path.name for path in before if path.stat().st_mtime_ns != before[path]}
    assert changed == {"a.txt"} and first.tree_digest != second.tree_digest


def test_what_a_build_did_in_the_export_is_undone(root: Path, tmp_path: Path) -> None:
    target = tmp_path / "out" / "source"
    first = export_working_tree(root, target, ("kept", "deep/kept"))
    for path in ("made.o", "deep/made.o", "kept/dependency", "deep/kept/dependency", "new/x"):
        (target / path).parent.mkdir(exist_ok=True)
        (target / path).write_text("made")
    (target / "a.txt").write_text("overwritten")
    (target / "run.sh").unlink()
    (target / "link").unlink()
    (target / "link").mkdir()
    second = export_working_tree(root, target, ("kept", "deep/kept"))
    assert first == second
    assert {"kept/dependency", "deep/kept/dependency"} <= _listing(target).keys()
    assert len(_listing(target)) == 8 and (target / "a.txt").read_text() == "a"


def test_nothing_is_written_through_a_link_in_the_export(root: Path, tmp_path: Path) -> None:
    target, outside = tmp_path / "out" / "source", tmp_path / "outside"
    export_working_tree(root, target, ())
    outside.mkdir()
    import shutil

    shutil.rmtree(target / "deep")
    (target / "deep").symlink_to(outside)
    export_working_tree(root, target, ())
    assert list(outside.iterdir()) == [] and (target / "deep/er/ñandú.txt").is_file()


def test_a_file_that_became_a_folder(root: Path, tmp_path: Path) -> None:
    target = tmp_path / "out" / "source"
    export_working_tree(root, target, ())
    (root / "a.txt").unlink()
    (root / "a.txt").mkdir()
    (root / "a.txt" / "inner").write_text("x")
    export_working_tree(root, target, ())
    assert (target / "a.txt" / "inner").read_text() == "x"


def test_a_damaged_note_of_the_last_export_costs_only_time(root: Path, tmp_path: Path) -> None:
    target = tmp_path / "out" / "source"
    first = export_working_tree(root, target, ())
    (tmp_path / "out" / "export.json").write_text("{broken")
    assert export_working_tree(root, target, ()) == first


def test_submodules_are_pinned(root: Path, tmp_path: Path) -> None:
    library = tmp_path / "library"
    library.mkdir()
    (library / "lib.txt").write_text("one")
    git(library, "init", "--quiet")
    git(library, "add", "--all")
    git(library, "commit", "--quiet", "--message", "lib")
    git(root, "submodule", "--quiet", "add", str(library), "vendor/lib")
    git(root, "commit", "--quiet", "--message", "with library")
    (root / "vendor/lib/lib.txt").write_text("edited")
    commit = find_commit(root)
    assert commit is not None
    target = tmp_path / "out" / "source"
    export_commit(commit, target, ())
    assert (target / "vendor/lib/lib.txt").read_text() == "one"
    git(root, "submodule", "--quiet", "deinit", "--force", "vendor/lib")
    with pytest.raises(SourceError, match="the submodule vendor/lib at") as caught:
        export_commit(commit, tmp_path / "again" / "source", ())
    assert caught.value.hint == "Run: git submodule update --init --recursive"


def test_a_hostile_tree_leads_nowhere(root: Path, tmp_path: Path) -> None:
    blob = git(root, "rev-parse", "HEAD:a.txt")
    done = subprocess.run(
        ["git", "-C", str(root), "mktree"],
        input=f"100644 blob {blob}\t..\n",
        capture_output=True,
        text=True,
        check=True,
    )
    sha = git(root, "commit-tree", "-m", "evil", done.stdout.strip())
    commit = find_commit(root, sha)
    assert commit is not None
    with pytest.raises(SourceError, match="leads outside"):
        export_commit(commit, tmp_path / "out" / "source", ())


def test_a_symlink_loop_is_a_link_like_any_other(root: Path, tmp_path: Path) -> None:
    (root / "loop").symlink_to("loop")
    export_working_tree(root, tmp_path / "out" / "source", ())
    assert os.readlink(tmp_path / "out" / "source" / "loop") == "loop"


def test_a_git_dir_of_the_caller_is_not_believed(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "other-repository"
    other.mkdir()
    git(other, "init", "--quiet")
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    commit = find_commit(root)
    assert commit is not None and commit.top == root.resolve()


def test_what_is_in_no_commit_is_named(root: Path) -> None:
    assert is_dirty(root) == ()
    (root / "ünew.txt").write_text("new")
    (root / "a.txt").write_text("changed")
    assert is_dirty(root) == (" M a.txt", "?? ünew.txt")


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("https://ann:token@example.org/x.git", "https://example.org/x.git"),
        ("https://example.org:8443/x.git?a=b", "https://example.org:8443/x.git"),
        ("git@example.org:team/x.git", "git@example.org:team/x.git"),
        ("/srv/git/x.git", None),
        ("file:///srv/git/x.git", None),
    ],
)
def test_a_remote_is_told_without_secrets_and_places_of_this_machine(
    root: Path, address: str, shown: str | None
) -> None:
    assert remote_address(root) is None
    git(root, "remote", "add", "origin", address)
    assert remote_address(root) == shown
