"""The crates that a release is made of, as package URLs (purl-spec, type `cargo`)."""

from __future__ import annotations

import re
from collections.abc import Iterable

from packageurl import PackageURL

from flowctl_core.models import BuildContext, Dependency, DependencyReport, Plan
from flowctl_lang_rust.cargo import lock_folder
from flowctl_lang_rust.release.checksums import read_checksums
from flowctl_lang_rust.release.metadata import Crate, Graph, Scope, read_graph
from flowctl_lang_rust.release.plan import targets_of
from flowctl_lang_rust.release.rustc import Rustc

_CRATES_IO = ("registry+https://github.com/rust-lang/crates.io-index", "sparse+https://index.crates.io/")
_GIT = re.compile(r"git\+(?P<url>[^?#]+)(\?[^#]*)?#(?P<commit>[0-9a-f]+)")
_ORDER: tuple[Scope, ...] = ("runtime", "build", "test")


def list_dependencies(plan: Plan, context: BuildContext) -> DependencyReport:
    """Third-party crates of the plan's package on all of its platforms, sorted.

    Raises DependenciesMissingError when they were not fetched, BuildError with cargo's words.
    """
    rustc = Rustc.ask(plan, context)
    targets = [wanted[0] for platform in plan.platforms if (wanted := targets_of(plan, platform))]
    triples = [target.partition(".")[0] for target in targets]
    graphs = [read_graph(plan, context, triple) for triple in dict.fromkeys(triples)]
    # Build scripts and macros run here: what only they need on this machine is a dependency of the build.
    here = [] if rustc.host in triples else [read_graph(plan, context, rustc.host)]
    checksums = read_checksums(lock_folder(plan, context) / "Cargo.lock")
    found: dict[str, Dependency] = {}
    for graph in graphs:
        _add(found, _of_graph(graph, checksums, _ORDER))
    for graph in here:
        _add(found, _of_graph(graph, checksums, ("build",)))
    return DependencyReport(
        dependencies=tuple(found[purl] for purl in sorted(found)), resolved_from=("Cargo.lock", "cargo metadata")
    )


def _of_graph(
    graph: Graph, checksums: dict[tuple[str, str, str], str], wanted: tuple[Scope, ...]
) -> Iterable[Dependency]:
    scopes = graph.scopes()
    parents: dict[str, set[str]] = {}
    direct: set[str] = set()
    for edge in graph.edges:
        if edge.needs not in scopes or edge.needed not in scopes or edge.needed == edge.needs:
            continue
        needs = graph.crates[edge.needs]
        if needs.source is None:
            direct.add(edge.needed)
        else:
            parents.setdefault(edge.needed, set()).add(purl_of(needs))
    for name, scope in scopes.items():
        crate = graph.crates[name]
        if crate.source is None or scope not in wanted:
            continue
        digest = checksums.get((crate.name, crate.version, crate.source), "")
        yield Dependency(
            purl=purl_of(crate),
            direct=name in direct,
            scope=scope,
            parents=() if name in direct else tuple(sorted(parents.get(name, ()))),
            digest=f"sha256:{digest}" if digest else "",
            license=crate.license,
        )


def _add(found: dict[str, Dependency], more: Iterable[Dependency]) -> None:
    """Unite: the strongest scope of all platforms, the parents of all."""
    for new in more:
        old = found.get(new.purl)
        if old is None:
            found[new.purl] = new
            continue
        direct = old.direct or new.direct
        found[new.purl] = old.model_copy(
            update={
                "direct": direct,
                "scope": min(old.scope, new.scope, key=_ORDER.index),
                "parents": () if direct else tuple(sorted({*old.parents, *new.parents})),
            }
        )


def purl_of(crate: Crate) -> str:
    """The package URL; one that is not from crates.io names where it is from."""
    qualifiers: dict[str, str] = {}
    source = crate.source or ""
    git = _GIT.fullmatch(source)
    if git is not None:
        qualifiers["vcs_url"] = f"git+{git['url']}@{git['commit']}"
    elif source and source not in _CRATES_IO:
        qualifiers["repository_url"] = source.partition("+")[2]
    return PackageURL("cargo", name=crate.name, version=crate.version, qualifiers=qualifiers).to_string()
