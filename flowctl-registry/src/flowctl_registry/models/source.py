"""Where a component's source is."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field, SecretStr

from flowctl_core.models.base import Frozen
from flowctl_registry.models.names import Kind, Name


class SourceRequest(Frozen):
    """Where a component's source is, and which tags are its versions."""

    repository: str = Field(min_length=1, max_length=2_000)
    """`https://HOST/PATH`, without user and password."""
    subdirectory: str = Field(".", max_length=400)
    """The component's folder in the repository."""
    tag_pattern: str = Field("v*", max_length=200)
    """Which tags are its versions: one `*` stands for the version."""
    active: bool = True
    """False: webhooks and new tags start no builds."""
    webhook_secret: SecretStr | None = Field(None, min_length=16, max_length=250)
    """Secret of the repository's webhook; missing: as it was, or the registry's own."""


class SourceDocument(Frozen):
    """Where a component's source is."""

    kind: Kind
    """`component` or `bundle`."""
    namespace: Name
    """Of the component."""
    name: Name
    """Of the component."""
    repository: str
    """Where it is fetched from."""
    subdirectory: str
    """The component's folder in the repository."""
    tag_pattern: str
    """Which tags are its versions."""
    active: bool
    """Webhooks and new tags start builds."""
    has_webhook_secret: bool
    """It has a secret of its own for webhooks."""
    created_at: datetime
    """Since when it is registered."""
    reconciled_at: datetime | None = None
    """When the registry last looked for new tags."""
    problem: str | None = None
    """Why it could not look."""


class DeliveryDocument(Frozen):
    """What an incoming webhook has started."""

    delivery: str
    """Its id, as the sender gave it."""
    event: str
    """What it told of."""
    builds: tuple[str, ...] = ()
    """Ids of the builds that it stands for, older ones too."""
    ignored: tuple[str, ...] = ()
    """Why nothing was built, for each source."""
    replayed: bool = False
    """It came before, and started nothing now."""
