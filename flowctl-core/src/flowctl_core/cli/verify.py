"""`flowctl verify`: is this what its publisher made, and does your own policy allow that one?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flowctl_core.cli.options import Output


def verify(
    target: Annotated[str, typer.Argument(help="File, release folder, or image reference.", show_default=False)],
    policy: Annotated[
        Path | None, typer.Option("--policy", help="Policy file.", show_default="~/.flowctl/policy.yaml")
    ] = None,
    key: Annotated[
        Path | None, typer.Option("--key", help="Public key (PEM) that must have signed, instead of a policy.")
    ] = None,
    identity: Annotated[
        str | None, typer.Option("--identity", help="Who must have signed, with --issuer, instead of a policy.")
    ] = None,
    issuer: Annotated[str | None, typer.Option("--issuer", help="OIDC issuer of --identity.")] = None,
    trusted_root: Annotated[
        Path | None, typer.Option("--trusted-root", help="Sigstore trusted root (JSON) for --identity or --key.")
    ] = None,
    bundle: Annotated[
        Path | None, typer.Option("--bundle", help="Bundle of a file.", show_default="FILE.sigstore.json")
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="Component that it must be.")] = None,
    version: Annotated[str | None, typer.Option("--version-of", help="Version that it must be.")] = None,
    registry: Annotated[
        str | None, typer.Option("--registry", help="Pinned registry whose signed index must list the version.")
    ] = None,
    newest: Annotated[bool, typer.Option("--newest", help="It must be the newest version in that index.")] = False,
    output: Output = None,
) -> None:
    """Check signatures, provenance and SBOM against your policy, without network for files and folders."""
    from flowctl_core.cli.verifying import Asked, verify_target

    verify_target(Asked(target, policy, key, identity, issuer, trusted_root, bundle, name, version, registry, newest))
