"""`flowctl why`: where does this come from, and how much of that is proved?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flowctl_core.cli.options import Output


def why(
    target: Annotated[
        str, typer.Argument(help="File, release folder, image reference, or build in a registry.", show_default=False)
    ],
    policy: Annotated[
        Path | None, typer.Option("--policy", help="Policy file.", show_default="~/.flowctl/policy.yaml")
    ] = None,
    key: Annotated[
        Path | None, typer.Option("--key", help="Public key (PEM) that must have signed, instead of a policy.")
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="Component that it must be.")] = None,
    output: Output = None,
) -> None:
    """Tell who built it, from which commit, with which plugins and tools, and what of that was verified.

    Of a build in a registry: what it waits for, how far it is, or why it failed.
    """
    if len(target) == 32 and not Path(target).exists():
        from flowctl_core.client.builds import is_build

        if is_build(target):
            from flowctl_core.cli.remote_builds import explain as explain_build

            explain_build(target)
            return
    from flowctl_core.cli.explaining import explain
    from flowctl_core.cli.verifying import Asked

    explain(Asked(target, policy, key, None, None, None, None, name, None))
