"""A bundle in a few facts: who is in it and who feeds whom."""

from __future__ import annotations

from dataclasses import dataclass

from flowctl_core.bundles.claims import Claims, claims_of, items, mapping
from flowctl_core.bundles.folder import BundleFolder
from flowctl_core.bundles.order import needed_first


@dataclass(frozen=True)
class Described:
    """A member and its place."""

    claims: Claims
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    takes_from: tuple[str, ...]
    """Names of members that give what it takes."""
    ports: tuple[int, ...]
    needs: tuple[str, ...]
    namespace: str | None
    language: str | None


def describe(bundle: BundleFolder) -> tuple[Described, ...]:
    """All members, in the order of bundle.yaml."""
    needs = needed_first(bundle)
    claims = claims_of(bundle)
    givers: dict[str, list[str]] = {}
    for claim in claims:
        for given in claim.outputs:
            givers.setdefault(str(given.value), []).append(claim.member.name)
    return tuple(_described(bundle, claim, givers, needs) for claim in claims)


def templates_of(bundle: BundleFolder) -> dict[str, tuple[str, ...]]:
    """Name of each template to its members in their order."""
    written = items(mapping(bundle.loaded.data.get("spec")).get("templates"))
    return {
        str(mapping(template).get("name")): tuple(
            name for item in items(mapping(template).get("components")) for name in mapping(item)
        )
        for template in written
    }


def namespace_of(bundle: BundleFolder, claim: Claims) -> str | None:
    """Where a member is published: component.yaml's namespace, else its entry's, else the bundle's."""
    own = claim.member.loaded.spec.namespace if claim.member.loaded is not None else None
    return own or claim.member.entry.namespace or bundle.loaded.spec.metadata.namespace


def _described(
    bundle: BundleFolder, claim: Claims, givers: dict[str, list[str]], needs: dict[str, set[str]]
) -> Described:
    member = claim.member
    inputs = tuple(str(each.value) for each in claim.inputs)
    languages = member.loaded.spec.languages if member.loaded is not None else ()
    takes_from = dict.fromkeys(name for event in inputs for name in givers.get(event, ()) if name != member.name)
    return Described(
        claims=claim,
        inputs=inputs,
        outputs=tuple(str(each.value) for each in claim.outputs),
        takes_from=tuple(takes_from),
        ports=tuple(dict.fromkeys(port.value for port in claim.ports())),
        needs=tuple(sorted(needs[member.name])),
        namespace=namespace_of(bundle, claim),
        language=languages[0].name if languages else member.entry.language,
    )
