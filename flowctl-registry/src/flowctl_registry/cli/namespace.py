"""`flowctl-registry namespace`: who owns which names."""

from __future__ import annotations

from typing import Annotated

import typer

from flowctl_core.cli.console import emit, say, table
from flowctl_core.cli.options import Output
from flowctl_registry.cli.session import OPERATOR, Config, Data, database

app = typer.Typer(no_args_is_help=True, help="Make namespaces and say who belongs to them.")
member = typer.Typer(no_args_is_help=True, help="Members and owners of a namespace.")
app.add_typer(member, name="member")
NameArgument = Annotated[str, typer.Argument(metavar="NAMESPACE")]
UserArgument = Annotated[str, typer.Argument(metavar="USER")]
Private = Annotated[bool | None, typer.Option("--private/--public", help="Who may know of it.")]
Quota = Annotated[int | None, typer.Option("--quota", min=0, metavar="BYTES", help="What it may store; 0: no limit.")]


@app.command()
def create(
    name: NameArgument,
    owner: Annotated[str | None, typer.Option(help="Its first owner.")] = None,
    private: Private = False,
    quota: Quota = None,
    config: Config = None,
    data: Data = None,
) -> None:
    """Make a namespace."""
    from flowctl_registry.access import namespaces
    from flowctl_registry.access.names import checked
    from flowctl_registry.database.engine import writing

    checked(namespace=name, user=owner)
    with database(config, data) as (_, engine):
        writing(
            engine,
            lambda connection: namespaces.create(
                connection, name, private=bool(private), owner=owner, quota_bytes=quota, actor=OPERATOR
            ),
        )
    say(f"{name} is made" + (f", and {owner} owns it" if owner else "; give it an owner with `namespace member add`"))


@app.command("list")
def list_namespaces(config: Config = None, data: Data = None, output: Output = None) -> None:
    """List all namespaces."""
    from flowctl_registry.access import namespaces
    from flowctl_registry.database.engine import reading

    with database(config, data) as (settings, engine), reading(engine) as connection:
        found = namespaces.listed(connection, None, settings.limits.namespace_bytes)
    if emit([each.model_dump(mode="json") for each in found]):
        return
    table(
        ("NAMESPACE", "READERS", "USED", "QUOTA"),
        [
            (each.name, "members" if each.private else "all", each.used_bytes, each.quota_bytes or "none")
            for each in found
        ],
    )


@app.command("set")
def change(
    name: NameArgument, private: Private = None, quota: Quota = None, config: Config = None, data: Data = None
) -> None:
    """Change who may read a namespace, or what it may store."""
    from flowctl_registry.access import namespaces
    from flowctl_registry.database.engine import writing

    with database(config, data) as (_, engine):
        writing(
            engine,
            lambda connection: namespaces.change(connection, name, actor=OPERATOR, private=private, quota_bytes=quota),
        )
    say(f"{name} is changed")


@app.command()
def delete(name: NameArgument, config: Config = None, data: Data = None) -> None:
    """Remove a namespace in which nothing was ever published."""
    from flowctl_registry.access import namespaces
    from flowctl_registry.database.engine import writing

    with database(config, data) as (_, engine):
        writing(engine, lambda connection: namespaces.remove(connection, name, OPERATOR))
    say(f"{name} is removed")


@member.command("add")
def add_member(
    name: NameArgument,
    user: UserArgument,
    owner: Annotated[bool, typer.Option("--owner", help="May also manage the namespace.")] = False,
    config: Config = None,
    data: Data = None,
) -> None:
    """Let a user publish, or change a member's role."""
    from flowctl_registry.access import namespaces
    from flowctl_registry.access.names import checked
    from flowctl_registry.database.engine import writing

    checked(user=user)
    with database(config, data) as (_, engine):
        writing(
            engine,
            lambda connection: namespaces.set_member(connection, name, user, "owner" if owner else "member", OPERATOR),
        )
    say(f"{user} is {'an owner' if owner else 'a member'} of {name}")


@member.command("remove")
def remove_member(name: NameArgument, user: UserArgument, config: Config = None, data: Data = None) -> None:
    """Take a user's role away."""
    from flowctl_registry.access import namespaces
    from flowctl_registry.database.engine import writing

    with database(config, data) as (_, engine):
        writing(engine, lambda connection: namespaces.remove_member(connection, name, user, OPERATOR))
    say(f"{user} is no member of {name} any more")


@member.command("list")
def list_members(name: NameArgument, config: Config = None, data: Data = None, output: Output = None) -> None:
    """List members and owners."""
    from flowctl_registry.access import namespaces
    from flowctl_registry.database.engine import reading

    with database(config, data) as (_, engine), reading(engine) as connection:
        namespaces.find(connection, name)
        found = namespaces.members_of(connection, name)
    if emit([each.model_dump(mode="json") for each in found]):
        return
    table(("USER", "ROLE", "SINCE"), [(each.user, each.role, f"{each.added_at:%Y-%m-%d}") for each in found])
