"""`flowctl component install|list|outdated|update|uninstall|info|versions|search`: the options."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flowctl_core.cli.options import Output

References = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="NAMESPACE/NAME[@RANGE]",
        help="Components, with a version or range.",
        show_default="all of flowctl.lock",
    ),
]
Lockfile = Annotated[
    Path | None,
    typer.Option("--lock", help="Lockfile that is kept up to date.", show_default="flowctl.lock, where there is one"),
]
Prerelease = Annotated[bool, typer.Option("--prerelease", help="Prereleases will do.")]
Offline = Annotated[bool, typer.Option("--offline", help="Ask nobody: use what was received and verified before.")]
ReplaceLinks = Annotated[
    bool, typer.Option("--replace-links", help="Take the names of other components' programs in ~/.flowctl/bin.")
]


def install(
    references: References = None,
    locked: Annotated[
        bool, typer.Option("--locked", help="Exactly what flowctl.lock has, by the same publisher, or nothing.")
    ] = False,
    lock: Lockfile = None,
    prerelease: Prerelease = False,
    offline: Offline = False,
    target: Annotated[
        list[str] | None,
        typer.Option("--target", help="Platform to install for; may be repeated.", show_default="this machine's"),
    ] = None,
    replace_links: ReplaceLinks = False,
    output: Output = None,
) -> None:
    """Install verified components: programs in ~/.flowctl/components, links in ~/.flowctl/bin."""
    from flowctl_core.cli.installing import install_components

    install_components(
        references or [],
        locked=locked,
        lockfile=lock,
        prereleases=prerelease,
        offline=offline,
        targets=target or [],
        replace_links=replace_links,
    )
