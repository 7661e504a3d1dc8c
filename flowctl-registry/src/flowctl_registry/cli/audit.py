"""`flowctl-registry audit`: who changed what."""

from __future__ import annotations

from typing import Annotated

import typer

from flowctl_core.cli.console import emit, say, table
from flowctl_core.cli.options import Output
from flowctl_registry.cli.session import Config, Data, database

app = typer.Typer(no_args_is_help=True, help="Read and check the audit log.")


@app.command("list")
def list_entries(
    after: Annotated[int, typer.Option(min=0, help="Only entries after this number.")] = 0,
    limit: Annotated[int, typer.Option(min=1, help="This many at most.")] = 1_000,
    config: Config = None,
    data: Data = None,
    output: Output = None,
) -> None:
    """List entries, oldest first."""
    from flowctl_registry import audit
    from flowctl_registry.database.engine import reading
    from flowctl_registry.models.access import AuditEntry

    with database(config, data) as (_, engine), reading(engine) as connection:
        found = [AuditEntry.model_validate(dict(row._mapping)) for row in audit.entries(connection, after, limit)]
    if emit([each.model_dump(mode="json") for each in found]):
        return
    table(
        ("NUMBER", "WHEN", "WHO", "WHAT", "TARGET", "HOW"),
        [
            (
                each.sequence,
                f"{each.at:%Y-%m-%d %H:%M:%S}",
                each.actor,
                each.action,
                each.target,
                " ".join(f"{key}={value}" for key, value in each.detail.items()),
            )
            for each in found
        ],
    )


@app.command()
def verify(
    expect: Annotated[
        str | None,
        typer.Option(metavar="NUMBER:HASH", help="An entry that must be there: what an earlier run printed."),
    ] = None,
    config: Config = None,
    data: Data = None,
    output: Output = None,
) -> None:
    """Check that no entry was changed, removed, added or moved; print the last one's number and hash."""
    from flowctl_registry import audit
    from flowctl_registry.database.engine import reading

    with database(config, data) as (_, engine), reading(engine) as connection:
        head = audit.verify(connection, None if expect is None else audit.Head.parse(expect))
    if not emit({"entries": head.sequence, "head": str(head)}):
        say(f"{head.sequence} entries, unchanged")
        say(str(head))
