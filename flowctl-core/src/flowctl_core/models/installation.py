"""What the commands of `flowctl component` about installed components report."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from flowctl_core.models.base import Frozen
from flowctl_core.models.installed import Origin
from flowctl_core.models.platform import Platform
from flowctl_core.models.verification import CheckVerdict


class ProgramLink(Frozen):
    """A program, and how it is called."""

    name: str
    """What it is called."""
    path: str
    """Where it is, absolute."""
    link: str | None = None
    """Its link in `~/.flowctl/bin`; None where it has none."""
    problem: str | None = None
    """Why it has no link, or what it needs to run."""


class InstalledComponent(Frozen):
    """A component that was installed, or found to be."""

    reference: str
    """`namespace/name@version`."""
    namespace: str
    """Where it belongs."""
    name: str
    """Its name there."""
    version: str
    """Without a leading v."""
    state: Literal["installed", "unchanged", "repaired"]
    """`unchanged`: it was there, whole; `repaired`: files of it were missing or damaged."""
    platforms: tuple[Platform, ...]
    """Those that it is installed for."""
    path: str
    """Its folder."""
    registry: str
    """Address of the registry that it came from."""
    origin: Origin
    """Who stands behind it."""
    checks: tuple[CheckVerdict, ...] = ()
    """The seven checks, as they ended when it was verified."""
    programs: tuple[ProgramLink, ...] = ()
    """Its programs for this machine."""
    image: str | None = None
    """Name of its image in the Docker engine (`--container`)."""
    received: int = 0
    """Bytes that were downloaded; what other versions have as well, is not."""


class InstallReport(Frozen):
    """The answer of `flowctl component install` and `update`."""

    components: tuple[InstalledComponent, ...]
    """In the order in which they were asked for."""
    lockfile: str | None = None
    """The lockfile that holds them."""
    offline: str | None = None
    """Why the registry was not asked, and what was verified earlier counts; None when it was asked."""
    warnings: tuple[str, ...] = ()
    """Texts for people."""
    duration_s: float = 0.0
    """Seconds."""


class ListedComponent(Frozen):
    """An installed version."""

    namespace: str
    """Where it belongs."""
    name: str
    """Its name there."""
    version: str
    """Without a leading v."""
    platforms: tuple[Platform, ...]
    """Those that it is installed for."""
    linked: tuple[str, ...]
    """Programs of it that `~/.flowctl/bin` leads to."""
    registry: str
    """Address of the registry that it came from."""
    path: str
    """Its folder."""
    size: int
    """Bytes of its files; those that versions share are counted in each."""
    damaged: tuple[str, ...] = ()
    """Files that are not what was verified."""
    installed_at: datetime
    """When."""


class ComponentList(Frozen):
    """What is installed."""

    components: tuple[ListedComponent, ...]
    """By namespace and name, the newest first."""
    bin: str
    """Folder of the links; it belongs on PATH."""
    on_path: bool
    """Whether it is."""


class OutdatedComponent(Frozen):
    """An installed component, compared with the signed index."""

    namespace: str
    """Where it belongs."""
    name: str
    """Its name there."""
    installed: str
    """The newest version that is installed (with a lockfile: the locked one)."""
    wanted: str | None
    """The newest in the range that was asked for; None where there is none."""
    newest: str | None
    """The newest of all; None where all are yanked."""
    yanked: str | None = None
    """Why the installed version must not be used any more."""
    problem: str | None = None
    """Why the index could not be asked."""


class OutdatedReport(Frozen):
    """What could be updated."""

    components: tuple[OutdatedComponent, ...]
    """Those for which there is something to do; with `--all`, the others too."""
    checked: int
    """How many were compared."""


class RemovedReport(Frozen):
    """What was uninstalled."""

    removed: tuple[str, ...]
    """`namespace/name@version`, each."""
    links: tuple[str, ...] = ()
    """Programs that `~/.flowctl/bin` has no more."""
    freed: int = 0
    """Bytes that are free now."""


class KnownVersion(Frozen):
    """A version in the signed index."""

    version: str
    """Without a leading v."""
    published: datetime
    """When."""
    prerelease: bool
    """True: it is not installed unless asked for."""
    yanked: str | None
    """Why it must not be used any more."""
    installed: bool
    """Whether it is here."""


class VersionsReport(Frozen):
    """All versions of a component, by the signed index."""

    component: str
    """`namespace/name`."""
    registry: str
    """Address of the registry."""
    versions: tuple[KnownVersion, ...]
    """The newest first."""
    offline: str | None = None
    """Why this is what was verified earlier; None when the registry was asked."""
