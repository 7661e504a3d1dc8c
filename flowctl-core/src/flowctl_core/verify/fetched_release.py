"""What there is to verify of a version that was fetched from a registry: some of its files, and who signed for them.

Two parties may have: the publisher, as `flowctl component sign` does (a bundle beside each file, attestations), and
the registry, by one statement about the whole release. Each is evidence of its own; the policy says which one counts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from pydantic import ValidationError

from flowctl_core.models.build_info import BuildInfo
from flowctl_core.models.platform import Platform
from flowctl_core.models.published import REGISTRY_FOLDER, REGISTRY_STATEMENT, PublishedVersion
from flowctl_core.models.release import ReleaseArtifact
from flowctl_core.sign.statements import ATTESTATIONS
from flowctl_core.sign.unsigned import ATTESTATION_FOLDER, SUFFIX, UNSIGNED
from flowctl_core.verify.checks import Evidence, ReleaseClaim
from flowctl_core.verify.rejection import rejected

INFO = "metadata/build-info.json"
DOCUMENTS = {"sbom": "metadata/sbom.cdx.json", "scan": "metadata/security-scan.json"}
"""What lies beside the attestations of the same name."""


@dataclass(frozen=True)
class FetchedRelease:
    """Files of a version as they were received; nothing of it is believed yet."""

    listed: PublishedVersion
    """What the registry lists."""
    measured: Mapping[str, str]
    """Path to `sha256:<hex>`, from the bytes that came."""
    read: Callable[[str], bytes]
    """A small file that was fetched, by its path."""
    platforms: tuple[Platform, ...]
    """Those whose programs were fetched."""

    @property
    def component(self) -> str:
        """`namespace/name`."""
        return f"{self.listed.namespace}/{self.listed.name}"


def metadata_paths(listed: PublishedVersion, programs: tuple[str, ...]) -> tuple[str, ...]:
    """Files besides the programs that the checks look at, and that are worth having."""
    bundles = [path + SUFFIX for path in programs]
    return tuple(path for path in listed.files if path in bundles or path.startswith("metadata/"))


def read_info(release: FetchedRelease) -> BuildInfo:
    """The version's record, once all that was fetched is what is listed. Raises VerificationError (`digest`)."""
    files = release.listed.files
    for path, digest in release.measured.items():
        if path not in files or files[path].digest != digest:
            raise rejected("digest", f"{path} of {release.component} is not the file that the registry lists")
    if INFO not in release.measured:
        raise rejected("digest", f"{release.component} {release.listed.version} has no {INFO}")
    try:
        info = BuildInfo.model_validate_json(release.read(INFO))
    except ValidationError:
        raise rejected("digest", f"{INFO} of {release.component} is damaged") from None
    recorded = {each.path: each.digest for each in info.artifacts} | {DOCUMENTS["sbom"]: info.sbom}
    for path, digest in recorded.items():
        if path not in files or files[path].digest != digest:
            raise rejected("digest", f"{path} of {release.component} is not what {INFO} records")
    return info


def subjects_of(info: BuildInfo) -> dict[str, str]:
    """Everything of a version that the signed index lists: name and digest."""
    subjects = {PurePosixPath(each.path).name: each.digest for each in info.artifacts}
    if info.images is not None:
        subjects |= {"index": info.images.index} | {str(each.platform): each.digest for each in info.images.images}
    return subjects


def gather_by_publisher(release: FetchedRelease) -> Evidence:
    """What its publisher signed. Raises VerificationError: `digest`, `signature`."""
    info = read_info(release)
    if UNSIGNED in release.listed.files:
        raise rejected("signature", "the release was left unsigned by its publisher")
    programs = _programs(release, info)
    bundles = {PurePosixPath(each.path).name: each.path + SUFFIX for each in programs}
    return Evidence(
        component=release.component,
        version=release.listed.version,
        digests=_digests(release, programs),
        signatures=_those_there(release, bundles),
        attestations=_those_there(release, {name: f"{ATTESTATION_FOLDER}/{name}{SUFFIX}" for name in ATTESTATIONS}),
        documents=_those_there(release, DOCUMENTS),
        described={INFO: release.measured[INFO]},
    )


def gather_by_registry(release: FetchedRelease) -> Evidence:
    """What the registry signed. Raises VerificationError: `digest`, `signature`."""
    info = read_info(release)
    programs = _programs(release, info)
    if REGISTRY_STATEMENT not in release.measured:
        raise rejected("signature", f"there is no {REGISTRY_STATEMENT}, so the registry does not vouch for it")
    statement = release.read(REGISTRY_STATEMENT)
    listed = release.listed
    return Evidence(
        component=release.component,
        version=listed.version,
        digests=_digests(release, programs),
        signatures={PurePosixPath(each.path).name: statement for each in programs},
        attestations=_those_there(release, {name: f"{REGISTRY_FOLDER}{name}{SUFFIX}" for name in ATTESTATIONS}),
        documents=_those_there(release, DOCUMENTS),
        described={INFO: release.measured[INFO]},
        release=ReleaseClaim(
            f"pkg:generic/{listed.namespace}/{listed.name}@{listed.version}",
            listed.release_digest,
            {path: digest for path, digest in release.measured.items() if path.startswith(REGISTRY_FOLDER)},
        ),
        recorded=(info.component, info.version),
    )


def has_publishers_signatures(release: FetchedRelease) -> bool:
    """Whether the publisher signed any of the files that were fetched."""
    return any(path.startswith("binaries/") and path.endswith(SUFFIX) for path in release.measured)


def _programs(release: FetchedRelease, info: BuildInfo) -> tuple[ReleaseArtifact, ...]:
    found = tuple(each for each in info.artifacts if each.platform in release.platforms)
    for each in found:
        if each.path not in release.measured:
            raise rejected("digest", f"{each.path} of {release.component} was not fetched")
    return found


def _digests(release: FetchedRelease, programs: tuple[ReleaseArtifact, ...]) -> dict[str, str]:
    return {PurePosixPath(each.path).name: release.measured[each.path] for each in programs}


def _those_there(release: FetchedRelease, paths: Mapping[str, str]) -> dict[str, bytes]:
    return {name: release.read(path) for name, path in paths.items() if path in release.measured}
