"""What commands that ask a registry have in common."""

from __future__ import annotations

from typing import Annotated

import typer

from flowctl_core.cli.session import load_configuration
from flowctl_core.client.registries import Registries

RegistryOption = Annotated[
    str | None,
    typer.Option("--registry", help="Address of the registry.", show_default="of the configuration", metavar="URL"),
]


def registries(named: str | None = None) -> Registries:
    """The user's registries; `named` by --registry. Raises UsageError, ConfigError."""
    return Registries(load_configuration().config, named=named)
