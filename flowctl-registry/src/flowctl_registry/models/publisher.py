"""Trusted publishing: who may exchange which OIDC token."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import Field, StringConstraints

from flowctl_core.models.base import Frozen
from flowctl_registry.models.names import Name

ClaimName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_./:-]{0,127}$")]
ClaimValue = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]{1,512}$")]


class PublisherRequest(Frozen):
    """A workload that may publish without a stored secret."""

    issuer: str = Field(max_length=512)
    """Of its tokens; one that the registry's settings name."""
    claims: dict[ClaimName, ClaimValue] = Field(min_length=1, max_length=20)
    """What its token must say. `job_workflow_ref`, `workflow_ref` and `ref` may end in `*`: any that begins so."""
    component: Name | None = None
    """The only component that it publishes; missing: all of the namespace."""


class PublisherDocument(Frozen):
    """A trusted publisher."""

    id: int
    """Names it."""
    issuer: str
    """Of its tokens."""
    claims: dict[str, str]
    """What its token must say."""
    component: str | None = None
    """The only component that it publishes."""
    created_at: datetime
    """Since when."""


class PublisherList(Frozen):
    """Trusted publishers of a namespace."""

    publishers: tuple[PublisherDocument, ...]
    """Oldest first."""


class ExchangeRequest(Frozen):
    """An OIDC token to be exchanged."""

    token: str = Field(min_length=1, max_length=16_384)
    """As the issuer made it, for this registry's audience."""


class Grant(Frozen):
    """What a trusted publisher may write."""

    namespace: Name
    """Where."""
    component: Name | None = None
    """The only component; missing: all of the namespace."""


class ExchangedToken(Frozen):
    """A token of the registry in exchange."""

    token: str
    """To be sent as `Authorization: Bearer`."""
    expires_at: datetime
    """In 15 minutes."""
    grants: tuple[Grant, ...]
    """What it is for."""
