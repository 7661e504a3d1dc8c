"""`flowctl component install|list|outdated|update|uninstall|info|versions|search`: the options."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flowctl_core.cli.options import Output

References = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="NAMESPACE/NAME[@RANGE]", help="Components, each with a version or range.", show_default=False
    ),
]
Reference = Annotated[
    str, typer.Argument(metavar="NAMESPACE/NAME[@RANGE]", help="Component, with a range.", show_default=False)
]
Lockfile = Annotated[
    Path | None,
    typer.Option("--lock", help="Lockfile that is kept up to date.", show_default="flowctl.lock, where there is one"),
]
Prerelease = Annotated[bool, typer.Option("--prerelease", help="Prereleases will do.")]
Offline = Annotated[bool, typer.Option("--offline", help="Ask nobody: what was received and verified before counts.")]
Targets = Annotated[
    list[str] | None,
    typer.Option("--target", help="Platform to install for; may be repeated.", show_default="this machine's"),
]
ReplaceLinks = Annotated[
    bool, typer.Option("--replace-links", help="Take names in ~/.flowctl/bin from other components' programs.")
]
Registry = Annotated[
    str | None, typer.Option("--registry", help="Address of the registry.", show_default="the configuration's")
]
Container = Annotated[bool, typer.Option("--container", help="Also load the container image into the Docker engine.")]


def install(
    references: References = None,
    locked: Annotated[
        bool, typer.Option("--locked", help="Exactly what flowctl.lock has, by the same publisher, or nothing.")
    ] = False,
    lock: Lockfile = None,
    prerelease: Prerelease = False,
    offline: Offline = False,
    target: Targets = None,
    container: Container = False,
    replace_links: ReplaceLinks = False,
    registry: Registry = None,
    fingerprint: Annotated[
        str | None, typer.Option("--fingerprint", help="SHA-256 of the registry's root, where none is pinned yet.")
    ] = None,
    output: Output = None,
) -> None:
    """Install verified components: into ~/.flowctl/components, with links in ~/.flowctl/bin."""
    from flowctl_core.cli.installing import Wishes, install_components

    wishes = Wishes(
        locked=locked, lockfile=lock, prereleases=prerelease, offline=offline, targets=tuple(target or ()),
        replace_links=replace_links, container=container, registry=registry, fingerprint=fingerprint,
    )  # fmt: skip
    install_components(references or [], wishes)


def list_(
    references: References = None,
    check: Annotated[bool, typer.Option("--check", help="Read all files, not only those that look changed.")] = False,
    output: Output = None,
) -> None:
    """Show installed components, and which of their files are not what was verified."""
    from flowctl_core.cli.shelf import list_installed

    list_installed(references or [], check=check)


def outdated(
    references: References = None,
    everything: Annotated[bool, typer.Option("--all", help="Also show what is up to date.")] = False,
    lock: Lockfile = None,
    prerelease: Prerelease = False,
    offline: Offline = False,
    registry: Registry = None,
    output: Output = None,
) -> None:
    """Compare installed (or locked) components with the signed index."""
    from flowctl_core.cli.installing import Wishes
    from flowctl_core.cli.shelf import show_outdated

    wishes = Wishes(lockfile=lock, prereleases=prerelease, offline=offline, registry=registry)
    show_outdated(references or [], wishes, everything=everything)


def update(
    references: References = None,
    accept_identity: Annotated[
        bool,
        typer.Option("--accept-identity", help="Another publisher, builder or repository than before will do."),
    ] = False,
    lock: Lockfile = None,
    prerelease: Prerelease = False,
    offline: Offline = False,
    target: Targets = None,
    container: Container = False,
    replace_links: ReplaceLinks = False,
    registry: Registry = None,
    output: Output = None,
) -> None:
    """Install the newest version in each range, by the same publisher as before."""
    from flowctl_core.cli.installing import Wishes
    from flowctl_core.cli.shelf import update_components

    wishes = Wishes(
        lockfile=lock, prereleases=prerelease, offline=offline, targets=tuple(target or ()),
        replace_links=replace_links, container=container, registry=registry,
    )  # fmt: skip
    update_components(references or [], wishes, accept_identity=accept_identity)


def uninstall(
    references: Annotated[
        list[str],
        typer.Argument(metavar="NAMESPACE/NAME[@RANGE]", help="Components, or versions of them.", show_default=False),
    ],
    purge: Annotated[
        bool, typer.Option("--purge", help="Also forget received files that no installed version has.")
    ] = False,
    output: Output = None,
) -> None:
    """Remove installed versions and their links."""
    from flowctl_core.cli.shelf import uninstall_components

    uninstall_components(references, purge=purge)


def versions(reference: Reference, offline: Offline = False, registry: Registry = None, output: Output = None) -> None:
    """Show all versions of a component by the signed index: published, yanked, installed."""
    from flowctl_core.cli.installing import Wishes
    from flowctl_core.cli.shelf import show_versions

    show_versions(reference, Wishes(offline=offline, registry=registry))


def info(reference: Reference, offline: Offline = False, registry: Registry = None, output: Output = None) -> None:
    """Show what a component is: its interface, versions, publisher, and what is installed of it."""
    from flowctl_core.cli.catalog import show_component
    from flowctl_core.cli.installing import Wishes

    show_component(reference, Wishes(offline=offline, registry=registry))


def search(
    words: Annotated[list[str] | None, typer.Argument(help="Words to look for.", show_default=False)] = None,
    kind: Annotated[str | None, typer.Option("--type", help="source, processor or sink.")] = None,
    takes: Annotated[list[str] | None, typer.Option("--takes", help="Event type that it takes.")] = None,
    gives: Annotated[list[str] | None, typer.Option("--gives", help="Event type that it gives.")] = None,
    language: Annotated[str | None, typer.Option("--language", "-l", help="Language it is written in.")] = None,
    tag: Annotated[list[str] | None, typer.Option("--tag", help="One of its tags.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=100, help="Entries at most.")] = 20,
    registry: Registry = None,
    output: Output = None,
) -> None:
    """Search the registry; -n NAMESPACE searches in one namespace."""
    from flowctl_core.cli.catalog import Search, search_components

    asked = Search(
        words=" ".join(words or ()), kind=kind, takes=tuple(takes or ()), gives=tuple(gives or ()), language=language,
        tags=tuple(tag or ()), limit=limit,
    )  # fmt: skip
    search_components(asked, registry)


def register(app: typer.Typer) -> None:
    """Add the commands to `flowctl component`."""
    for name, command in (
        ("install", install),
        ("list", list_),
        ("outdated", outdated),
        ("update", update),
        ("uninstall", uninstall),
        ("search", search),
        ("info", info),
        ("versions", versions),
    ):
        app.command(name)(command)
