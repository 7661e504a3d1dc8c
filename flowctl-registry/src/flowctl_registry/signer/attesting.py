"""Attesting a version: one statement about all its subjects, and a signature that refers to each image.

Of a version that a build of this registry made, also how it was made and of what: provenance, SBOM and scan, as
`flowctl component sign` attests them.

Blobs are claimed, written, and recorded in one transaction with the files that use them: a signer that is killed leaves
claims that run out, never half an attestation.
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, insert
from sqlalchemy.exc import IntegrityError

from flowctl_core.errors import FlowctlError
from flowctl_core.models import Subject
from flowctl_core.models.published import REGISTRY_FOLDER, RELEASE_PREDICATE
from flowctl_core.package import documents
from flowctl_core.package.referrers import BUNDLE, Referrer, annotations_of, referrer_manifest
from flowctl_registry.blobs import claims
from flowctl_registry.blobs.store import BlobStore
from flowctl_registry.database.engine import reading, writing
from flowctl_registry.database.tables import artifacts, image_blobs, manifests
from flowctl_registry.database.upsert import insert_new
from flowctl_registry.errors import ConflictError
from flowctl_registry.signer.keys import SignerKeys
from flowctl_registry.signer.subjects import ATTESTATION, Recorded, is_signed, read_recorded

_LOG = logging.getLogger(__name__)
_CLAIM_S = 600
_LARGEST_DOCUMENT = 64 * 2**20
_PROVENANCE = "provenance"


@dataclass(frozen=True)
class _Manifest:
    """What refers to an image."""

    digest: str
    size: int
    subject: str
    annotations: dict[str, str]
    references: tuple[str, ...]


def attest(engine: Engine, store: BlobStore, keys: SignerKeys, version_id: int) -> None:
    """Sign what is recorded of a pending version. Again changes nothing.

    Raises NotFoundError, ConflictError for what is not to be signed, SigningError, UnavailableError.
    """
    with reading(engine) as connection:
        if is_signed(connection, version_id):
            return
        recorded = read_recorded(connection, version_id)
    files, referrers, made = _made(recorded, keys, _described(recorded, store))
    holder = f"signer-{version_id}"
    writing(engine, lambda connection: _claim(connection, holder, made))
    for digest, data in made.items():
        store.write_now(digest, len(data), [data])

    def change(connection: Connection) -> None:
        claims.guard(connection)
        if is_signed(connection, version_id):
            return
        read_recorded(connection, version_id)
        _record(connection, recorded, files, referrers, made)
        claims.release(connection, holder)

    try:
        writing(engine, change)
    except IntegrityError:  # another signer was first
        with reading(engine) as connection:
            if not is_signed(connection, version_id):
                raise
    _LOG.info("signed %s/%s %s", recorded.namespace, recorded.name, recorded.version)


def _described(recorded: Recorded, store: BlobStore) -> dict[str, tuple[str, str]]:
    """Name of each statement about how a built version was made: its predicate's type and its text."""
    if not recorded.built:
        return {}
    import json

    from flowctl_core.models.build_info import BuildInfo
    from flowctl_core.sign.provenance import REGISTRY_BUILDER
    from flowctl_core.sign.released import Released
    from flowctl_core.sign.statements import ATTESTATIONS, release_statements

    names = {"info": "build-info.json", "sbom": "sbom.cdx.json", "scan": "security-scan.json"}
    try:
        digests = {name: recorded.documents[f"metadata/{file}"] for name, file in names.items()}
        data = {name: store.read(digest, _LARGEST_DOCUMENT) for name, digest in digests.items()}
        info = BuildInfo.model_validate_json(data["info"])
        released = Released(Path(), info, digests["info"], json.loads(data["sbom"]), json.loads(data["scan"]))
    except (KeyError, ValueError) as error:
        raise ConflictError(f"version {recorded.version_id} has no record of its build: {error}") from error
    if released.subjects != recorded.subjects:
        raise ConflictError(f"version {recorded.version_id} has other subjects than its build recorded")
    try:
        texts = release_statements(released, REGISTRY_BUILDER)
    except FlowctlError:
        raise
    except Exception as error:  # in-toto's models and protobuf have no error in common
        raise ConflictError(f"the record of version {recorded.version_id} makes no statement: {error}") from error
    return {name: (ATTESTATIONS[name], text) for name, text in texts.items()}


