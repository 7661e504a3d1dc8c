"""`flowctl-registry build`: builds, as the operator sees and ends them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from flowctl_core.cli.console import emit, say, table
from flowctl_core.cli.options import Output
from flowctl_registry.cli.session import OPERATOR, Config, Data, database, opened

if TYPE_CHECKING:
    from flowctl_registry.models.build import BuildDocument

app = typer.Typer(no_args_is_help=True, help="List, show, cancel and retry remote builds, and read their logs.")
Build = Annotated[str, typer.Argument(metavar="BUILD", help="Its id.")]
_LOOK_S = 0.5


@app.command("list")
def list_builds(
    namespace: Annotated[str | None, typer.Option(help="Only those of this namespace.")] = None,
    name: Annotated[str | None, typer.Option(help="Only those of components with this name.")] = None,
    state: Annotated[
        str | None, typer.Option(help="Only those that are queued, running, succeeded, failed or cancelled.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=200, help="The newest ones, so many.")] = 50,
    config: Config = None,
    data: Data = None,
    output: Output = None,
) -> None:
    """List builds, the newest first."""
    from pydantic import ValidationError

    from flowctl_registry.builds import timeline
    from flowctl_registry.database.engine import snapshot
    from flowctl_registry.errors import BadRequestError
    from flowctl_registry.models.build import BuildQuery

    try:
        query = BuildQuery.model_validate({"namespace": namespace, "name": name, "state": state, "limit": limit})
    except ValidationError as error:
        told = error.errors()[0]
        raise BadRequestError(f"--{told['loc'][0]}: {told['msg']}", hint="`build list --help` says more.") from None
    with database(config, data) as (_, engine), snapshot(engine) as connection:
        found = timeline.page(connection, query, None).items
    if emit([each.model_dump(mode="json", exclude_none=True) for each in found]):
        return
    table(
        ("build", "of", "ref", "for", "state", "since"),
        [
            (
                each.id,
                f"{each.namespace}/{each.name}" + (f" {each.version}" if each.version else ""),
                each.ref or "newest tag",
                each.trigger,
                _state(each),
                f"{each.finished_at or each.started_at or each.created_at:%Y-%m-%d %H:%M:%S}",
            )
            for each in found
        ],
    )


@app.command()
def show(build: Build, config: Config = None, data: Data = None, output: Output = None) -> None:
    """Show a build with its timeline."""
    with database(config, data) as (_, engine):
        from flowctl_registry.builds import timeline
        from flowctl_registry.database.engine import reading

        with reading(engine) as connection:
            found = timeline.document(connection, build)
    if emit(found.model_dump(mode="json", exclude_none=True)):
        return
    say(f"{found.id}: {found.kind} {found.namespace}/{found.name} {found.version or ''}".rstrip())
    say(f"from   {found.repository} {found.subdirectory} {found.ref or ''} {found.commit or ''}".rstrip())
    say(f"for    {found.trigger}, asked for by {found.requested_by}, try {found.attempt}")
    say(f"state  {_state(found)}")
    if found.problem is not None:
        say(f"why    {found.problem.message}" + (f" ({found.problem.hint})" if found.problem.hint else ""))
    if found.steps:
        table(
            ("step", "platform", "state", "try", "seconds", "worker"),
            [
                (
                    each.step,
                    each.platform or "",
                    each.state,
                    str(each.attempt),
                    f"{(each.ended_at - each.started_at).total_seconds():.1f}" if each.ended_at else "",
                    each.worker,
                )
                for each in found.steps
            ],
        )


@app.command()
def logs(
    build: Build,
    step: Annotated[str | None, typer.Option(help="Only what this step printed.")] = None,
    platform: Annotated[str | None, typer.Option(help="Only what was printed for this platform.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the build has ended.")] = False,
    config: Config = None,
    data: Data = None,
) -> None:
    """Print a build's log."""
    from flowctl_core.cli.streams import write
    from flowctl_registry.builds.log_reading import ENDED, PAGE, Selection, Titles, read

    wanted = Selection(build, step, platform)
    titles, after = Titles(wanted), 0
    with opened(config, data) as services:
        while True:
            state, pieces = read(services, wanted, after)
            for piece in pieces:
                write(titles.before(piece) + piece.text)
                after = piece.sequence
            if len(pieces) == PAGE:
                continue
            if not follow or state in ENDED:
                return
            time.sleep(_LOOK_S)


@app.command()
def cancel(build: Build, config: Config = None, data: Data = None) -> None:
    """End a build: one that waits at once, one that runs within 2 s."""
    from sqlalchemy import Connection

    from flowctl_registry import audit
    from flowctl_registry.builds import cancelling
    from flowctl_registry.database.engine import writing

    def change(connection: Connection) -> None:
        cancelling.cancel(connection, build, OPERATOR)
        audit.record(connection, OPERATOR, "build.cancel", build)

    with database(config, data) as (_, engine):
        writing(engine, change)
    say(f"{build} is cancelled; what runs of it ends within 2 s")


@app.command()
def retry(build: Build, config: Config = None, data: Data = None) -> None:
    """Queue a build again that failed or was cancelled; what it completed is not done again."""
    from sqlalchemy import Connection

    from flowctl_registry import audit
    from flowctl_registry.builds import cancelling
    from flowctl_registry.database.engine import writing

    def change(connection: Connection) -> int:
        attempt = cancelling.retry(connection, build)
        audit.record(connection, OPERATOR, "build.retry", build)
        return attempt

    with database(config, data) as (_, engine):
        attempt = writing(engine, change)
    say(f"{build} is queued again, try {attempt}")


def _state(found: BuildDocument) -> str:
    if found.state == "queued" and found.position is not None:
        return f"queued, place {found.position}, starts in about {found.estimate_s or 0:.0f} s"
    if found.state == "running":
        return f"running: {found.phase or 'taken'}, about {found.estimate_s or 0:.0f} s left"
    return found.state
