"""`flowctl-registry token`: who may use the API, and for what."""

from __future__ import annotations

from typing import Annotated

import typer

from flowctl_core.cli.console import emit, say, say_aside, table
from flowctl_core.cli.options import Output
from flowctl_registry.cli.session import OPERATOR, Config, Data, database

app = typer.Typer(no_args_is_help=True, help="Make, list and revoke tokens of the API.")


@app.command()
def create(
    user: Annotated[str, typer.Option(help="Whose token it is.")],
    name: Annotated[str, typer.Option(help="What it is for, in your words.")] = "made by the operator",
    action: Annotated[
        list[str] | None, typer.Option(help="read, publish, yank, manage or admin; can be given several times.")
    ] = None,
    admin: Annotated[bool, typer.Option("--admin", help="All actions, in every namespace.")] = False,
    namespace: Annotated[str | None, typer.Option(help="The only namespace that it is for.")] = None,
    component: Annotated[str | None, typer.Option(help="The only component of it that it is for.")] = None,
    days: Annotated[int, typer.Option(min=0, help="When it ends; 0: never.")] = 365,
    config: Config = None,
    data: Data = None,
    output: Output = None,
) -> None:
    """Make a token and print it, this once; only its hash is kept."""
    from flowctl_registry.access import issuing, tokens
    from flowctl_registry.access.names import requested
    from flowctl_registry.access.principal import ACTIONS
    from flowctl_registry.database.engine import writing
    from flowctl_registry.models.access import TokenRequest

    asked = requested(
        TokenRequest,
        {
            "name": name,
            "user": user,
            "actions": ACTIONS if admin else action or ["read", "publish"],
            "namespace": namespace,
            "component": component,
            "expires_in_days": days or None,
        },
        "token",
    )
    with database(config, data) as (_, engine):
        made = writing(engine, lambda connection: tokens.create(connection, **issuing.values(asked, user, OPERATOR)))
    if emit(made.model_dump(mode="json", exclude_none=True)):
        return
    say_aside(f"a token of {made.user} for: {', '.join(made.actions)} (it is shown this once)")
    say(made.token)


@app.command("list")
def list_tokens(
    user: Annotated[str | None, typer.Option(help="Only those of this user.")] = None,
    namespace: Annotated[str | None, typer.Option(help="Only those for this namespace alone.")] = None,
    config: Config = None,
    data: Data = None,
    output: Output = None,
) -> None:
    """List the tokens that are valid."""
    from flowctl_registry.access import tokens
    from flowctl_registry.database.engine import reading

    with database(config, data) as (_, engine), reading(engine) as connection:
        found = tokens.listed(connection, user=user, namespace=namespace)
    if emit([each.model_dump(mode="json", exclude_none=True) for each in found]):
        return
    table(
        ("ID", "USER", "NAME", "FOR", "ACTIONS", "EXPIRES", "LAST USED"),
        [
            (
                each.id,
                each.user,
                each.name,
                "/".join(part for part in (each.namespace, each.component) if part) or "all",
                ",".join(each.actions),
                f"{each.expires_at:%Y-%m-%d}" if each.expires_at else "never",
                f"{each.last_used_at:%Y-%m-%d %H:%M}" if each.last_used_at else "never",
            )
            for each in found
        ],
    )


@app.command()
def revoke(
    identity: Annotated[str | None, typer.Argument(metavar="ID", help="As `token list` shows it.")] = None,
    user: Annotated[str | None, typer.Option(help="All tokens of this user.")] = None,
    config: Config = None,
    data: Data = None,
) -> None:
    """End a token, or all of a user, at once."""
    from sqlalchemy import Connection

    from flowctl_registry.access import tokens
    from flowctl_registry.database.engine import writing
    from flowctl_registry.errors import BadRequestError

    if (identity is None) == (user is None):
        raise BadRequestError("it is not said which tokens to revoke", hint="Give an ID, or --user NAME.")

    def change(connection: Connection) -> list[str]:
        found = [identity] if identity is not None else [each.id for each in tokens.listed(connection, user=user)]
        for each in found:
            tokens.revoke(connection, each, OPERATOR)
        return found

    with database(config, data) as (_, engine):
        ended = writing(engine, change)
    say("\n".join(f"{each} is revoked" for each in ended) or f"{user} has no tokens")
