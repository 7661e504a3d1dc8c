"""Tokens, namespaces and their members, publishers, the audit log, as the API shows and takes them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, JsonValue, StringConstraints

from flowctl_core.models.base import Frozen
from flowctl_registry.models.names import Name

USER_PATTERN = r"^[A-Za-z0-9]+(?:[._@+-][A-Za-z0-9]+)*$"
"""No colon: names with one are those of trusted publishers."""
User = Annotated[str, StringConstraints(pattern=USER_PATTERN, max_length=100)]
Label = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[^\x00-\x1f\x7f]+$")]
TokenAction = Literal["read", "publish", "yank", "manage", "admin"]
"""`read` private components, `publish` versions, `yank` them, `manage` namespaces and tokens, `admin` the registry."""
MemberRole = Literal["owner", "member"]
"""A member reads, publishes and yanks; an owner also manages the namespace."""


class TokenRequest(Frozen):
    """A token to be made."""

    name: Label
    """What it is for, in words of its owner."""
    actions: tuple[TokenAction, ...] = Field(min_length=1, max_length=5)
    """What it allows, where the user's role allows it too."""
    user: User | None = None
    """Whose it is; only an administrator may name another than the caller."""
    namespace: Name | None = None
    """The only namespace that it is for."""
    component: Name | None = None
    """The only component of that namespace that it is for."""
    expires_in_days: int | None = Field(365, ge=1, le=3650)
    """Null: it never expires."""


class TokenDocument(Frozen):
    """A token, without its secret."""

    id: str
    """The part of the token between the underscores."""
    name: str
    """What it is for."""
    user: str
    """Whose it is."""
    namespace: str | None = None
    """The only namespace that it is for; missing: all of the user's."""
    component: str | None = None
    """The only component that it is for."""
    actions: tuple[TokenAction, ...]
    """What it allows."""
    created_by: str
    """Who made it."""
    created_at: datetime
    """When it was made."""
    expires_at: datetime | None = None
    """When it ends; missing: never."""
    last_used_at: datetime | None = None
    """To the minute."""


class CreatedToken(TokenDocument):
    """A new token."""

    token: str
    """The token itself: it is shown this once."""


class TokenList(Frozen):
    """Valid tokens, newest first."""

    tokens: tuple[TokenDocument, ...]
    """Without their secrets."""


class Caller(Frozen):
    """Whom the registry takes the caller for."""

    user: str | None = None
    """Missing: anonymous."""
    token_id: str | None = None
    """The token that was sent."""
    actions: tuple[TokenAction, ...] = ()
    """What it allows."""
    namespaces: dict[str, MemberRole] = {}
    """The user's roles."""


class NamespaceRequest(Frozen):
    """A namespace to be made."""

    private: bool = False
    """Outsiders do not learn that it exists."""
    owner: User | None = None
    """Its first owner; default: the caller."""
    quota_bytes: int | None = Field(None, ge=0, le=2**53)
    """What it may store; missing: the registry's default; 0: no limit."""


class NamespaceChange(Frozen):
    """What is to be changed of a namespace; what is missing stays."""

    private: bool | None = None
    """Outsiders do not learn that it exists."""
    quota_bytes: int | None = Field(None, ge=0, le=2**53)
    """Only an administrator may change it; 0: no limit."""


class NamespaceDocument(Frozen):
    """A namespace."""

    name: Name
    """Names it."""
    private: bool
    """Only members know of it."""
    quota_bytes: int
    """What it may store; 0: no limit."""
    used_bytes: int
    """What its published versions store."""
    created_at: datetime
    """When it was made."""


class NamespaceList(Frozen):
    """Namespaces that the caller may know of."""

    namespaces: tuple[NamespaceDocument, ...]
    """By name."""


class MemberRequest(Frozen):
    """The role that a user is to have."""

    role: MemberRole = "member"
    """`owner` or `member`."""


class Member(Frozen):
    """A user's role in a namespace."""

    user: str
    """The user."""
    role: MemberRole
    """`owner` or `member`."""
    added_at: datetime
    """Since when."""


class MemberList(Frozen):
    """Members of a namespace."""

    members: tuple[Member, ...]
    """By name."""


class AuditEntry(Frozen):
    """An entry of the audit log."""

    sequence: int
    """1, 2, 3, ..."""
    at: datetime
    """When."""
    actor: str
    """Who."""
    action: str
    """`token.create`, `version.publish`, ..."""
    target: str
    """What was changed."""
    detail: dict[str, JsonValue]
    """How."""
    request_id: str | None = None
    """As in the registry's logs."""
    previous: str
    """Hash of the entry before."""
    hash: str
    """SHA-256 of this entry's other fields."""


class AuditPage(Frozen):
    """Entries of the audit log, in order."""

    entries: tuple[AuditEntry, ...]
    """Ask again with `after` set to the last one's sequence."""


class AuditHead(Frozen):
    """An audit log that was checked."""

    entries: int
    """How many there are."""
    head: str
    """`<number>:<hash>` of the last one: keep it elsewhere, and give it back as `expect`."""
