"""Cursors: where a page ended. Opaque to clients, and of use only for the list they came from."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

from flowctl_registry.errors import NotFoundError


def write_cursor(scope: str, key: list[str | int]) -> str:
    """`key` is the last entry's sort key; `scope` names the list."""
    return base64.urlsafe_b64encode(json.dumps([scope, *key]).encode()).decode().rstrip("=")


def read_cursor(cursor: str, scope: str, shape: tuple[type, ...]) -> list[Any]:
    """The sort key, of `shape`'s types. Raises NotFoundError for a cursor that was not made for this list."""
    try:
        read = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError, RecursionError):
        read = None
    if not isinstance(read, list) or read[:1] != [scope] or not _fits(read[1:], shape):
        raise NotFoundError("there is no such page of this list", hint="Begin again without a cursor.")
    return read[1:]


def _fits(key: list[Any], shape: tuple[type, ...]) -> bool:
    if tuple(type(each) for each in key) != shape:
        return False
    return all(abs(each) < 2**62 if isinstance(each, int) else each.isascii() and "\0" not in each for each in key)
