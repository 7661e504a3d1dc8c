"""What a signer is asked, and who may be believed (formats: docs/development/signing.md)."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from flowctl_core.models.base import Frozen


class SigningRequest(Frozen):
    """How to sign. Holds names of secrets at most, never a secret: signers read those from their own environment."""

    signer: str = "embedded"
    """Name of the signer plugin: `embedded` (a key), `keyless` (an OIDC identity), or a third party's."""
    key: str | None = None
    """embedded: name of a key in the key folder, path of a PEM file, or a PKCS#11 or KMS URI; None: the default key."""
    trust_config: str | None = None
    """keyless: path of a Sigstore ClientTrustConfig (JSON); None: the public instance."""


class TrustedKey(Frozen):
    """A public key that may be believed."""

    name: str
    """What people call it."""
    public_key: str
    """PEM, SubjectPublicKeyInfo; ECDSA P-256 (any key that a bundle of the field uses is verified)."""
    valid_from: datetime | None = None
    """Not believed for what was signed before."""
    valid_until: datetime | None = None
    """Not believed for what was signed after (or, without a trusted time stamp, after now)."""
    revoked: bool = False
    """True: never believed, whenever it signed."""


class TrustMaterial(Frozen):
    """Everything against which a bundle's signature is checked. Never taken from the bundle."""

    keys: tuple[TrustedKey, ...] = ()
    trusted_roots: tuple[str, ...] = ()
    """Sigstore TrustedRoot documents (JSON text)."""


class SignerIdentity(Frozen):
    """Who signed, as it was proved."""

    kind: Literal["key", "certificate"]
    """`key`: one that the client trusts by itself; `certificate`: an identity that a Sigstore instance vouches for."""
    key_hint: str = ""
    """key: base64 of the SHA-256 of the DER SubjectPublicKeyInfo."""
    key_name: str = ""
    """key: name under which the client trusts it."""
    identity: str = ""
    """certificate: subject alternative name (an e-mail address or a URI)."""
    issuer: str = ""
    """certificate: OIDC issuer."""
    claims: dict[str, str] = {}
    """certificate: Fulcio's extensions (https://github.com/sigstore/fulcio/blob/main/docs/oid-info.md) by name, such as
    `source_repository_uri` and `source_repository_digest`."""


class BundleVerdict(Frozen):
    """What a bundle proves, after its signature (and, where there is one, its log entry) was checked."""

    content: Literal["signature", "statement"]
    """`signature`: over the digest of a file; `statement`: an in-toto statement in a DSSE envelope."""
    signer: SignerIdentity
    tlog: Literal["none", "verified"] = "none"
    """Whether a transparency log's inclusion proof or promise was verified."""
    log_index: int | None = None
    timestamp: Literal["none", "rfc3161", "tlog"] = "none"
    """What trusted time there is: a time-stamping authority's, or a log's own."""
    signed_at: datetime | None = None
    """The trusted time; None where there is none."""
    statement: str | None = None
    """The in-toto statement (JSON), where content is `statement`."""
