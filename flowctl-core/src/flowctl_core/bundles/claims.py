"""What a member says of itself, in component.yaml or in bundle.yaml, and where: so that a problem can name the line."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from flowctl_core.bundles.folder import BundleFolder, Member
from flowctl_core.specfile.check_interface import health_ports
from flowctl_core.specfile.finding import Finding, Severity
from flowctl_core.specfile.load import LoadedSpec
from flowctl_core.specfile.problems import Path, suggestion

LOOKED_THROUGH = 200
"""Names among which the one that was meant is looked for; more would take seconds."""


@dataclass(frozen=True)
class Claim:
    """A value, and the field that has it."""

    value: Any
    file: LoadedSpec[Any]
    path: Path

    def finding(self, severity: Severity, message: str) -> Finding:
        """A problem at this field."""
        return self.file.finding(severity, self.path, message)

    @property
    def place(self) -> str:
        """`file:line`."""
        line = self.file.line_of(*self.path)
        return self.file.file if line is None else f"{self.file.file}:{line}"


class Claims:
    """What one member takes, gives and listens on; component.yaml comes before bundle.yaml."""

    def __init__(self, bundle: BundleFolder, member: Member) -> None:
        self.member = member
        self._entry: Path = ("spec", "components", member.index)
        self._bundle = bundle.loaded
        self._written = mapping(items(mapping(bundle.loaded.data.get("spec")).get("components"))[member.index])
        self._own = member.loaded
        body = mapping(member.loaded.data.get("spec")) if member.loaded is not None else {}
        self._body: dict[str, Any] = body
        self._interface = mapping(body.get("interface"))

    @cached_property
    def inputs(self) -> tuple[Claim, ...]:
        """Event types it takes."""
        return self._list("inputEventTypes")

    @cached_property
    def outputs(self) -> tuple[Claim, ...]:
        """Event types it gives."""
        return self._list("outputEventTypes")

    @cached_property
    def input_schemas(self) -> tuple[Claim, ...]:
        """Schemas it takes: a name, or a mapping with name and version."""
        return self._list("inputSchemas")

    @cached_property
    def output_schemas(self) -> tuple[Claim, ...]:
        """Schemas it gives."""
        return self._list("outputSchemas")

    @cached_property
    def streams(self) -> tuple[Claim, ...]:
        """Streams it gives."""
        return self._communication("streams")

    @cached_property
    def consumes(self) -> tuple[Claim, ...]:
        """Streams it takes."""
        return self._communication("consumes")

    @property
    def type(self) -> str | None:
        """source, processor or sink."""
        own = self._own.spec.type if self._own is not None else None
        declared = self.member.entry.type
        return own or ("sink" if declared == "consumer" else declared)

    def ports(self) -> Iterator[Claim]:
        """Every port it listens on: its own, and those of its health probes."""
        communication = mapping(self._interface.get("communication"))
        if self._own is not None and isinstance(communication.get("port"), int):
            yield Claim(communication["port"], self._own, ("spec", "interface", "communication", "port"))
        entry = mapping(self._written.get("communication"))
        if isinstance(entry.get("port"), int):
            yield Claim(entry["port"], self._bundle, (*self._entry, "communication", "port"))
        given = mapping(mapping(mapping(self._bundle.data.get("spec")).get("communication")).get("ports"))
        if isinstance(given.get(self.member.name), int):
            yield Claim(given[self.member.name], self._bundle, ("spec", "communication", "ports", self.member.name))
        if self._own is not None:
            for path, port in health_ports(self._body):
                yield Claim(port, self._own, path)

    def own_ports(self) -> tuple[Claim, ...]:
        """Those of `ports` that say where it listens for events."""
        return tuple(claim for claim in self.ports() if "health" not in claim.path[1:2])

    def in_bundle(self, field: str) -> Claim | None:
        """What bundle.yaml says in a field of the member's entry."""
        value = self._written.get(field)
        return None if value is None else Claim(value, self._bundle, (*self._entry, field))

    def at_entry(self) -> Claim:
        """The member's entry in bundle.yaml."""
        return Claim(self.member.name, self._bundle, (*self._entry, "name"))

    def _list(self, field: str) -> tuple[Claim, ...]:
        own = items(self._interface.get(field))
        if own and self._own is not None:
            here: Path = ("spec", "interface", field)
            return tuple(Claim(value, self._own, (*here, index)) for index, value in enumerate(own))
        return tuple(
            Claim(value, self._bundle, (*self._entry, field, index))
            for index, value in enumerate(items(self._written.get(field)))
        )

    def _communication(self, field: str) -> tuple[Claim, ...]:
        own = items(mapping(self._interface.get("communication")).get(field))
        if own and self._own is not None:
            here: Path = ("spec", "interface", "communication", field)
            return tuple(Claim(value, self._own, (*here, index)) for index, value in enumerate(own))
        return tuple(
            Claim(value, self._bundle, (*self._entry, "communication", field, index))
            for index, value in enumerate(items(mapping(self._written.get("communication")).get(field)))
        )


def claims_of(bundle: BundleFolder) -> tuple[Claims, ...]:
    """Of all members, in the order of the file."""
    return tuple(Claims(bundle, member) for member in bundle.members)


def meant(word: str, known: Collection[str]) -> str:
    """`; did you mean 'x'?`, or nothing."""
    others = sorted(set(known) - {word})
    better = suggestion(word, others) if len(others) <= LOOKED_THROUGH else None
    return f"; did you mean '{better}'?" if better else ""


def name_of(value: Any) -> str:
    """Name of a schema or stream, which is a name or a mapping with one."""
    return str(value.get("name", "")) if isinstance(value, dict) else str(value)


def mapping(value: Any) -> dict[str, Any]:
    """The value where it is a mapping, else an empty one."""
    return value if isinstance(value, dict) else {}


def items(value: Any) -> list[Any]:
    """The value where it is a list, else an empty one."""
    return value if isinstance(value, list) else []
