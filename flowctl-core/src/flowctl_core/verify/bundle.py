"""One Sigstore bundle (https://github.com/sigstore/protobuf-specs, v0.1 to v0.3) against trusted keys and roots.

What a bundle says of itself decides nothing: keys, logs, authorities and their validity come from the client's trust
material. Who may sign what is the policy's question (`flowctl_core.verify.policy`), asked after this one.
"""

from __future__ import annotations

from flowctl_core.models.signing import BundleVerdict, TrustMaterial
from flowctl_core.verify.bundle_document import parse_bundle
from flowctl_core.verify.rejection import rejected


def verify_bundle(
    bundle: bytes,
    digest: str,
    trust: TrustMaterial,
    *,
    require_tlog: bool = False,
    require_timestamp: bool = False,
) -> BundleVerdict:
    """Check the signature in `bundle` (JSON) over the file whose digest is `digest` (`sha256:<hex>`).

    A statement has to name that digest among its subjects. A bundle by certificate always needs the log entry and a
    trusted time; one by key where `require_tlog` or `require_timestamp` asks for them, but what it carries is checked
    against the trusted roots in any case, if there are any.

    Raises VerificationError, with `check` «signature», «tlog» or «statement».
    """
    document = parse_bundle(bundle)
    if document.verification_material.public_key is not None:
        from flowctl_core.verify.managed_key import verify_key_bundle

        verdict = verify_key_bundle(document, digest, trust)
    else:
        from flowctl_core.verify.certificate import verify_certificate_bundle

        verdict = verify_certificate_bundle(document, bundle, digest, trust)
    if require_tlog and verdict.tlog == "none":
        raise rejected("tlog", "there is no entry of a transparency log, and one is required")
    if require_timestamp and verdict.timestamp == "none":
        raise rejected("tlog", "there is no trusted time stamp, and one is required")
    return verdict
