"""In which order members are built: `depends_on` and `spec.build.order`."""

from __future__ import annotations

from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise

from flowctl_core.bundles.folder import BundleFolder
from flowctl_core.specfile.finding import Finding

_CYCLES = 20
"""Circles that are told of at most."""


def needed_first(bundle: BundleFolder) -> dict[str, set[str]]:
    """Name of each member to those that are built before it."""
    needs: dict[str, set[str]] = {member.name: set(member.entry.depends_on) for member in bundle.members}
    build = bundle.loaded.spec.spec.build
    for before, after in pairwise(build.order if build is not None else ()):
        needs[after].add(before)
    return needs


def order_findings(bundle: BundleFolder) -> Iterator[Finding]:
    """Members that wait for themselves."""
    needs = needed_first(bundle)
    places = {member.name: member.index for member in bundle.members}
    for _ in range(_CYCLES):
        try:
            TopologicalSorter({name: sorted(wanted) for name, wanted in needs.items()}).prepare()
            return
        except CycleError as error:
            circle: list[str] = error.args[1]  # each is needed by the next; the first and the last are one
            name, before = circle[-1], circle[-2]
            way = f", through {', '.join(circle[-2:0:-1])}" if len(circle) > 2 else ""
            declared = before in bundle.members[places[name]].entry.depends_on
            path = ("spec", "components", places[name], "depends_on") if declared else ("spec", "build", "order")
            yield bundle.loaded.finding("error", path, f"'{name}' is to be built before itself{way}")
            needs[name].discard(before)  # what else goes in circles is told too
