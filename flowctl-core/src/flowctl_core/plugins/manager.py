"""Loads plugins: imports each, checks it, and sets aside what is broken or claimed twice, with the reason."""

from __future__ import annotations

import traceback
from collections import defaultdict
from collections.abc import Iterable, Sequence
from importlib import import_module
from typing import Any

import pluggy

from flowctl_core import hookspecs
from flowctl_core.errors import PluginError
from flowctl_core.plugins.checks import PROJECT, inspect_plugin
from flowctl_core.plugins.discovery import PluginReference, find_distribution, installed_plugins
from flowctl_core.plugins.identity import Kind, PluginRecord


def load_plugins(
    *, entry_points: Iterable[PluginReference] | None = None, extra: Iterable[PluginReference] = ()
) -> PluginManager:
    """Load the installed plugins (or the given ones) and core's own in `extra`.

    Never raises for a bad plugin: it gets a record that says what is wrong, and takes no part. `extra`
    plugins keep their names against installed ones.
    """
    manager = PluginManager()
    own = [_located(reference) for reference in extra]
    found = installed_plugins() if entry_points is None else tuple(entry_points)
    manager.add(own, found)
    return manager


class PluginManager:
    """The loaded plugins. Use `flowctl_core.plugins.call.InProcessCaller` to call their hooks."""

    def __init__(self) -> None:
        self._pluggy = pluggy.PluginManager(PROJECT)
        self._pluggy.add_hookspecs(hookspecs)
        self._records: list[PluginRecord] = []
        self._references: dict[str, PluginReference] = {}
        self._objects: dict[str, object] = {}

    @property
    def records(self) -> tuple[PluginRecord, ...]:
        """All plugins, by name: active, broken and conflicting ones."""
        return tuple(sorted(self._records, key=lambda record: (record.name, record.distribution)))

    @property
    def builders(self) -> tuple[PluginRecord, ...]:
        """Active builders, by name."""
        return tuple(r for r in self.records if r.state == "active" and r.kind == "builder")

    @property
    def wrappers(self) -> tuple[PluginRecord, ...]:
        """Active plugins that wrap hooks, by name."""
        return tuple(r for r in self.records if r.state == "active" and r.wrappers)

    @property
    def problems(self) -> tuple[PluginRecord, ...]:
        """Plugins that take no part, each with its `problem`."""
        return tuple(r for r in self.records if r.state != "active")

    @property
    def references(self) -> tuple[PluginReference, ...]:
        """Where the active plugins are, in the order in which they were registered."""
        return tuple(self._references.values())

    def builder(self, name: str) -> PluginRecord:
        """The record of an active builder; PluginError, with the reason, when there is none of that name."""
        return self._active(name, ("builder",))

    def provider(self, name: str) -> PluginRecord:
        """The record of an active builder or signer: what one hook can be called on."""
        return self._active(name, ("builder", "signer"))

    def _active(self, name: str, kinds: tuple[Kind, ...]) -> PluginRecord:
        named = [record for record in self._records if record.name == name]
        for record in named:
            if record.state == "active" and record.kind in kinds:
                return record
        if named:
            problems = "; ".join(f"{r.distribution}: {r.problem or f'it is a {r.kind}'}" for r in named)
            raise PluginError(f"{kinds[0]} {name} cannot be used: {problems}", hint="See `flowctl plugin list`.")
        known = ", ".join(record.name for record in self.builders) or "none"
        raise PluginError(f"there is no {kinds[0]} {name}; installed builders: {known}")

    def implementations(self, name: str, hook: str) -> pluggy.HookCaller:
        """Caller of a hook on exactly one builder or signer, and on all wrappers."""
        record = self.provider(name)
        kept = {record.name, *(wrapper.name for wrapper in self.wrappers)}
        others = [plugin for other, plugin in self._objects.items() if other not in kept]
        return self._pluggy.subset_hook_caller(hook, others)

    def add(self, own: Sequence[PluginReference], found: Sequence[PluginReference]) -> None:
        """Load references. A name that is claimed twice goes to nobody, except that `own` keeps its names."""
        claims: dict[str, list[PluginReference]] = defaultdict(list)
        for reference in (*own, *found):
            claims[reference.name].append(reference)
        for reference in own:
            rivals = [other for other in own if other.name == reference.name]
            self._add(reference, rivals if len(rivals) > 1 else ())
        for reference in found:
            rivals = claims[reference.name]
            self._add(reference, rivals if len(rivals) > 1 else ())

    def _add(self, reference: PluginReference, rivals: Sequence[PluginReference]) -> None:
        if rivals:
            self._record(reference, state="conflict", problem=_conflict(reference, rivals))
            return
        try:
            plugin = reference.plugin if reference.plugin is not None else _import(reference.value)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - an import runs the plugin's own code
            problem = f"cannot be imported: {type(error).__name__}: {error}"
            self._record(reference, state="broken", problem=problem, detail=traceback.format_exc())
            return
        found = inspect_plugin(reference.name, plugin)
        fault = found.problem
        twin = next((name for name, other in self._objects.items() if other == plugin), None)
        if fault is None and twin is not None:
            fault = f"equals the plugin object of {twin}; each plugin is an object of its own"
        if fault is None:
            self._pluggy.register(plugin, reference.name)
            self._objects[reference.name] = plugin
            self._references[reference.name] = reference
        self._record(
            reference,
            contract=found.contract,
            hooks=found.hooks,
            kind=found.kind,
            wrappers=found.wrappers,
            state="broken" if fault else "active",
            problem=fault,
        )

    def _record(self, reference: PluginReference, **fields: Any) -> None:
        record = PluginRecord(
            name=reference.name,
            distribution=reference.distribution,
            version=reference.version,
            value=reference.value,
            metadata=reference.metadata,
            **fields,
        )
        self._records.append(record)


def _located(reference: PluginReference) -> PluginReference:
    """Version and metadata of the distribution that brings core's own builders."""
    if reference.metadata is not None or not reference.distribution:
        return reference
    found = find_distribution(reference.distribution)
    if found is None:
        return reference
    version, metadata = found
    return PluginReference(reference.name, reference.value, reference.distribution, version, metadata, reference.plugin)


def _conflict(reference: PluginReference, rivals: Sequence[PluginReference]) -> str:
    providers = ", ".join(sorted(f"{r.distribution or 'unknown'} {r.version}".strip() for r in rivals))
    return f"the name {reference.name} is claimed by {providers}; uninstall all but one"


def _import(value: str) -> object:
    """The object that an entry point's `module:attribute` names; the module itself without an attribute."""
    module, _, attribute = value.partition("[")[0].partition(":")  # `[extra]` means nothing for importing
    if not module.strip():
        raise ValueError(f"'{value}' is not of the form module:attribute")
    found: object = import_module(module.strip())
    for part in filter(None, attribute.strip().split(".")):
        found = getattr(found, part)
    return found
