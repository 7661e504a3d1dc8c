"""A key in a cloud's key management service, through securesystemslib's signers: they find key, access, public half.

`awskms:ID-OR-ARN`, `gcpkms:projects/…/cryptoKeyVersions/1`, `azurekms://VAULT.vault.azure.net/keys/NAME`. Access comes
from the environment, as each service's own tools take it. What is signed is a digest, so the service's client is asked
for that: the signers' own `sign` hashes a file that a signer here is never given.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from flowctl_core.errors import SigningError
from flowctl_core.sign.key_pair import hint_of
from flowctl_core.sign.signing_key import SigningKey

_SCHEME = "ecdsa-sha2-nistp256"


def open_service_key(scheme: str, uri: str) -> SigningKey:
    """The key behind the URI. Raises SigningError: no library, no access, no such key, not ECDSA P-256."""
    signer = _told(scheme, lambda: _OPEN[scheme](uri.removeprefix(f"{scheme}:").lstrip("/")))
    if signer.public_key.scheme != _SCHEME:
        raise SigningError(
            f"{uri} is no ECDSA P-256 key, the one kind that every verifier and log takes",
            hint="Make one for signing with the service's own tools.",
        )
    public = str(signer.public_key.keyval["public"])

    def sign(digest: bytes) -> bytes:
        signature: bytes = _told(scheme, lambda: _SIGN[scheme](signer, digest))
        _check(public, digest, signature)
        return signature

    return SigningKey(hint_of(public), sign, public)


def _check(public: str, digest: bytes, signature: bytes) -> None:
    """A service that hashes what it is given once more would make signatures that nobody accepts."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric import ec, utils
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    key = load_pem_public_key(public.encode())
    try:
        if isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, digest, ec.ECDSA(utils.Prehashed(SHA256())))
    except InvalidSignature:
        raise SigningError(
            "the key service answers with a signature over something else than the digest that it was given",
            hint="Ask who runs it; a simulated one may not sign digests.",
        ) from None


def _aws(name: str) -> Any:
    kind = _kind("awskms")
    uri, public = kind.import_(name, _SCHEME)
    return kind.from_priv_key_uri(uri, public)


def _aws_sign(signer: Any, digest: bytes) -> bytes:
    answer = signer.client.sign(
        KeyId=signer.aws_key_id, Message=digest, MessageType="DIGEST", SigningAlgorithm=signer.aws_algo
    )
    return bytes(answer["Signature"])


def _gcp(name: str) -> Any:
    kind = _kind("gcpkms")
    uri, public = kind.import_(name)
    return kind.from_priv_key_uri(uri, public)


def _gcp_sign(signer: Any, digest: bytes) -> bytes:
    return bytes(signer.client.asymmetric_sign({"name": signer.gcp_keyid, "digest": {"sha256": digest}}).signature)


def _azure(name: str) -> Any:
    parts = urlsplit(f"//{name}")
    folder, _, key = parts.path.strip("/").partition("/")
    if folder != "keys" or not key or not parts.hostname:
        raise SigningError(f"{name} is no key in a vault", hint="azurekms://VAULT.vault.azure.net/keys/NAME")
    kind = _kind("azurekms")
    uri, public = kind.import_(parts.hostname.partition(".")[0], key.partition("/")[0])
    return kind.from_priv_key_uri(uri, public)


def _azure_sign(signer: Any, digest: bytes) -> bytes:
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

    raw = signer.crypto_client.sign(signer.signature_algorithm, digest).signature  # r and s, 32 bytes each (RFC 7518)
    return encode_dss_signature(int.from_bytes(raw[:32]), int.from_bytes(raw[32:]))


def _kind(scheme: str) -> Any:
    from securesystemslib.signer import SIGNER_FOR_URI_SCHEME

    return SIGNER_FOR_URI_SCHEME[scheme]


_OPEN: dict[str, Callable[[str], Any]] = {"awskms": _aws, "gcpkms": _gcp, "azurekms": _azure}
_SIGN: dict[str, Callable[[Any, bytes], bytes]] = {"awskms": _aws_sign, "gcpkms": _gcp_sign, "azurekms": _azure_sign}


def _told(scheme: str, ask: Callable[[], Any]) -> Any:
    """What the service answers; whatever its client raises (each has errors of its own) as a SigningError."""
    try:
        return ask()
    except (SigningError, KeyboardInterrupt):
        raise
    except Exception as error:  # noqa: BLE001 - securesystemslib documents that its signers may raise anything
        from securesystemslib.exceptions import UnsupportedLibraryError

        if isinstance(error, UnsupportedLibraryError):
            hint = f"pip install 'flowctl-core[{scheme}]'"
            raise SigningError(f"{scheme}: keys need a library that is not installed", hint=hint) from None
        raise SigningError(
            f"{scheme}: the service does not sign: {str(error) or type(error).__name__}",
            hint="Access comes from the environment, as the service's own tools take it.",
        ) from None
