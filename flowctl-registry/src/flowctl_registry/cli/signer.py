"""`flowctl-registry signer`: the process that has the keys, and its key's change."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flowctl_core.cli.console import emit, say, say_aside
from flowctl_core.cli.options import Output
from flowctl_registry.cli.session import OPERATOR, Config, Data, database

if TYPE_CHECKING:
    from sqlalchemy import Connection

app = typer.Typer(invoke_without_command=True, help="Run the signer as a process of its own, or look after its keys.")


@app.callback()
def signer(context: typer.Context, config: Config = None, data: Data = None) -> None:
    """Run the signer as a process of its own, or look after its keys."""
    if context.invoked_subcommand is not None:
        return
    from flowctl_registry.observability.logs import configure
    from flowctl_registry.settings import load_settings
    from flowctl_registry.signer.process import run

    settings = load_settings(config, data=data)
    configure(settings.telemetry)
    run(settings)


@app.command()
def rotate(
    keys: Annotated[
        Path | None, typer.Option("--keys", help="Where the targets key is, when not in the data folder.")
    ] = None,
    config: Config = None,
    data: Data = None,
    output: Output = None,
) -> None:
    """Sign with a new key from now on; what the old one signed stays good. A signer may run meanwhile."""
    from flowctl_core.errors import FlowctlError
    from flowctl_core.trust import publishing
    from flowctl_registry import audit
    from flowctl_registry.database.engine import writing
    from flowctl_registry.signer.client import SignerClient
    from flowctl_registry.signer.index import open_repository
    from flowctl_registry.signer.keys import SignerKeys

    with database(config, data) as (settings, engine):
        own = SignerKeys(settings)
        own.rotate()
        made = own.trusted()
        publishing.add_key(open_repository(settings, keys), made)
        writing(engine, lambda connection: audit.record(connection, OPERATOR, "signer.rotate", made.name))
    try:
        SignerClient(settings.socket).status()
        SignerClient(settings.socket).update_index()
    except FlowctlError:
        say_aside("no signer runs here: clients learn of the key when it starts")
    if not emit(made.model_dump(mode="json", exclude_none=True)):
        say(f"the registry signs with {made.name}")


@app.command()
def forget(
    yes: Annotated[bool, typer.Option("--yes", help="Every client has to pin the new root, and you know.")] = False,
    config: Config = None,
    data: Data = None,
) -> None:
    """Give up a signed index whose keys are lost; the next start makes a new one. No signer may run."""
    import time

    from flowctl_core.errors import UsageError
    from flowctl_registry import audit
    from flowctl_registry.database.engine import writing
    from flowctl_registry.signer import adopting
    from flowctl_registry.signer.keys import folder_of
    from flowctl_registry.signer.process import only_signer

    if not yes:
        raise UsageError("all clients would have to pin a new root", hint="Say --yes when the keys are lost.")
    with database(config, data) as (settings, engine), only_signer(settings):
        folder = folder_of(settings) / "trust"
        if folder.exists():
            folder.rename(folder.with_name(f"trust-{time.time_ns()}"))

        def change(connection: Connection) -> None:
            adopting.forget(connection)
            audit.record(connection, OPERATOR, "signer.forget", "the signed index")

        writing(engine, change)
    say("the next signer makes a new signed index; publish its root's fingerprint")


@app.command()
def status(config: Config = None, data: Data = None, output: Output = None) -> None:
    """Ask the running signer for its key, the index's expiry, and what waits. Raises UnavailableError."""
    from flowctl_registry.settings import load_settings
    from flowctl_registry.signer.client import SignerClient

    found = SignerClient(load_settings(config, data=data).socket).status()
    found.pop("ok")
    if not emit(found):
        for name, value in found.items():
            say(f"{name.replace('_', ' ')}: {'none' if value is None else value}")