def _made(
    recorded: Recorded, keys: SignerKeys, described: dict[str, tuple[str, str]]
) -> tuple[dict[str, str], list[_Manifest], dict[str, bytes]]:
    """Path and digest of each attestation, what refers to images, and all new blobs."""
    from flowctl_core.sign.bundle import digest_to_sign, key_bundle
    from flowctl_core.sign.statements import IMAGE_SIGNATURE, image_signature, statement

    predicate: dict[str, Any] = {
        "purl": f"pkg:generic/{recorded.namespace}/{recorded.name}@{recorded.version}",
        "releaseId": recorded.release_digest,
    }
    with keys.open() as key:

        def sign(name: str, text: str) -> str:
            subject = Subject(name=name, digest=_digest(text.encode()), statement=text)
            return key_bundle(subject, key.sign(digest_to_sign(subject)), key.hint)

        bundles = {
            f"{REGISTRY_FOLDER}{name}.sigstore.json": (kind, sign(name, text))
            for name, (kind, text) in described.items()
        }
        if bundles:  # named in what is signed, so that nobody can hold them back
            predicate["attestations"] = {path: _digest(bundle.encode()) for path, (_, bundle) in bundles.items()}
        release = statement(recorded.subjects, RELEASE_PREDICATE, predicate)
        bundles[ATTESTATION] = (RELEASE_PREDICATE, sign(ATTESTATION, release))
        images = [(image, sign(image.name, image_signature(image.name, image.digest))) for image in recorded.images]
    files = {path: _digest(bundle.encode()) for path, (_, bundle) in bundles.items()}
    made = {files[path]: bundle.encode() for path, (_, bundle) in bundles.items()}
    found: list[_Manifest] = []
    for image, signature in images:
        for kind, bundle in ((IMAGE_SIGNATURE, signature), *bundles.values()):
            referrer = Referrer(image.digest, bundle, kind)
            manifest, needed = referrer_manifest(referrer, image.media_type, image.size)
            digest = _digest(manifest)
            found.append(_Manifest(digest, len(manifest), image.digest, annotations_of(referrer), tuple(needed)))
            made |= {digest: manifest, **needed}
    return files, found, made


def _claim(connection: Connection, holder: str, made: dict[str, bytes]) -> None:
    claims.guard(connection)
    claims.claim(connection, holder, made, _CLAIM_S)
    for digest in made:
        claims.may_write(connection, digest)


def _record(
    connection: Connection,
    recorded: Recorded,
    files: dict[str, str],
    referrers: list[_Manifest],
    made: dict[str, bytes],
) -> None:
    for digest, data in sorted(made.items()):
        claims.record(connection, digest, len(data))
    rows = [
        {
            "version_id": recorded.version_id,
            "path": path,
            "kind": "provenance" if _PROVENANCE in path else "signature",
            "platform": None,
            "digest": digest,
            "size": len(made[digest]),
            "media_type": BUNDLE,
        }
        for path, digest in files.items()
    ]
    connection.execute(insert(artifacts), rows)
    owner = {"component_id": recorded.component_id, "version_id": recorded.version_id}
    for each in referrers:
        values = {
            **owner,
            "digest": each.digest,
            "media_type": documents.MANIFEST,
            "size": each.size,
            "subject": each.subject,
            "artifact_type": BUNDLE,
            "annotations": each.annotations,
            "references": list(each.references),
        }
        insert_new(connection, manifests, values)
        for digest in (each.digest, *each.references):
            insert_new(connection, image_blobs, {**owner, "digest": digest})


def _digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()
