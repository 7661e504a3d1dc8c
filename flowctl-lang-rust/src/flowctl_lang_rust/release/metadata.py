"""What cargo resolved for a target: packages, and which needs which for what (`cargo metadata`, format version 1)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from flowctl_core.errors import BuildError
from flowctl_core.models import BuildContext, Plan
from flowctl_lang_rust.cargo import failure, run_cargo
from flowctl_lang_rust.manifest import strings

Scope = Literal["runtime", "build", "test"]
_STRENGTH: tuple[Scope, ...] = ("runtime", "build", "test")
_VALUED = ("--features", "-F")
_PLAIN = ("--all-features", "--no-default-features")


@dataclass(frozen=True)
class Crate:
    """One package of the graph."""

    id: str
    name: str
    version: str
    source: str | None
    """None: a folder, so not third-party."""
    license: str
    macro: bool
    """True for a procedural macro: it runs in the compiler and is not in the program."""


@dataclass(frozen=True)
class Edge:
    """`needs` needs `needed`, for one purpose."""

    needs: str
    needed: str
    scope: Scope


@dataclass(frozen=True)
class Graph:
    """The packages that the plan's package reaches on one target."""

    root: str
    crates: Mapping[str, Crate]
    edges: tuple[Edge, ...]

    def scopes(self) -> dict[str, Scope]:
        """The strongest purpose for which the root's program needs each package: runtime, then build, then test."""
        found: dict[str, Scope] = {self.root: "runtime"}
        outgoing: dict[str, list[Edge]] = {}
        for edge in self.edges:
            if edge.scope != "test" or edge.needs == self.root:  # nobody runs the tests of a dependency
                outgoing.setdefault(edge.needs, []).append(edge)
        for scope in _STRENGTH:
            waiting = [crate for crate, known in found.items() if _within(known, scope)]
            while waiting:
                here = waiting.pop()
                for edge in outgoing.get(here, ()):
                    own: Scope = "build" if self.crates[edge.needed].macro else "runtime"
                    reached = max(edge.scope, own, found[here], key=_STRENGTH.index)
                    if reached == scope and edge.needed not in found:
                        found[edge.needed] = scope
                        waiting.append(edge.needed)
        return found


def _within(known: Scope, scope: Scope) -> bool:
    return _STRENGTH.index(known) <= _STRENGTH.index(scope)


def read_graph(plan: Plan, context: BuildContext, triple: str) -> Graph:
    """What the plan's package resolves to on a target, without network.

    Raises DependenciesMissingError when crates are not on this machine, BuildError or ToolchainError with
    cargo's words.
    """
    arguments = ["metadata", "--format-version", "1", "--locked", "--offline", "--filter-platform", triple]
    done = run_cargo(plan, context, [*arguments, *_features(plan)], on_line=lambda line: None)
    if not done.ok:
        raise failure(done, "cargo metadata")
    try:
        data = json.loads(done.stdout)
        crates = {package["id"]: _crate(package) for package in data["packages"]}
        edges = tuple(_edges(data["resolve"]["nodes"]))
    except (ValueError, KeyError, TypeError) as error:
        raise BuildError("cargo metadata answered with something else than its format", output=done.output) from error
    members = set(strings(data.get("workspace_members")))
    name = plan.details.get("package")
    root = next((crate.id for crate in crates.values() if crate.name == name and crate.id in members), None)
    if root is None:
        raise BuildError(f"cargo metadata does not know the package {name}")
    return Graph(root=root, crates=crates, edges=edges)


def _features(plan: Plan) -> list[str]:
    """The features that the build switches on, as arguments."""
    features = list(strings(plan.details.get("features")))
    arguments = plan.settings.build_args
    chosen = [argument for argument in arguments if argument in _PLAIN]
    for position, argument in enumerate(arguments):
        if argument in _VALUED and position + 1 < len(arguments):
            features.append(arguments[position + 1])
        elif argument.startswith("--features="):
            features.append(argument.partition("=")[2])
    return [*chosen, *(["--features", ",".join(features)] if features else [])]


def _crate(package: Mapping[str, Any]) -> Crate:
    kinds = [kind for target in package["targets"] for kind in strings(target.get("kind"))]
    license_text = package.get("license")
    return Crate(
        id=package["id"],
        name=package["name"],
        version=package["version"],
        source=package.get("source"),
        # Before SPDX expressions, crates wrote «MIT/Apache-2.0» for a choice.
        license=license_text.replace("/", " OR ") if isinstance(license_text, str) else "",
        macro="proc-macro" in kinds,
    )


def _edges(nodes: list[Mapping[str, Any]]) -> Iterator[Edge]:
    purposes: dict[str, Scope] = {"build": "build", "dev": "test"}
    for node in nodes:
        for dependency in node["deps"]:
            kinds = {kind.get("kind") for kind in dependency["dep_kinds"]}
            for kind in sorted(kinds, key=str):
                yield Edge(node["id"], dependency["pkg"], purposes.get(str(kind), "runtime"))
