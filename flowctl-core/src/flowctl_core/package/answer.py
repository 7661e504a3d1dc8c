"""What a registry answers, where it is no content: status, headers, and a page of text at most."""

from __future__ import annotations

from dataclasses import dataclass, field

import httpx

_LIMIT = 2**16
"""Bytes. More than that is of no use to anybody."""


@dataclass(frozen=True)
class Answer:
    """An answer that is read and closed."""

    status: int
    headers: httpx.Headers
    body: bytes = field(repr=False)

    @property
    def ok(self) -> bool:
        """True for a status of 200 to 299."""
        return 200 <= self.status < 300


def read_answer(response: httpx.Response) -> Answer:
    """Read a streamed response up to the limit and close it."""
    body = b""
    try:
        for data in response.iter_raw():
            body += data
            if len(body) > _LIMIT:
                break
    finally:
        response.close()
    return Answer(response.status_code, response.headers, body[:_LIMIT])
