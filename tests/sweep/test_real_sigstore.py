"""Keyless signing with the Sigstore project's own services, and verification of what comes out."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from flowctl_core.errors import SigningError, VerificationError
from flowctl_core.models import SigningRequest, Subject
from flowctl_core.models.signing import TrustMaterial
from flowctl_core.sign.keyless import plugin
from flowctl_core.verify.bundle import verify_bundle
from sigstore_instance import running
from sigstore_instance.issuer import REPOSITORY, SUBJECT

from .real_sigstore import MODULES, RealSigstore, build, real_sigstore

pytestmark = [pytest.mark.sweep, pytest.mark.timeout(3600), pytest.mark.requires_tool("go")]
FILE = b"the bytes of a program\n"
DIGEST = f"sha256:{hashlib.sha256(FILE).hexdigest()}"
STATEMENT = json.dumps(
    {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "program", "digest": {"sha256": DIGEST[7:]}}],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {},
    }
)


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealSigstore]:
    built = Path(os.environ.get("FLOWCTL_SIGSTORE_PROGRAMS") or tmp_path_factory.mktemp("programs"))
    assert shutil.which("go"), "go builds the services"
    programs = {name: build(name, built) for name in MODULES}
    with running() as issuer, real_sigstore(programs, tmp_path_factory.mktemp("services"), issuer) as found:
        yield found


@pytest.fixture
def config(services: RealSigstore, tmp_path: Path) -> str:
    path = tmp_path / "trust-config.json"
    path.write_text(json.dumps(services.trust_config()))
    return str(path)


def test_the_real_services_sign_and_we_verify(
    services: RealSigstore, config: str, monkeypatch: pytest.MonkeyPatch, record_property: Callable[[str, object], None]
) -> None:
    monkeypatch.setenv("SIGSTORE_ID_TOKEN", services.issuer.issuer.token())
    subjects = (Subject(name="program", digest=DIGEST), Subject(name="program", digest=DIGEST, statement=STATEMENT))
    signed = plugin.flowctl_sign(subjects, SigningRequest(signer="keyless", trust_config=config))
    assert signed is not None
    trust = TrustMaterial(trusted_roots=(json.dumps(services.trusted_root()),))
    for attestation, content in zip(signed, ("signature", "statement"), strict=True):
        raw = attestation.bundle.encode()
        verdict = verify_bundle(raw, DIGEST, trust, require_tlog=True, require_timestamp=True)
        assert (verdict.content, verdict.tlog, verdict.timestamp) == (content, "verified", "rfc3161")
        assert (verdict.signer.identity, verdict.signer.issuer) == (SUBJECT, services.issuer.issuer.url)
        assert verdict.signer.claims["source_repository_uri"] == REPOSITORY
        with pytest.raises(VerificationError):
            verify_bundle(raw, f"sha256:{hashlib.sha256(b'other').hexdigest()}", trust)
        with running() as other, pytest.raises(VerificationError):
            verify_bundle(raw, DIGEST, TrustMaterial(trusted_roots=(json.dumps(other.trusted_root()),)))
    record_property("detail", ", ".join(MODULES.values()))


def test_fulcios_own_words(services: RealSigstore, config: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with running() as other:
        monkeypatch.setenv("SIGSTORE_ID_TOKEN", other.issuer.token())
        with pytest.raises(SigningError) as caught:
            plugin.flowctl_sign(
                (Subject(name="program", digest=DIGEST),), SigningRequest(signer="keyless", trust_config=config)
            )
    assert services.urls["fulcio"] in caught.value.message
    assert "answers 40" in caught.value.message
