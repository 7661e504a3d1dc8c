"""What is installed, what could be updated, what is there to be installed."""

from __future__ import annotations

import os
from collections.abc import Sequence

from flowctl_core.cli.console import counted, emit, say, table, warn
from flowctl_core.cli.global_options import GLOBAL
from flowctl_core.cli.installing import Remotes, Wishes, find_lock, index_of, is_on_path, lock_them, report, run
from flowctl_core.cli.summary import size_text
from flowctl_core.errors import UsageError
from flowctl_core.install.installing import Room
from flowctl_core.install.links import linked
from flowctl_core.install.places import Home
from flowctl_core.install.removing import uninstall
from flowctl_core.install.request import ANY, parse_request
from flowctl_core.install.shelf import damaged, installed
from flowctl_core.install.updating import compare, find_known, updates
from flowctl_core.models.installation import (
    ComponentList,
    KnownVersion,
    ListedComponent,
    OutdatedReport,
    VersionsReport,
)


def list_installed(references: Sequence[str], *, check: bool) -> None:
    """Show what is installed; `check`: read all files, not only those that look changed."""
    home = Home.of_user()
    wanted = [parse_request(text, GLOBAL.namespace).component for text in references]
    links = linked(home)
    found = []
    for each in installed(home):
        if wanted and f"{each.namespace}/{each.name}" not in wanted:
            continue
        folder = home.version(each.namespace, each.name, each.version)
        owner = (each.namespace, each.name, each.version)
        found.append(
            ListedComponent(
                namespace=each.namespace,
                name=each.name,
                version=each.version,
                platforms=each.platforms,
                linked=tuple(sorted(name for name, leads in links.items() if leads == owner)),
                registry=each.registry,
                path=str(folder),
                size=sum(file.size for file in each.files.values()),
                damaged=tuple(damaged(folder, each, whole=check)),
                installed_at=each.installed_at,
            )
        )
    document = ComponentList(components=tuple(found), bin=str(home.bin), on_path=is_on_path(home.bin))
    if emit(document.model_dump(mode="json")):
        return
    if not found:
        say("nothing is installed" if not wanted else f"{', '.join(wanted)} is not installed")
        return
    table(
        ("COMPONENT", "VERSION", "PLATFORMS", "IN BIN", "SIZE", "REGISTRY"),
        [
            (
                f"{each.namespace}/{each.name}", each.version, ", ".join(each.platforms), ", ".join(each.linked) or "-",
                size_text(each.size), each.registry,
            )
            for each in found
        ],
    )  # fmt: skip
    for listed in found:
        if listed.damaged:
            warn(
                f"{listed.namespace}/{listed.name} {listed.version} is damaged ({', '.join(listed.damaged[:3])}): "
                "install it again to repair it"
            )


def show_outdated(references: Sequence[str], wishes: Wishes, *, everything: bool) -> None:
    """Compare with the signed index."""
    _, lock = find_lock(wishes)
    requests = [parse_request(text, GLOBAL.namespace) for text in references]
    known = find_known(requests, Home.of_user(), lock)
    with Remotes([each.request for each in known], offline=wishes.offline, registry=wishes.registry) as remotes:
        compared = compare(known, remotes.of, prereleases=wishes.prereleases)
    shown = tuple(
        each
        for each in compared
        if everything or each.problem or each.yanked or (each.newest or each.installed) != each.installed
    )
    document = OutdatedReport(components=shown, checked=len(compared))
    if emit(document.model_dump(mode="json")):
        return
    if not shown:
        say(f"{counted(len(compared), 'component')} up to date" if compared else "nothing is installed")
        return
    table(
        ("COMPONENT", "INSTALLED", "WANTED", "NEWEST", ""),
        [
            (
                f"{each.namespace}/{each.name}", each.installed, each.wanted or "-", each.newest or "-",
                each.problem or (f"yanked: {each.yanked}" if each.yanked else ""),
            )
            for each in shown
        ],
    )  # fmt: skip


def update_components(references: Sequence[str], wishes: Wishes, *, accept_identity: bool) -> None:
    """Install the newest version in each range, by the same publisher."""
    import time

    began = time.monotonic()
    path, lock = find_lock(wishes)
    requests = [parse_request(text, GLOBAL.namespace) for text in references]
    known = find_known(requests, Home.of_user(), lock)
    if not known:
        raise UsageError("nothing is installed", hint="`flowctl component install NAMESPACE/NAME`")
    with Remotes([each.request for each in known], offline=wishes.offline, registry=wishes.registry) as remotes:
        choices = updates(known, remotes.of, prereleases=wishes.prereleases, accept_identity=accept_identity)
        done = run(choices, wishes)
        if lock is not None:
            lock_them(path, lock, done)
        report(done, remotes, path if lock is not None else None, began)


def uninstall_components(references: Sequence[str], *, purge: bool) -> None:
    """Remove and report."""
    requests = [parse_request(text, GLOBAL.namespace) for text in references]
    document = uninstall(requests, Room(Home.of_user()), keep_contents=not purge)
    if emit(document.model_dump(mode="json")):
        return
    for each in document.removed:
        say(f"{each} removed")
    if document.links:
        say(f"no more in {Home.of_user().bin}: {', '.join(document.links)}")
    if document.freed:
        say(f"{size_text(document.freed)} freed")


def show_versions(reference: str, wishes: Wishes) -> None:
    """All versions by the signed index, the newest first."""
    from flowctl_core.install.ranges import is_version, sort_key

    request = parse_request(reference, GLOBAL.namespace)
    with Remotes([request], offline=wishes.offline, registry=wishes.registry) as remotes:
        registry = remotes.of(request.namespace)
        index = index_of(request, remotes)
        home, offline = Home.of_user(), registry.state().offline
        document = VersionsReport(
            component=request.component,
            registry=registry.url,
            versions=tuple(
                KnownVersion(
                    version=version,
                    published=index.versions[version].published,
                    prerelease="-" in version,
                    yanked=yank.reason if (yank := index.versions[version].yanked) is not None else None,
                    installed=os.path.lexists(home.version(request.namespace, request.name, version)),
                )
                for version in sorted(index.versions, key=sort_key, reverse=True)
                if is_version(version) and (request.wanted == ANY or _fits(version, request.wanted))
            ),
            offline=offline,
        )
    if offline is not None:
        warn(f"the registry was not asked ({offline}): what was verified earlier counts")
    if emit(document.model_dump(mode="json")):
        return
    table(
        ("VERSION", "PUBLISHED", ""),
        [
            (
                each.version,
                f"{each.published:%Y-%m-%d}",
                ", ".join(
                    filter(
                        None,
                        (
                            "installed" if each.installed else "",
                            "prerelease" if each.prerelease else "",
                            f"yanked: {each.yanked}" if each.yanked is not None else "",
                        ),
                    )
                ),
            )
            for each in document.versions
        ],
    )


def _fits(version: str, wanted: str) -> bool:
    from flowctl_core.install.ranges import in_range

    return in_range(version, wanted, prereleases=True)
