"""Each member for itself: its component.yaml, and whether bundle.yaml says the same of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from flowctl_core.bundles.claims import Claim, Claims
from flowctl_core.bundles.folder import COMPONENT_FILE, BundleFolder, Member
from flowctl_core.errors import SpecError
from flowctl_core.models.bundle_set import MOST_MEMBERS
from flowctl_core.specfile.content import display
from flowctl_core.specfile.finding import Finding
from flowctl_core.specfile.validate import validate_component


def check_members(bundle: BundleFolder, claims: tuple[Claims, ...]) -> Iterator[Finding]:
    """Findings of each member's own files, folders that are used twice, and what contradicts bundle.yaml."""
    if len(bundle.members) > MOST_MEMBERS:
        path = ("spec", "components", MOST_MEMBERS)
        yield bundle.loaded.finding("error", path, f"a bundle has at most {MOST_MEMBERS} components")
    yield from _folders(bundle)
    yield from _unused(bundle)
    for claim in claims:
        member = claim.member
        if member.root is None:
            yield from _published(bundle, claim)
        elif member.loaded is not None:
            yield from _own_files(member.root, member)
            yield from _agrees(claim)
        elif not os.path.lexists(member.root / COMPONENT_FILE):
            yield claim.at_entry().finding(
                "warning",
                f"{display(member.root)} has no {COMPONENT_FILE}; `flowctl component init` writes one, which is needed "
                "to publish it",
            )
        if member.entry.build is not None:
            field = claim.in_bundle("build") or claim.at_entry()
            yield field.finding(
                "warning",
                f"is not used: say it in the {COMPONENT_FILE} of {member.name}, so that every build of it is the same",
            )


def _folders(bundle: BundleFolder) -> Iterator[Finding]:
    """No folder is two members, and none is inside another's."""
    seen: dict[Path, str] = {}
    for member in bundle.sources:
        assert member.root is not None  # noqa: S101 - what `sources` are
        real = member.root.resolve()
        path = ("spec", "components", member.index, "path")
        if real in seen:
            yield bundle.loaded.finding("error", path, f"is the folder of '{seen[real]}' as well")
            continue
        seen[real] = member.name
    for member in bundle.sources:
        assert member.root is not None  # noqa: S101
        above = next((seen[folder] for folder in member.root.resolve().parents if folder in seen), None)
        if above is not None:
            path = ("spec", "components", member.index, "path")
            yield bundle.loaded.finding(
                "warning", path, f"is inside the folder of '{above}', whose source it belongs to"
            )


def _unused(bundle: BundleFolder) -> Iterator[Finding]:
    """What would make a build of the bundle another one than the registry's, which builds each member by itself."""
    build = bundle.loaded.spec.spec.build
    for field in ("environment", "dockerfile", "args") if build is not None else ():
        if getattr(build, field):
            message = f"is not used: each component is built by its own {COMPONENT_FILE}"
            yield bundle.loaded.finding("warning", ("spec", "build", field), message)


def _published(bundle: BundleFolder, claim: Claims) -> Iterator[Finding]:
    """A member that is not built here needs a version, and a namespace to find it in."""
    if claim.member.entry.path is not None:
        return  # its folder cannot be used, which is told already
    if claim.member.entry.version is None:
        yield claim.at_entry().finding(
            "error", "has neither a path nor a version; give its folder, or the version that is published"
        )
    elif claim.member.entry.namespace is None and bundle.loaded.spec.metadata.namespace is None:
        yield claim.at_entry().finding(
            "warning", "is a published component, and neither it nor the bundle says in which namespace"
        )


def _own_files(root: Path, member: Member) -> Iterator[Finding]:
    if member.loaded is None:
        return
    try:
        yield from validate_component(root, member.loaded)
    except SpecError as error:  # its metadata.json
        shown = display(root / "metadata.json")
        for line in error.message.splitlines():
            yield Finding(severity="error", file=shown, message=line.removeprefix(shown).lstrip(": "))


def _agrees(claim: Claims) -> Iterator[Finding]:
    """bundle.yaml may leave things out, and must not say something else."""
    member = claim.member
    if member.loaded is None:
        return
    spec, file = member.loaded.spec, member.loaded.file
    if spec.name != member.name:
        yield claim.at_entry().finding("error", f"{file} names the component '{spec.name}'")
    declared = claim.in_bundle("version")
    if (
        declared is not None
        and spec.version is not None
        and str(member.entry.version).removeprefix("v") != spec.version
    ):
        yield declared.finding("error", f"is {member.entry.version}, {file} has {spec.version}")
    declared = claim.in_bundle("namespace")
    if declared is not None and spec.namespace is not None and member.entry.namespace != spec.namespace:
        yield declared.finding("error", f"is {member.entry.namespace}, {file} has {spec.namespace}")
    declared = claim.in_bundle("type")
    if declared is not None and spec.type is not None and declared.value not in (spec.type, _SYNONYMS.get(spec.type)):
        yield declared.finding("error", f"is {declared.value}, {file} has {spec.type}")
    for field, own in (("inputEventTypes", claim.inputs), ("outputEventTypes", claim.outputs)):
        yield from _same_events(claim.in_bundle(field), own, file)
    ports = claim.own_ports()
    for other in ports[1:]:
        if other.value != ports[0].value:
            yield other.finding("error", f"is {other.value}, {ports[0].place} has {ports[0].value}")


_SYNONYMS = {"sink": "consumer"}


def _same_events(declared: Claim | None, own: tuple[Claim, ...], file: str) -> Iterator[Finding]:
    if declared is None or not isinstance(declared.value, list) or any(claim.file is declared.file for claim in own):
        return
    ours, theirs = {str(value) for value in declared.value}, {str(claim.value) for claim in own}
    if ours != theirs:
        told = ", ".join(sorted(theirs)) or "none"
        yield declared.finding("error", f"are {', '.join(sorted(ours)) or 'none'}, {file} has {told}")
