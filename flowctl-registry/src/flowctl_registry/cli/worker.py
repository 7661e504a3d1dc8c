"""`flowctl-registry worker`: a process that does builds, on this machine or on another."""

from __future__ import annotations

from typing import Annotated

import typer

from flowctl_core.errors import UsageError
from flowctl_registry.cli.session import Config, Data, Unsandboxed


def worker(
    labels: Annotated[
        list[str] | None,
        typer.Option(
            "--labels",
            metavar="NAME=VALUE",
            help="Take only platforms that need this label (setting builds.placements); may be repeated.",
        ),
    ] = None,
    slots: Annotated[int, typer.Option(min=1, help="Builds at the same time.")] = 1,
    id_: Annotated[
        str | None, typer.Option("--id", metavar="NAME", help="Its name, always the same; default: the host's.")
    ] = None,
    unsandboxed: Unsandboxed = False,
    config: Config = None,
    data: Data = None,
) -> None:
    """Do builds until SIGTERM."""
    from flowctl_registry.builds.real import run_worker
    from flowctl_registry.observability.logs import configure
    from flowctl_registry.settings import load_settings

    asked = _parsed(labels or [])
    settings = load_settings(config, data=data, sandbox__unsandboxed=unsandboxed or None)
    configure(settings.telemetry)
    run_worker(settings, worker_id=id_, labels=asked, slots=slots)


def _parsed(labels: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for each in ",".join(labels).split(",") if labels else []:
        name, equals, value = each.strip().partition("=")
        if not (name and equals and value):
            raise UsageError(f"{each!r} is no label", hint="Write NAME=VALUE, such as platform=darwin.")
        found[name] = value
    return found
