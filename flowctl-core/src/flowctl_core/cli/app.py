"""The command `flowctl`: global options and command groups."""

from __future__ import annotations

from collections.abc import Callable
from itertools import zip_longest
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

import flowctl_core
from flowctl_core.cli import (
    build,
    build_host,
    bundle,
    cache,
    component,
    config,
    dev,
    doctor,
    keys,
    login,
    plugin,
    schema,
    trust,
    verify,
    why,
)
from flowctl_core.cli.console import machine_readable, say_aside
from flowctl_core.cli.failure import as_flowctl_error, exit_code
from flowctl_core.cli.global_flags import accept_everywhere
from flowctl_core.cli.global_options import GLOBAL, LogLevel, OutputFormat
from flowctl_core.cli.options import Output
from flowctl_core.errors import UsageError

_ORDER = (
    "component",
    "bundle",
    "dev",
    "login",
    "logout",
    "whoami",
    "build",
    "verify",
    "why",
    "keys",
    "trust",
    "plugin",
    "cache",
    "config",
    "schema",
    "doctor",
)
"""Of the commands in the help: what people do every day first."""


class _InOrder(TyperGroup):
    """Lists commands and groups in one order; typer would put the commands before the groups."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Names in the order of the help."""
        return sorted(
            super().list_commands(ctx), key=lambda name: _ORDER.index(name) if name in _ORDER else len(_ORDER)
        )


app = typer.Typer(
    name="flowctl",
    cls=_InOrder,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Build components of data pipelines: the same plugins here and in the registry.",
)
app.add_typer(component.app, name="component")
app.add_typer(bundle.app, name="bundle")
app.command("dev", short_help="Run a pipeline here; edit, and it runs.")(dev.dev)
app.command("login", short_help="Sign in to a registry and pin its trust root.")(login.login)
app.command("logout", short_help="Forget the token of a registry.")(login.logout)
app.command("whoami", short_help="Show whom a registry takes you for.")(login.whoami)
app.add_typer(build.app, name="build")
app.command("verify", short_help="Check signatures and provenance against your policy.")(verify.verify)
app.command("why", short_help="Tell where something comes from, and what of that is proved.")(why.why)
app.add_typer(keys.app, name="keys")
app.command("doctor", short_help="Tell what is here and what to install.")(doctor.doctor)
app.add_typer(plugin.app, name="plugin")
app.add_typer(cache.app, name="cache")
app.add_typer(config.app, name="config")
app.add_typer(trust.app, name="trust")
app.command("build-host", hidden=True)(build_host.build_host)
app.command("schema", short_help="Print JSON Schema for editors.")(schema.schema)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"flowctl {flowctl_core.__version__}")
        raise typer.Exit()


@app.callback()
def flowctl(
    config_file: Annotated[
        Path | None, typer.Option("--config", help="Configuration file instead of ~/.flowctl/config.yaml.")
    ] = None,
    namespace: Annotated[
        str | None, typer.Option("--namespace", "-n", help="Namespace of components that name none.")
    ] = None,
    output: Output = None,
    log_level: Annotated[
        LogLevel, typer.Option("--log-level", help="How much to tell: debug adds decisions and commands.")
    ] = LogLevel.info,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Answer every question with yes.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Set what holds for every command."""
    GLOBAL.config, GLOBAL.namespace = config_file, namespace
    GLOBAL.log_level, GLOBAL.yes = log_level, yes


def run(arguments: list[str]) -> int:
    """Run the command line and return its exit code."""
    _see_output_format(arguments)
    return exit_code(lambda: _invoke(arguments))


def _see_output_format(arguments: list[str]) -> None:
    """Note `-o json` before parsing, so that even a usage error is answered in the format asked for."""
    for flag, value in zip_longest(arguments, arguments[1:], fillvalue=""):
        text = value if flag in ("-o", "--output") else ""
        for prefix in ("--output=", "-o"):
            text = text or (flag.removeprefix(prefix) if flag.startswith(prefix) else "")
        if text in OutputFormat.__members__:
            GLOBAL.output = OutputFormat(text)


def _invoke(arguments: list[str]) -> int:
    command = accept_everywhere(typer.main.get_command(app))
    command.invoke = _heard(command.invoke)
    try:
        result = command.main(args=arguments, prog_name="flowctl", standalone_mode=False)
    except typer.Abort:
        raise KeyboardInterrupt from None
    except typer.Exit as stop:
        return stop.exit_code
    except Exception as error:
        if type(error).__name__ == "NoArgsIsHelpError" and not machine_readable():
            say_aside(str(error).rstrip())  # the group's help
            return UsageError.exit_code
        usage = _usage_error(error)
        if usage is None:
            raise
        raise usage from error
    return result if isinstance(result, int) else 0


def _heard(invoke: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Interruptions as an error of ours: typer would make a silent exit of them."""

    def hear(context: Any) -> Any:
        try:
            return invoke(context)
        except KeyboardInterrupt as interruption:
            raise as_flowctl_error(interruption) from None

    return hear


def _usage_error(error: Exception) -> UsageError | None:
    """Usage errors of the option parser, recognised by what they offer."""
    format_message = getattr(error, "format_message", None)
    if format_message is None:
        return None
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "flowctl"
    message = format_message().replace("Value error, ", "")  # pydantic's, which checks the values for typer
    if type(error).__name__ == "NoArgsIsHelpError":
        message = "a command is missing"
    return UsageError(message, hint=f"`{path} --help` lists what it takes.")
