"""What there is to verify of an image in an OCI layout folder: every blob of it, and the bundles that refer to it."""

from __future__ import annotations

from pathlib import Path

from flowctl_core.errors import ImageError
from flowctl_core.package.foreign_documents import only_image, read_index, read_manifest
from flowctl_core.package.referrers import Referrer, read_referrers
from flowctl_core.sign.released import INDEX
from flowctl_core.verify.checks import Evidence
from flowctl_core.verify.image import image_bundles
from flowctl_core.verify.rejection import rejected
from flowctl_core.verify.release import measure, read


def is_layout(path: Path) -> bool:
    """Whether the folder says that it is an image layout (image-spec, image-layout.md)."""
    return (path / "oci-layout").is_file() and (path / "index.json").is_file()


def gather_layout(root: Path, name: str, version: str | None) -> Evidence:
    """Measure an image. Raises VerificationError: `digest` for blobs that are missing or another, `signature`."""
    try:
        top = only_image(read_index(read(root / "index.json"), str(root)), str(root)).digest
        entries = read_index(_checked(root, top), str(root))
        digests = {INDEX if entries is not None else "image": top}
        for entry in entries or ():
            platform = "/".join(part for part in entry.platform.key if part) if entry.platform else entry.digest
            digests[entry.digest if platform in digests else platform] = entry.digest
        for digest in [entry.digest for entry in entries] if entries is not None else [top]:
            manifest = read_manifest(_checked(root, digest), str(root))
            for blob in (manifest.config, *manifest.layers):
                _measured(root, blob.digest)
    except ImageError as error:
        raise rejected("digest", error.message) from None
    try:
        referrers: dict[str, tuple[Referrer, ...]] = {
            each: read_referrers(root, digest) for each, digest in digests.items()
        }
    except ImageError as error:
        raise rejected("signature", error.message) from None
    found = image_bundles(referrers)
    return Evidence(
        component=name,
        version=version,
        digests=digests,
        signatures={name: bundles[0] for name, bundles in found.items() if name in digests},
        attestations={name: bundles[0] for name, bundles in found.items() if name not in digests},
        others={name: bundles[1:] for name, bundles in found.items()},
        images=frozenset(digests),
    )


def _measured(root: Path, digest: str) -> Path:
    path = root / "blobs" / digest.replace(":", "/")
    if measure(path) != digest:
        raise rejected("digest", f"the blob {digest} of {root} is something else")
    return path


def _checked(root: Path, digest: str) -> bytes:
    return read(_measured(root, digest))
