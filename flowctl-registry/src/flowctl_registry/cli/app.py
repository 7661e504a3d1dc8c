"""The `flowctl-registry` command and its subcommands."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from flowctl_registry.cli import audit, build, namespace, publisher, signer, storage, token
from flowctl_registry.cli import recall as recall_command
from flowctl_registry.cli import worker as worker_command
from flowctl_registry.cli.session import Config, Data, Unsandboxed

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)

app.add_typer(token.app, name="token")
app.add_typer(namespace.app, name="namespace")
app.add_typer(publisher.app, name="publisher")
app.add_typer(audit.app, name="audit")
app.add_typer(signer.app, name="signer")
app.add_typer(build.app, name="build")
for command in (storage.migrate, storage.gc, storage.fsck, storage.backup, storage.restore, worker_command.worker):
    app.command()(command)
app.command()(recall_command.recall)


def run() -> int:
    """Do what the command line asks for."""
    code = app(standalone_mode=False)
    return code if isinstance(code, int) else 0


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


@app.command()
def serve(
    config: Config = None,
    data: Data = None,
    host: Annotated[str | None, typer.Option(help="Address to listen at.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen at.")] = None,
    tls_certificate: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Serve https with this certificate chain (PEM).")
    ] = None,
    tls_key: Annotated[Path | None, typer.Option(metavar="FILE", help="Its private key (PEM).")] = None,
    unsandboxed: Unsandboxed = False,
) -> None:
    """Serve the registry; with nothing configured, an embedded one in ./registry-data."""
    from flowctl_registry.server import serve as run_server
    from flowctl_registry.settings import load_settings

    run_server(
        load_settings(
            config,
            data=data,
            server__host=host,
            server__port=port,
            server__tls_certificate=tls_certificate,
            server__tls_key=tls_key,
            sandbox__unsandboxed=unsandboxed or None,
        )
    )
