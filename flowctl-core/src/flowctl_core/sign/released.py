"""What there is to sign in a release folder, compared with what its build recorded.

The record is `metadata/build-info.json`: a signer signs only what the build says that it made, and only while the files
are still those.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from flowctl_core.errors import UsageError, VerificationError
from flowctl_core.models.build_info import BuildInfo

INDEX = "index"
"""Name of the image index among the subjects; images are called by their platform."""


@dataclass(frozen=True)
class Released:
    """A release folder whose files are those that were recorded."""

    root: Path
    info: BuildInfo
    info_digest: str
    """Of build-info.json."""
    sbom: dict[str, Any]
    """CycloneDX document."""
    scan: dict[str, Any]
    """security-scan.json."""

    @property
    def files(self) -> dict[str, str]:
        """Path of each artifact, relative to the release, and its digest."""
        return {each.path: each.digest for each in self.info.artifacts}

    @property
    def images(self) -> dict[str, str]:
        """Digest of the image index (called `index`) and of each image's manifest (called by its platform)."""
        if self.info.images is None:
            return {}
        return {INDEX: self.info.images.index} | {str(each.platform): each.digest for each in self.info.images.images}

    @property
    def subjects(self) -> dict[str, str]:
        """Everything that an attestation of this release is about: name and digest."""
        return {Path(path).name: digest for path, digest in self.files.items()} | self.images


def read_released(root: Path) -> Released:
    """Read a release. Raises UsageError for a folder that is none, VerificationError (`digest`) for a changed one."""
    metadata = root / "metadata"
    try:
        info_bytes = (metadata / "build-info.json").read_bytes()
        info = BuildInfo.model_validate_json(info_bytes)
        sbom_bytes = (metadata / "sbom.cdx.json").read_bytes()
        sbom, scan = json.loads(sbom_bytes), json.loads((metadata / "security-scan.json").read_bytes())
    except (OSError, ValidationError, ValueError) as problem:
        told = problem.strerror if isinstance(problem, OSError) else "its metadata is damaged"
        raise UsageError(
            f"{root} is no release: {told}", hint="`flowctl component build --release` makes one in dist/."
        ) from None
    released = Released(root, info, digest_of(info_bytes), sbom, scan)
    recorded = released.files | {"metadata/sbom.cdx.json": info.sbom}
    for path, digest in recorded.items():
        check_file(root / path, digest)
    _check_index(root, released)
    _check_listed(root, recorded)
    return released


def check_file(path: Path, digest: str) -> None:
    """Raises VerificationError (`digest`) when the file is not what was recorded."""
    try:
        with path.open("rb") as file:
            found = f"sha256:{file_digest(file, 'sha256').hexdigest()}"
    except OSError as error:
        raise _changed(f"{path} cannot be read: {error.strerror}") from None
    if found != digest:
        raise _changed(f"{path} is not what the build recorded: {digest} then, {found} now")


def digest_of(data: bytes) -> str:
    """`sha256:<hex>`."""
    from hashlib import sha256

    return f"sha256:{sha256(data).hexdigest()}"


def _check_index(root: Path, released: Released) -> None:
    for digest in released.images.values():
        check_file(root / "containers" / "oci" / "blobs" / digest.replace(":", "/"), digest)


def _check_listed(root: Path, checked: Mapping[str, str]) -> None:
    """What build-info.json does not name, such as the scan and the images' layers, is in the list of checksums."""
    listing = root / "metadata" / "checksums"
    try:
        lines = listing.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        raise _changed(f"{listing} cannot be read") from None
    for line in lines:
        digest, _, path = line.partition("  ")
        if ".." in Path(path).parts or Path(path).is_absolute():
            raise _changed(f"{listing} names {path}, which is outside the release")
        if checked.get(path) != f"sha256:{digest}":
            check_file(root / path, f"sha256:{digest}")


def _changed(why: str) -> VerificationError:
    return VerificationError(why, check="digest", hint="Build the release again; what was changed is never signed.")
