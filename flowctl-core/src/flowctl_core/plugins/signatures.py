"""The hooks of the contract as data: argument and answer types, read from `hookspecs.py` itself."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import NoneType
from typing import Any, get_args, get_type_hints

from pydantic import TypeAdapter

from flowctl_core import hookspecs
from flowctl_core.errors import PluginError

SIGN = "flowctl_sign"
"""The one hook that only signers implement."""
REQUIRED = ("flowctl_detect", "flowctl_plan", "flowctl_build")
"""What a builder implements at least."""


@dataclass(frozen=True)
class HookSignature:
    """Arguments and answer of one hook."""

    name: str
    arguments: Mapping[str, TypeAdapter[Any]]
    answer: TypeAdapter[Any]
    expected: str
    """The answer's type, for messages: `Plan`, `tuple[ToolRequirement, ...]`."""
    collects: bool
    """True when pluggy answers with a list, one element for each implementation."""


@lru_cache(maxsize=1)
def hook_names() -> tuple[str, ...]:
    """All hooks of the contract, in the order in which `hookspecs.py` has them."""
    return tuple(
        name for name, value in vars(hookspecs).items() if inspect.isfunction(value) and hasattr(value, "flowctl_spec")
    )


@lru_cache(maxsize=32)
def signature(hook: str) -> HookSignature:
    """The signature of a hook; PluginError for a name that is not in the contract."""
    if hook not in hook_names():
        raise PluginError(f"{hook} is not a hook of contract {hookspecs.CONTRACT_VERSION}")
    function = getattr(hookspecs, hook)
    hints = get_type_hints(function)
    answer = hints.pop("return")
    some = next(kind for kind in get_args(answer) if kind is not NoneType)
    return HookSignature(
        name=hook,
        arguments={name: TypeAdapter(kind) for name, kind in hints.items()},
        answer=TypeAdapter(some),
        expected=some.__name__ if inspect.isclass(some) and not get_args(some) else _spelling(some),
        collects=not function.flowctl_spec["firstresult"],
    )


def _spelling(kind: Any) -> str:
    element = get_args(kind)[0]
    return f"tuple[{element.__name__}, ...]"
