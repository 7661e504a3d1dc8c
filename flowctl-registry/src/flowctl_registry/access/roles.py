"""What a caller may do in a namespace."""

from __future__ import annotations

from sqlalchemy import Connection, and_, bindparam, select

from flowctl_registry.access.principal import ROLE_ACTIONS, Action, Principal
from flowctl_registry.database.tables import members, namespaces
from flowctl_registry.errors import ForbiddenError, NotFoundError, UnauthorizedError

_LOGIN = "Make a token with `flowctl-registry token create`, and send it as `Authorization: Bearer TOKEN`."

_NAMESPACE = select(namespaces.c.private).where(namespaces.c.name == bindparam("namespace"))
_ROLE = (  # built once: building one costs more than its answer
    select(namespaces.c.private, members.c.role)
    .join_from(
        namespaces,
        members,
        and_(members.c.namespace == namespaces.c.name, members.c.user == bindparam("user")),
        isouter=True,
    )
    .where(namespaces.c.name == bindparam("namespace"))
)


def check(
    connection: Connection,
    principal: Principal,
    action: Action,
    namespace: str | None,
    component: str | None,
    *,
    anonymous_read: bool,
) -> None:
    """May the caller do `action` there (in the registry, without a namespace)?

    Raises UnauthorizedError, ForbiddenError; NotFoundError for a namespace that is missing or none of its business.
    """
    if principal.user is None and not (action == "read" and anonymous_read):
        raise UnauthorizedError("this needs a token", hint=_LOGIN)
    if namespace is None or action == "admin":
        if action != "read" and action not in principal.actions:
            raise _forbidden(action)
        return
    private, allowed = _allowed(connection, principal, namespace, component)
    if private and not allowed:
        raise no_namespace(namespace)
    public_read = action == "read" and not private and (anonymous_read or "read" in principal.actions)
    if action not in allowed and not public_read:
        raise _forbidden(action)


def _allowed(
    connection: Connection, principal: Principal, namespace: str, component: str | None
) -> tuple[bool, frozenset[Action]]:
    """Is the namespace private; what the caller may do there. Raises NotFoundError."""
    if principal.user is None or principal.grants is not None or principal.is_admin:
        row = connection.execute(_NAMESPACE, {"namespace": namespace}).one_or_none()
        role = None
    else:
        row = connection.execute(_ROLE, {"namespace": namespace, "user": principal.user}).one_or_none()
        role = None if row is None else row.role
    if row is None:
        raise no_namespace(namespace)
    if not principal.covers(namespace, component):
        return row.private, frozenset()
    if principal.is_admin or principal.grants is not None:
        return row.private, principal.actions
    return row.private, principal.actions & ROLE_ACTIONS[role] if role else frozenset()


def no_namespace(name: str) -> NotFoundError:
    """The same answer for one that is missing and one that the caller must not know of."""
    return NotFoundError(
        f"there is no namespace {name}", hint="An administrator makes it: `flowctl-registry namespace create`."
    )


def _forbidden(action: Action) -> ForbiddenError:
    return ForbiddenError(
        f"this token does not allow to {action} here",
        hint="An owner of the namespace adds members; a token's own actions and scope are set when it is made.",
    )
