"""What a plugin object must be like before it may take part: checked loudly when it is loaded."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from dataclasses import dataclass

import pluggy

from flowctl_core import hookspecs
from flowctl_core.hookspecs import CONTRACT_VERSION
from flowctl_core.plugins.identity import Kind
from flowctl_core.plugins.signatures import REQUIRED, SIGN

PROJECT = "flowctl"


@dataclass(frozen=True)
class Inspection:
    """What a plugin object implements, and the first thing that is wrong with it."""

    problem: str | None
    contract: int | None = None
    hooks: tuple[str, ...] = ()
    kind: Kind = "unknown"
    wrappers: bool = False


def inspect_plugin(name: str, plugin: object) -> Inspection:
    """Check one plugin object by itself. Nothing of it is called."""
    contract = getattr(plugin, "contract", None)
    known = contract if isinstance(contract, int) and not isinstance(contract, bool) else None
    problem = _shape_problem(plugin) or _contract_problem(contract)
    if problem:
        return Inspection(problem, known)
    # A manager of its own, since pluggy keeps hooks that an invalid plugin brought along.
    trial = pluggy.PluginManager(PROJECT)
    trial.add_hookspecs(hookspecs)
    try:
        trial.register(plugin, name)
        trial.check_pending()
    except pluggy.PluginValidationError as error:
        return Inspection(" ".join(str(error).split()), known)
    except Exception as error:  # noqa: BLE001 - pluggy inspects the plugin's own attributes
        return Inspection(f"cannot be registered: {type(error).__name__}: {error}", known)
    callers = trial.get_hookcallers(plugin) or []
    implementations = [(caller.name, implementation) for caller in callers for implementation in caller.get_hookimpls()]
    own = sorted({hook for hook, impl in implementations if not _wraps(impl)})
    wrapped = sorted({hook for hook, impl in implementations if _wraps(impl)})
    hooks = tuple(sorted({*own, *wrapped}))
    kind: Kind = "wrapper" if not own else "signer" if SIGN in own else "builder"
    problem = (
        _undecorated_problem(plugin, hooks)
        or _function_problem(impl for _, impl in implementations)
        or _role_problem(own, wrapped)
    )
    return Inspection(problem, known, hooks, kind if hooks else "unknown", bool(wrapped))


def _wraps(implementation: pluggy.HookImpl) -> bool:
    return implementation.wrapper or implementation.hookwrapper


def _shape_problem(plugin: object) -> str | None:
    if plugin is None:
        return "the entry point names None, not a plugin object"
    if inspect.isclass(plugin):
        return f"the entry point names the class {plugin.__name__}; name an instance of it"
    try:
        hash(plugin)
    except TypeError:
        return f"{type(plugin).__name__} objects are not hashable; give the class no __eq__"
    return None


def _contract_problem(contract: object) -> str | None:
    if contract is None:
        return f"says no contract version; add the attribute `contract = {CONTRACT_VERSION}`"
    if not isinstance(contract, int) or isinstance(contract, bool) or contract < 1:
        return f"contract is {contract!r}; it must be a whole number from 1 to {CONTRACT_VERSION}"
    if contract > CONTRACT_VERSION:
        return (
            f"needs contract {contract}, this flowctl-core offers {CONTRACT_VERSION}; "
            "upgrade flowctl-core or install an older version of the plugin"
        )
    return None


def _undecorated_problem(plugin: object, hooks: tuple[str, ...]) -> str | None:
    """pluggy passes over a hook without the decorator; its author would look for the reason for long."""
    for name in dir(plugin):
        if not name.startswith("flowctl_"):
            continue
        static = inspect.getattr_static(plugin, name, None)
        if inspect.isfunction(static) and not hasattr(static, f"{PROJECT}_impl"):
            return f"{name} is not decorated with @hookimpl, so it would never be called"
    return None if hooks else "implements no hook of the contract"


def _function_problem(implementations: Iterable[pluggy.HookImpl]) -> str | None:
    for implementation in implementations:
        function = inspect.unwrap(implementation.function)
        name = getattr(function, "__name__", "hook")
        if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
            return f"{name} is async; hooks are plain functions"
        if inspect.isgeneratorfunction(function) and not _wraps(implementation):
            return f"{name} contains yield but is not declared with @hookimpl(wrapper=True)"
    return None


def _role_problem(own: list[str], wrapped: list[str]) -> str | None:
    builds = [hook for hook in own if hook != SIGN]
    if SIGN in own and builds:
        return f"implements {SIGN} and {builds[0]}: a builder never signs; the signer is a plugin of its own"
    if own and wrapped:
        return f"implements {own[0]} and wraps {wrapped[0]}: wrappers need a plugin object of their own"
    missing = [hook for hook in REQUIRED if hook not in own]
    if builds and missing:
        return f"implements {builds[0]} but not {', '.join(missing)}, which every builder has"
    return None
