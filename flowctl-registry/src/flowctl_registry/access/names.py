"""Names that commands take, by the rules of the API's models."""

from __future__ import annotations

import re

from flowctl_registry.errors import BadRequestError
from flowctl_registry.models.access import USER_PATTERN
from flowctl_registry.models.names import NAME_PATTERN


def checked(*, namespace: str | None = None, user: str | None = None) -> None:
    """Raises BadRequestError for a name that breaks its rule."""
    for what, name, pattern in (("namespace", namespace, NAME_PATTERN), ("user", user, USER_PATTERN)):
        if name is not None and (len(name) > 100 or not re.fullmatch(pattern.strip("^$"), name)):
            raise BadRequestError(f"that is no name of a {what}", hint=f"It must match {pattern}")
