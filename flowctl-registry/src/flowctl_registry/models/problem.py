"""Errors as the API tells them."""

from __future__ import annotations

from flowctl_core.models.base import Frozen


class Problem(Frozen):
    """RFC 9457, section 3; `hint` and `request_id` are extensions."""

    type: str
    """`urn:flowctl:problem:<code>`."""
    title: str
    """The kind of problem in a word."""
    status: int
    """HTTP status."""
    detail: str
    """What the problem is."""
    hint: str | None = None
    """What to do about it."""
    request_id: str | None = None
    """As in the registry's logs."""
