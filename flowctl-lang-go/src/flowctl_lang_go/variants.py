"""A platform in Go's words: GOOS, GOARCH, and the variable that chooses among the CPUs of one architecture.

All are set, with Go's own defaults (https://pkg.go.dev/cmd/go#hdr-Environment_variables), so that neither the caller's
environment nor the way in which this Go was built has a say.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from flowctl_core.models import Platform


@dataclass(frozen=True)
class _Choice:
    variable: str
    default: str
    form: str
    """Regular expression of the variants that the platform's spelling allows."""
    shown: str


_CHOICES = {
    "386": _Choice("GO386", "sse2", "sse2|softfloat", "sse2, softfloat"),
    "amd64": _Choice("GOAMD64", "v1", "v[1-4]", "v1 to v4"),
    "arm": _Choice("GOARM", "7", "v[5-7]", "v5, v6, v7"),
    "arm64": _Choice("GOARM64", "v8.0", r"v8|v9|v8\.[0-9]|v9\.[0-5]", "v8.0 to v9.5"),
    "mips": _Choice("GOMIPS", "hardfloat", "hardfloat|softfloat", "hardfloat, softfloat"),
    "mips64": _Choice("GOMIPS64", "hardfloat", "hardfloat|softfloat", "hardfloat, softfloat"),
    "ppc64": _Choice("GOPPC64", "power8", "power(8|9|10)", "power8, power9, power10"),
    "riscv64": _Choice("GORISCV64", "rva20u64", "rva2[023]u64", "rva20u64, rva22u64, rva23u64"),
}
_SAME = {"mipsle": "mips", "mips64le": "mips64", "ppc64le": "ppc64"}

VARIABLES = tuple(choice.variable for choice in _CHOICES.values())
"""The variables that choose among CPUs."""


def target_variables(platform: Platform) -> dict[str, str]:
    """What makes Go build for a platform. Raises ValueError, with the variants there are, for one that is unknown."""
    found = {"GOOS": platform.os, "GOARCH": platform.arch}
    choice = _CHOICES.get(_SAME.get(platform.arch, platform.arch))
    variant = platform.variant
    if choice is None:
        if variant is not None:
            raise ValueError(f"Go knows no variants of {platform.arch}")
        return found
    if variant is None:
        return {**found, choice.variable: choice.default}
    if not re.fullmatch(choice.form, variant):
        raise ValueError(f"Go's variants of {platform.arch} are {choice.shown}")
    if choice.variable == "GOARM":
        variant = variant.removeprefix("v")
    elif choice.variable == "GOARM64" and "." not in variant:
        variant += ".0"
    return {**found, choice.variable: variant}
