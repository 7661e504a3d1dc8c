"""What is checked of a repository before a version is pushed, and what a push leaves."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from flowctl_core.errors import SourceError
from flowctl_core.publish.addresses import fetched_from
from flowctl_core.publish.repository import check_out_of, missing_at_remote, push


def git(folder: Path, *arguments: str) -> str:
    ours = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
    names = {f"GIT_{who}_{what}": "a@example.test" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments], env={**os.environ, **ours, **names}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def commit(folder: Path, text: str) -> str:
    (folder / "part").mkdir(exist_ok=True)
    (folder / "part" / "file").write_text(text)
    git(folder, "add", ".")
    git(folder, "commit", "-qm", text)
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture
def remote(tmp_path: Path) -> Path:
    bare = tmp_path / "remote.git"
    bare.mkdir()
    git(bare, "init", "-q", "--bare", "-b", "main")
    return bare


@pytest.fixture
def work(tmp_path: Path, remote: Path) -> Path:
    folder = tmp_path / "wörk"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    commit(folder, "one")
    git(folder, "remote", "add", "origin", str(remote))
    return folder


def test_commit_and_tag_are_pushed_once(work: Path, remote: Path) -> None:
    checkout = check_out_of(work / "part")
    assert (checkout.branch, checkout.remote, checkout.commit.prefix) == ("main", "origin", "part")
    missing = missing_at_remote(checkout, "v1.0.0")
    assert missing.names == ("main", "v1.0.0") and git(work, "tag") == ""
    push(checkout, missing)
    assert git(remote, "rev-parse", "main", "v1.0.0").split() == [checkout.commit.sha] * 2
    assert git(work, "rev-parse", "v1.0.0") == checkout.commit.sha
    assert missing_at_remote(checkout, "v1.0.0").names == ()
    assert missing_at_remote(checkout, "v1.0.1").names == ("v1.0.1",)


def test_an_annotated_tag_goes_as_it_is(work: Path, remote: Path) -> None:
    git(work, "tag", "-a", "-m", "one", "v1.0.0")
    checkout = check_out_of(work)
    push(checkout, missing_at_remote(checkout, "v1.0.0"))
    assert git(remote, "cat-file", "-t", "v1.0.0") == "tag"
    assert missing_at_remote(checkout, "v1.0.0").names == ()


def test_a_detached_head_pushes_its_tag_alone(work: Path, remote: Path) -> None:
    git(work, "checkout", "-q", "--detach")
    checkout = check_out_of(work)
    missing = missing_at_remote(checkout, "v1.0.0")
    assert missing.names == ("v1.0.0",)
    push(checkout, missing)
    assert git(remote, "for-each-ref", "--format=%(refname)") == "refs/tags/v1.0.0"


def test_a_tag_elsewhere_is_told(work: Path, remote: Path) -> None:
    first = check_out_of(work)
    push(first, missing_at_remote(first, "v1.0.0"))
    commit(work, "two")
    with pytest.raises(SourceError, match=f"the tag v1.0.0 is at {first.commit.sha[:12]} here"):
        missing_at_remote(check_out_of(work), "v1.0.0")
    git(work, "tag", "-d", "v1.0.0")
    with pytest.raises(SourceError, match=f"the tag v1.0.0 is at {first.commit.sha[:12]} at origin"):
        missing_at_remote(check_out_of(work), "v1.0.0")


def test_a_branch_that_went_on_without_us_is_told(work: Path, remote: Path, tmp_path: Path) -> None:
    git(work, "push", "-q", "origin", "main")
    other = tmp_path / "other"
    git(tmp_path, "clone", "-q", str(remote), str(other))
    theirs = commit(other, "theirs")
    git(other, "push", "-q", "origin", "main")
    commit(work, "ours")
    with pytest.raises(SourceError, match="main at origin has commits that are not here") as caught:
        missing_at_remote(check_out_of(work), "v1.0.0")
    assert caught.value.hint is not None and "git pull origin main" in caught.value.hint
    git(work, "fetch", "-q")
    git(work, "reset", "-q", "--hard", "HEAD^")
    assert missing_at_remote(check_out_of(work), "v1.0.0").names == ("v1.0.0",)  # an older commit is there already
    assert git(remote, "rev-parse", "main") == theirs


def test_what_the_remote_refuses_is_refused_whole(work: Path, remote: Path) -> None:
    hook = remote / "hooks" / "update"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text('#!/bin/sh\ncase "$1" in refs/tags/*) echo "no tags today" >&2; exit 1;; esac\n')
    hook.chmod(0o755)
    checkout = check_out_of(work)
    with pytest.raises(SourceError, match="git push failed") as caught:
        push(checkout, missing_at_remote(checkout, "v1.0.0"))
    assert "no tags today" in (caught.value.output or "")
    assert git(remote, "for-each-ref") == "" and git(work, "tag") == ""


def test_what_cannot_be_published_is_told(work: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    with pytest.raises(SourceError, match="is not in a git repository with a commit"):
        check_out_of(outside)
    (work / "elsewhere").write_text("no part of the component")
    check_out_of(work / "part")
    (work / "part" / "new").write_text("")
    with pytest.raises(SourceError, match="has changes that are in no commit") as caught:
        check_out_of(work / "part")
    assert "part/new" in (caught.value.output or "")
    git(work, "add", ".")
    git(work, "commit", "-qm", "all")
    with pytest.raises(SourceError, match="has no remote upstream"):
        check_out_of(work, "upstream")
    git(work, "remote", "rename", "origin", "upstream")
    assert check_out_of(work).remote == "upstream"
    git(work, "remote", "add", "fork", "https://git.example/fork.git")
    with pytest.raises(SourceError, match="several remotes: fork, upstream"):
        check_out_of(work)
    git(work, "config", "branch.main.remote", "fork")
    assert check_out_of(work).remote == "fork"
    git(work, "remote", "remove", "fork")
    git(work, "remote", "remove", "upstream")
    with pytest.raises(SourceError, match="has no remote, and a registry fetches from one"):
        check_out_of(work)


@pytest.mark.parametrize(
    ("address", "found"),
    [
        ("git@github.com:acme/greeting.git", "https://github.com/acme/greeting.git"),
        ("ssh://git@git.example:2222/acme/greeting", "https://git.example/acme/greeting"),
        ("https://me:secret@git.example:8443/a/b.git", "https://git.example:8443/a/b.git"),
        ("http://127.0.0.1:9/a.git", "http://127.0.0.1:9/a.git"),
        ("git://git.example/a", "https://git.example/a"),
    ],
)
def test_the_registry_fetches_by_https(address: str, found: str) -> None:
    assert fetched_from(address, "origin") == found


@pytest.mark.parametrize("address", ["/srv/a.git", "../a", "file:///srv/a", "C:/a", "ext::sh -c id", "ftp://u:pw@h/a"])
def test_what_only_this_machine_reaches_is_refused(address: str) -> None:
    with pytest.raises(SourceError, match="the registry cannot fetch from there") as caught:
        fetched_from(address, "origin")
    assert "pw" not in caught.value.message
