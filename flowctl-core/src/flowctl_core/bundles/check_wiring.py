"""Members against each other: event types, schemas and streams that do not meet, ports that clash."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator
from difflib import get_close_matches

from flowctl_core.bundles.claims import LOOKED_THROUGH, Claim, Claims, meant, name_of
from flowctl_core.bundles.folder import BundleFolder
from flowctl_core.specfile.finding import Finding, Severity


def check_wiring(bundle: BundleFolder, claims: tuple[Claims, ...]) -> Iterator[Finding]:
    """What the members give each other, and where they listen."""
    yield from _events(claims)
    yield from _schemas(claims)
    yield from _streams(claims)
    execution = bundle.loaded.spec.spec.execution
    if (
        execution is None or not execution.modes or set(execution.modes) != {"container"}
    ):  # each has its own ports there
        yield from _ports(claims)


def _events(claims: tuple[Claims, ...]) -> Iterator[Finding]:
    """A member needs at least one of the types that it takes from another; what nobody takes is told."""
    givers: dict[str, list[str]] = defaultdict(list)
    taken: set[str] = set()
    for claim in claims:
        for given in claim.outputs:
            givers[str(given.value)].append(claim.member.name)
        taken.update(str(wanted.value) for wanted in claim.inputs)
    fed = any(claim.type == "source" for claim in claims)  # else it takes its events from outside
    for claim in claims:
        own = claim.member.name
        met = [any(giver != own for giver in givers.get(str(wanted.value), ())) for wanted in claim.inputs]
        if claim.inputs and not any(met):
            severity: Severity = "error" if fed else "warning"
            for wanted in claim.inputs:
                near = meant(str(wanted.value), givers)
                yield wanted.finding(severity, f"no other component of the bundle gives '{wanted.value}'{near}")
        else:
            for wanted, found in zip(claim.inputs, met, strict=True):
                if not found and (near := _slip(str(wanted.value), givers)):
                    yield wanted.finding("warning", f"no other component of the bundle gives '{wanted.value}'{near}")
        for given in claim.outputs:
            if taken and str(given.value) not in taken and (near := _slip(str(given.value), taken)):
                yield given.finding("warning", f"no component of the bundle takes '{given.value}'{near}")
        if claim.outputs and taken and not any(str(given.value) in taken for given in claim.outputs):
            yield claim.outputs[0].finding("warning", f"nothing that '{own}' gives is taken by another component")


def _slip(word: str, known: Collection[str]) -> str:
    """`; did you mean 'x'?` for another version or a slip of the pen; a component may well take what is not here."""
    close = get_close_matches(word, known, n=1, cutoff=0.9) if len(known) <= LOOKED_THROUGH else ()
    return f"; did you mean '{close[0]}'?" if close else ""


def _schemas(claims: tuple[Claims, ...]) -> Iterator[Finding]:
    """A schema is taken in the version in which it is given."""
    given: dict[str, list[tuple[Claims, Claim]]] = defaultdict(list)
    for claim in claims:
        for schema in claim.output_schemas:
            given[name_of(schema.value)].append((claim, schema))
    for claim in claims:
        for wanted in claim.input_schemas:
            others = [found for who, found in given.get(name_of(wanted.value), ()) if who is not claim]
            version = _version(wanted)
            if others and version is not None and not any(_version(found) in (version, None) for found in others):
                found = others[0]
                yield wanted.finding(
                    "error",
                    f"takes version {version} of the schema '{name_of(wanted.value)}', {found.place} gives "
                    f"{_version(found)}",
                )


def _version(claim: Claim) -> str | None:
    version = claim.value.get("version") if isinstance(claim.value, dict) else None
    return None if version is None else str(version).removeprefix("v")


def _streams(claims: tuple[Claims, ...]) -> Iterator[Finding]:
    """A stream that is taken is given by somebody, from the port and with the schema that are named."""
    given: dict[str, list[tuple[Claims, Claim]]] = defaultdict(list)
    names = {claim.member.name: claim for claim in claims}
    for claim in claims:
        for stream in claim.streams:
            given[name_of(stream.value)].append((claim, stream))
    for claim in claims:
        for wanted in claim.consumes:
            name = name_of(wanted.value)
            told = wanted.value if isinstance(wanted.value, dict) else {}
            source = names.get(str(told.get("source"))) if told.get("source") is not None else None
            if source is not None:
                ports = [port.value for port in source.own_ports()]
                if isinstance(told.get("port"), int) and ports and told["port"] not in ports:
                    place = source.own_ports()[0].place
                    yield wanted.finding(
                        "error", f"'{source.member.name}' listens on port {ports[0]} ({place}), not {told['port']}"
                    )
            found = [stream for who, stream in given.get(name, ()) if who is not claim]
            if not found and given and (told.get("source") is None or source is not None):
                near = meant(name, given)
                yield wanted.finding("error", f"no component of the bundle gives the stream '{name}'{near}")
            schemas = {stream.value.get("schema") for stream in found if isinstance(stream.value, dict)} - {None}
            if schemas and told.get("schema") is not None and told["schema"] not in schemas:
                yield wanted.finding(
                    "error", f"the stream '{name}' has the schema {', '.join(map(str, schemas))} ({found[0].place})"
                )


def _ports(claims: tuple[Claims, ...]) -> Iterator[Finding]:
    """No two members listen on one port."""
    holders: dict[int, tuple[str, Claim]] = {}
    for claim in claims:
        told: set[int] = set()
        for port in claim.ports():
            holder = holders.setdefault(port.value, (claim.member.name, port))
            if holder[0] != claim.member.name and port.value not in told:
                told.add(port.value)
                yield port.finding(
                    "error", f"port {port.value} of '{claim.member.name}' is taken by '{holder[0]}' ({holder[1].place})"
                )
