"""The user's own git repository: what is at its remote, and the push of a commit with its tag."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from flowctl_core.errors import SourceError, ToolchainError
from flowctl_core.store.git_commit import Commit, find_commit, git_environment, is_dirty

_TIMEOUT_S = 900.0
_SHOWN = 10


@dataclass(frozen=True)
class Checkout:
    """A clean working tree at a commit, with a remote."""

    folder: Path
    commit: Commit
    branch: str | None
    """None: HEAD is detached."""
    remote: str
    address: str
    """Of the remote, as git has it."""


@dataclass(frozen=True)
class Missing:
    """What the remote does not have."""

    branch: str | None
    tag: str | None
    at: str = ""
    """Name of the tag's own object here, where it has one."""

    @property
    def names(self) -> tuple[str, ...]:
        """For people."""
        return tuple(name for name in (self.branch, self.tag) if name is not None)


def check_out_of(folder: Path, remote: str | None = None) -> Checkout:
    """The checkout that a component is in. Raises SourceError when it is none, dirty, or without a remote."""
    commit = find_commit(folder)
    if commit is None:
        raise SourceError(
            f"{folder} is not in a git repository with a commit",
            hint="A registry builds a commit: git init, git add, git commit, and push it somewhere.",
        )
    changes = is_dirty(folder)
    if changes:
        more = f"\n   and {len(changes) - _SHOWN} more" if len(changes) > _SHOWN else ""
        raise SourceError(
            f"{folder} has changes that are in no commit",
            hint="Commit them, or put away what does not belong in it (git stash -u, .gitignore).",
            output="\n".join(changes[:_SHOWN]) + more,
        )
    branch = _git(folder, "symbolic-ref", "--quiet", "--short", "HEAD", missing=True)
    name = remote or _remote_of(folder, branch)
    address = _git(folder, "remote", "get-url", "--push", "--", name, missing=True)
    if address is None:
        raise SourceError(f"the repository has no remote {name}", hint="git remote -v shows those that it has.")
    return Checkout(folder, commit, branch, name, address)


def missing_at_remote(checkout: Checkout, tag: str) -> Missing:
    """Ask the remote what it lacks of the commit and its tag.

    Raises SourceError when the tag is at another commit, here or there, or the branch went on without us.
    """
    sha = checkout.commit.sha
    here = _git(checkout.folder, "rev-parse", "--verify", "--quiet", f"refs/tags/{tag}^{{commit}}", missing=True)
    if here not in (None, sha):
        raise _taken(tag, here or "", sha, "here")
    wanted = [f"refs/tags/{tag}", f"refs/tags/{tag}^{{}}"]
    if checkout.branch is not None:
        wanted.append(f"refs/heads/{checkout.branch}")
    said = _git(checkout.folder, "ls-remote", "--", checkout.remote, *wanted, asks=True) or ""
    refs = {ref: found for found, _, ref in (line.partition("\t") for line in said.splitlines())}
    there = refs.get(f"refs/tags/{tag}^{{}}", refs.get(f"refs/tags/{tag}"))
    if there == sha:
        return Missing(None, None)
    if there is not None:
        raise _taken(tag, there, sha, f"at {checkout.remote}")
    own = _git(checkout.folder, "rev-parse", "--verify", "--quiet", f"refs/tags/{tag}", missing=True)
    branch = checkout.branch if _is_behind(checkout, refs.get(f"refs/heads/{checkout.branch}")) else None
    return Missing(branch, tag, own or sha)


def push(checkout: Checkout, missing: Missing) -> None:
    """Push what is missing: all of it or nothing. Raises SourceError with git's own words."""
    specs = []
    if missing.branch is not None:
        specs.append(f"{checkout.commit.sha}:refs/heads/{missing.branch}")
    if missing.tag is not None:
        specs.append(f"{missing.at}:refs/tags/{missing.tag}")
    if not specs:
        return
    try:
        _git(checkout.folder, "push", "--quiet", "--atomic", "--", checkout.remote, *specs, asks=True)
    except SourceError as error:
        if "does not support --atomic" not in (error.output or ""):
            raise
        _git(checkout.folder, "push", "--quiet", "--", checkout.remote, *specs, asks=True)
    if missing.tag is not None:
        # `missing`: somebody else may just have made it
        _git(checkout.folder, "update-ref", f"refs/tags/{missing.tag}", missing.at, missing=True)


def _is_behind(checkout: Checkout, there: str | None) -> bool:
    """Whether the remote's branch lacks the commit. Raises SourceError when it has others."""
    if there is None:
        return True
    sha = checkout.commit.sha
    if there == sha or _is_ancestor(checkout.folder, sha, there):
        return False
    if not _is_ancestor(checkout.folder, there, sha):
        raise SourceError(
            f"{checkout.branch} at {checkout.remote} has commits that are not here",
            hint=f"Bring them in first: git pull {checkout.remote} {checkout.branch}",
        )
    return True


def _is_ancestor(folder: Path, old: str, new: str) -> bool:
    return _git(folder, "merge-base", "--is-ancestor", old, new, missing=True) is not None


def _taken(tag: str, there: str, sha: str, where: str) -> SourceError:
    return SourceError(
        f"the tag {tag} is at {there[:12]} {where}, and not at {sha[:12]}",
        hint="A version means one thing for ever: raise the version in component.yaml and commit.",
    )


def _remote_of(folder: Path, branch: str | None) -> str:
    tracked = _git(folder, "config", "--get", f"branch.{branch}.remote", missing=True) if branch else None
    if tracked and tracked != ".":
        return tracked
    known = (_git(folder, "remote") or "").split()
    if "origin" in known:
        return "origin"
    if len(known) == 1:
        return known[0]
    if not known:
        raise SourceError(
            "the repository has no remote, and a registry fetches from one",
            hint="git remote add origin https://HOST/PATH",
        )
    raise SourceError(f"the repository has several remotes: {', '.join(known)}", hint="Name one: --remote NAME.")


def _git(folder: Path, *arguments: str, missing: bool = False, asks: bool = False) -> str | None:
    """What git prints. `missing`: None in place of an error. `asks`: of a remote, where git may want a password."""
    environ = git_environment()
    if asks and "GIT_TERMINAL_PROMPT" not in os.environ:
        del environ["GIT_TERMINAL_PROMPT"]
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, timeout=_TIMEOUT_S, check=False, env=environ
        )
    except FileNotFoundError as error:
        raise ToolchainError("git is needed and was not found on PATH", hint="Install git.") from error
    except subprocess.TimeoutExpired as error:
        raise SourceError(f"git {arguments[0]} did not end within {_TIMEOUT_S:.0f} s") from error
    if done.returncode == 0:
        return done.stdout.decode(errors="replace").strip()
    if missing:
        return None
    said = done.stderr.decode(errors="replace").strip()
    hint = "git's own words are above; can you push there by hand?" if asks else None
    raise SourceError(f"git {arguments[0]} failed in {folder}", hint=hint, output=said)
