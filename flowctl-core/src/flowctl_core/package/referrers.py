"""Attestations of images in an OCI image layout: manifests with a `subject` (image-spec 1.1, manifest.md, «Referrers»).

As cosign 3 writes them: the bundle is the one layer, its media type is also the artifact's type, the configuration is
the empty one, and annotations say what the bundle holds. They stand in index.json beside the image, without a name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from flowctl_core.errors import ImageError
from flowctl_core.models.image import DIGEST_PATTERN
from flowctl_core.package import documents
from flowctl_core.package.blobs import refusals
from flowctl_core.package.foreign_documents import IndexEntry, only_image, read_index

BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
EMPTY = "application/vnd.oci.empty.v1+json"
_CONTENT = "dev.sigstore.bundle.content"
_PREDICATE = "dev.sigstore.bundle.predicateType"
LARGEST_NUMBER = 256
"""Of referrers of one image that are read."""
LARGEST_BUNDLE = 16 * 2**20
"""Bytes: a statement may carry a whole bill of materials."""


@dataclass(frozen=True)
class Referrer:
    """One attestation of an image."""

    subject: str
    """Digest of the image's manifest or index."""
    bundle: str
    """Sigstore bundle, JSON text."""
    predicate_type: str
    """Of its statement."""


def write_referrers(layout: Path, referrers: Iterable[Referrer]) -> None:
    """Put the referrers in the place of those that the layout has. Raises ImageError."""
    with refusals(layout):
        name = str(layout)
        top = json.loads((layout / "index.json").read_bytes())
        image = only_image(read_index((layout / "index.json").read_bytes(), name), name)
        _remove(layout)
        entries = [each for each in top["manifests"] if each["digest"] == image.digest]
        for referrer in referrers:
            entries.append(_write(layout, referrer))
        top["manifests"] = entries
        _replace(layout / "index.json", documents.encode(top))


def read_referrers(layout: Path, subject: str) -> tuple[Referrer, ...]:
    """The attestations of one image of the layout, in their order. Raises ImageError for a malformed one."""
    name = str(layout)
    with refusals(layout):
        top = read_index((layout / "index.json").read_bytes(), name) or ()
        found = []
        for entry in top:
            if entry.artifact_type == BUNDLE:
                manifest = _blob(layout, entry.digest)
                if (referrer := parse_referrer(manifest, subject, lambda digest: _blob(layout, digest))) is not None:
                    found.append(referrer)
    if len(found) > LARGEST_NUMBER:
        raise ImageError(f"{subject} in {name} has more than {LARGEST_NUMBER} referrers")
    return tuple(found)


def parse_referrer(manifest: bytes, subject: str, blob: Any) -> Referrer | None:
    """What a referrer's manifest says; None when it is about another image. `blob` gives a layer by its digest."""
    try:
        document = json.loads(manifest)
        if document["subject"]["digest"] != subject:
            return None
        (layer,) = document["layers"]
        if layer["mediaType"] != BUNDLE:
            return None
        data: bytes = blob(layer["digest"])
        if f"sha256:{sha256(data).hexdigest()}" != layer["digest"]:
            raise ImageError(f"a referrer's bundle is not what its manifest says: {layer['digest']}")
        predicate = (document.get("annotations") or {}).get(_PREDICATE, "")
        return Referrer(subject, data.decode(), str(predicate))
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
        raise ImageError(f"a referrer of {subject} is malformed") from None


def manifest_of(layout: Path, referrer: Referrer) -> tuple[bytes, dict[str, bytes]]:
    """The referrer's manifest, and the blobs that it needs (digest and bytes)."""
    data = (layout / "blobs" / referrer.subject.replace(":", "/")).read_bytes()
    return referrer_manifest(referrer, json.loads(data).get("mediaType", documents.MANIFEST), len(data))


def referrer_manifest(referrer: Referrer, media_type: str, size: int) -> tuple[bytes, dict[str, bytes]]:
    """The same for a subject of this media type and size in bytes."""
    empty, bundle = b"{}", referrer.bundle.encode()
    manifest: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": documents.MANIFEST,
        "artifactType": BUNDLE,
        "config": {"mediaType": EMPTY, "digest": _digest(empty), "size": len(empty), "data": "e30="},
        "layers": [{"mediaType": BUNDLE, "digest": _digest(bundle), "size": len(bundle)}],
        "subject": {"mediaType": media_type, "digest": referrer.subject, "size": size},
        "annotations": annotations_of(referrer),
    }
    return documents.encode(manifest), {_digest(empty): empty, _digest(bundle): bundle}


def annotations_of(referrer: Referrer) -> dict[str, str]:
    """What a referrer's manifest and its entry in an index say of the bundle."""
    return {_CONTENT: "dsse-envelope", _PREDICATE: referrer.predicate_type}


def _remove(layout: Path) -> None:
    """The blobs of the referrers that are there: no image shares them."""
    for entry in referrer_entries(layout):
        manifest = json.loads(_blob(layout, entry.digest))
        for digest in (manifest["config"]["digest"], *(layer["digest"] for layer in manifest["layers"]), entry.digest):
            _place(layout, digest).unlink(missing_ok=True)


def _write(layout: Path, referrer: Referrer) -> dict[str, Any]:
    manifest, blobs = manifest_of(layout, referrer)
    for digest, data in {**blobs, _digest(manifest): manifest}.items():
        _replace(layout / "blobs" / digest.replace(":", "/"), data)
    return {
        "mediaType": documents.MANIFEST,
        "digest": _digest(manifest),
        "size": len(manifest),
        "artifactType": BUNDLE,
        "annotations": annotations_of(referrer),
    }


def referrer_entries(layout: Path) -> tuple[IndexEntry, ...]:
    """The entries of index.json that are attestations."""
    with refusals(layout):
        top = read_index((layout / "index.json").read_bytes(), str(layout)) or ()
    return tuple(entry for entry in top if entry.artifact_type == BUNDLE)


def _replace(path: Path, data: bytes) -> None:
    """A new file in the place of the old one, whose other names (links in a copy of a release) keep what they had."""
    path.unlink(missing_ok=True)
    path.write_bytes(data)


def _place(layout: Path, digest: str) -> Path:
    """Of a blob. Raises ImageError for what is no digest, which could be a path that leads out of the layout."""
    if re.fullmatch(DIGEST_PATTERN, str(digest)) is None:
        raise ImageError(f"a referrer in {layout} names {digest!r}, which is no digest")
    return layout / "blobs" / digest.replace(":", "/")


def _blob(layout: Path, digest: str) -> bytes:
    place = _place(layout, digest)
    if not place.is_file():  # a pipe would be waited for
        raise ImageError(f"{layout} is damaged: {digest} is missing")
    with place.open("rb") as file:
        data = file.read(LARGEST_BUNDLE + 1)
    if len(data) > LARGEST_BUNDLE:
        raise ImageError(f"{digest} in {layout} is larger than {LARGEST_BUNDLE // 2**20} MiB")
    if _digest(data) != digest:
        raise ImageError(f"{layout} is damaged: {digest} is something else")
    return data


def _digest(data: bytes) -> str:
    return f"sha256:{sha256(data).hexdigest()}"
