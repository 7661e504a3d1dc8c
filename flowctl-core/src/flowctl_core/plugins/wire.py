"""What crosses the boundary between two processes: one JSON request, then JSON lines back.

The request is one line: `{"contract", "plugin", "hook", "arguments", "plugins", "path"}`. Answers are lines,
each an object with one of the keys `event` (kind and text), `result` (the answer as JSON, or null), `missing`
(the builder does not implement the hook) and `error` (code, message, hint, output). The last three end the
call.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from pydantic import JsonValue, ValidationError

from flowctl_core import errors
from flowctl_core.errors import FlowctlError, PluginError
from flowctl_core.hookspecs import CONTRACT_VERSION
from flowctl_core.models import BuildContext, Progress, Runner
from flowctl_core.models.base import Frozen
from flowctl_core.plugins.discovery import PluginReference
from flowctl_core.plugins.signatures import signature


class PluginLocation(Frozen):
    """A plugin that the other side is to load: name, `module:attribute`, distribution and version."""

    name: str
    value: str
    distribution: str = ""
    version: str = ""

    def reference(self) -> PluginReference:
        """As the plugin manager takes it."""
        return PluginReference(self.name, self.value, self.distribution, self.version)


class Request(Frozen):
    """One hook call."""

    contract: int = CONTRACT_VERSION
    plugin: str
    hook: str
    arguments: dict[str, JsonValue]
    plugins: tuple[PluginLocation, ...] | None = None
    """The builder and the wrappers; None: whatever is installed on the other side."""
    path: tuple[str, ...] = ()
    """Folders to import plugins from, before the other side's own."""


class ErrorData(Frozen):
    """A FlowctlError as data."""

    code: str
    message: str
    hint: str | None = None
    output: str | None = None


def encode_arguments(hook: str, arguments: Mapping[str, Any]) -> dict[str, JsonValue]:
    """Arguments as JSON values; a context's runner and progress stay behind."""
    expected = signature(hook).arguments
    return {name: expected[name].dump_python(value, mode="json") for name, value in arguments.items()}


def decode_arguments(hook: str, data: Mapping[str, JsonValue], *, runner: Runner, progress: Progress) -> dict[str, Any]:
    """Arguments as models, a context with this side's runner and progress.

    Raises PluginError when they do not fit the contract.
    """
    expected = signature(hook).arguments
    if set(data) != set(expected):
        raise PluginError(f"{hook} takes {', '.join(expected)}, not {', '.join(sorted(data)) or 'nothing'}")
    arguments: dict[str, Any] = {}
    for name, value in data.items():
        if name == "context" and isinstance(value, dict):
            arguments[name] = BuildContext.model_validate({**value, "runner": runner, "progress": progress})
        else:
            arguments[name] = _decoded(hook, name, value)
    return arguments


def _decoded(hook: str, name: str, value: JsonValue) -> Any:
    try:
        return signature(hook).arguments[name].validate_json(json.dumps(value))
    except ValidationError as error:
        raise PluginError(f"the argument {name} of {hook} does not fit the contract", output=str(error)) from error


def encode_error(error: FlowctlError) -> dict[str, JsonValue]:
    """An error as data; a subclass that only the plugin knows goes as the nearest class of
    `flowctl_core.errors`."""
    known = set(_classes().values())
    code = next(kind.code for kind in type(error).__mro__ if issubclass(kind, FlowctlError) and kind in known)
    return ErrorData(code=code, message=error.message, hint=error.hint, output=error.output).model_dump()


def decode_error(data: object) -> FlowctlError:
    """The same error again; PluginError for a code that this side does not know."""
    found = ErrorData.model_validate(data)
    kind = _classes().get(found.code, PluginError)
    error = kind.__new__(kind)
    # Some subclasses have fields of their own and another signature.
    FlowctlError.__init__(error, found.message, hint=found.hint, output=found.output)
    return error


@lru_cache(maxsize=1)
def _classes() -> dict[str, type[FlowctlError]]:
    return {
        kind.code: kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, FlowctlError)
    }
