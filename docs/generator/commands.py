"""Every command with its arguments and options, from the typer application itself."""

from __future__ import annotations

import enum
import inspect
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_type_hints

import typer

from flowctl_core.cli.app import app
from flowctl_core.cli.global_options import OutputFormat
from flowctl_registry.cli.app import app as registry_app
from generator.models import table


def commands() -> str:
    """One section for each command, the global options first."""
    root = typer.main.get_command(app)
    sections = [f"## flowctl\n\n{_help(root)}\n\n{_parameters(root)}"]
    for path, command in _leaves(root, "flowctl"):
        usage = " ".join([path, "[OPTIONS]", *_usage(command)])
        sections.append(f"## {path}\n\n{_help(command)}\n\n```text\n{usage}\n```\n\n{_parameters(command)}".rstrip())
    return "\n\n".join(sections)


def command_options() -> dict[str, set[str]]:
    """Command path (`flowctl component build`) to the options it takes; groups are there too."""
    found = {}
    for program, its in (("flowctl", app), ("flowctl-registry", registry_app)):
        root = typer.main.get_command(its)
        found[program] = _option_names(root)
        for path, command in _all(root, program):
            found[path] = _option_names(command)
    return found


def _all(group: Any, path: str) -> list[tuple[str, Any]]:
    found = []
    for name, command in getattr(group, "commands", {}).items():
        found.append((f"{path} {name}", command))
        found.extend(_all(command, f"{path} {name}"))
    return found


def _leaves(group: Any, path: str) -> list[tuple[str, Any]]:
    return [
        (name, command)
        for name, command in _all(group, path)
        if not hasattr(command, "commands") and not command.hidden
    ]


def _option_names(command: Any) -> set[str]:
    names = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    return {name for name in names if name.startswith("-")} | {"-h", "--help"}


def _help(command: Any) -> str:
    return "\n\n".join(" ".join(part.split()) for part in (command.help or "").split("\n\n"))


def _usage(command: Any) -> list[str]:
    words = []
    for parameter in command.params:
        if parameter.param_type_name == "argument":
            name = (parameter.metavar or parameter.name).upper()
            name += "..." if parameter.nargs == -1 else ""
            words.append(name if parameter.required else f"[{name}]")
    return words


def _parameters(command: Any) -> str:
    rows = []
    kinds = get_type_hints(inspect.unwrap(command.callback))
    for parameter in command.params:
        rows.append((_names(parameter), _value(parameter, kinds), _default(parameter), parameter.help or ""))
    return table(("Option", "Value", "Default", "Meaning"), rows) if rows else ""


def _names(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return f"`{(parameter.metavar or parameter.name).upper()}`"
    names = sorted((*parameter.opts, *parameter.secondary_opts), key=len)
    return ", ".join(f"`{name}`" for name in names)


def _value(parameter: Any, kinds: dict[str, Any]) -> str:
    if getattr(parameter, "is_flag", False):
        return ""
    kind = next((part for part in get_args(kinds[parameter.name]) if part is not NoneType), kinds[parameter.name])
    if inspect.isclass(kind) and issubclass(kind, enum.Enum):
        return " or ".join(f"`{choice.value}`" for choice in kind)
    name = {int: "integer", Path: "path", list[Path]: "paths"}.get(kind, "text")
    lowest = getattr(parameter, "min", None)
    return name if lowest is None else f"{name}, at least {lowest}"


def _default(parameter: Any) -> str:
    if parameter.name == "output":
        return f"`{OutputFormat.table.value}`"
    shown = getattr(parameter, "show_default", None)
    if isinstance(shown, str):
        return shown
    default = parameter.default
    if default is None or default is False or callable(default) or default == ():
        return "required" if parameter.required else ""
    if default is True and parameter.secondary_opts:
        return f"`{parameter.opts[0]}`"
    return f"`{default}`" if isinstance(default, str | int | float) and not isinstance(default, bool) else ""
