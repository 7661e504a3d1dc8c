"""`flowctl-registry publisher`: who may publish without a stored secret."""

from __future__ import annotations

from typing import Annotated

import typer

from flowctl_core.cli.console import emit, say, table
from flowctl_core.cli.options import Output
from flowctl_registry.cli.session import OPERATOR, Config, Data, database

app = typer.Typer(no_args_is_help=True, help="Trust workflows by what their OIDC tokens say.")
Namespace = Annotated[str, typer.Argument(metavar="NAMESPACE")]


@app.command()
def add(
    namespace: Namespace,
    issuer: Annotated[str, typer.Option(metavar="URL", help="Of its tokens; one of the setting access.issuers.")],
    claim: Annotated[
        list[str], typer.Option(metavar="NAME=VALUE", help="What its token must say; can be given several times.")
    ],
    component: Annotated[str | None, typer.Option(help="The only component that it publishes.")] = None,
    config: Config = None,
    data: Data = None,
    output: Output = None,
) -> None:
    """Trust a workflow, for example one of GitHub's by its repository and job_workflow_ref."""
    from flowctl_registry.access import publishers
    from flowctl_registry.database.engine import writing

    asked = publishers.request(issuer, claim, component)
    with database(config, data) as (settings, engine):
        made = writing(engine, lambda c: publishers.add(c, namespace, asked, settings.access, OPERATOR))
    if not emit(made.model_dump(mode="json", exclude_none=True)):
        say(f"{namespace} trusts publisher {made.id}")


@app.command("list")
def list_publishers(namespace: Namespace, config: Config = None, data: Data = None, output: Output = None) -> None:
    """List whom a namespace trusts."""
    from flowctl_registry.access import namespaces, publishers
    from flowctl_registry.database.engine import reading

    with database(config, data) as (_, engine), reading(engine) as connection:
        namespaces.find(connection, namespace)
        found = publishers.listed(connection, namespace)
    if emit([each.model_dump(mode="json", exclude_none=True) for each in found]):
        return
    table(
        ("ID", "ISSUER", "COMPONENT", "CLAIMS"),
        [
            (each.id, each.issuer, each.component or "all", " ".join(f"{n}={v}" for n, v in each.claims.items()))
            for each in found
        ],
    )


@app.command()
def remove(
    namespace: Namespace,
    identity: Annotated[int, typer.Argument(metavar="ID", help="As `publisher list` shows it.")],
    config: Config = None,
    data: Data = None,
) -> None:
    """Trust a workflow no more."""
    from flowctl_registry.access import publishers
    from flowctl_registry.database.engine import writing

    with database(config, data) as (_, engine):
        writing(engine, lambda c: publishers.remove(c, namespace, identity, OPERATOR))
    say(f"{namespace} trusts publisher {identity} no more")
