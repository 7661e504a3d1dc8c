"""Attestations of images in a registry (distribution-spec 1.1, «Listing Referrers», «Pushing Manifests with Subject»).

Registries that know the referrers API list them themselves; for others there is an index under the tag
`sha256-<hex>` of the image, which those who push have to keep up.
"""

from __future__ import annotations

import json
import re
from hashlib import sha256
from pathlib import Path
from typing import Any

from flowctl_core.errors import ImageError
from flowctl_core.models.image import DIGEST_PATTERN
from flowctl_core.package import documents
from flowctl_core.package.foreign_documents import IndexEntry, read_index
from flowctl_core.package.reference import parse_reference
from flowctl_core.package.referrers import (
    BUNDLE,
    EMPTY,
    LARGEST_BUNDLE,
    LARGEST_NUMBER,
    Referrer,
    parse_referrer,
    referrer_entries,
)
from flowctl_core.package.refusal import refusal
from flowctl_core.package.registry import Registry
from flowctl_core.package.upload import upload_blob

_NO_SUCH = 404


def push_referrers(layout: Path, reference: str, *, plain_http: bool = False) -> int:
    """Push the attestations of a layout whose images are there already; returns how many. Raises ImageError."""
    target = parse_reference(reference)
    entries = referrer_entries(layout)
    folder = layout / "blobs"
    with Registry(target, plain_http=plain_http, push=True) as registry:
        listed_by_tag: dict[str, list[dict[str, Any]]] = {}
        for entry in entries:
            data = (folder / entry.digest.replace(":", "/")).read_bytes()
            manifest = json.loads(data)
            for blob in (manifest["config"], *manifest["layers"]):
                upload_blob(registry, folder / blob["digest"].replace(":", "/"), blob["digest"])
            answer = registry.ask(
                "PUT", f"manifests/{entry.digest}", content=data, headers={"Content-Type": documents.MANIFEST}
            )
            if not answer.ok:
                raise refusal(answer, target, f"attestation {entry.digest} of {target.name}")
            if "OCI-Subject" not in answer.headers:
                own = {
                    "mediaType": documents.MANIFEST,
                    "digest": entry.digest,
                    "size": len(data),
                    "artifactType": BUNDLE,
                    "annotations": manifest["annotations"],
                }
                listed_by_tag.setdefault(manifest["subject"]["digest"], []).append(own)
        for subject, added in listed_by_tag.items():
            _keep_up(registry, subject, added)
    return len(entries)


def fetch_referrers(registry: Registry, subject: str) -> tuple[Referrer, ...]:
    """The attestations of one image. Raises ImageError for a malformed answer, or too many of them."""
    found = []
    for entry in _list(registry, subject):
        if entry.artifact_type not in (BUNDLE, EMPTY, ""):  # some registries tell the configuration's type instead
            continue
        manifest = registry.manifest(entry.digest)
        referrer = parse_referrer(manifest, subject, lambda digest: _blob(registry, digest))
        if referrer is not None:
            found.append(referrer)
    return tuple(found)


def _list(registry: Registry, subject: str) -> tuple[IndexEntry, ...]:
    answer = registry.ask("GET", f"referrers/{subject}")
    if answer.status == _NO_SUCH or not answer.ok:
        answer = registry.ask("GET", f"manifests/{_tag(subject)}", headers={"Accept": documents.INDEX})
        if answer.status == _NO_SUCH:
            return ()
        if not answer.ok:
            raise refusal(answer, registry.reference, f"attestations of {subject}")
    entries = read_index(answer.body, str(registry.reference)) or ()
    if len(entries) > LARGEST_NUMBER:
        raise ImageError(f"{subject} has more than {LARGEST_NUMBER} referrers in {registry.reference.registry}")
    return entries


def _blob(registry: Registry, digest: str) -> bytes:
    if not re.fullmatch(DIGEST_PATTERN, digest):
        raise ImageError(f"an attestation names {digest!r}, which is no digest")
    data = registry.document(f"blobs/{digest}", LARGEST_BUNDLE)
    if f"sha256:{sha256(data).hexdigest()}" != digest:
        raise ImageError(f"{registry.reference.registry} sends something else for {digest}")
    return data


def _keep_up(registry: Registry, subject: str, added: list[dict[str, Any]]) -> None:
    """Add to the index under the fallback tag what it does not list yet."""
    tag = _tag(subject)
    answer = registry.ask("GET", f"manifests/{tag}", headers={"Accept": documents.INDEX})
    known = json.loads(answer.body).get("manifests", []) if answer.ok else []
    digests = {each["digest"] for each in added}
    index: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": documents.INDEX,
        "manifests": [*(each for each in known if each.get("digest") not in digests), *added],
    }
    put = registry.ask(
        "PUT", f"manifests/{tag}", content=documents.encode(index), headers={"Content-Type": documents.INDEX}
    )
    if not put.ok:
        raise refusal(put, registry.reference, f"list of the attestations of {subject}")


def _tag(subject: str) -> str:
    return subject.replace(":", "-")
