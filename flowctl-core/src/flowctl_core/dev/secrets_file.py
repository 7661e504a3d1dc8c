"""A file of secrets: NAME=value lines, as docker's --env-file and dotenv read them."""

from __future__ import annotations

import re
from pathlib import Path

from flowctl_core.errors import SpecError
from flowctl_core.specfile.content import decode, read_bytes
from flowctl_core.specfile.yaml_text import TextProblem

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def read_secrets(file: Path) -> dict[str, str]:
    """The secrets of a file. Raises SpecError, which never shows a value."""
    try:
        lines = decode(read_bytes(file)).splitlines()
    except TextProblem as problem:
        raise SpecError(f"{file}:{problem.line or 1}: {problem.message}") from problem
    found: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        text = line.strip().removeprefix("export ").lstrip()
        if not text or text.startswith("#"):
            continue
        name, equals, value = text.partition("=")
        if not equals or not _NAME.fullmatch(name.strip()):
            raise SpecError(f"{file}:{number}: must be NAME=value")
        value = value.strip()
        if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
            value = value[1:-1]
        found[name.strip()] = value
    return found


class Mask:
    """Takes secret values out of what is shown."""

    SHORTEST = 4
    """A shorter value would blank out half of every log."""

    def __init__(self) -> None:
        self._values: tuple[str, ...] = ()

    def add(self, values: frozenset[str]) -> None:
        """From now on these are not shown."""
        long = {value for value in values if len(value) >= self.SHORTEST}
        self._values = tuple(sorted({*self._values, *long}, key=len, reverse=True))

    def __call__(self, text: str) -> str:
        """The text with `***` in place of each secret."""
        for value in self._values:
            if value in text:
                text = text.replace(value, "***")
        return text
