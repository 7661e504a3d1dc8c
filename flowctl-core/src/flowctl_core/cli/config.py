"""`flowctl config`: the configuration in use."""

from __future__ import annotations

import typer

from flowctl_core.cli.console import emit, say, table
from flowctl_core.cli.global_options import GLOBAL
from flowctl_core.cli.options import Output

app = typer.Typer(no_args_is_help=True, help="See the configuration.")


@app.callback()
def config() -> None:
    """See the configuration."""


@app.command()
def show(output: Output = None) -> None:
    """Show every value in use and where it came from (secrets are masked)."""
    from flowctl_core.cli.documents import ConfigDocument, ConfigValue
    from flowctl_core.cli.session import load_configuration
    from flowctl_core.config.load import effective_values

    loaded = load_configuration()
    rows = effective_values(loaded)
    document = ConfigDocument(
        file=str(loaded.file) if loaded.file else None,
        values={key: ConfigValue(value=_plain(value), origin=origin) for key, value, origin in rows},
    )
    if emit(document.model_dump(mode="json")):
        return
    table(("KEY", "VALUE", "FROM"), [(key, _text(value), origin) for key, value, origin in rows])
    if loaded.file is None:
        say("no configuration file; ~/.flowctl/config.yaml would be read" if GLOBAL.config is None else "")


def _plain(value: object) -> str | bool | int | float | tuple[str, ...] | None:
    if value is None or isinstance(value, bool | int | float):
        return value
    return tuple(str(item) for item in value) if isinstance(value, tuple) else str(value)


def _text(value: object) -> str:
    if value is None or value == ():
        return "-"
    if isinstance(value, bool):
        return str(value).lower()  # as it is written in the file
    if isinstance(value, float):
        return f"{value:.0f}" if value.is_integer() else str(value)
    return ", ".join(str(item) for item in value) if isinstance(value, tuple) else str(value)
