"""Brings one commit of a git repository that somebody else names: as data, never as commands."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from flowctl_core.errors import SourceError, ToolchainError
from flowctl_core.store.git_commit import git_environment

_ADDRESS = re.compile(r"(https?|ssh|git)://[^\s]+|[A-Za-z0-9_][\w.-]*@[\w.-]+:[^\s]+")
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_TIMEOUT_S = 1800.0
_SAFE = ("-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "-c", "core.symlinks=true")


def check_out(address: str, commit: str, folder: Path) -> None:
    """Fetch the commit with its submodules into a new folder. Raises SourceError, ToolchainError without git.

    Nothing is checked out where there are no submodules: an export reads commits. Only https, http, ssh and git
    addresses: what a stranger's record names must not start programs or read files here.
    """
    if not _ADDRESS.fullmatch(address) or not _COMMIT.fullmatch(commit):
        raise SourceError(f"{address} at {commit} is no address and commit of a git repository")
    _git(None, "init", "--quiet", "--", str(folder))
    _git(folder, "remote", "add", "--", "origin", address)
    try:
        _git(folder, "fetch", "--quiet", "--depth=1", "--no-tags", "--end-of-options", "origin", commit)
    except SourceError:  # not every server gives single commits
        _git(folder, "fetch", "--quiet", "--tags", "--end-of-options", "origin", "+refs/heads/*:refs/remotes/origin/*")
    _git(folder, "update-ref", "--no-deref", "HEAD", commit)
    if _git(folder, "ls-tree", "--end-of-options", commit, ".gitmodules"):
        _git(folder, "checkout", "--quiet", "--detach", "--end-of-options", commit)
        _git(folder, "submodule", "--quiet", "update", "--init", "--recursive")


def _git(folder: Path | None, *arguments: str) -> str:
    where = ("-C", str(folder)) if folder is not None else ()
    environ = git_environment() | {"GIT_ALLOW_PROTOCOL": "https:http:ssh:git"}
    try:
        done = subprocess.run(
            ["git", *_SAFE, *where, *arguments], capture_output=True, timeout=_TIMEOUT_S, check=False, env=environ
        )
    except FileNotFoundError as error:
        raise ToolchainError("git is needed and was not found on PATH", hint="Install git.") from error
    except subprocess.TimeoutExpired as error:
        raise SourceError(f"git {arguments[0]} did not end within {_TIMEOUT_S:.0f} s") from error
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip()
        raise SourceError(f"git {arguments[0]} failed", hint="Can you reach the repository?", output=said)
    return done.stdout.decode(errors="replace")
