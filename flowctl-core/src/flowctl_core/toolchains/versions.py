"""Versions as tools print them, held against PEP 440 specifiers."""

from __future__ import annotations

import re
from functools import lru_cache

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from flowctl_core.errors import ToolchainError

_NUMBERS = re.compile(r"\d+(?:\.\d+)*")


@lru_cache(maxsize=256)
def parse_version(text: str) -> Version | None:
    """`1.23rc1`, `go1.23.4`, `v20.1.0`, `1.97.0-nightly`; None where there is no number at all.

    A suffix that PEP 440 does not know (`-nightly`, `-ubuntu`) is left out: a nightly compiler of the coming 1.97.0
    accepts what 1.97.0 accepts, and rustc itself says so.
    """
    bare = text.strip().removeprefix("go").removeprefix("v")
    try:
        return Version(bare)
    except InvalidVersion:
        numbers = _NUMBERS.search(bare)
        return Version(numbers.group()) if numbers else None


@lru_cache(maxsize=256)
def parse_specifier(text: str) -> SpecifierSet:
    """A PEP 440 specifier. Raises ToolchainError when it is not one."""
    try:
        return SpecifierSet(text, prereleases=True)
    except InvalidSpecifier as error:
        raise ToolchainError(
            f"'{text}' is not a version specifier",
            hint="Write it in the form >=1.23 or >=18,<23 (PEP 440).",
        ) from error


def satisfies(version: str, specifier: str) -> bool:
    """True when the version is one that the specifier admits; an empty specifier admits everything."""
    if not specifier.strip():
        return True
    parsed = parse_version(version)
    return parsed is not None and parsed in parse_specifier(specifier)
