"""A registry's refusal in words for people (distribution-spec, error codes)."""

from __future__ import annotations

import json

from flowctl_core.errors import ImageError
from flowctl_core.package.answer import Answer
from flowctl_core.package.reference import DOCKER_HUB, Reference

_SHOWN = 2000


def refusal(answer: Answer, reference: Reference, what: str) -> ImageError:
    """The error for an answer that is not what was hoped for; `what` was asked for."""
    registry, status = reference.registry, answer.status
    said = _said(answer)
    if status in (401, 403):
        account = "" if registry == DOCKER_HUB else f" {registry}"
        return ImageError(
            f"{registry} gives no access to {what}: HTTP {status}",
            hint=f"Sign in: docker login{account}. The repository may also not exist, or be named otherwise.",
            output=said,
        )
    if status == 404:
        return ImageError(
            f"{registry} does not know {what}", hint="Check the name and the tag of the image.", output=said
        )
    if status == 429:
        return ImageError(
            f"{registry} says that it was asked too often",
            hint=f"Try again later, or sign in for a higher limit: docker login {registry}",
            output=said,
        )
    return ImageError(f"{registry} answers HTTP {status} for {what}", hint="Try again later.", output=said)


def _said(answer: Answer) -> str | None:
    """The registry's own words."""
    text = answer.body[:_SHOWN].decode("utf-8", "replace").strip()
    try:
        errors = json.loads(answer.body)["errors"]
        lines = [f"{error.get('code', '')}: {error.get('message', '')}" for error in errors]
    except (ValueError, KeyError, TypeError, AttributeError):
        return "".join(letter for letter in text if letter.isprintable() or letter == "\n") or None
    return "\n".join(lines) or None
