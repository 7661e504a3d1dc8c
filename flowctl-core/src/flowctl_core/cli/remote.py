"""What commands that ask a registry have in common. Imported with every command: nothing heavy here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from flowctl_core.client.registries import Registries

RegistryOption = Annotated[
    str | None,
    typer.Option("--registry", help="Address of the registry.", show_default="of the configuration", metavar="URL"),
]


def registries(named: str | None = None) -> Registries:
    """The user's registries; `named` by --registry. Raises UsageError, ConfigError."""
    from flowctl_core.cli.session import load_configuration
    from flowctl_core.client.registries import Registries

    return Registries(load_configuration().config, named=named)
