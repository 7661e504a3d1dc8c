"""The identity in a Fulcio certificate: subject alternative name, OIDC issuer and the CI's claims.

Extensions: https://github.com/sigstore/fulcio/blob/main/docs/oid-info.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowctl_core.models.signing import SignerIdentity

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

_ARC = "1.3.6.1.4.1.57264.1."
_ISSUER, _ISSUER_V2, _USER_NAME = 1, 8, 7
_PLAIN = {
    2: "github_workflow_trigger",
    3: "github_workflow_sha",
    4: "github_workflow_name",
    5: "github_workflow_repository",
    6: "github_workflow_ref",
}
"""Numbers below the arc whose value is the text itself (deprecated, still issued)."""
_ENCODED = {
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
    23: "deployment_environment",
}
"""Numbers whose value is a DER string."""


class ReadIdentity:
    """A policy for sigstore-python's Verifier that accepts every identity and keeps it.

    `sigstore.verify.policy.Identity` compares a name exactly; whether an identity may sign for a namespace is the
    client's policy's to decide, afterwards.
    """

    def __init__(self) -> None:
        self.identity: SignerIdentity | None = None

    def verify(self, cert: Certificate) -> None:
        """Read the certificate, whose chain has been verified; sigstore's VerificationError if it names nobody."""
        from sigstore.errors import VerificationError

        try:
            self.identity = read_identity(cert)
        except ValueError as error:
            raise VerificationError(f"the certificate's identity cannot be read: {error}") from error


def read_identity(certificate: Certificate) -> SignerIdentity:
    """Who a certificate names; ValueError if it names nobody, or several."""
    extensions = {
        int(extension.oid.dotted_string.removeprefix(_ARC)): bytes(getattr(extension.value, "value", b""))
        for extension in certificate.extensions
        if extension.oid.dotted_string.startswith(_ARC) and extension.oid.dotted_string.removeprefix(_ARC).isdigit()
    }
    issuer = ""
    if _ISSUER_V2 in extensions:
        issuer = _decoded(extensions[_ISSUER_V2])
    elif _ISSUER in extensions:
        issuer = extensions[_ISSUER].decode()
    if not issuer:
        raise ValueError("it has no OIDC issuer")
    claims = {name: extensions[number].decode() for number, name in _PLAIN.items() if number in extensions}
    claims |= {name: _decoded(extensions[number]) for number, name in _ENCODED.items() if number in extensions}
    return SignerIdentity(kind="certificate", identity=_subject(certificate), issuer=issuer, claims=claims)


def _subject(certificate: Certificate) -> str:
    from cryptography.x509 import ExtensionNotFound, OtherName, SubjectAlternativeName
    from cryptography.x509 import RFC822Name as EmailName
    from cryptography.x509 import UniformResourceIdentifier as UriName

    try:
        names = list(certificate.extensions.get_extension_for_class(SubjectAlternativeName).value)
    except ExtensionNotFound as error:
        raise ValueError("it has no subject alternative name") from error
    if len(names) != 1:
        raise ValueError(f"it has {len(names)} subject alternative names, not one")
    name = names[0]
    if isinstance(name, EmailName | UriName):
        return name.value
    if isinstance(name, OtherName) and name.type_id.dotted_string == f"{_ARC}{_USER_NAME}":
        return _decoded(name.value)
    raise ValueError("its subject alternative name is neither an e-mail address nor a URI nor a user name")


def _decoded(der: bytes) -> str:
    from cryptography.hazmat import asn1

    return asn1.decode_der(str, der)
