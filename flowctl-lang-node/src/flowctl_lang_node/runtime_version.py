"""Which version of Node.js a release carries: what the source names, else the best pinned one that it allows."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from flowctl_core.models import SourceTree
from flowctl_lang_node import pins, semver
from flowctl_lang_node.detect import NAMES
from flowctl_lang_node.manifest import Package, joined, node_range

_EXACT = re.compile(r"v?(\d+\.\d+\.\d+)")
_CODENAMES = {"iron": "20", "jod": "22", "krypton": "24"}
"""Names of long-term lines (https://github.com/nodejs/Release)."""


@dataclass(frozen=True)
class Runtime:
    """The version of Node.js inside the executables, the same for all platforms."""

    version: str | None
    """None: no version of what the source allows can be had."""
    declared: str = ""
    """What the source says, as it is written."""
    where: str = ""
    """File and field that say so; empty when nothing does."""
    problem: str = ""
    """Why there is no version."""
    warning: str = ""

    def integrity(self, platform: str) -> str | None:
        """Integrity of the package for a platform; empty when the version is not pinned, None when there is none."""
        known = pins.node_integrity(self.version or "")
        return "" if known is None else known.get(platform)


def choose_runtime(source: SourceTree, root: Package, package: Package) -> Runtime:
    """The version for a source.

    An exact version in component.yaml, .nvmrc, .node-version or volta is taken as it is. Else it is the best pinned
    version of the line that one of those names, or in the range of engines.node. It never depends on the platforms: a
    release for one of them has the same Node.js as a release for all.
    """
    asked = _asked(source)
    if asked:
        return _exact(*asked) or _best(*asked)
    named = _named(source, root, package)
    if named:
        found = _exact(*named) or _best(*named)
        if found.version:
            return found
        # A version file names what the developers use, so it is the oldest that will do.
        declared = node_range(source, root, package) or ("", "")
        best = _best(*declared)
        said = f"{named[1]} names Node.js {named[0]}, which no release can carry: {best.version} is used"
        return replace(best, warning=said if best.version else "")
    return _best(*(node_range(source, root, package) or ("", "")))


def _best(declared: str, where: str) -> Runtime:
    allowed = semver.parse(_CODENAMES.get(declared.lower().removeprefix("lts/"), declared))
    # What is no range (`lts/*`, `node`) allows everything.
    alternatives = allowed or (semver.Interval(),)
    for version in pins.node_versions():
        if semver.admits(alternatives, version):
            return Runtime(version, declared, where)
    if not any(one.high is None or one.high > pins.FIRST for one in alternatives):
        return _too_old(declared, where)
    problem = f"{where} asks for Node.js {declared}, and this builder knows no npm package with such a version"
    return Runtime(None, declared, where, problem=problem)


def _too_old(declared: str, where: str) -> Runtime:
    first = ".".join(map(str, pins.FIRST))
    problem = f"{where} asks for Node.js {declared}; single executables need {first} or newer"
    return Runtime(None, declared, where, problem=problem)


def _exact(declared: str, where: str) -> Runtime | None:
    """The very version; None when it is a line or a range that is declared."""
    match = _EXACT.fullmatch(declared)
    if match is None:
        return None
    version = match.group(1)
    if pins.numbers(version) < pins.FIRST:
        return _too_old(declared, where)
    if pins.node_integrity(version) is None and pins.numbers(version) < pins.newest_pinned():
        problem = f"{where} asks for Node.js {version}, which no npm package carries"
        return Runtime(None, declared, where, problem=problem)
    return Runtime(version, declared, where)


def _asked(source: SourceTree) -> tuple[str, str] | None:
    language = source.component.language(*NAMES) if source.component else None
    version = language.version.strip() if language is not None and language.version else ""
    return (version, "component.yaml languages") if version else None


def _named(source: SourceTree, root: Package, package: Package) -> tuple[str, str] | None:
    """The version or line that a version file or volta names, and where."""
    for folder in dict.fromkeys((package.folder, root.folder, ".")):
        for name in (".nvmrc", ".node-version"):
            path = joined(folder, name)
            lines = source.read_text(path).split("#")[0].split() if source.exists(path) else []
            if lines:
                return lines[0], path
    for one in (package, root):
        volta = one.table("volta").get("node")
        if isinstance(volta, str) and volta.strip():
            return volta.strip(), f"{one.path} volta.node"
    return None
