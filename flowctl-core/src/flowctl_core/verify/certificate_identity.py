"""Who a Fulcio certificate names (https://github.com/sigstore/fulcio/blob/main/docs/oid-info.md)."""

from __future__ import annotations

from typing import Any

from flowctl_core.models.signing import SignerIdentity
from flowctl_core.verify.rejection import rejected

_ARC = "1.3.6.1.4.1.57264.1"
_ISSUER = f"{_ARC}.8"
_OLD_ISSUER = f"{_ARC}.1"
_CLAIMS = {
    9: "build_signer_uri",
    10: "build_signer_digest",
    11: "runner_environment",
    12: "source_repository_uri",
    13: "source_repository_digest",
    14: "source_repository_ref",
    15: "source_repository_identifier",
    16: "source_repository_owner_uri",
    17: "source_repository_owner_identifier",
    18: "build_config_uri",
    19: "build_config_digest",
    20: "build_trigger",
    21: "run_invocation_uri",
    22: "source_repository_visibility_at_signing",
}


def identity_of(certificate: Any) -> SignerIdentity:
    """Subject alternative name, issuer and claims. Exactly one name is allowed: two would be two signers."""
    from cryptography.x509 import ExtensionNotFound, OtherName, SubjectAlternativeName

    try:
        names = list(certificate.extensions.get_extension_for_class(SubjectAlternativeName).value)
    except ExtensionNotFound:
        names = []
    if len(names) != 1:
        raise rejected("signature", f"the certificate names {len(names)} signers; one is allowed")
    name = names[0]
    identity = _text(name.value) if isinstance(name, OtherName) else str(name.value)
    extensions = {each.oid.dotted_string: each.value for each in certificate.extensions}
    claims = {
        title: _text(extensions[oid].value)
        for number, title in _CLAIMS.items()
        if (oid := f"{_ARC}.{number}") in extensions
    }
    return SignerIdentity(kind="certificate", identity=identity, issuer=_issuer(extensions), claims=claims)


def _issuer(extensions: dict[str, Any]) -> str:
    if _ISSUER in extensions:
        return _text(extensions[_ISSUER].value)
    old = extensions.get(_OLD_ISSUER)
    return old.value.decode("utf-8", "replace") if old is not None else ""  # not DER: the older extension is bare text


def _text(der: bytes) -> str:
    from cryptography.hazmat import asn1

    try:
        return asn1.decode_der(str, der)
    except ValueError:
        raise rejected("signature", "an extension of the certificate is malformed") from None
