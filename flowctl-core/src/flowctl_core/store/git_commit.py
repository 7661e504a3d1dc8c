"""Reads commits of a git repository by git itself: which commit, is the tree clean, what a commit holds.

Content is taken as git stores it (`git cat-file`): no filter, no line-end conversion and no attribute of the machine
has a say, so an export is the same everywhere. Nothing here runs a hook or touches the index.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit, urlunsplit

from flowctl_core.errors import SourceError, ToolchainError

_TIMEOUT_S = 120.0
_SUBMODULE = "160000"


class TreeEntry(NamedTuple):
    """A file of a commit."""

    path: str
    kind: str
    """`file`, `exec` or `symlink`."""
    blob: str
    """Git's name of the content."""
    repository: Path
    """Where `git cat-file` finds it: a submodule has a repository of its own."""


class Commit(NamedTuple):
    """A commit, as a release names it."""

    sha: str
    time: int
    """Committer's time, seconds since 1970."""
    top: Path
    """Top folder of the working tree."""
    prefix: str
    """The folder that was asked about, relative to the top; empty for the top itself."""


def find_commit(folder: Path, revision: str = "HEAD") -> Commit | None:
    """The commit that a folder is at; None outside git, without git, and before the first commit.

    A revision other than HEAD that does not exist raises SourceError.
    """
    try:
        top = _git(folder, "rev-parse", "--show-toplevel", "--show-prefix")
    except (SourceError, ToolchainError):
        return None
    top_folder, prefix = (*top.splitlines(), "")[:2]
    try:
        said = _git(folder, "log", "-1", "--format=%H %ct", "--end-of-options", f"{revision}^{{commit}}", "--")
    except SourceError:
        if revision == "HEAD":
            return None
        raise
    sha, _, seconds = said.strip().partition(" ")
    return Commit(sha, int(seconds), Path(top_folder), prefix.rstrip("/"))


def is_dirty(folder: Path) -> tuple[str, ...]:
    """Changes below the folder that are in no commit, as `git status --porcelain` spells them."""
    return tuple(_git(folder, "status", "--porcelain", "--untracked-files=all", "--", ".").splitlines())


def remote_address(folder: Path) -> str | None:
    """Address of `origin`, without user and password; None when there is none, or it is a path of this machine."""
    try:
        address = _git(folder, "config", "--get", "remote.origin.url").strip()
    except SourceError:
        return None
    if "://" not in address:  # scp form, or a local path
        return address if re.match(r"[\w.-]+@[\w.-]+:", address) else None
    parts = urlsplit(address)
    if parts.scheme == "file":
        return None
    host = parts.hostname or ""
    return urlunsplit((parts.scheme, f"{host}:{parts.port}" if parts.port else host, parts.path, "", ""))


def list_commit(commit: Commit) -> list[TreeEntry]:
    """All files of the commit below its prefix, submodules included. Raises SourceError.

    A submodule that is not checked out cannot be exported: its commit is elsewhere.
    """
    tree = f"{commit.sha}:{commit.prefix}" if commit.prefix else commit.sha
    where = commit.top / commit.prefix
    return sorted(_list_tree(commit.top, tree, where, ""))


def _list_tree(repository: Path, tree: str, checkout: Path, prefix: str) -> Iterator[TreeEntry]:
    listing = _git_bytes(repository, "ls-tree", "-r", "-z", "--full-tree", "--end-of-options", tree)
    for line in listing.split(b"\0"):
        if not line:
            continue
        described, _, name = line.partition(b"\t")
        mode, _, blob = described.decode().split(" ")
        path = os.fsdecode(name)
        if mode == _SUBMODULE:
            yield from _submodule(checkout / path, blob, f"{prefix}{path}")
        else:
            kind = "symlink" if mode == "120000" else "exec" if mode == "100755" else "file"
            yield TreeEntry(f"{prefix}{path}", kind, blob, repository)


def _submodule(checkout: Path, sha: str, path: str) -> Iterator[TreeEntry]:
    try:
        if not (checkout / ".git").exists():
            raise SourceError("not checked out")
        yield from _list_tree(checkout, sha, checkout, f"{path}/")
    except SourceError as error:
        raise SourceError(
            f"the submodule {path} at {sha[:12]} is not here",
            hint="Run: git submodule update --init --recursive",
            output=error.output,
        ) from error


class BlobReader:
    """Reads blobs by one `git cat-file --batch` for each repository; a context manager."""

    def __init__(self) -> None:
        self._processes: dict[Path, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> BlobReader:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes.values():
            process.kill()
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    stream.close()
            process.wait()

    def read(self, entry: TreeEntry) -> bytes:
        """The content. Raises SourceError when the repository lacks it (a partial clone)."""
        process = self._process(entry.repository)
        if process.stdin is None or process.stdout is None:
            raise SourceError("git cat-file has no streams")
        process.stdin.write(f"{entry.blob}\n".encode())
        process.stdin.flush()
        answer = process.stdout.readline().split()
        if len(answer) != 3 or answer[1] != b"blob":
            raise SourceError(
                f"{entry.path} of the commit is not in the repository",
                hint="Is this a partial or shallow clone? Fetch it whole: git fetch --refetch",
            )
        size = int(answer[2])
        content = process.stdout.read(size + 1)
        return content[:size]

    def _process(self, repository: Path) -> subprocess.Popen[bytes]:
        if repository not in self._processes:
            self._processes[repository] = subprocess.Popen(
                ["git", *_SAFE, "-C", str(repository), "cat-file", "--batch"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=git_environment(),
            )
        return self._processes[repository]


_SAFE = (
    "--no-optional-locks",
    "-c",
    "core.fsmonitor=false",
    "-c",
    "core.quotePath=false",
    "-c",
    "core.hooksPath=/dev/null",
)


def git_environment() -> dict[str, str]:
    """Ours for git: in English, without questions, about the repository that is named."""
    ours = {"LC_ALL": "C.UTF-8", "GIT_TERMINAL_PROMPT": "0", "GIT_NO_LAZY_FETCH": "1"}
    # A caller's GIT_DIR (a git hook sets one) would make git answer for another repository.
    return {k: v for k, v in os.environ.items() if k not in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE")} | ours


def _git(folder: Path, *arguments: str) -> str:
    return os.fsdecode(_git_bytes(folder, *arguments))


def _git_bytes(folder: Path, *arguments: str) -> bytes:
    try:
        done = subprocess.run(
            ["git", *_SAFE, "-C", str(folder), *arguments],
            capture_output=True,
            timeout=_TIMEOUT_S,
            check=False,
            env=git_environment(),
        )
    except FileNotFoundError as error:
        raise ToolchainError("git is needed and was not found on PATH", hint="Install git.") from error
    except subprocess.TimeoutExpired as error:
        raise SourceError(f"git {arguments[0]} did not end within {_TIMEOUT_S:.0f} s") from error
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip()
        raise SourceError(f"git {arguments[0]} failed in {folder}", output=said)
    return done.stdout
