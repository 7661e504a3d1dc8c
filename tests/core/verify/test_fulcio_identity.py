"""Whom a certificate names, in all forms that Fulcio issues, and what names nobody."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from flowctl_core.verify.fulcio_identity import read_identity
from sigstore_instance import der

ARC = "1.3.6.1.4.1.57264.1"
ISSUER = {8: der.utf8("https://issuer.example")}
EMAIL = x509.RFC822Name("ann@acme.example")


def made(names: list[x509.GeneralName], extensions: dict[int, bytes]) -> x509.Certificate:
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(x509.Name([]))
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + timedelta(minutes=10))
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=True)
    for number, value in extensions.items():
        extension = x509.UnrecognizedExtension(x509.ObjectIdentifier(f"{ARC}.{number}"), value)
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(key, hashes.SHA256())


@pytest.mark.parametrize(
    ("name", "identity"),
    [
        (EMAIL, "ann@acme.example"),
        (x509.UniformResourceIdentifier("https://forge.example/ci.yaml@refs/tags/v1"), "https://forge.example/ci.yaml@refs/tags/v1"),
        (x509.OtherName(x509.ObjectIdentifier(f"{ARC}.7"), der.utf8("ann!acme")), "ann!acme"),
    ],
)  # fmt: skip
def test_names(name: x509.GeneralName, identity: str) -> None:
    found = read_identity(made([name], ISSUER))
    assert (found.kind, found.identity, found.issuer) == ("certificate", identity, "https://issuer.example")


def test_claims_old_and_new() -> None:
    extensions = {
        1: b"https://old.example",
        2: b"push",
        5: b"acme/shop",
        8: der.utf8("https://new.example"),
        9: der.utf8("https://forge.example/release.yaml"),
        13: der.utf8("5" * 40),
        22: der.utf8("private"),
        99: b"of a later version",
    }
    found = read_identity(made([EMAIL], extensions))
    assert found.issuer == "https://new.example"
    assert found.claims == {
        "github_workflow_trigger": "push",
        "github_workflow_repository": "acme/shop",
        "build_signer_uri": "https://forge.example/release.yaml",
        "source_repository_digest": "5" * 40,
        "source_repository_visibility_at_signing": "private",
    }
    assert read_identity(made([EMAIL], {1: b"https://old.example"})).issuer == "https://old.example"


@pytest.mark.parametrize(
    ("names", "extensions", "said"),
    [
        ([], ISSUER, "no subject alternative name"),
        ([EMAIL, EMAIL], ISSUER, "2 subject alternative names"),
        ([x509.DNSName("acme.example")], ISSUER, "neither an e-mail"),
        ([x509.OtherName(x509.ObjectIdentifier("1.2.3"), der.utf8("ann"))], ISSUER, "neither an e-mail"),
        ([EMAIL], {}, "no OIDC issuer"),
        ([EMAIL], {8: b"no DER"}, ""),
        ([EMAIL], {1: b"\xff"}, ""),
    ],
)
def test_what_names_nobody(names: list[x509.GeneralName], extensions: dict[int, bytes], said: str) -> None:
    with pytest.raises(ValueError, match=said or None):
        read_identity(made(names, extensions))
