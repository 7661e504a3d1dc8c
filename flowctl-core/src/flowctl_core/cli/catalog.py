"""`flowctl component search` and `info`: what a registry has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from flowctl_core.cli.console import counted, emit, say, table, warn
from flowctl_core.cli.global_options import GLOBAL
from flowctl_core.cli.installing import Remotes, Wishes, index_of
from flowctl_core.cli.session import load_configuration
from flowctl_core.cli.summary import size_text
from flowctl_core.client.registries import Registries
from flowctl_core.client.session import Session
from flowctl_core.install.places import Home
from flowctl_core.install.ranges import choose, is_version, sort_key
from flowctl_core.install.request import parse_request
from flowctl_core.install.shelf import installed
from flowctl_core.models.catalog import ComponentFacts, ComponentInfo, SearchResult, VersionFacts
from flowctl_core.models.trust import ComponentIndex

_VERSIONS_SHOWN = 10


@dataclass(frozen=True)
class Search:
    """What is looked for."""

    words: str = ""
    kind: str | None = None
    takes: tuple[str, ...] = ()
    gives: tuple[str, ...] = ()
    language: str | None = None
    tags: tuple[str, ...] = ()
    limit: int = 20


def search_components(asked: Search, registry: str | None) -> None:
    """Search and show."""
    registries = Registries(load_configuration().config, named=registry)
    connection = registries.of(GLOBAL.namespace, alone=True) if GLOBAL.namespace else registries.main()
    query: dict[str, str | int | None] = {
        "q": asked.words or None,
        "type": asked.kind,
        "language": asked.language,
        "namespace": GLOBAL.namespace,
        "limit": asked.limit,
    }
    lists = [("input", asked.takes), ("output", asked.gives), ("tag", asked.tags)]
    more = "&".join(f"{name}={_quoted(each)}" for name, values in lists for each in values)
    path = "/v1/components/search" + (f"?{more}" if more else "")
    with Session(connection) as session:
        found = session.document(SearchResult, _with(path, query), what="the search")
    if emit(found.model_dump(mode="json")):
        return
    if not found.items:
        say("nothing was found")
        return
    table(
        ("COMPONENT", "LATEST", "TYPE", "LANGUAGE", ""),
        [
            (f"{each.namespace}/{each.name}", each.latest or "-", each.type or "-", each.language or "-",
             _short(each.description))
            for each in found.items
        ],
    )  # fmt: skip
    if found.total > len(found.items) or found.capped:
        say(f"{len(found.items)} of {found.total}{' and more' if found.capped else ''}: say more words, or --limit")


def show_component(reference: str, wishes: Wishes) -> None:
    """Show a component, by the version that the range means."""
    request = parse_request(reference, GLOBAL.namespace)
    with Remotes([request], registry=wishes.registry, offline=wishes.offline) as remotes:
        registry = remotes.of(request.namespace)
        index = index_of(request, remotes)
        wanted = request.wanted.removeprefix("v")
        version = wanted if wanted in index.versions else choose(index, request.wanted)
        base = f"/v1/components/{request.namespace}/{request.name}"
        facts = registry.session.document(ComponentFacts, base, what=f"component {request.component}")
        details = registry.session.document(VersionFacts, f"{base}/{version}", what=f"{request.component} {version}")
    entry = index.versions[version]
    document = ComponentInfo(
        component=request.component,
        registry=registry.url,
        signed=all(entry.digests.get(each.path.rpartition("/")[2]) == each.digest for each in details.binaries),
        yanked=entry.yanked.reason if entry.yanked is not None else None,
        versions=_alive(index),
        installed=tuple(
            each.version
            for each in installed(Home.of_user())
            if (each.namespace, each.name) == (request.namespace, request.name)
        ),
        facts=facts,
        version=details,
    )
    if not emit(document.model_dump(mode="json")):
        _show(document)


def _show(info: ComponentInfo) -> None:
    version, facts = info.version, info.facts
    say(f"{info.component} {version.version}{f': {facts.description}' if facts.description else ''}")
    lines = {
        "type": ", ".join(filter(None, (facts.type, facts.language))),
        "takes": ", ".join(facts.input_event_types),
        "gives": ", ".join(facts.output_event_types),
        "tags": ", ".join(facts.tags),
        "license": facts.license,
        "source": " ".join(filter(None, (version.source.repository or facts.repository, version.source.commit))),
        "homepage": facts.homepage,
        "published": f"{version.published_at:%Y-%m-%d} by {version.publisher}",
        "platforms": ", ".join(sorted({each.platform for each in version.binaries if each.platform})),
        "size": size_text(version.size),
        "image": next((each.reference for each in version.images if each.platform is None), None),
        "versions": ", ".join(info.versions[:_VERSIONS_SHOWN]) + (" …" if len(info.versions) > _VERSIONS_SHOWN else ""),
        "installed": ", ".join(info.installed) or "no",
        "registry": info.registry,
    }
    for name, text in lines.items():
        if text:
            say(f"  {name + ':':<11}{text}")
    if info.yanked is not None:
        warn(f"{info.component} {version.version} was yanked: {info.yanked}")
    if not info.signed:
        warn(f"the registry lists other programs for {version.version} than its signed index: do not use it")
    say(f"install it:  flowctl component install {info.component}")
    if len(info.versions) > _VERSIONS_SHOWN:
        say(f"{counted(len(info.versions), 'version')}:  flowctl component versions {info.component}")


def _alive(index: ComponentIndex) -> tuple[str, ...]:
    alive = [version for version, entry in index.versions.items() if entry.yanked is None and is_version(version)]
    return tuple(sorted(alive, key=sort_key, reverse=True))


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 60 else line[:59] + "…"


def _quoted(text: str) -> str:
    from urllib.parse import quote

    return quote(text, safe="")


def _with(path: str, query: Mapping[str, str | int | None]) -> str:
    from urllib.parse import urlencode

    text = urlencode({name: value for name, value in query.items() if value is not None})
    return path + ("&" if "?" in path else "?") + text if text else path
