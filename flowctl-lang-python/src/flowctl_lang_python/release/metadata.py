"""What a wheel or an installed distribution says of itself (core metadata specification)."""

from __future__ import annotations

from collections.abc import Mapping
from email.message import Message
from email.parser import HeaderParser
from pathlib import Path
from zipfile import BadZipFile, ZipFile

from packageurl import PackageURL
from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression
from packaging.requirements import InvalidRequirement, Requirement

from flowctl_core.errors import BuildError
from flowctl_lang_python.manifest import normalised

_CLASSIFIED = {
    "License :: OSI Approved :: MIT License": "MIT",
    "License :: OSI Approved :: ISC License (ISCL)": "ISC",
    "License :: OSI Approved :: Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "License :: OSI Approved :: The Unlicense (Unlicense)": "Unlicense",
    "License :: OSI Approved :: zlib/libpng License": "Zlib",
}
"""The classifiers that name one license exactly; others stand for several versions."""


def of_wheel(wheel: Path) -> Message:
    """METADATA of a wheel (core metadata specification)."""
    try:
        with ZipFile(wheel) as archive:
            names = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA") and "/" in name]
            text = archive.read(min(names, key=len)).decode("utf-8", errors="replace")
    except (OSError, BadZipFile, ValueError) as error:
        raise BuildError(f"{wheel.name} cannot be read: {error}", hint="Build again; it is fetched anew.") from error
    return parse(text)


def parse(text: str) -> Message:
    """The fields of a METADATA file."""
    return HeaderParser().parsestr(text)


def license_of(metadata: Message) -> str:
    """The SPDX expression that a package names, else the one of its classifiers; empty where it is not clear."""
    for field in ("License-Expression", "License"):
        text = str(metadata.get(field) or "").strip()
        try:
            if text and len(text) < 200:
                return str(canonicalize_license_expression(text))
        except InvalidLicenseExpression:
            continue
    classified = {_CLASSIFIED[text] for text in metadata.get_all("Classifier") or () if text in _CLASSIFIED}
    return classified.pop() if len(classified) == 1 else ""


def wanted(metadata: Message, extras: frozenset[str], markers: Mapping[str, str]) -> dict[str, set[str]]:
    """Names that `Requires-Dist` asks for on a target, with the extras wanted of each."""
    found: dict[str, set[str]] = {}
    for text in metadata.get_all("Requires-Dist") or ():
        try:
            requirement = Requirement(str(text))
        except InvalidRequirement:
            continue
        marker = requirement.marker
        if marker is None or any(marker.evaluate({**markers, "extra": extra}) for extra in ("", *extras)):
            found.setdefault(normalised(requirement.name), set()).update(requirement.extras)
    return found


def follow(
    packages: Mapping[str, Message], start: Mapping[str, set[str]], markers: Mapping[str, str]
) -> dict[str, set[str]]:
    """Every package that is reached from the start (names, with the extras wanted of each), with what asks for it.

    `packages` are the metadata by normalised name; what is not among them is not followed.
    """
    parents: dict[str, set[str]] = {name: set() for name in start if name in packages}
    todo = [(name, frozenset(extras)) for name, extras in start.items() if name in packages]
    seen: set[tuple[str, frozenset[str]]] = set()
    while todo:
        name, extras = todo.pop()
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        for child, asked in wanted(packages[name], extras, markers).items():
            if child in packages and child != name:
                parents.setdefault(child, set()).add(name)
                todo.append((child, frozenset(asked)))
    return parents


def purl(name: str, version: str) -> str:
    """The package URL (purl specification, type pypi)."""
    return PackageURL(type="pypi", name=name, version=version).to_string()
