"""One Sigstore bundle against a digest and what the client trusts, without a network.

Format: https://github.com/sigstore/protobuf-specs/blob/main/protos/sigstore_bundle.proto (v0.1 to v0.3). A bundle is a
stranger's: whatever is wrong with it is a VerificationError, and nothing that it says of itself is believed.
"""

from __future__ import annotations

import binascii
import json
import re
from typing import TYPE_CHECKING

from flowctl_core.errors import FlowctlError, VerificationError
from flowctl_core.models.signing import BundleVerdict, TrustMaterial

if TYPE_CHECKING:
    from sigstore_models.bundle.v1 import Bundle

MAX_BUNDLE = 64 * 1024 * 1024
"""Bytes; an SBOM of ten thousand packages, signed, has about a fifth of it."""
_MAX_ENTRIES = 32
"""Log entries or time stamps in one bundle, as sigstore-go allows; real bundles have one of each."""
_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")
_MALFORMED_HINT = "The bundle is damaged or was changed. Get it again from where it was published."


def verify_bundle(
    bundle: bytes,
    digest: str,
    trust: TrustMaterial,
    *,
    require_tlog: bool = False,
    require_timestamp: bool = False,
) -> BundleVerdict:
    """What `bundle` (JSON) proves of the file with `digest` (`sha256:<hex>`), against `trust` alone.

    Signature, chain or key, log entry, time stamps and the statement's subjects are checked. Whether the signer may
    sign this is the caller's to decide, from the verdict's `signer`. `require_tlog` wants a verified log entry,
    `require_timestamp` a trusted time. VerificationError names the check that failed; TrustError says that a key or
    trusted root of the client's own cannot be read.
    """
    found = _DIGEST.fullmatch(digest)
    if found is None:
        raise VerificationError(
            f"{digest!r} is no SHA-256 digest", check="digest", hint="Write it as sha256:<64 hex digits>."
        )
    bundle = _with_empty_lists(bundle)
    parsed = parse_bundle(bundle)
    sha256 = bytes.fromhex(found[1])
    _compare_digest(parsed, sha256)
    try:
        verdict = _verify(parsed, bundle, sha256, trust)
    except FlowctlError:
        raise
    except Exception as error:  # the verifiers below raise what hostile input makes them; fail closed
        raise VerificationError(
            f"the bundle cannot be verified: {type(error).__name__}: {error}", check="signature", hint=_MALFORMED_HINT
        ) from error
    if require_tlog and verdict.tlog == "none":
        raise VerificationError(
            "a transparency log's entry is required, and the bundle has none that could be verified",
            check="tlog",
            hint="Sign with a log, give the log's trusted root, or set `transparency: optional` in the policy.",
        )
    if require_timestamp and verdict.timestamp == "none":
        raise VerificationError(
            "a trusted time stamp is required, and the bundle has none that could be verified",
            check="tlog",
            hint="Sign with a time-stamping authority or a log, give its trusted root, or set `timestamp: optional`.",
        )
    return verdict


def parse_bundle(bundle: bytes) -> Bundle:
    """The bundle's fields; VerificationError(check="signature") for anything that is no bundle."""
    from sigstore_models.bundle.v1 import Bundle

    if len(bundle) > MAX_BUNDLE:
        raise _malformed(f"it has {len(bundle)} bytes, more than the {MAX_BUNDLE} that are read")
    try:
        parsed = Bundle.from_json(bundle)
    except (ValueError, RecursionError, OverflowError) as error:
        raise _malformed(_reason(error)) from error
    material = parsed.verification_material
    stamps = material.timestamp_verification_data
    if max(len(material.tlog_entries), len(stamps.rfc3161_timestamps) if stamps else 0) > _MAX_ENTRIES:
        raise _malformed(f"it has more than {_MAX_ENTRIES} log entries or time stamps")
    return parsed


def _with_empty_lists(bundle: bytes) -> bytes:
    """Proto3's JSON leaves empty lists out, as cosign does; sigstore's models want them written."""
    if len(bundle) > MAX_BUNDLE:
        return bundle  # parse_bundle tells
    try:
        document = json.loads(bundle)
        material = document["verificationMaterial"]
        entries = material.setdefault("tlogEntries", [])
        proofs = [entry["inclusionProof"] for entry in entries if "inclusionProof" in entry]
        for proof in proofs:
            proof.setdefault("hashes", [])  # of a log with one entry
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
        return bundle  # what is wrong with it, the models tell
    return json.dumps(document).encode()


def _verify(parsed: Bundle, raw: bytes, sha256: bytes, trust: TrustMaterial) -> BundleVerdict:
    if parsed.verification_material.public_key is not None:
        from flowctl_core.verify.managed_key import verify_with_key

        return verify_with_key(parsed, sha256, trust)
    from flowctl_core.verify.certificate import verify_with_certificate

    return verify_with_certificate(parsed, raw, sha256, trust)


def _compare_digest(parsed: Bundle, sha256: bytes) -> None:
    signature = parsed.message_signature
    if signature is None or signature.message_digest is None:
        return
    declared = signature.message_digest
    if declared.algorithm.value != "SHA2_256":
        raise VerificationError(
            f"the bundle is over a {declared.algorithm.value} digest, not SHA2_256",
            check="signature",
            hint="Sign again with SHA-256; artifacts are named by it.",
        )
    if declared.digest != sha256:
        raise VerificationError(
            f"the bundle is for another file: it was made over sha256:{binascii.hexlify(declared.digest).decode()}, "
            f"this file has sha256:{sha256.hex()}",
            check="digest",
            hint="The file was changed after signing, or the bundle belongs to another file.",
        )


def _malformed(reason: str) -> VerificationError:
    return VerificationError(f"this is no Sigstore bundle: {reason}", check="signature", hint=_MALFORMED_HINT)


def _reason(error: Exception) -> str:
    """The first problem, without what pydantic shows of the input (which may be huge)."""
    from pydantic import ValidationError

    if not isinstance(error, ValidationError):
        return str(error) or type(error).__name__
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    return f"{place}: {first['msg']}" if place else first["msg"]
