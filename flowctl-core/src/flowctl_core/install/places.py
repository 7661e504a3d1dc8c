"""Where things are on this machine: `~/.flowctl/{components,bin,store}`."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from flowctl_core.models.installed import Kind

RECORD = "installed.json"
"""In a version's folder."""


@dataclass(frozen=True)
class Home:
    """`~/.flowctl`, or where FLOWCTL_HOME says."""

    path: Path

    @classmethod
    def of_user(cls) -> Home:
        """This user's."""
        named = os.environ.get("FLOWCTL_HOME")
        return cls(Path(named) if named else Path(os.environ.get("HOME") or Path.home()) / ".flowctl")

    @property
    def bin(self) -> Path:
        """Links to programs, for PATH."""
        return self.path / "bin"

    @property
    def store(self) -> Path:
        """Contents by digest."""
        return self.path / "store"

    @property
    def lock(self) -> Path:
        """Held by who changes what is installed; taken after `store_lock`, where both are."""
        return self.path / "components.lock"

    @property
    def store_lock(self) -> Path:
        """Shared by those who receive files and put them in their place, held alone by who sweeps the store."""
        return self.store / "lock"

    def installed(self, kind: Kind = "component") -> Path:
        """`components/` or `bundles/`."""
        return self.path / f"{kind}s"

    def version(self, namespace: str, name: str, version: str, kind: Kind = "component") -> Path:
        """A version's folder."""
        return self.installed(kind) / namespace / name / version
