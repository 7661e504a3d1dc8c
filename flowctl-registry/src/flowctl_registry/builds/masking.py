"""What must not be read in a log: secrets, and what moves a terminal's cursor."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from pydantic import BaseModel, SecretStr

from flowctl_registry.settings import Settings

MASK = "***"
_SHORTEST = 6
"""Shorter values are words: to mask them would tell them."""
_SHAPES = re.compile(
    r"(?<=://)[^\s/@:]*:[^\s/@]+(?=@)"  # user and password in an address
    r"|(?<=://)[^\s/@:]{20,}(?=@)"
    r"|\bflowctl_[0-9a-f]{16}_[0-9a-zA-Z]{20,}"
    r"|\bgh[pousr]_[0-9A-Za-z]{20,}|\bgithub_pat_[0-9A-Za-z_]{20,}|\bglpat-[0-9A-Za-z_-]{20,}"
    r"|\bnpm_[0-9A-Za-z]{30,}|\bpypi-[0-9A-Za-z_-]{50,}|\bcio[0-9A-Za-z]{32}\b"
    r"|\bA(?:KIA|SIA)[0-9A-Z]{16}\b|\bxox[abprs]-[0-9A-Za-z-]{10,}"
    r"|\beyJ[0-9A-Za-z_-]{8,}\.[0-9A-Za-z_-]{8,}\.[0-9A-Za-z_-]*"
    r"|(?i:(?<=bearer )|(?<=basic ))[0-9A-Za-z._~+/=-]{16,}"
)
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b\n]*(?:\x07|\x1b\\)?|[@-Z\\-_]?)")
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x80-\x9f\u202a-\u202e\u2066-\u2069]")


class Masks:
    """What is replaced in texts: known secrets, and whatever looks like one."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        known = sorted({each for each in secrets if len(each) >= _SHORTEST}, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, known))) if known else None

    def __call__(self, text: str) -> str:
        """The text without secrets."""
        if self._known is not None:
            text = self._known.sub(MASK, text)
        return _SHAPES.sub(MASK, text)


def plain(text: str) -> str:
    """The text without a terminal's commands; lines end with a newline only."""
    text = _ESCAPES.sub("", text).replace("\r\n", "\n").replace("\r", "\n")
    return _CONTROLS.sub("\ufffd", text)


def secrets_of(settings: Settings) -> set[str]:
    """The values of the registry's own secrets, line by line where they have several."""
    return {part for value in _secrets(settings) for part in (value, *value.splitlines())} | _passwords(settings)


def _secrets(section: BaseModel) -> Iterator[str]:
    for value in vars(section).values():
        if isinstance(value, SecretStr):
            yield value.get_secret_value()
        elif isinstance(value, BaseModel):
            yield from _secrets(value)
        elif isinstance(value, dict):
            yield from (each.get_secret_value() for each in value.values() if isinstance(each, SecretStr))


def _passwords(settings: Settings) -> set[str]:
    from sqlalchemy.engine import make_url

    password = make_url(settings.database).password
    return {str(password)} if password else set()
