"""Command line of the registry."""

from importlib.metadata import version
from typing import Annotated

import typer

app = typer.Typer(add_completion=False, no_args_is_help=True)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"flowctl-registry {version('flowctl-registry')}")
        raise typer.Exit()


@app.callback(invoke_without_command=True)
def registry(
    show_version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Run a flowctl registry."""


def main() -> None:
    """Entry point of the `flowctl-registry` command."""
    app()
