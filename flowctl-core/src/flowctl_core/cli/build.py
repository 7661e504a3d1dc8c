"""`flowctl build`: builds in a registry."""

from __future__ import annotations

from typing import Annotated

import typer

from flowctl_core.cli.options import Output
from flowctl_core.cli.remote import RegistryOption

app = typer.Typer(no_args_is_help=True, help="See and steer builds in a registry.")
Build = Annotated[str, typer.Argument(metavar="BUILD", help="Id of the build.", show_default=False)]


@app.callback()
def build() -> None:
    """See and steer builds in a registry."""


@app.command("list")
def list_(
    component: Annotated[
        str | None, typer.Argument(metavar="[NS/NAME]", help="Only those of this component.", show_default=False)
    ] = None,
    state: Annotated[
        str | None, typer.Option("--state", help="Only those: queued, running, succeeded, failed or cancelled.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=500, help="So many, the newest.")] = 20,
    registry: RegistryOption = None,
    output: Output = None,
) -> None:
    """List builds, the newest first."""
    from flowctl_core.cli import remote_builds

    remote_builds.show_list(component, state, limit, registry)


@app.command()
def show(build_id: Build, registry: RegistryOption = None, output: Output = None) -> None:
    """Show how far a build is: its steps for each platform, its place in the queue, why it failed."""
    from flowctl_core.cli import remote_builds

    remote_builds.show(build_id, registry)


@app.command()
def logs(
    build_id: Build,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the build has ended.")] = False,
    step: Annotated[
        str | None,
        typer.Option("--step", help="Only this step's: clone, decide, fetch, test, build, assemble or publish."),
    ] = None,
    platform: Annotated[str | None, typer.Option("--platform", help="Only this platform's.")] = None,
    registry: RegistryOption = None,
) -> None:
    """Print what a build has printed."""
    from flowctl_core.cli import remote_builds

    remote_builds.logs(build_id, step, platform, registry, follow=follow)


@app.command()
def cancel(build_id: Build, registry: RegistryOption = None, output: Output = None) -> None:
    """End a build that waits or runs."""
    from flowctl_core.cli import remote_builds

    remote_builds.cancel(build_id, registry)


@app.command()
def retry(
    build_id: Build,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Follow it to its end.")] = False,
    registry: RegistryOption = None,
    output: Output = None,
) -> None:
    """Try a build again that failed or was cancelled; what it completed is not done again."""
    from flowctl_core.cli import remote_builds

    remote_builds.retry(build_id, registry, wait=wait)
