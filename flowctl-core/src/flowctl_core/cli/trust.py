"""`flowctl trust`: trust repositories, for those who run a registry and for those who use one."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from flowctl_core.cli.options import Output

app = typer.Typer(no_args_is_help=True, help="Pin and see whom to trust; make and renew trust repositories.")

Folder = Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder of the trust repository.", show_default=False)]
Keys = Annotated[
    Path | None,
    typer.Option(
        "--keys", help="Folder with the offline keys (root, targets).", show_default="~/.flowctl/trust-keys/offline"
    ),
]
OnlineKeys = Annotated[
    Path | None,
    typer.Option(
        "--online-keys",
        help="Folder with the other keys (timestamp, snapshot, namespaces).",
        show_default="~/.flowctl/trust-keys/online",
    ),
]
Component = Annotated[str, typer.Argument(metavar="NAMESPACE/COMPONENT", help="Which component.", show_default=False)]
Version = Annotated[str, typer.Argument(metavar="VERSION", help="Which version.", show_default=False)]
Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the trusted key.", show_default=False)]
Home = Annotated[
    str | None,
    typer.Argument(metavar="URL", help="Registry, where several are pinned.", show_default="the only one"),
]


@app.callback()
def trust() -> None:
    """Pin and see whom to trust; make and renew trust repositories."""


@app.command()
def pin(
    registry: Annotated[
        str,
        typer.Argument(
            metavar="URL", help="Address (http, https) or folder of the trust repository.", show_default=False
        ),
    ],
    fingerprint: Annotated[
        str | None, typer.Option("--fingerprint", help="SHA-256 of the root that the operator publishes.")
    ] = None,
    root: Annotated[Path | None, typer.Option("--root", help="The root itself, as a file from the operator.")] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Forget what was pinned and seen before.")] = False,
    output: Output = None,
) -> None:
    """Believe a registry's root from now on, by its fingerprint or file; without either, you are asked."""
    from flowctl_core.cli import trusting

    trusting.pin_root(registry, fingerprint, root, replace=replace)


@app.command()
def show(
    registry: Home = None,
    offline: Annotated[bool, typer.Option("--offline", help="Do not ask the registry.")] = False,
    output: Output = None,
) -> None:
    """Show what a pinned registry says whom to trust, how old that is and when it expires."""
    from flowctl_core.cli import trusting

    trusting.show_trust(registry, offline=offline)


@app.command()
def init(
    folder: Folder,
    namespaces: Annotated[
        list[str] | None, typer.Option("--namespace", help="Namespace to delegate; may be repeated.")
    ] = None,
    root_keys: Annotated[int, typer.Option("--root-keys", min=1, help="How many root keys to make.")] = 1,
    root_threshold: Annotated[int, typer.Option("--root-threshold", min=1, help="How many of them must sign.")] = 1,
    trusted_root: Annotated[
        Path | None, typer.Option("--trusted-root", help="Sigstore TrustedRoot that clients shall use.")
    ] = None,
    keys: Keys = None,
    online_keys: OnlineKeys = None,
    output: Output = None,
) -> None:
    """Make a trust repository and its keys."""
    from flowctl_core.cli import trust_operating

    trust_operating.init(
        trust_operating.open_repository(folder, keys, online_keys),
        namespaces or [],
        trusted_root,
        root_keys=root_keys,
        root_threshold=root_threshold,
    )


@app.command()
def refresh(
    folder: Folder,
    everything: Annotated[
        bool, typer.Option("--all", help="Also root, targets and namespaces (needs their keys).")
    ] = False,
    trusted_root: Annotated[
        Path | None, typer.Option("--trusted-root", help="New Sigstore TrustedRoot (needs the targets key).")
    ] = None,
    keys: Keys = None,
    online_keys: OnlineKeys = None,
    output: Output = None,
) -> None:
    """Sign timestamp and snapshot anew, before they expire; run this daily."""
    from flowctl_core.cli import trust_operating

    repository = trust_operating.open_repository(folder, keys, online_keys)
    trust_operating.refresh(repository, trusted_root, everything=everything)


@app.command("add-key")
def add_key(
    folder: Folder,
    name: Name,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The public key, PEM.", show_default=False)],
    valid_from: Annotated[
        datetime | None, typer.Option("--valid-from", help="Not believed for what was signed before (UTC).")
    ] = None,
    valid_until: Annotated[
        datetime | None, typer.Option("--valid-until", help="Not believed for what was signed after (UTC).")
    ] = None,
    keys: Keys = None,
    online_keys: OnlineKeys = None,
    output: Output = None,
) -> None:
    """Let clients trust a public key."""
    from flowctl_core.cli import trust_operating

    repository = trust_operating.open_repository(folder, keys, online_keys)
    trust_operating.add_key(repository, name, file, valid_from, valid_until)


@app.command("revoke-key")
def revoke_key(
    folder: Folder, name: Name, keys: Keys = None, online_keys: OnlineKeys = None, output: Output = None
) -> None:
    """Let clients refuse a key, whenever it signed."""
    from flowctl_core.cli import trust_operating

    trust_operating.revoke_key(trust_operating.open_repository(folder, keys, online_keys), name)


@app.command()
def rotate(
    folder: Folder,
    role: Annotated[
        str,
        typer.Argument(
            metavar="ROLE", help="root, targets, snapshot, timestamp, or namespace-NAME.", show_default=False
        ),
    ],
    keys: Keys = None,
    online_keys: OnlineKeys = None,
    output: Output = None,
) -> None:
    """Give a role new keys; clients follow by themselves."""
    from flowctl_core.cli import trust_operating

    trust_operating.rotate(trust_operating.open_repository(folder, keys, online_keys), role)


@app.command()
def publish(
    folder: Folder,
    component: Component,
    version: Version,
    release: Annotated[Path | None, typer.Option("--release", help="The dist/ whose digests to enter.")] = None,
    digests: Annotated[
        list[str] | None, typer.Option("--digest", help="NAME=sha256:HEX of a subject; may be repeated.")
    ] = None,
    new_namespace: Annotated[
        bool, typer.Option("--new-namespace", help="Delegate the namespace first (needs the targets key).")
    ] = False,
    keys: Keys = None,
    online_keys: OnlineKeys = None,
    output: Output = None,
) -> None:
    """Enter a version in the signed index; it can never get other digests."""
    from flowctl_core.cli import trust_operating

    repository = trust_operating.open_repository(folder, keys, online_keys)
    trust_operating.publish(repository, component, version, release, digests or [], new_namespace=new_namespace)


@app.command()
def yank(
    folder: Folder,
    component: Component,
    version: Version,
    reason: Annotated[str, typer.Option("--reason", help="Why, for people.")],
    keys: Keys = None,
    online_keys: OnlineKeys = None,
    output: Output = None,
) -> None:
    """Tell clients not to use a version any more."""
    from flowctl_core.cli import trust_operating

    trust_operating.yank(trust_operating.open_repository(folder, keys, online_keys), component, version, reason)


@app.command()
def unyank(
    folder: Folder,
    component: Component,
    version: Version,
    keys: Keys = None,
    online_keys: OnlineKeys = None,
    output: Output = None,
) -> None:
    """Take a yank back: the version may be used again."""
    from flowctl_core.cli import trust_operating

    trust_operating.unyank(trust_operating.open_repository(folder, keys, online_keys), component, version)
