"""Build constraints: which files belong to a build, as `go/build` decides it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from flowctl_core.models import Platform

_SYSTEMS = (
    "aix android darwin dragonfly freebsd hurd illumos ios js linux nacl netbsd openbsd plan9 solaris wasip1 windows "
    "zos"
)
_ARCHITECTURES = (
    "386 amd64 amd64p32 arm armbe arm64 arm64be loong64 mips mipsle mips64 mips64le mips64p32 mips64p32le ppc ppc64 "
    "ppc64le riscv riscv64 s390 s390x sparc sparc64 wasm"
)
SYSTEMS = frozenset(_SYSTEMS.split())
"""What Go takes for an operating system in a file's name (go/build/syslist.go)."""
ARCHITECTURES = frozenset(_ARCHITECTURES.split())
"""What Go takes for an architecture there."""
_UNIX = SYSTEMS - {"js", "nacl", "plan9", "wasip1", "windows", "zos"}
_IMPLIED = {"android": "linux", "illumos": "solaris", "ios": "darwin"}
_RELEASE = re.compile(r"go1(\.\d+)?")
_WORD = re.compile(r"&&|\|\||[!()]|[^\s!()&|]+")


@dataclass(frozen=True)
class Target:
    """What a build is for: system, architecture and the tags that were asked for."""

    system: str
    architecture: str
    tags: frozenset[str] = field(default_factory=frozenset)
    cgo: bool = True

    @classmethod
    def of(cls, platform: Platform, tags: frozenset[str] = frozenset(), *, cgo: bool = True) -> Target:
        """The target for a platform."""
        return cls(platform.os, platform.arch, tags, cgo)

    @property
    def shown(self) -> str:
        """For messages: `linux/amd64`."""
        return f"{self.system}/{self.architecture}"

    def has(self, tag: str) -> bool:
        """True when a build for this target satisfies the tag."""
        if tag in (self.system, self.architecture, "gc", _IMPLIED.get(self.system)) or tag in self.tags:
            return True
        if tag == "cgo":
            return self.cgo
        if tag == "unix":
            return self.system in _UNIX
        return _RELEASE.fullmatch(tag) is not None

    def wants(self, name: str, comments: list[str]) -> bool:
        """True when a file of that name, with these comments above its package clause, belongs to the build."""
        return self.wants_name(name) and self.wants_header(comments)

    def wants_name(self, name: str) -> bool:
        """True unless the file's name says another system or architecture (`poll_windows.go`)."""
        stem = name.split(".", 1)[0]
        if "_" not in stem:
            return True
        parts = stem[stem.index("_") :].split("_")
        if parts[-1] == "test":
            parts.pop()
        if len(parts) >= 2 and parts[-2] in SYSTEMS and parts[-1] in ARCHITECTURES:
            return self.has(parts[-2]) and self.has(parts[-1])
        last = parts[-1] if parts else ""
        return self.has(last) if last in SYSTEMS or last in ARCHITECTURES else True

    def wants_header(self, comments: list[str]) -> bool:
        """True unless a constraint in the comments above the package clause excludes the file."""
        modern = [line.removeprefix("//go:build") for line in comments if re.match(r"//go:build\s", line)]
        if modern:
            return all(evaluate(line, self.has) for line in modern)
        old = [match[1] for line in comments if (match := re.match(r"//\s*\+build\s+(.*)", line))]
        return all(any(all(self._old(term) for term in option.split(",")) for option in line.split()) for line in old)

    def _old(self, term: str) -> bool:
        return not self.has(term[1:]) if term.startswith("!") else self.has(term)


@dataclass(frozen=True)
class AnyOf:
    """Several targets: what one of them wants is wanted."""

    targets: tuple[Target, ...]

    @property
    def shown(self) -> str:
        """For messages."""
        return " or ".join(target.shown for target in self.targets)

    def wants(self, name: str, comments: list[str]) -> bool:
        """See Target."""
        return any(target.wants(name, comments) for target in self.targets)

    def wants_name(self, name: str) -> bool:
        """See Target."""
        return any(target.wants_name(name) for target in self.targets)


Wanted = Target | AnyOf
"""What decides about files."""


def evaluate(expression: str, has: Callable[[str], bool]) -> bool:
    """Value of a `//go:build` expression; one that Go would refuse counts as true, so that Go gets to say so."""
    words = _WORD.findall(expression)
    position = 0

    def peek() -> str:
        return words[position] if position < len(words) else ""

    def either() -> bool:
        nonlocal position
        value = both()
        while peek() == "||":
            position += 1
            value = both() or value
        return value

    def both() -> bool:
        nonlocal position
        value = one()
        while peek() == "&&":
            position += 1
            value = one() and value
        return value

    def one() -> bool:
        nonlocal position
        word = peek()
        position += 1
        if word == "!":
            return not one()
        if word == "(":
            value = either()
            if peek() != ")":
                raise ValueError(expression)
            position += 1
            return value
        if word in ("", ")", "&&", "||"):
            raise ValueError(expression)
        return has(word)

    try:
        value = either()
    except (ValueError, RecursionError):
        return True
    return value if position == len(words) else True
