"""Reads go.mod and go.work: which module, which Go, which folders belong together. Runs nothing.

Only what planning needs is understood. What is malformed is passed over: Go itself says what is wrong, in its own
words, when it is asked to fetch or build.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass

from flowctl_core.models import SourceTree

_TOKEN = re.compile(r'"(?P<quoted>(?:[^"\\]|\\.)*)"|`(?P<raw>[^`]*)`|//.*|(?P<word>=>|[()]|[^\s()"`]+)')
_MAJOR = re.compile(r"(?:/v\d+|\.v\d+)$")


@dataclass(frozen=True)
class Replacement:
    """One `replace` whose target is a folder."""

    module: str
    target: str
    """As written: relative to the file's folder, or absolute."""


@dataclass(frozen=True)
class Module:
    """A go.mod."""

    folder: str
    """Relative to the source tree."""
    path: str
    """Module path; empty where the file has none."""
    go: str = ""
    """The `go` line: `1.23`, `1.26.1`; empty where there is none."""
    toolchain: str = ""
    """The `toolchain` line without the prefix `go`: a version above `go`, or empty."""
    replacements: tuple[Replacement, ...] = ()
    ignored: tuple[str, ...] = ()
    """Folders of `ignore` lines, relative to the source tree (`./x`) or any folder of that name (`x`)."""

    @property
    def file(self) -> str:
        """Path of the go.mod."""
        return join(self.folder, "go.mod")

    @property
    def name(self) -> str:
        """Last element of the module path, as `go install` would name the program: without `/v2`."""
        return posixpath.basename(_MAJOR.sub("", self.path))


@dataclass(frozen=True)
class Workspace:
    """A go.work."""

    folder: str
    go: str = ""
    toolchain: str = ""
    uses: tuple[str, ...] = ()
    """As written: relative to the file's folder, or absolute."""
    replacements: tuple[Replacement, ...] = ()

    @property
    def file(self) -> str:
        """Path of the go.work."""
        return join(self.folder, "go.work")


def join(folder: str, path: str) -> str:
    """A path relative to `folder`, relative to the source tree; begins with `..` when it leads outside."""
    return posixpath.normpath(posixpath.join(folder, path))


def is_inside(path: str) -> bool:
    """False for a path that leads outside the source tree."""
    return not (path == ".." or path.startswith(("../", "/")))


def version_key(version: str) -> tuple[int, ...]:
    """Numbers of a Go version, to compare: `1.26.1` → (1, 26, 1); a release candidate counts as its release."""
    return tuple(int(number) for number in re.match(r"[\d.]*", version)[0].split(".") if number)  # type: ignore[index]


def read_module(source: SourceTree, folder: str) -> Module | None:
    """The go.mod of a folder, None where there is none. Raises SourceError when it cannot be read."""
    file = join(folder, "go.mod")
    if not source.exists(file):
        return None
    path = go = toolchain = ""
    replacements: list[Replacement] = []
    ignored: list[str] = []
    for verb, arguments in statements(source.read_text(file)):
        match verb, arguments:
            case "module", [value, *_]:
                path = path or value
            case "go", [value, *_]:
                go = value
            case "toolchain", [value, *_]:
                toolchain = _toolchain(value)
            case "replace", _:
                replacements.extend(_replacement(arguments))
            case "ignore", [value, *_]:
                ignored.append(join(folder, value) if value.startswith("./") else f"*/{value}")
    return Module(folder, path, go, toolchain, tuple(replacements), tuple(ignored))


def read_workspace(source: SourceTree, folder: str) -> Workspace | None:
    """The go.work of a folder, None where there is none. Raises SourceError when it cannot be read."""
    file = join(folder, "go.work")
    if not source.exists(file):
        return None
    go = toolchain = ""
    uses: list[str] = []
    replacements: list[Replacement] = []
    for verb, arguments in statements(source.read_text(file)):
        match verb, arguments:
            case "go", [value, *_]:
                go = value
            case "toolchain", [value, *_]:
                toolchain = _toolchain(value)
            case "use", [value, *_]:
                uses.append(value)
            case "replace", _:
                replacements.extend(_replacement(arguments))
    return Workspace(folder, go, toolchain, tuple(dict.fromkeys(uses)), tuple(replacements))


def statements(text: str) -> Iterator[tuple[str, list[str]]]:
    """Each directive with its arguments; `verb ( … )` blocks are unfolded, comments left out."""
    block = ""
    for line in text.removeprefix("\ufeff").splitlines():
        words = list(_words(line))
        if not words:
            continue
        if block:
            if words[0] == ")":
                block = ""
            else:
                yield block, words
        elif words[-1] == "(" and len(words) == 2:
            block = words[0]
        else:
            yield words[0], [word for word in words[1:] if word not in ("(", ")")]


def _words(line: str) -> Iterator[str]:
    for match in _TOKEN.finditer(line):
        if match["quoted"] is not None:
            yield re.sub(r"\\(.)", r"\1", match["quoted"])
        elif match["raw"] is not None:
            yield match["raw"]
        elif match["word"] is not None:
            # A comment may follow a word without a space between them, but a path may hold `//` as well.
            yield match["word"]


def _toolchain(value: str) -> str:
    """`go1.26.8-custom` → `1.26.8`; `default` and `local` → nothing."""
    found = re.match(r"go(\d+(?:\.\d+)*(?:(?:rc|beta)\d+)?)", value)
    return found[1] if found else ""


def _replacement(arguments: list[str]) -> Iterator[Replacement]:
    """The replacement by a folder; one by another module concerns only Go."""
    if "=>" in arguments:
        old, new = arguments[: arguments.index("=>")], arguments[arguments.index("=>") + 1 :]
        if old and len(new) == 1 and new[0].startswith(("./", "../", "/", ".")):
            yield Replacement(old[0], new[0])
