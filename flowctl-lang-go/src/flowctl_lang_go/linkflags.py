"""The flags of a release, joined with those that the source and the configuration ask for.

Of several `-ldflags` Go takes the last one that matches a package, so those for stripping and for the version cannot
simply stand beside the user's: they are put in front of each of them.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

_FLAG = re.compile(r"--?ldflags(?:=(?P<value>.*))?", re.DOTALL)
_PATTERN = re.compile(r"(?P<pattern>[^-\s'\"=][^\s'\"=]*)=(?P<flags>.*)", re.DOTALL)


def joined(arguments: Sequence[str], inherited: str, ours: Sequence[str]) -> list[str]:
    """The arguments with one `-ldflags` more, and ours in front of the flags of each that was there.

    `inherited` is GOFLAGS: a flag on the command line would otherwise displace what it says about the linker.
    """
    rest, given = split(arguments)
    _, from_environment = split(go_fields(inherited))
    own = " ".join(map(_quoted, ours))
    values = [own]
    for value in (*from_environment, *given):
        match = _PATTERN.fullmatch(value.strip())
        if match:
            values.append(f"{match['pattern']}={own} {match['flags']}".strip())
        else:
            values.append(f"{own} {value}".strip())
    if len(values) > 1 and not _PATTERN.fullmatch(values[1]):
        del values[0]  # the first of the user's holds for the same packages
    return [*rest, *(f"-ldflags={value}" for value in values)]


def split(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """The arguments without `-ldflags`, and its values: `-ldflags=X`, `-ldflags X`, with two dashes too."""
    rest: list[str] = []
    values: list[str] = []
    words = iter(arguments)
    for word in words:
        match = _FLAG.fullmatch(word)
        if match is None:
            rest.append(word)
        elif match["value"] is not None:
            values.append(match["value"])
        else:
            values.append(next(words, ""))
    return rest, values


def go_fields(text: str) -> list[str]:
    """The flags in GOFLAGS: separated by spaces, each may be quoted as a whole; none when it is malformed."""
    try:
        return shlex.split(text)
    except ValueError:
        return []


def stamp(version: str) -> list[str]:
    """The flag that sets `main.version`; none for a version that no quoting of Go can carry."""
    value = f"main.version={version}"
    return [] if ("'" in value and '"' in value) or "\n" in value else ["-X", value]


def _quoted(word: str) -> str:
    if not word or re.search(r"[\s'\"]", word):
        return f'"{word}"' if "'" in word else f"'{word}'"
    return word
