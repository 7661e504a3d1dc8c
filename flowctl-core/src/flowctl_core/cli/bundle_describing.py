"""Writes, checks and describes bundle.yaml."""

from __future__ import annotations

import os
import re
from pathlib import Path

from flowctl_core.bundles.folder import BUNDLE_FILE, BundleFolder, read_folder
from flowctl_core.cli.bundle_documents import (
    BundleInfoDocument,
    BundleInitDocument,
    BundleValidateDocument,
    DescribedMember,
)
from flowctl_core.cli.console import counted, emit, say, say_aside, table
from flowctl_core.cli.global_options import GLOBAL
from flowctl_core.errors import SourceError, SpecError, UsageError


def init_bundle(root: Path, *, name: str | None, version: str, force: bool) -> None:
    """Write a bundle.yaml of the components that are found; never over an existing one unless forced."""
    from flowctl_core.bundles.scaffold import bundle_yaml, find_components
    from flowctl_core.store.files import atomic_write

    file = root / BUNDLE_FILE
    if os.path.lexists(file) and not force:
        raise UsageError(f"{file} exists already", hint="`flowctl bundle validate` checks it; --force replaces it.")
    members = find_components(root)
    if not members:
        raise SourceError(
            f"no component was found below {root}",
            hint="`flowctl component init FOLDER` writes a component.yaml; each needs one.",
        )
    namespaces = {member.spec.namespace for member in members}
    shared = next(iter(namespaces)) if len(namespaces) == 1 else None
    chosen = name or re.sub(r"[^a-z0-9._-]+", "-", root.name.lower()).strip("-._") or "bundle"
    atomic_write(file, bundle_yaml(chosen, version, GLOBAL.namespace or shared, members).encode())
    names = tuple(member.spec.name for member in members)
    if emit(BundleInitDocument(path=str(file), bundle=chosen, members=names).model_dump(mode="json")):
        return
    say(f"wrote {file.name}: {chosen} with {', '.join(names)}")
    say("next: `flowctl bundle validate`, then `flowctl bundle build`")


def show_findings(root: Path) -> int:
    """Print what is wrong with a bundle; returns the exit code. Raises SpecError when bundle.yaml cannot be read."""
    from flowctl_core.bundles.validate import validate_bundle

    bundle = read_folder(root)
    findings = validate_bundle(bundle)
    errors = sum(finding.severity == "error" for finding in findings)
    document = BundleValidateDocument(bundle=bundle.name, valid=not errors, findings=tuple(findings))
    if not emit(document.model_dump(mode="json")):
        for finding in findings:
            say_aside(f"{finding.severity}: {finding}")
        members = counted(len(bundle.members), "component")
        say(
            f"the bundle is valid: {bundle.name} {bundle.version}, {members}"
            if not errors
            else counted(errors, "error")
        )
    return SpecError.exit_code if errors else 0


def show_bundle(root: Path) -> None:
    """Print who is in a bundle and who feeds whom."""
    document = _described(read_folder(root))
    if emit(document.model_dump(mode="json")):
        return
    say(f"{document.bundle} {document.version}" + (f" ({document.namespace})" if document.namespace else ""))
    if document.description:
        say(f"  {document.description}")
    if document.platforms:
        say(f"  runs on {', '.join(document.platforms)}")
    say()
    rows = [
        (
            member.name,
            member.version or "",
            member.type or "",
            member.language or "",
            ", ".join(member.takes_from) or ("outside" if member.input_event_types else ""),
            ", ".join(map(str, member.ports)),
            member.path or "published",
        )
        for member in document.members
    ]
    table(("component", "version", "type", "language", "takes from", "ports", "folder"), rows)
    if document.templates:
        say()
        table(("template", "components"), [(name, " | ".join(members)) for name, members in document.templates.items()])


def _described(bundle: BundleFolder) -> BundleInfoDocument:
    from flowctl_core.bundles.describe import describe, templates_of

    metadata = bundle.loaded.spec.metadata
    return BundleInfoDocument(
        bundle=bundle.name,
        version=bundle.version,
        namespace=metadata.namespace,
        description=metadata.description,
        platforms=tuple(map(str, bundle.loaded.spec.spec.platforms)),
        members=tuple(
            DescribedMember(
                name=each.claims.member.name,
                path=each.claims.member.entry.path,
                namespace=each.namespace,
                version=each.claims.member.version,
                type=each.claims.type,
                language=each.language,
                input_event_types=each.inputs,
                output_event_types=each.outputs,
                takes_from=each.takes_from,
                ports=each.ports,
                needs=each.needs,
            )
            for each in describe(bundle)
        ),
        templates=templates_of(bundle),
    )
