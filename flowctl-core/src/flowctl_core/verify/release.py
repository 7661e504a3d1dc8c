"""What there is to verify in a release folder: its files and images, their bundles, its attestations."""

from __future__ import annotations

import errno
import json
import os
import stat
from hashlib import file_digest
from io import BufferedReader
from pathlib import Path

from pydantic import ValidationError

from flowctl_core.errors import ImageError
from flowctl_core.models.build_info import BuildInfo
from flowctl_core.package.referrers import read_referrers
from flowctl_core.sign.released import INDEX
from flowctl_core.sign.statements import ATTESTATIONS, IMAGE_SIGNATURE
from flowctl_core.sign.unsigned import ATTESTATION_FOLDER, CHECKSUMS, OCI, SUFFIX, UNSIGNED
from flowctl_core.verify.checks import Evidence
from flowctl_core.verify.rejection import rejected

LARGEST_METADATA = 64 * 1024 * 1024
"""Bytes of one document that is read whole."""
INFO = "metadata/build-info.json"
_DOCUMENTS = {"sbom": "metadata/sbom.cdx.json", "scan": "metadata/security-scan.json"}


def gather_release(root: Path, name: str | None, version: str | None) -> Evidence:
    """Measure a release. Raises VerificationError: `digest` for what is not as recorded, `signature`."""
    try:
        info = BuildInfo.model_validate_json(read(root / INFO))
    except ValidationError:
        raise rejected("digest", f"{root / INFO} is damaged") from None
    digests = _checked_sums(root) | {CHECKSUMS: measure(root / CHECKSUMS)}
    recorded = {each.path: each.digest for each in info.artifacts}
    for path in sorted({each for each in digests if each.startswith("binaries/")} | set(recorded)):
        if digests.get(path) != recorded.get(path):
            raise rejected("digest", f"{path} is not what {INFO} records")
    refuse_unsigned(root / UNSIGNED)
    files = {path: digests[path] for path in (*recorded, CHECKSUMS)}
    images = _images(root, info, digests)
    return Evidence(
        component=name or info.component,
        version=version or info.version,
        recorded=(info.component, info.version),
        digests=files | images,
        signatures=_bundles(root, {path: path + SUFFIX for path in files}) | _image_signatures(root, images),
        attestations=_bundles(root, {each: f"{ATTESTATION_FOLDER}/{each}{SUFFIX}" for each in ATTESTATIONS}),
        documents={each: read(root / path) for each, path in _DOCUMENTS.items()},
        described={INFO: digests[INFO]},
        images=frozenset(images),
        unattested=frozenset((CHECKSUMS,)),
    )


def refuse_unsigned(mark: Path) -> None:
    """Raises VerificationError (`signature`) where a release says that it was left unsigned."""
    if mark.is_file():
        why = read(mark).decode("utf-8", "replace").strip()
        raise rejected("signature", f"the release was left unsigned ({why})")


def measure(path: Path) -> str:
    """`sha256:<hex>` of a file. Raises VerificationError (`digest`) when it cannot be read."""
    try:
        with _open(path) as file:
            return f"sha256:{file_digest(file, 'sha256').hexdigest()}"
    except OSError as error:
        raise rejected("digest", f"{path} cannot be read: {error.strerror}") from None


def read(path: Path) -> bytes:
    """A document's bytes. Raises VerificationError (`digest`)."""
    try:
        with _open(path) as file:
            data = file.read(LARGEST_METADATA + 1)
    except OSError as error:
        raise rejected("digest", f"{path} cannot be read: {error.strerror}") from None
    if len(data) > LARGEST_METADATA:
        raise rejected("digest", f"{path} is larger than {LARGEST_METADATA // 2**20} MiB")
    return data


def _open(path: Path) -> BufferedReader:
    """A file, and nothing else: a pipe in a release would be waited for, a device read for ever. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is no file")
    return os.fdopen(descriptor, "rb")


def _checked_sums(root: Path) -> dict[str, str]:
    """Every file of the release, compared with the list of checksums (whose own signature binds them)."""
    found: dict[str, str] = {}
    for line in read(root / CHECKSUMS).decode("utf-8", "replace").splitlines():
        value, _, path = line.partition("  ")
        place = root / path
        if not path or ".." in Path(path).parts or Path(path).is_absolute() or path in found:
            raise rejected("digest", f"{CHECKSUMS} is malformed")
        found[path] = measure(place)
        if found[path] != f"sha256:{value}":
            raise rejected("digest", f"{path} is not what {CHECKSUMS} records")
    for file in sorted(root.rglob("*")):
        path = file.relative_to(root).as_posix()
        if file.is_dir() and not file.is_symlink():
            continue
        if path not in found and not _is_beside(path):
            raise rejected("digest", f"{path} is in the release and not in {CHECKSUMS}")
    return found


def _is_beside(path: str) -> bool:
    """What is made after the checksums: signatures, and the attestations of images (verified as such)."""
    if path in (CHECKSUMS, ".gitignore"):
        return True
    return path.endswith(SUFFIX) or path.startswith((f"{ATTESTATION_FOLDER}/", f"{OCI}/blobs/"))


def _images(root: Path, info: BuildInfo, measured: dict[str, str]) -> dict[str, str]:
    """Digests of the index and the manifests, once everything that they lead to is what it should be."""
    if info.images is None:
        return {}
    images = {INDEX: info.images.index} | {str(each.platform): each.digest for each in info.images.images}
    for name, digest in images.items():
        path = _blob(digest)
        if measured.get(path) != digest:
            raise rejected("digest", f"the image {name} is not what {INFO} records")
        if name != INDEX:
            _check_blobs(name, read(root / path), measured)
    return images


def _blob(digest: str) -> str:
    return f"{OCI}/blobs/{digest.replace(':', '/')}"


def _check_blobs(name: str, manifest: bytes, measured: dict[str, str]) -> None:
    try:
        document = json.loads(manifest)
        blobs = [document["config"]["digest"], *(layer["digest"] for layer in document["layers"])]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise rejected("digest", f"the manifest of the image {name} is malformed") from None
    for digest in blobs:
        if measured.get(_blob(str(digest))) != digest:
            raise rejected("digest", f"{digest} of the image {name} is something else")


def _bundles(root: Path, files: dict[str, str]) -> dict[str, bytes]:
    return {name: read(root / path) for name, path in files.items() if (root / path).is_file()}


def _image_signatures(root: Path, images: dict[str, str]) -> dict[str, bytes]:
    """The bundle that signs each image. The other referrers have to be the release's own attestations."""
    attestations = set(_bundles(root, {each: f"{ATTESTATION_FOLDER}/{each}{SUFFIX}" for each in ATTESTATIONS}).values())
    found: dict[str, bytes] = {}
    for name, digest in images.items():
        try:
            referrers = read_referrers(root / OCI, digest)
        except ImageError as error:
            raise rejected("signature", error.message) from None
        for each in referrers:
            bundle = each.bundle.encode()
            if each.predicate_type == IMAGE_SIGNATURE and name not in found:
                found[name] = bundle
            elif bundle not in attestations:
                raise rejected("signature", f"a referrer of the image {name} is none of the release's attestations")
    return found
