"""`flowctl login`, `logout`, `whoami`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flowctl_core.cli.options import Output

Url = Annotated[
    str | None, typer.Argument(metavar="URL", help="Address of the registry.", show_default="of the configuration")
]


def login(
    url: Url = None,
    token_stdin: Annotated[bool, typer.Option("--token-stdin", help="Read the token from standard input.")] = False,
    token_file: Annotated[
        Path | None, typer.Option("--token-file", help="Read the token from a file.", show_default=False)
    ] = None,
    no_token: Annotated[
        bool, typer.Option("--no-token", help="Pin the trust root only: for a registry that anybody may read.")
    ] = False,
    fingerprint: Annotated[
        str | None,
        typer.Option("--fingerprint", metavar="SHA256", help="Fingerprint of the trust root, as its operator says."),
    ] = None,
    namespaces: Annotated[
        list[str] | None,
        typer.Option(
            "--namespace",
            "-n",
            help="A namespace that only this registry may answer, `acme-*` for several; may be repeated.",
        ),
    ] = None,
    output: Output = None,
) -> None:
    """Sign in to a registry: check the token, pin the trust root, keep the token in the keyring or a file of mode 0600.

    FLOWCTL_TOKEN goes before any token that is kept, and is never kept itself.
    """
    from flowctl_core.cli.signing_in import sign_in

    sign_in(url, namespaces or [], fingerprint, token_stdin=token_stdin, token_file=token_file, no_token=no_token)


def logout(url: Url = None, output: Output = None) -> None:
    """Forget the token of a registry; its trust root stays pinned."""
    from flowctl_core.cli.signing_in import sign_out

    sign_out(url)


def whoami(url: Url = None, output: Output = None) -> None:
    """Show whom a registry takes you for, and what you may do there."""
    from flowctl_core.cli.signing_in import show_caller

    show_caller(url)
