"""The git repository of a bundle: what its members' folders hold at a commit."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from flowctl_core.publish.addresses import fetched_from
from flowctl_core.publish.repository import Checkout, check_out_of
from flowctl_core.store.git_commit import git_environment

_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Repository:
    """Where a bundle's source is."""

    checkout: Checkout
    url: str
    """Address that the registry fetches from."""

    def subdirectory(self, folder: Path) -> str:
        """A folder of the working tree as the registry names it: relative to the top, `.` for the top."""
        return folder.resolve().relative_to(self.checkout.commit.top.resolve()).as_posix()

    def tree_of(self, revision: str, subdirectory: str) -> str | None:
        """Git's name for what a folder holds at a commit; None where this clone does not know it."""
        where = "" if subdirectory == "." else subdirectory
        done = subprocess.run(
            ["git", "-C", str(self.checkout.commit.top), "rev-parse", "--verify", "--quiet", "--end-of-options",
             f"{revision}:{where}"],
            capture_output=True, text=True, timeout=_TIMEOUT_S, check=False, env=git_environment(),
        )  # fmt: skip
        return done.stdout.strip() or None if done.returncode == 0 else None


def read_repository(root: Path, *, remote: str | None = None, address: str | None = None) -> Repository:
    """The repository of a bundle's folder. `address`: where the registry fetches, if not from `remote`.

    Raises SourceError where there is none, changes are in no commit, or nobody else can fetch it.
    """
    checkout = check_out_of(root, remote)
    return Repository(checkout, address or fetched_from(checkout.address, checkout.remote))
