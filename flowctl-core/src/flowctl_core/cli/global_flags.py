"""Global options are taken after a command's name too, as the other tools of this ecosystem take them."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

from flowctl_core.cli.global_options import GLOBAL, LogLevel, OutputFormat

_EVERYWHERE = {
    "config_file": "config",
    "namespace": "namespace",
    "output": "output",
    "log_level": "log_level",
    "yes": "yes",
}
"""Name of a global option to the field of GlobalOptions that it sets."""
_TYPES = {"config": Path, "output": OutputFormat, "log_level": LogLevel}
_NOTE = "Global options (--config, -n, -o, --log-level, -y) may stand here too: see `flowctl --help`."


def accept_everywhere(root: Any) -> Any:
    """Let every group and command below `root` take the global options that it has none of its own name for.

    The copies are hidden, so that each command's help shows what is particular to it.
    """
    for command in _below(root):
        taken = {name for parameter in command.params for name in parameter.opts}
        for option in root.params:
            if option.name in _EVERYWHERE and not taken.intersection(option.opts):
                command.params.append(_copied(option))
        command.epilog = command.epilog or _NOTE
    return root


def _below(group: Any) -> list[Any]:
    commands = list(getattr(group, "commands", {}).values())
    return [*commands, *(inner for command in commands for inner in _below(command))]


def _copied(option: Any) -> Any:
    field = _EVERYWHERE[option.name]

    def remember(context: object, parameter: object, value: Any) -> None:
        if value is not None and value is not False:
            setattr(GLOBAL, field, _TYPES.get(field, lambda given: given)(value))

    twin = copy.copy(option)
    twin.name = f"global_{option.name}"
    twin.default, twin.callback, twin.expose_value, twin.hidden = None, remember, False, True
    return twin
