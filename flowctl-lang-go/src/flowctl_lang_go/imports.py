"""What a Go file imports, and what its `#cgo` lines ask of the C toolchain. Text in, words out; runs nothing."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

_BETWEEN = re.compile(r"[\s;]+|//[^\n]*|/\*.*?\*/", re.DOTALL)
_IMPORT = re.compile(r"import\b")
_SPEC = re.compile(r'(?:[\w.]+\s*)?(?:"(?P<quoted>[^"\n]*)"|`(?P<raw>[^`\n]*)`)')
_CGO = re.compile(r"^[\s/*]*#cgo\s+(?P<head>[^:\n]*):(?P<value>[^\n]*)", re.MULTILINE)


@dataclass(frozen=True)
class Imports:
    """The import declarations of a file."""

    paths: tuple[str, ...]
    comments: str
    """All comments between the package clause and the first other declaration: cgo's preamble is one of them."""


@dataclass(frozen=True)
class CgoNeeds:
    """What `#cgo` lines ask for beside compiler flags (https://pkg.go.dev/cmd/cgo)."""

    frameworks: tuple[str, ...] = ()
    """Apple frameworks to link."""
    pkg_config: tuple[str, ...] = ()
    """Libraries that pkg-config is asked for."""


def read_imports(text: str, start: int) -> Imports:
    """Read the imports of a file whose package clause ends at `start`."""
    paths: list[str] = []
    comments: list[str] = []

    def pass_over(position: int) -> int:
        while match := _BETWEEN.match(text, position):
            if match[0].startswith("/"):
                comments.append(match[0])
            position = match.end()
        return position

    position = pass_over(start)
    while keyword := _IMPORT.match(text, position):
        position = pass_over(keyword.end())
        block = text.startswith("(", position)
        if block:
            position = pass_over(position + 1)
        while spec := _SPEC.match(text, position):
            paths.append(spec["quoted"] or spec["raw"] or "")
            position = pass_over(spec.end())
            if not block:
                break
        if block and text.startswith(")", position):
            position = pass_over(position + 1)
    return Imports(tuple(paths), "\n".join(comments))


def read_cgo_lines(comments: str, has: Callable[[str], bool]) -> CgoNeeds:
    """What the `#cgo` lines ask for whose conditions hold; `has` says whether a tag does."""
    frameworks: list[str] = []
    pkg_config: list[str] = []
    for match in _CGO.finditer(comments):
        *conditions, name = match["head"].split() or [""]
        if conditions and not any(_holds(condition, has) for condition in conditions):
            continue
        words = match["value"].split()
        if name == "LDFLAGS":
            frameworks += [after for word, after in pairwise(words) if word == "-framework"]
        elif name == "pkg-config":
            pkg_config += [word for word in words if not word.startswith("-")]
    return CgoNeeds(tuple(dict.fromkeys(frameworks)), tuple(dict.fromkeys(pkg_config)))


def mostly_c(with_c: int, without_c: int) -> bool:
    """True when at least half of a package's Go files have `import "C"`."""
    return with_c >= without_c


def _holds(condition: str, has: Callable[[str], bool]) -> bool:
    """`linux,!arm64`: all terms between the commas hold."""
    return all(not has(term[1:]) if term.startswith("!") else has(term) for term in condition.split(","))
