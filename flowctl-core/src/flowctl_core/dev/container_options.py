"""What an entry of pipeline.yaml means for the container it runs in."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

from flowctl_core.dev.environment import secret_name, variable_of, variables
from flowctl_core.dev.launch import Launch
from flowctl_core.errors import ComponentStartError

_ALWAYS = frozenset({"HEALTH_PORT", "PORT", "ENABLE_FLOWCTL"})
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "ki": 2**10, "mi": 2**20, "gi": 2**30}
_MEMORY = re.compile(r"(\d+(?:\.\d+)?)\s*([kmg]i?)?b?", re.IGNORECASE)
_CPU = re.compile(r"(\d+(?:\.\d+)?)(m?)")


def container_environment(launch: Launch) -> dict[str, str]:
    """The variables that the pipeline hands over: this machine's own (PATH, HOME, …) mean nothing inside."""
    entry = launch.component.entry
    named = {variable_of(key, launch.component.metadata) for key in entry.config}
    named |= {name for item in entry.secrets if (name := secret_name(item))} | variables(entry.env).keys() | _ALWAYS
    return {
        name: value
        for name, value in launch.environment.items()
        if name in named or name.startswith("FLOWCTL_") or os.environ.get(name) != value
    }


def mounts(launch: Launch) -> list[dict[str, Any]]:
    """`host:container[:ro]`, or hostPath and mountPath; relative host paths count from the pipeline's folder.

    Raises ComponentStartError for a volume without a folder of this machine, or whose folder is not there.
    """
    found = []
    for item in launch.component.entry.volumes:
        if isinstance(item, str):
            host, _, rest = item.partition(":")
            inside, _, mode = rest.partition(":")
            readonly = mode == "ro"
        else:
            host, inside = item.host_path or "", item.mount_path or item.container_path or ""
            readonly = bool(item.readonly)
        if not host or not inside:
            raise ComponentStartError(
                f"{launch.name}: a volume names no folder of this machine, or none in the container",
                hint="Write host:container, or hostPath and mountPath.",
            )
        place = os.path.abspath(launch.folder / os.path.expanduser(host))  # noqa: PTH100, PTH111 - symlinks stay
        if not os.path.exists(place):  # noqa: PTH110
            raise ComponentStartError(f"{launch.name}: the volume's folder {place} does not exist")
        found.append({"Type": "bind", "Source": place, "Target": inside, "ReadOnly": readonly})
    return found


def limits(launch: Launch) -> dict[str, int]:
    """`resources.limits` in the engine's words. Raises ComponentStartError for a value that is no quantity."""
    resources = launch.component.entry.resources
    given = resources.limits if resources is not None else None
    if given is None:
        return {}
    values: Mapping[str, Any] = given.model_dump(exclude_none=True)
    found = {}
    if "memory" in values:
        amount, unit = _quantity(launch, "memory", values["memory"], _MEMORY)
        found["mem_limit"] = int(amount * _UNITS[unit.lower()])
    if "cpu" in values:
        amount, unit = _quantity(launch, "cpu", values["cpu"], _CPU)
        found["nano_cpus"] = int(amount * (10**6 if unit else 10**9))
    return found


def _quantity(launch: Launch, name: str, value: object, form: re.Pattern[str]) -> tuple[float, str]:
    match = form.fullmatch(str(value).strip())
    if match is None:
        raise ComponentStartError(
            f"{launch.name}: resources.limits.{name}: '{value}' is no quantity",
            hint="Write 512Mi, 1Gi, 0.5 or 500m.",
        )
    return float(match[1]), match[2] or ""
