"""Which versions are to be installed: by the signed index, and by the lockfile where there is one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from flowctl_core.errors import NotFoundError, UsageError
from flowctl_core.install.lockfile import NAME, check_locked_digests, check_locked_registry, locked_for
from flowctl_core.install.ranges import choose
from flowctl_core.install.remote import RemoteRegistry
from flowctl_core.install.request import ANY, Request
from flowctl_core.models.installed import Lock, LockedVersion, Origin
from flowctl_core.models.trust import ComponentIndex


@dataclass(frozen=True)
class Choice:
    """One version of a component, and what is known of it before anything is fetched."""

    request: Request
    version: str
    registry: RemoteRegistry
    index: ComponentIndex
    locked: LockedVersion | None = None
    """What the lockfile has of this version."""
    expected: Origin | None = None
    """Who must stand behind it, beyond the policy."""
    expected_by: str = NAME
    """Who says so."""

    @property
    def what(self) -> str:
        """`namespace/name version`, for messages."""
        return f"{self.request.component} {self.version}"


def choose_versions(
    requests: Sequence[Request],
    registry_for: Callable[[str], RemoteRegistry],
    lock: Lock | None,
    *,
    locked: bool,
    prereleases: bool = False,
) -> list[Choice]:
    """A version for each request. `locked`: the lockfile's, or none.

    Raises UsageError, NotFoundError (no such component or version), TrustError (the index), VerificationError (another
    registry or other digests than locked).
    """
    choices: dict[str, Choice] = {}
    for request in requests:
        lines = lock.components if lock is not None else {}
        kept = locked_for(lines, request, request.component, locked=locked)
        choice = _choose(request, registry_for(request.namespace), kept, prereleases=prereleases)
        other = choices.setdefault(request.component, choice)
        if other.version != choice.version:
            raise UsageError(
                f"{request.component} is asked for in two versions: {other.version} and {choice.version}",
                hint="Install them one after the other; the last one gets the links.",
            )
    return list(choices.values())


def _choose(request: Request, registry: RemoteRegistry, kept: LockedVersion | None, *, prereleases: bool) -> Choice:
    if kept is not None:
        check_locked_registry(request.component, kept, registry.url, request.namespace)
    index = registry.index(request)
    if kept is None:
        return Choice(request, choose(index, request.wanted, prereleases=prereleases), registry, index)
    if kept.version not in index.versions:
        raise NotFoundError(
            f"the signed index of {registry.url} has no {request.component} {kept.version}, which {NAME} names",
            hint="Versions are never taken away: ask the registry's operator.",
        )
    check_locked_digests(f"{request.component} {kept.version}", kept, index.versions[kept.version])
    wanted = request if request.wanted != ANY else Request(request.namespace, request.name, kept.requested)
    return Choice(wanted, kept.version, registry, index, locked=kept, expected=kept.origin)
