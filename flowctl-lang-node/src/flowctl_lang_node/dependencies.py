"""Resolved dependencies as package URLs, from the lockfile."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from typing import Literal
from urllib.parse import quote

from flowctl_core.errors import BuildError
from flowctl_core.models import BuildContext, Dependency, DependencyReport, Plan
from flowctl_lang_node.locks.graph import LockedPackage, LockGraph, UnreadableLockError
from flowctl_lang_node.locks.read import read_lock


def dependencies(plan: Plan, context: BuildContext) -> DependencyReport:
    """See `flowctl_dependencies`.

    Runtime are those that package.json asks for and what they need, members of the workspace included; the build uses
    the development dependencies, so they are build ones. Raises BuildError when there is no lockfile that can be read.
    """
    if not plan.details["installs"]:
        return DependencyReport()
    try:
        graph, file, folder = read_lock(plan, context.source_root)
    except UnreadableLockError as error:
        raise BuildError(
            f"the dependencies cannot be listed: {error}",
            hint="Install with npm, pnpm, yarn or bun and commit the lockfile.",
        ) from error
    importer = graph.importer(folder)
    direct = {*importer.runtime, *importer.optional}
    runtime = graph.reached(direct)
    development = graph.reached(importer.development)
    found: dict[str, Dependency] = {}
    scopes: tuple[tuple[Literal["runtime", "build"], dict[str, set[str]], Iterable[str]], ...] = (
        ("runtime", runtime, direct),
        ("build", development, importer.development),
    )
    for scope, reached, roots in scopes:
        asked = set(roots)
        for key, users in reached.items():
            package = graph.packages[key]
            purl = purl_of(package)
            parents = {purl_of(graph.packages[user]) for user in users}
            before = found.get(purl)
            if before is not None and before.scope != scope:
                continue  # of the development dependencies too, which changes nothing
            is_direct = key in asked or (before is not None and before.direct)
            parents |= set(before.parents if before is not None else ())
            found[purl] = Dependency(
                purl=purl,
                direct=is_direct,
                scope=scope,
                parents=tuple(sorted(parents - {purl})),
                digest=digest_of(package.integrity),
                license=package.license,
            )
    return DependencyReport(dependencies=tuple(found[purl] for purl in sorted(found)), resolved_from=(file,))


def purl_of(package: LockedPackage) -> str:
    """`pkg:npm/%40scope/name@version` (https://github.com/package-url/purl-spec, type npm)."""
    path = "/".join(quote(part, safe="") for part in package.name.split("/"))
    purl = f"pkg:npm/{path}@{quote(package.version, safe='.-_~')}"
    if package.source.startswith("git"):
        return f"{purl}?vcs_url={quote(package.source, safe=':/')}"
    return purl


def digest_of(integrity: str) -> str:
    """`sha512:<hex>` from `sha512-<base64>`; of several the strongest, empty where there is none."""
    best = ""
    for algorithm in ("sha512", "sha384", "sha256", "sha1"):
        match = re.search(rf"(?:^|\s){algorithm}-([A-Za-z0-9+/=]+)", integrity)
        if match:
            try:
                best = f"{algorithm}:{base64.b64decode(match.group(1), validate=True).hex()}"
            except binascii.Error:
                continue
            break
    return best


def production(graph: LockGraph, folder: str) -> dict[str, set[str]]:
    """Packages that the program cannot do without: reached from its dependencies without optional ones."""
    return graph.reached(graph.importer(folder).runtime, optional=False)
