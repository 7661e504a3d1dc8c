"""What commands take, by the rules of the API's models."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from flowctl_registry.errors import BadRequestError
from flowctl_registry.models.access import USER_PATTERN
from flowctl_registry.models.names import NAME_PATTERN

_Model = TypeVar("_Model", bound=BaseModel)


def requested(model: type[_Model], values: Mapping[str, Any], what: str) -> _Model:
    """A model of what a command asks for. Raises BadRequestError."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        told = "; ".join(".".join(map(str, each["loc"])) + ": " + each["msg"] for each in error.errors())
        raise BadRequestError(f"there can be no such {what}: {told}") from None


def checked(*, namespace: str | None = None, user: str | None = None) -> None:
    """Raises BadRequestError for a name that breaks its rule."""
    for what, name, pattern in (("namespace", namespace, NAME_PATTERN), ("user", user, USER_PATTERN)):
        if name is not None and (len(name) > 100 or not re.fullmatch(pattern.strip("^$"), name)):
            raise BadRequestError(f"that is no name of a {what}", hint=f"It must match {pattern}")
