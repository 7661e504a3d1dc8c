"""The user that builds run as where the service is root."""

from __future__ import annotations

import pwd

from flowctl_registry.errors import SandboxError


def find_user(user: str) -> tuple[int, int]:
    """The ids of who runs builds where the service is root. Raises SandboxError for root and for nobody known."""
    try:
        found = pwd.getpwuid(int(user)) if user.isdigit() else pwd.getpwnam(user)
        uid, gid = found.pw_uid, found.pw_gid
    except KeyError:
        if not user.isdigit():
            raise SandboxError(
                f"there is no user {user} to run builds as", hint="Set sandbox.user to a user without any rights."
            ) from None
        uid = gid = int(user)
    if uid == 0:
        raise SandboxError("builds never run as root", hint="Set sandbox.user to a user without any rights.")
    return uid, gid
