"""Namespaces and their members."""

from __future__ import annotations

from sqlalchemy import Connection

from flowctl_registry.access import namespaces
from flowctl_registry.access.visibility import visible_namespaces
from flowctl_registry.api.routing import Call, Endpoint
from flowctl_registry.database.engine import reading, writing
from flowctl_registry.errors import ForbiddenError
from flowctl_registry.models.access import (
    Member,
    MemberList,
    MemberRequest,
    NamespaceChange,
    NamespaceDocument,
    NamespaceList,
    NamespaceRequest,
)


def listed(call: Call) -> NamespaceList:
    """Those that the caller may know of."""
    names, quota = visible_namespaces(call.services, call.principal), call.services.settings.limits.namespace_bytes
    with reading(call.services.engine) as connection:
        return NamespaceList(namespaces=tuple(namespaces.listed(connection, names, quota)))


def show(call: Call) -> NamespaceDocument:
    """One of them."""
    with reading(call.services.engine) as connection:
        row = namespaces.find(connection, call.path["ns"])
    return namespaces.document(row, call.services.settings.limits.namespace_bytes)


def create(call: Call) -> NamespaceDocument:
    """Make one; the caller owns it unless somebody else is named."""
    asked: NamespaceRequest = call.body
    writing(
        call.services.engine,
        lambda c: namespaces.create(
            c,
            call.path["ns"],
            private=asked.private,
            owner=asked.owner or call.principal.user,
            quota_bytes=asked.quota_bytes,
            actor=call.principal.shown,
            request_id=call.request_id,
        ),
    )
    return show(call)


def change(call: Call) -> NamespaceDocument:
    """Change what is given."""
    asked: NamespaceChange = call.body
    if asked.quota_bytes is not None and not call.principal.is_admin:
        raise ForbiddenError("only an administrator changes a quota", hint="Leave out `quota_bytes`.")
    writing(
        call.services.engine,
        lambda c: namespaces.change(
            c,
            call.path["ns"],
            actor=call.principal.shown,
            private=asked.private,
            quota_bytes=asked.quota_bytes,
            request_id=call.request_id,
        ),
    )
    return show(call)


def remove(call: Call) -> None:
    """Remove an empty one."""
    namespace, actor = call.path["ns"], call.principal.shown
    writing(call.services.engine, lambda c: namespaces.remove(c, namespace, actor, call.request_id))


def members(call: Call) -> MemberList:
    """Who belongs to it."""
    with reading(call.services.engine) as connection:
        return MemberList(members=tuple(namespaces.members_of(connection, call.path["ns"])))


def set_member(call: Call) -> Member:
    """Give a user a role."""
    asked: MemberRequest = call.body
    namespace, user = call.path["ns"], call.path["user"]

    def act(connection: Connection) -> Member:
        namespaces.set_member(connection, namespace, user, asked.role, call.principal.shown, call.request_id)
        return next(each for each in namespaces.members_of(connection, namespace) if each.user == user)

    return writing(call.services.engine, act)


def remove_member(call: Call) -> None:
    """Take a role away."""
    namespace, user, actor = call.path["ns"], call.path["user"], call.principal.shown
    writing(call.services.engine, lambda c: namespaces.remove_member(c, namespace, user, actor, call.request_id))


_ONE = "/v1/namespaces/{ns}"
ENDPOINTS = (
    Endpoint("GET", "/v1/namespaces", listed, "read", "Namespaces", "access", answer=NamespaceList),
    Endpoint("GET", _ONE, show, "read", "A namespace", "access", answer=NamespaceDocument, errors=(404,)),
    Endpoint(
        "PUT", _ONE, create, "admin", "Make a namespace", "access",
        body=NamespaceRequest, answer=NamespaceDocument, status=201, errors=(409, 413),
    ),
    Endpoint(
        "PATCH", _ONE, change, "manage", "Change a namespace", "access",
        body=NamespaceChange, answer=NamespaceDocument, errors=(404, 413),
    ),
    Endpoint("DELETE", _ONE, remove, "admin", "Remove an empty namespace", "access", status=204, errors=(404, 409)),
    Endpoint("GET", _ONE + "/members", members, "manage", "Members", "access", answer=MemberList, errors=(404,)),
    Endpoint(
        "PUT", _ONE + "/members/{user}", set_member, "manage", "Give a user a role", "access",
        body=MemberRequest, answer=Member, errors=(404, 409, 413),
    ),
    Endpoint(
        "DELETE", _ONE + "/members/{user}", remove_member, "manage", "Take a user's role away", "access",
        status=204, errors=(404, 409),
    ),
)  # fmt: skip
