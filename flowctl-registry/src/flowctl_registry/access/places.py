"""Things that have an id of their own, and belong to a namespace all the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection

from flowctl_registry.access import roles
from flowctl_registry.access.principal import Action, Principal
from flowctl_registry.errors import NotFoundError


@dataclass(frozen=True)
class Place:
    """How the namespace of such a thing is found."""

    what: str
    """What it is; its id is the part of the path with that name."""
    find: Callable[[Connection, str], tuple[str, str] | None]
    """Namespace and component of an id; None: there is none."""

    def check(
        self, connection: Connection, principal: Principal, action: Action, identity: str, *, anonymous_read: bool
    ) -> None:
        """May the caller do `action` with it? Nobody learns of one in a namespace that is none of its business.

        Raises UnauthorizedError, ForbiddenError, NotFoundError.
        """
        roles.check(connection, principal, action, None, None, anonymous_read=anonymous_read)
        found = self.find(connection, identity)
        if found is not None:
            try:
                roles.check(connection, principal, action, *found, anonymous_read=anonymous_read)
                return
            except NotFoundError:
                pass
        raise NotFoundError(f"there is no {self.what} {identity}")
