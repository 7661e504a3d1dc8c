"""Conditions and byte ranges of a request for an immutable file (RFC 9110 sections 13 and 14)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from starlette.datastructures import Headers

_RANGE = re.compile(r"bytes=\s*(\d{0,19})-(\d{0,19})\s*")
_TAG = re.compile(r'(W/)?("[^"]*")')


@dataclass(frozen=True)
class Part:
    """Bytes `first` to `last`, both included."""

    first: int
    last: int

    @property
    def size(self) -> int:
        """Bytes."""
        return self.last - self.first + 1


def precondition(headers: Headers, etag: str) -> int | None:
    """412 when If-Match fails, 304 when If-None-Match finds what the client has, else None."""
    if "if-match" in headers and not _listed(headers.getlist("if-match"), etag, weakly=False):
        return 412
    if "if-none-match" in headers and _listed(headers.getlist("if-none-match"), etag, weakly=True):
        return 304
    return None


def asked_part(headers: Headers, etag: str, size: int) -> Part | int | None:
    """The range that is asked for; None for all of the file; 416 for a range that lies behind its end.

    Several ranges at once, other units, malformed ranges and an If-Range that does not match are answered with the
    whole file, as RFC 9110 allows.
    """
    asked = headers.get("range")
    if asked is None or headers.get("if-range", etag) != etag:
        return None
    match = _RANGE.fullmatch(asked)
    if match is None or not (match[1] or match[2]):
        return None
    if not match[1]:
        suffix = min(int(match[2]), size)
        return Part(size - suffix, size - 1) if suffix else 416
    first = int(match[1])
    last = min(int(match[2]), size - 1) if match[2] else size - 1
    if match[2] and int(match[2]) < first:
        return None
    return Part(first, last) if first < size else 416


def _listed(values: list[str], etag: str, *, weakly: bool) -> bool:
    for value in values:
        if value.strip() == "*":
            return True
        for weak, tag in _TAG.findall(value):
            if tag == etag and (weakly or not weak):
                return True
    return False
