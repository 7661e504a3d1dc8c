"""Newer versions of what is installed or locked: in the range that was asked for, by the same publisher."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from flowctl_core.errors import NotFoundError, RemoteError, TrustError, UsageError
from flowctl_core.install.lockfile import NAME
from flowctl_core.install.places import Home
from flowctl_core.install.plan import Choice
from flowctl_core.install.ranges import choose, is_newer
from flowctl_core.install.remote import RemoteRegistry
from flowctl_core.install.request import ANY, Request
from flowctl_core.install.shelf import installed
from flowctl_core.models.installation import OutdatedComponent
from flowctl_core.models.installed import Lock, Origin
from flowctl_core.models.trust import ComponentIndex


class Known(NamedTuple):
    """A component that is installed, or locked."""

    request: Request
    """With the range that counts."""
    version: str
    origin: Origin
    told_by: str
    """Who says whose it is."""


def find_known(requests: Sequence[Request], home: Home, lock: Lock | None) -> list[Known]:
    """The components named, or all: with a lockfile of its own, else of the installed ones, each in its newest version.

    Raises NotFoundError for one that is not among them.
    """
    known: dict[str, Known] = {}
    if lock is not None:
        for component, locked in lock.components.items():
            namespace, _, name = component.partition("/")
            request = Request(namespace, name, locked.requested)
            known[component] = Known(request, locked.version, locked.origin, NAME)
    else:
        for each in installed(home):
            request = Request(each.namespace, each.name)
            told_by = f"the installed {each.version}"
            known.setdefault(request.component, Known(request, each.version, each.origin, told_by))
    if not requests:
        return list(known.values())
    found = {}
    for request in requests:
        if request.component not in known:
            where = NAME if lock is not None else "what is installed"
            raise NotFoundError(f"{request.component} is not in {where}", hint="Install it first.")
        here = known[request.component]
        found[request.component] = here if request.wanted == ANY else here._replace(request=request)
    return list(found.values())


def updates(
    known: Sequence[Known],
    registry_for: Callable[[str], RemoteRegistry],
    *,
    prereleases: bool = False,
    accept_identity: bool = False,
) -> list[Choice]:
    """What to install in place of what is here: never an older version.

    `accept_identity`: another publisher, builder or repository than before will do, where the policy allows it.
    """
    choices = []
    for request, version, origin, by in known:
        registry = registry_for(request.namespace)
        index = registry.index(request)
        chosen = choose(index, request.wanted, prereleases=prereleases or "-" in version)
        if is_newer(version, chosen):
            entry = index.versions.get(version)
            if entry is None or entry.yanked is None:
                chosen = version
        choices.append(
            Choice(request, chosen, registry, index, expected=None if accept_identity else origin, expected_by=by)
        )
    return choices


def compare(
    known: Sequence[Known],
    registry_for: Callable[[str], RemoteRegistry],
    *,
    prereleases: bool = False,
) -> list[OutdatedComponent]:
    """Each component beside the signed index; one that cannot be asked about keeps nobody from the others."""
    found = []
    for request, version, _, _ in known:
        wanted = newest = yanked = problem = None
        try:
            index = registry_for(request.namespace).index(request)
            newest = _chosen(index, ANY, prereleases=prereleases or "-" in version)
            wanted = _chosen(index, request.wanted, prereleases=prereleases or "-" in version)
            entry = index.versions.get(version)
            if entry is not None and entry.yanked is not None:
                yanked = entry.yanked.reason
        except (RemoteError, TrustError, UsageError) as error:
            problem = error.message
        found.append(
            OutdatedComponent(
                namespace=request.namespace,
                name=request.name,
                installed=version,
                wanted=wanted,
                newest=newest,
                yanked=yanked,
                problem=problem,
            )
        )
    return found


def _chosen(index: ComponentIndex, wanted: str, *, prereleases: bool) -> str | None:
    try:
        return choose(index, wanted, prereleases=prereleases)
    except NotFoundError:
        return None
