"""Attesting a version: one statement about all its subjects, and a signature that refers to each image.

Blobs are claimed, written, and recorded in one transaction with the files that use them: a signer that is killed leaves
claims that run out, never half an attestation.
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, insert
from sqlalchemy.exc import IntegrityError

from flowctl_core.models import Subject
from flowctl_core.package import documents
from flowctl_core.package.referrers import BUNDLE, Referrer, annotations_of, referrer_manifest
from flowctl_registry.blobs import claims
from flowctl_registry.blobs.store import BlobStore
from flowctl_registry.database.engine import reading, writing
from flowctl_registry.database.tables import artifacts, image_blobs, manifests
from flowctl_registry.database.upsert import insert_new
from flowctl_registry.signer.keys import SignerKeys
from flowctl_registry.signer.subjects import ATTESTATION, Recorded, is_signed, read_recorded

RELEASE = "https://in-toto.io/attestation/release/v0.1"
"""Predicate of the registry's attestation: these subjects are that release."""
_LOG = logging.getLogger(__name__)
_CLAIM_S = 600


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
    attestation, referrers, made = _made(recorded, keys)
    holder = f"signer-{version_id}"
    writing(engine, lambda connection: _claim(connection, holder, made))
    for digest, data in made.items():
        store.write_now(digest, len(data), [data])

    def change(connection: Connection) -> None:
        claims.guard(connection)
        if is_signed(connection, version_id):
            return
        read_recorded(connection, version_id)
        _record(connection, recorded, attestation, referrers, made)
        claims.release(connection, holder)

    try:
        writing(engine, change)
    except IntegrityError:  # another signer was first
        with reading(engine) as connection:
            if not is_signed(connection, version_id):
                raise
    _LOG.info("signed %s/%s %s", recorded.namespace, recorded.name, recorded.version)


def _made(recorded: Recorded, keys: SignerKeys) -> tuple[str, list[_Manifest], dict[str, bytes]]:
    """Digest of the attestation, what refers to images, and all new blobs."""
    from flowctl_core.sign.bundle import digest_to_sign, key_bundle
    from flowctl_core.sign.statements import IMAGE_SIGNATURE, image_signature, statement

    predicate = {
        "purl": f"pkg:generic/{recorded.namespace}/{recorded.name}@{recorded.version}",
        "releaseId": recorded.release_digest,
    }
    release = statement(recorded.subjects, RELEASE, predicate)
    texts = [("release", release), *((each.name, image_signature(each.name, each.digest)) for each in recorded.images)]
    with keys.open() as key:
        bundles = []
        for name, text in texts:
            subject = Subject(name=name, digest=_digest(text.encode()), statement=text)
            bundles.append(key_bundle(subject, key.sign(digest_to_sign(subject)), key.hint))
    attestation = bundles[0].encode()
    made = {_digest(attestation): attestation}
    found: list[_Manifest] = []
    for image, bundle in zip(recorded.images, bundles[1:], strict=True):
        for text, kind in ((bundle, IMAGE_SIGNATURE), (bundles[0], RELEASE)):
            referrer = Referrer(image.digest, text, kind)
            manifest, needed = referrer_manifest(referrer, image.media_type, image.size)
            digest = _digest(manifest)
            found.append(_Manifest(digest, len(manifest), image.digest, annotations_of(referrer), tuple(needed)))
            made |= {digest: manifest, **needed}
    return _digest(attestation), found, made


def _claim(connection: Connection, holder: str, made: dict[str, bytes]) -> None:
    claims.guard(connection)
    claims.claim(connection, holder, made, _CLAIM_S)
    for digest in made:
        claims.may_write(connection, digest)


def _record(
    connection: Connection,
    recorded: Recorded,
    attestation: str,
    referrers: list[_Manifest],
    made: dict[str, bytes],
) -> None:
    for digest, data in sorted(made.items()):
        claims.record(connection, digest, len(data))
    connection.execute(
        insert(artifacts).values(
            version_id=recorded.version_id,
            path=ATTESTATION,
            kind="signature",
            platform=None,
            digest=attestation,
            size=len(made[attestation]),
            media_type=BUNDLE,
        )
    )
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
