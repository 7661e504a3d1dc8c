"""Dependencies by package URL (https://github.com/package-url/purl-spec), and the way one came in."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

from packageurl import PackageURL

from flowctl_core.errors import PluginError
from flowctl_core.models.artifact import Dependency

_RANK = {"runtime": 0, "build": 1, "test": 2}


def parse_purl(text: str) -> PackageURL:
    """The parsed package URL. Raises PluginError: only plugins write them."""
    try:
        return PackageURL.from_string(text)
    except ValueError as error:
        raise PluginError(
            f"'{text[:200]}' is not a package URL: {error}",
            hint="Report this to the authors of the builder's plugin.",
        ) from error


def merged(dependencies: Iterable[Dependency]) -> tuple[Dependency, ...]:
    """Dependencies with package URLs in canonical spelling, each once, sorted.

    Two entries of one package become one: direct if either is, of the wider scope, with the parents of both.
    """
    found: dict[str, Dependency] = {}
    for dependency in dependencies:
        purl = str(parse_purl(dependency.purl))
        parents = tuple(sorted({str(parse_purl(parent)) for parent in dependency.parents} - {purl}))
        new = dependency.model_copy(update={"purl": purl, "parents": parents})
        known = found.get(purl)
        found[purl] = new if known is None else _joined(known, new)
    return tuple(found[purl] for purl in sorted(found))


def _joined(one: Dependency, other: Dependency) -> Dependency:
    return one.model_copy(
        update={
            "direct": one.direct or other.direct,
            "scope": min(one.scope, other.scope, key=lambda scope: _RANK[scope]),
            "parents": tuple(sorted({*one.parents, *other.parents})),
            "digest": one.digest or other.digest,
            "license": one.license or other.license,
        }
    )


def ways_in(dependencies: Sequence[Dependency]) -> dict[str, tuple[str, ...]]:
    """For each package the shortest way from a direct dependency to itself, both included.

    Of two equally short ways the alphabetically first. A package that no direct one leads to has no entry. Expects
    what `merged` gives.
    """
    children: dict[str, list[str]] = {}
    for dependency in dependencies:
        for parent in dependency.parents:
            children.setdefault(parent, []).append(dependency.purl)
    ways: dict[str, tuple[str, ...]] = {
        dependency.purl: (dependency.purl,) for dependency in dependencies if dependency.direct
    }
    waiting = deque(sorted(ways))
    while waiting:
        purl = waiting.popleft()
        for child in sorted(children.get(purl, ())):
            if child not in ways:
                ways[child] = (*ways[purl], child)
                waiting.append(child)
    return ways
