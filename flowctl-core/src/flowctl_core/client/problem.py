"""An answer that is an error, in words for the user: problem+json (RFC 9457) to one class of error each."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from flowctl_core.errors import (
    ConflictError,
    ForbiddenError,
    NotFoundError,
    RemoteError,
    UnauthorizedError,
    UnreachableError,
)

PROBLEM_LIMIT = 64 * 2**10
"""Bytes that are read of an answer that is an error."""
_SHOWN = 2000
_AT_THE_MOMENT = frozenset([429, 502, 503, 504])


class Problem(NamedTuple):
    """What a registry says."""

    code: str
    detail: str
    hint: str | None = None


def is_of_the_moment(status: int) -> bool:
    """True for what may be otherwise in a moment."""
    return status in _AT_THE_MOMENT


def printable(text: str) -> str:
    """What a registry says may be shown, but must not move the cursor or colour what follows."""
    return "".join(
        letter if letter.isprintable() or letter in "\n\t" else "\N{REPLACEMENT CHARACTER}" for letter in text
    )


def read_problem(content: bytes) -> Problem:
    """The problem in an answer; whatever else a server sends is its own words."""
    try:
        said: Any = json.loads(content)
    except (ValueError, RecursionError):
        said = None
    if isinstance(said, dict) and isinstance(said.get("detail"), str):
        hint = said.get("hint")
        code = str(said.get("type", "")).rpartition(":")[2]
        return Problem(
            code, printable(said["detail"][:_SHOWN]), printable(hint[:_SHOWN]) if isinstance(hint, str) else None
        )
    return Problem("", printable(content[:_SHOWN].decode(errors="replace")).strip())


def error_of(
    status: int, content: bytes, host: str, url: str, what: str, *, named: bool, wait: str = ""
) -> RemoteError:
    """The error for an answer. `what` was asked for; `named`: with a token; `wait`: when to ask again, if it tells."""
    problem = read_problem(content)
    told, detail = problem.detail if problem.code else "", problem.detail or None
    login = f"`flowctl login {url}`, or set FLOWCTL_TOKEN."
    if status == 401:
        if named:
            return UnauthorizedError(f"{host} does not accept the token: {told or 'it says no more'}", hint=login)
        return UnauthorizedError(f"{host} does not show {what} to everybody", hint=login)
    if status == 403:
        return ForbiddenError(
            f"{host} does not allow this for {what}: {told or 'it says no more'}",
            hint=problem.hint or "Ask an owner of the namespace for access; `flowctl whoami` shows what you may do.",
        )
    if status == 404:
        hint = problem.hint or "Check the name and version" + (
            "." if named else f"; a private one is shown after {login}"
        )
        return NotFoundError(f"{url} has no {what}, or does not show it", hint=hint)
    if status == 409:
        return ConflictError(f"{host} refuses {what}: {told or 'it has something else there'}", hint=problem.hint)
    if is_of_the_moment(status):
        why = told or f"status {status}"
        return UnreachableError(f"{host} cannot answer at the moment: {why}", hint=f"Try again {wait or 'later'}.")
    if problem.code:
        return RemoteError(f"{host} refuses {what}: {told}", hint=problem.hint)
    return RemoteError(
        f"{url} answers with status {status} for {what}", output=detail, hint="Is it a flowctl registry?"
    )
