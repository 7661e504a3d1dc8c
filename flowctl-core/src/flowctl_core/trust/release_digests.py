"""The digests of a release's folder (`dist/`) that the signed index has of it."""

from __future__ import annotations

import hashlib
from pathlib import Path

from flowctl_core.errors import ImageError, StoreError, TrustError
from flowctl_core.package.foreign_documents import only_image, read_index

INDEX = "index"
"""Name of the image index among the subjects of a release."""
_BUNDLE = ".sigstore.json"


def release_digests(release: Path) -> dict[str, str]:
    """File name of each artifact, `index` for the image index, platform of each image, to `sha256:<hex>`.

    Raises TrustError for a folder without artifacts, StoreError for what cannot be read.
    """
    found: dict[str, str] = {}
    try:
        for path in sorted((release / "binaries").rglob("*")):
            if path.is_file() and not path.name.endswith(_BUNDLE):
                if path.name in found or path.name == INDEX:
                    raise TrustError(
                        f"{release} has two files named {path.name}", hint="Give artifacts names of their own."
                    )
                with path.open("rb") as file:
                    found[path.name] = "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()
        layout = release / "containers" / "oci" / "index.json"
        if layout.exists():
            try:
                image = only_image(read_index(layout.read_bytes(), str(layout)), str(layout.parent))
            except ImageError as error:
                raise TrustError(error.message, hint="Build the release again.") from None
            found[INDEX] = image.digest
            blob = layout.parent / "blobs" / "sha256" / image.digest.removeprefix("sha256:")
            for entry in read_index(blob.read_bytes(), str(blob)) or ():
                if entry.platform is not None:
                    found[entry.platform.shown] = entry.digest
    except OSError as error:
        raise StoreError.of(error) from error
    if not found:
        raise TrustError(f"{release} has no artifacts", hint="Name the dist/ of a release.")
    return found
