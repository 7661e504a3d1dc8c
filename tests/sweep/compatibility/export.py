"""Copies a tree out of a bare git directory, as a git repository of its own."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

IDENTITY = ("-c", "user.name=compatibility", "-c", "user.email=compatibility@invalid", "-c", "commit.gpgsign=false")


def git_dir(trees: Path, repository: str) -> Path:
    """Where a repository's bare git directory is expected."""
    return trees / repository.replace("/", "+") / "repo"


def missing_files(repository: Path, commit: str) -> list[str]:
    """Paths whose content the git directory does not have (snapshots leave big files out)."""
    listed = git(repository, "ls-tree", "-r", "--format=%(objectname) %(path)", commit).splitlines()
    objects = "".join(f"{line.split(' ', 1)[0]}\n" for line in listed if not line.startswith("0000"))
    checked = git(repository, "cat-file", "--batch-check", stdin=objects)
    gone = {line.split()[0] for line in checked.splitlines() if line.endswith(" missing")}
    return [path for name, path in (line.split(" ", 1) for line in listed) if name in gone]


def export(repository: Path, commit: str, target: Path, added: Mapping[str, str]) -> None:
    """Write the commit's files, those added to them, and commit all of it in a fresh repository."""
    target.mkdir(parents=True)
    excluded = [f":(exclude,literal){path}" for path in missing_files(repository, commit)]
    archive = subprocess.Popen(
        ["git", "-C", str(repository), "archive", commit, "--", ".", *excluded], stdout=subprocess.PIPE
    )
    subprocess.run(["tar", "-x", "-C", str(target)], stdin=archive.stdout, check=True)
    if archive.wait():
        raise subprocess.CalledProcessError(archive.returncode, "git archive")
    for name, content in added.items():
        (target / name).write_text(content, encoding="utf-8")
    git(target, "init", "--quiet")
    git(target, "add", "--all", "--force")
    git(target, *IDENTITY, "commit", "--quiet", "--message", "as published")


def status(tree: Path) -> list[str]:
    """What differs from the commit, ignored files included."""
    return git(tree, "status", "--porcelain", "--ignored").splitlines()


def git(folder: Path, *arguments: str, stdin: str = "") -> str:
    """Run git and return its output; CalledProcessError when it fails."""
    argv = ["git", "-C", str(folder), *arguments]
    return subprocess.run(argv, input=stdin, capture_output=True, text=True, check=True).stdout
