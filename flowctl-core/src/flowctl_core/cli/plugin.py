"""`flowctl plugin`: what is installed."""

from __future__ import annotations

import typer

from flowctl_core.cli.console import emit, say, table
from flowctl_core.cli.global_options import GLOBAL, OutputFormat
from flowctl_core.cli.options import Output

app = typer.Typer(no_args_is_help=True, help="See which plugins are installed.")


@app.callback()
def plugin() -> None:
    """See which plugins are installed."""


@app.command("list")
def list_plugins(output: Output = None) -> None:
    """List plugins: name, distribution, version, contract version, hooks, digest, state."""
    from flowctl_core.plugins.manager import load_plugins

    records = load_plugins().records
    if emit([record.model_dump(mode="json") for record in records]):
        return
    wide = GLOBAL.output is OutputFormat.wide
    table(
        ("NAME", "DISTRIBUTION", "VERSION", "CONTRACT", "KIND", "STATE", "DIGEST", *(("HOOKS",) if wide else ())),
        [
            (
                record.name,
                record.distribution,
                record.version,
                record.contract if record.contract is not None else "-",
                record.kind,
                record.state,
                record.digest if wide else record.digest[:19],
                *((" ".join(hook.removeprefix("flowctl_") for hook in record.hooks),) if wide else ()),
            )
            for record in records
        ],
    )
    for record in records:
        if record.problem:
            say(f"{record.name} ({record.distribution}): {record.problem}")
