"""The platforms that an executable can be made for: wheel tags and marker values of each.

Tags follow the Python packaging specifications "Platform compatibility tags" (PEP 425, PEP 600), marker values
"Dependency specifiers" (PEP 508).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property

from packaging.tags import Tag, compatible_tags, cpython_tags, mac_platforms, platform_tags
from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from flowctl_core.models import Platform

_LINUX = {
    "linux/amd64": "x86_64",
    "linux/arm64": "aarch64",
    "linux/arm64/v8": "aarch64",
    "linux/386": "i686",
    "linux/arm": "armv7l",
    "linux/arm/v7": "armv7l",
    "linux/ppc64le": "ppc64le",
    "linux/s390x": "s390x",
    "linux/riscv64": "riscv64",
}
_DARWIN = {"darwin/amd64": "x86_64", "darwin/arm64": "arm64"}

_LEGACY = {(2, 17): "manylinux2014", (2, 12): "manylinux2010", (2, 5): "manylinux1"}
_OLDEST_GLIBC = {"x86_64": 5, "i686": 5, "riscv64": 31}
_NEWEST_GLIBC = {"riscv64": (2, 39)}

GLIBC = (2, 28)
"""Wheels may need this glibc: Debian 10, Ubuntu 20.04 and RHEL 8 have it, and most projects build for it or older."""
MACOS = (13, 0)
"""Wheels may need this macOS."""


def supported(platform: Platform) -> bool:
    """True when wheels exist for such a platform."""
    return platform in _LINUX or platform in _DARWIN


@dataclass(frozen=True)
class Target:
    """One platform with one CPython version."""

    platform: Platform
    python: tuple[int, int]
    """For example (3, 11)."""
    glibc: tuple[int, int] | None = None
    """Newest glibc that a wheel may need; None for the default."""
    macos: tuple[int, int] | None = None
    """Newest macOS that a wheel may need; None for the default."""

    @property
    def is_host(self) -> bool:
        """True when what is compiled on this machine runs there."""
        return self.platform == Platform.host()

    @property
    def machine(self) -> str:
        """`platform.machine()` there."""
        return _LINUX.get(self.platform) or _DARWIN[self.platform]

    @cached_property
    def ranks(self) -> dict[Tag, int]:
        """Tags of wheels that work, best first."""
        return self._ranked(self._platforms())

    @cached_property
    def built_ranks(self) -> dict[Tag, int]:
        """Tags of wheels that were built here: for the host those of the host, too."""
        return self._ranked([*self._platforms(), *(platform_tags() if self.is_host else ())])

    def rank(self, filename: str, *, built: bool = False) -> int | None:
        """How well a wheel fits, 0 is best; None when it does not work there or is no wheel's name."""
        try:
            tags = parse_wheel_filename(filename)[3]
        except InvalidWheelFilename:
            return None
        ranks = self.built_ranks if built else self.ranks
        return min((ranks[tag] for tag in tags if tag in ranks), default=None)

    @property
    def markers(self) -> dict[str, str]:
        """Values of environment markers. The patch version and the kernel's are not known: the lowest are taken."""
        short = f"{self.python[0]}.{self.python[1]}"
        linux = self.platform.os == "linux"
        return {
            "implementation_name": "cpython",
            "implementation_version": f"{short}.0",
            "os_name": "posix",
            "platform_machine": self.machine,
            "platform_python_implementation": "CPython",
            "platform_release": "",
            "platform_system": "Linux" if linux else "Darwin",
            "platform_version": "",
            "python_full_version": f"{short}.0",
            "python_version": short,
            "sys_platform": "linux" if linux else "darwin",
        }

    def complete_platform(self) -> str:
        """JSON text of a `--complete-platform` of pex."""
        tags = [str(tag) for tag in self.built_ranks]
        return json.dumps({"compatible_tags": tags, "marker_environment": self.markers}, indent=1, sort_keys=True)

    def _platforms(self) -> list[str]:
        if self.platform in _DARWIN:
            return list(mac_platforms(self.macos or MACOS, self.machine))
        major, newest = self.glibc or _NEWEST_GLIBC.get(self.machine, GLIBC)
        found = []
        for minor in range(newest, _OLDEST_GLIBC.get(self.machine, 17) - 1, -1):
            found.append(f"manylinux_{major}_{minor}_{self.machine}")
            if (legacy := _LEGACY.get((major, minor))) is not None:
                found.append(f"{legacy}_{self.machine}")
        return found

    def _ranked(self, platforms: list[str]) -> dict[Tag, int]:
        tags = [
            *cpython_tags(self.python, platforms=platforms),
            *compatible_tags(self.python, f"cp{self.python[0]}{self.python[1]}", platforms),
        ]
        return {tag: at for at, tag in enumerate(dict.fromkeys(tags))}
