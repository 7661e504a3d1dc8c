"""A bundle's folder as it is read: bundle.yaml, its members' folders, and each member's component.yaml."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from flowctl_core.errors import SourceError, SpecError
from flowctl_core.models.bundle import BundleComponent, BundleSpec
from flowctl_core.models.component import ComponentSpec
from flowctl_core.specfile.content import display
from flowctl_core.specfile.finding import Finding, raise_errors
from flowctl_core.specfile.load import LoadedSpec, read_bundle, read_component

BUNDLE_FILE = "bundle.yaml"
COMPONENT_FILE = "component.yaml"


@dataclass(frozen=True)
class Member:
    """A component of a bundle."""

    index: int
    """Place in `spec.components`."""
    entry: BundleComponent
    """What bundle.yaml says of it."""
    root: Path | None
    """Its folder, absolute; None for one that is published elsewhere, and where the folder cannot be used."""
    loaded: LoadedSpec[ComponentSpec] | None = None
    """Its component.yaml; None where there is none, or where it is broken."""

    @property
    def name(self) -> str:
        """Its name, unique in the bundle."""
        return self.entry.name

    @property
    def version(self) -> str | None:
        """Its version without a leading v: component.yaml's, else bundle.yaml's."""
        own = self.loaded.spec.version if self.loaded is not None else None
        declared = self.entry.version
        return own or (declared.removeprefix("v") if declared is not None else None)


@dataclass(frozen=True)
class BundleFolder:
    """A bundle whose bundle.yaml can be read."""

    root: Path
    """Where bundle.yaml is, absolute."""
    loaded: LoadedSpec[BundleSpec]
    members: tuple[Member, ...]
    findings: tuple[Finding, ...]
    """What is wrong with bundle.yaml, the members' folders and their component.yaml, each for itself."""

    @property
    def name(self) -> str:
        """Name of the bundle."""
        return self.loaded.spec.metadata.name

    @property
    def version(self) -> str:
        """Its version without a leading v; `0.0.0` where none is written."""
        return (self.loaded.spec.metadata.version or "0.0.0").removeprefix("v")

    @property
    def sources(self) -> tuple[Member, ...]:
        """Members that have their source here, in the order of the file."""
        return tuple(member for member in self.members if member.root is not None)


def read_folder(root: Path) -> BundleFolder:
    """The bundle in a folder, with what is wrong with its parts as findings.

    Raises SourceError for what is no folder, SpecError when bundle.yaml is missing or cannot be understood.
    """
    try:
        is_folder = root.is_dir()
    except OSError as error:
        raise SourceError(f"{root} cannot be read: {error.strerror}") from error
    if not is_folder:
        raise SourceError(f"{root} is not a folder", hint="Name the folder that holds bundle.yaml.")
    file = root / BUNDLE_FILE
    if not os.path.lexists(file):
        raise SpecError(f"{root} has no {BUNDLE_FILE}", hint="`flowctl bundle init` writes one.")
    reading = read_bundle(file)
    raise_errors(reading.findings, hint="Mend it (`flowctl schema bundle` prints what it may hold).")
    if reading.loaded is None:  # every way to None reports an error
        raise SpecError(f"{file} could not be read")
    findings = list(reading.findings)
    members = tuple(
        _member(root, reading.loaded, index, entry, findings)
        for index, entry in enumerate(reading.loaded.spec.spec.components)
    )
    return BundleFolder(root, reading.loaded, members, tuple(findings))


def _member(
    root: Path, bundle: LoadedSpec[BundleSpec], index: int, entry: BundleComponent, findings: list[Finding]
) -> Member:
    if entry.path is None:
        return Member(index, entry, None)
    problem, folder = _folder(root, entry.path)
    if problem is not None:
        findings.append(bundle.finding("error", ("spec", "components", index, "path"), problem))
        return Member(index, entry, None)
    file = folder / COMPONENT_FILE
    if not os.path.lexists(file):
        return Member(index, entry, folder)
    try:
        reading = read_component(file)
    except SpecError as error:
        shown = display(file)
        findings.append(Finding(severity="error", file=shown, message=error.message.removeprefix(f"{shown} ")))
        return Member(index, entry, folder)
    if reading.loaded is None:  # those of one that can be read come with its own validation
        findings.extend(reading.findings)
    return Member(index, entry, folder, reading.loaded)


def _folder(root: Path, path: str) -> tuple[str | None, Path]:
    """What is wrong with a member's folder, and where it is; a link must not lead out of the bundle."""
    folder = Path(os.path.normpath(root / path))
    shown = f"'{path[:80]}'"
    try:
        real, home = folder.resolve(), root.resolve()
        if real == home:
            return f"{shown} is the bundle's own folder; give each component a folder below it", folder
        if not real.is_relative_to(home):
            return f"{shown} leads outside the bundle's folder", folder
        if not folder.exists():
            return f"there is no folder {shown}", folder
        if not folder.is_dir():
            return f"{shown} is not a folder", folder
        if os.path.lexists(folder / BUNDLE_FILE):
            return f"{shown} is a bundle itself; a bundle holds components, so name those of that one", folder
    except (OSError, RuntimeError, ValueError) as error:  # RuntimeError: links in a circle; ValueError: NUL
        return f"{shown} cannot be read: {getattr(error, 'strerror', None) or error}", folder
    return None, folder
