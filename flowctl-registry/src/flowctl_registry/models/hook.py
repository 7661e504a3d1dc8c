"""Outgoing webhooks."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from flowctl_core.models.base import Frozen

HookEvent = Literal["version.published", "build.failed"]
"""What a webhook can be told of."""


class HookRequest(Frozen):
    """Whom to tell of what happens in a namespace."""

    url: str = Field(min_length=1, max_length=2_000)
    """`https://HOST/PATH`; messages are sent there by POST (Standard Webhooks)."""
    events: tuple[HookEvent, ...] = Field(("version.published", "build.failed"), min_length=1, max_length=10)
    """What is told."""


class HookDocument(Frozen):
    """An outgoing webhook."""

    id: str
    """Names it."""
    url: str
    """Where messages are sent."""
    events: tuple[HookEvent, ...]
    """What is told."""
    created_at: datetime
    """Since when."""


class NewHook(HookDocument):
    """An outgoing webhook with its secret, which is shown only now."""

    secret: str
    """`whsec_…`: messages are signed with it."""


class HookList(Frozen):
    """Outgoing webhooks of a namespace."""

    hooks: tuple[HookDocument, ...]
    """Oldest first."""


class HookMessage(Frozen):
    """A message to a webhook."""

    id: str
    """As in its header `webhook-id`."""
    event: HookEvent
    """What it tells."""
    attempts: int
    """How often it was sent."""
    created_at: datetime
    """When it happened."""
    due_at: datetime | None = None
    """When it is sent next; missing when it was taken, or given up."""
    sent_at: datetime | None = None
    """When the receiver took it."""
    problem: str | None = None
    """Why the last try failed."""


class HookMessages(Frozen):
    """Messages to a webhook."""

    messages: tuple[HookMessage, ...]
    """The newest first, 100 at most."""
