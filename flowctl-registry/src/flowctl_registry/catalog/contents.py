"""What an uploaded release says of itself, read with distrust from its blobs."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from pydantic import ValidationError

from flowctl_core.errors import FlowctlError
from flowctl_core.models.build_info import BuildInfo
from flowctl_core.models.bundle_set import MEMBERS_PATH, BundleSet
from flowctl_core.models.component import ComponentSpec
from flowctl_core.models.published import REGISTRY_FOLDER
from flowctl_core.specfile.load import parse_bundle, parse_component
from flowctl_registry.catalog.images import INDEX_TYPE, Manifest, read_layout
from flowctl_registry.catalog.materials import UsedMaterial, materials_of
from flowctl_registry.errors import InvalidReleaseError, UnavailableError
from flowctl_registry.models.names import Kind
from flowctl_registry.models.upload import UploadedFile
from flowctl_registry.models.version import ArtifactKind
from flowctl_registry.signer.subjects import ATTESTATION

Read = Callable[[str], bytes]
"""A small blob by its digest."""
_SIGNATURE = ".sigstore.json"
_KNOWN: dict[str, tuple[ArtifactKind, str]] = {
    "metadata/sbom.cdx.json": ("sbom", "application/vnd.cyclonedx+json"),
    "metadata/security-scan.json": ("scan", "application/json"),
    "metadata/component.yaml": ("metadata", "application/yaml"),
    "metadata/bundle.yaml": ("metadata", "application/yaml"),
    "metadata/checksums": ("metadata", "text/plain"),
}


@dataclass(frozen=True)
class Artifact:
    """A file, classified."""

    path: str
    kind: ArtifactKind
    platform: str | None
    digest: str
    size: int
    media_type: str


@dataclass(frozen=True)
class Contents:
    """A release that is consistent."""

    release_digest: str
    document: dict[str, Any]
    """component.yaml or bundle.yaml as data."""
    artifacts: tuple[Artifact, ...]
    subjects: dict[str, str]
    """What is signed: name to digest, as in the signed index."""
    type: str | None = None
    language: str | None = None
    description: str = ""
    labels: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """`tag`, `input`, `output` to their values."""
    source: dict[str, Any] = field(default_factory=dict)
    manifests: tuple[Manifest, ...] = ()
    image: str | None = None
    """Digest of the image index that tags point to."""
    materials: tuple[UsedMaterial, ...] = ()
    """What it was made with and from."""


def release_digest(files: tuple[UploadedFile, ...]) -> str:
    """`sha256:` over the sorted lines `<digest>  <path>`."""
    lines = "".join(f"{file.digest}  {file.path}\n" for file in sorted(files, key=lambda file: file.path))
    return "sha256:" + hashlib.sha256(lines.encode()).hexdigest()


def read_contents(kind: Kind, name: str, version: str, files: tuple[UploadedFile, ...], read: Read) -> Contents:
    """What a release has. Raises InvalidReleaseError for one that contradicts itself or its name, UnavailableError."""
    by_path = {file.path: file for file in files}
    for path in by_path:
        if path == ATTESTATION or path.startswith(REGISTRY_FOLDER):
            raise InvalidReleaseError(f"{path} is the registry's to make", hint="Leave it out of the upload.")
    try:
        if kind == "bundle":
            return _bundle(name, version, files, by_path, read)
        return _component(name, version, files, by_path, read)
    except (InvalidReleaseError, UnavailableError):  # a store that does not answer says nothing of the release
        raise
    except ValidationError as error:
        raise InvalidReleaseError(f"build-info.json: {error.errors()[0]['msg']}") from None
    except FlowctlError as error:
        raise InvalidReleaseError(error.message, hint=error.hint) from None


def _component(
    name: str, version: str, files: tuple[UploadedFile, ...], by_path: Mapping[str, UploadedFile], read: Read
) -> Contents:
    spec = parse_component(_bytes(by_path, "metadata/component.yaml", read)).spec
    info = BuildInfo.model_validate_json(_bytes(by_path, "metadata/build-info.json", read))
    _named(info.component, info.version, name, version)
    if spec.name != name:
        raise InvalidReleaseError(f"component.yaml names {spec.name}, not {name}")
    for path, digest in [(each.path, each.digest) for each in info.artifacts] + [("metadata/sbom.cdx.json", info.sbom)]:
        if path not in by_path or by_path[path].digest != digest:
            raise InvalidReleaseError(f"{path} is not what build-info.json recorded")
    manifests = read_layout(by_path, info.images, read)
    platforms = {each.path: each for each in info.artifacts}
    artifacts = tuple(
        Artifact(
            file.path,
            "binary" if platforms[file.path].kind == "program" else "library",
            str(platforms[file.path].platform),
            file.digest,
            file.size,
            "application/octet-stream",
        )
        if file.path in platforms
        else _other(file)
        for file in files
    )
    subjects = {PurePosixPath(each.path).name: each.digest for each in info.artifacts}
    if len(subjects) != len(info.artifacts) or "index" in subjects:
        raise InvalidReleaseError("two artifacts have one name")
    if info.images is not None:
        subjects |= {"index": info.images.index} | {str(each.platform): each.digest for each in info.images.images}
    if not subjects:
        raise InvalidReleaseError("the release has no artifacts")
    return Contents(
        release_digest(files),
        spec.data,
        artifacts,
        subjects,
        type=spec.type,
        language=info.language,
        description=spec.description or "",
        labels=_labels(spec),
        source={
            "repository": info.source.repository,
            "commit": info.source.commit,
            "tree_digest": info.source.tree_digest,
        },
        manifests=manifests,
        image=info.images.index if info.images else None,
        materials=materials_of(info, _bytes(by_path, "metadata/sbom.cdx.json", read)),
    )


def _bundle(
    name: str, version: str, files: tuple[UploadedFile, ...], by_path: Mapping[str, UploadedFile], read: Read
) -> Contents:
    loaded = parse_bundle(_bytes(by_path, "metadata/bundle.yaml", read))
    metadata = loaded.spec.metadata
    _named(str(metadata.name), str(metadata.version or "0.0.0").removeprefix("v"), name, version)
    if MEMBERS_PATH in by_path:
        names = [each.name for each in loaded.spec.spec.components]
        _check_members(_bytes(by_path, MEMBERS_PATH, read), name, version, names)
    return Contents(
        release_digest(files),
        loaded.data,
        tuple(_other(file) for file in files),
        {PurePosixPath(file.path).name: file.digest for file in files if not file.path.endswith(_SIGNATURE)},
        description=metadata.description or "",
        labels={"tag": tuple(metadata.tags)},
    )


def _check_members(content: bytes, name: str, version: str, names: list[str]) -> None:
    try:
        found = BundleSet.model_validate_json(content)
    except ValidationError as error:
        raise InvalidReleaseError(f"{MEMBERS_PATH}: {error.errors()[0]['msg']}") from None
    if (found.name, found.version) != (name, version):
        raise InvalidReleaseError(f"{MEMBERS_PATH} is of {found.name} {found.version}, not of {name} {version}")
    if sorted(member.name for member in found.members) != sorted(names):
        raise InvalidReleaseError(f"{MEMBERS_PATH} pins other components than those of bundle.yaml")


def _named(found: str, found_version: str, name: str, version: str) -> None:
    if (found, found_version) != (name, version):
        raise InvalidReleaseError(f"the release is {found} {found_version}, not {name} {version}")


def _labels(spec: ComponentSpec) -> dict[str, tuple[str, ...]]:
    metadata = spec.data.get("metadata")
    tags = metadata.get("tags") if isinstance(metadata, dict) else None
    listed = tuple(str(tag) for tag in tags) if isinstance(tags, list) else ()
    return {"tag": listed, "input": spec.input_event_types, "output": spec.output_event_types}


def _other(file: UploadedFile) -> Artifact:
    kind, media_type = _KNOWN.get(file.path, ("metadata", "application/json"))
    if file.path.startswith("containers/"):
        kind, media_type = (
            "image",
            INDEX_TYPE if file.path == "containers/manifest.json" else "application/octet-stream",
        )
    elif file.path.endswith(_SIGNATURE):
        media_type = "application/vnd.dev.sigstore.bundle.v0.3+json"
        kind = "provenance" if "provenance" in file.path else "signature"
    elif file.path.startswith("binaries/"):
        raise InvalidReleaseError(f"{file.path} is not in build-info.json")
    return Artifact(file.path, kind, None, file.digest, file.size, media_type)


def _bytes(by_path: Mapping[str, UploadedFile], path: str, read: Read) -> bytes:
    if path not in by_path:
        raise InvalidReleaseError(f"the release has no {path}", hint="Upload all of dist/.")
    return read(by_path[path].digest)
