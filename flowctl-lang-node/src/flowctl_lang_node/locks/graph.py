"""Resolved packages and who needs them, whichever lockfile says so."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field


class UnreadableLockError(Exception):
    """The lockfile is damaged, or of a version that is not known here."""


@dataclass(frozen=True)
class LockedPackage:
    """One resolved package."""

    name: str
    version: str
    integrity: str = ""
    """Subresource integrity (`sha512-<base64>`) of its archive, where the lockfile has it."""
    needs: tuple[str, ...] = ()
    """Keys of what it depends on."""
    may_need: tuple[str, ...] = ()
    """Keys of its optional dependencies, peers that are there included."""
    license: str = ""
    installs: bool = False
    """True when it has scripts that run when it is installed."""
    source: str = ""
    """Where it comes from, when that is no registry: an address in git, of an archive, or a path."""


@dataclass(frozen=True)
class Importer:
    """What one package.json of the source asks for: keys of packages."""

    runtime: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    development: tuple[str, ...] = ()
    members: tuple[str, ...] = ()
    """Folders of workspace members that it depends on at run time."""


@dataclass(frozen=True)
class LockGraph:
    """A whole lockfile."""

    packages: Mapping[str, LockedPackage]
    importers: Mapping[str, Importer] = field(default_factory=dict)
    """By folder relative to the lockfile; `.` is its own."""

    def importer(self, folder: str) -> Importer:
        """What a folder's package and the members that it depends on ask for together."""
        seen: dict[str, Importer] = {}
        pending = [folder]
        while pending:
            here = pending.pop()
            if here not in seen and here in self.importers:
                seen[here] = self.importers[here]
                pending += seen[here].members
        found = seen.values()
        own = seen.get(folder, Importer())
        return Importer(
            runtime=_merged(one.runtime for one in found),
            optional=_merged(one.optional for one in found),
            development=own.development,
            members=own.members,
        )

    def reached(self, keys: Iterable[str], *, optional: bool = True) -> dict[str, set[str]]:
        """Packages that are reached from some, with the keys of those that ask for each."""
        found: dict[str, set[str]] = {}
        pending = [key for key in dict.fromkeys(keys) if key in self.packages]
        for key in pending:
            found[key] = set()
        while pending:
            key = pending.pop()
            for needed in self._needed(key, optional=optional):
                if needed not in self.packages:
                    continue
                if needed not in found:
                    found[needed] = set()
                    pending.append(needed)
                if needed != key:
                    found[needed].add(key)
        return found

    def _needed(self, key: str, *, optional: bool) -> Iterator[str]:
        package = self.packages[key]
        yield from package.needs
        if optional:
            yield from package.may_need


def _merged(groups: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(key for group in groups for key in group))
