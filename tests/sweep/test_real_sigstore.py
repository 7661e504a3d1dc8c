"""Keyless signing with the Sigstore project's own services, and verification of what comes out."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from flowctl_core.errors import SigningError, VerificationError
from flowctl_core.models import SigningRequest, Subject
from flowctl_core.models.signing import TrustedKey, TrustMaterial
from flowctl_core.sign.keyless import plugin
from flowctl_core.verify.bundle import verify_bundle
from sigstore_instance import running
from sigstore_instance.issuer import REPOSITORY, SUBJECT

from .real_sigstore import COSIGN, MODULES, RealSigstore, build, real_sigstore

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
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where programs are built: kept from run to run where FLOWCTL_SIGSTORE_PROGRAMS names a folder."""
    return Path(os.environ.get("FLOWCTL_SIGSTORE_PROGRAMS") or tmp_path_factory.mktemp("programs"))


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory, built: Path) -> Iterator[RealSigstore]:
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


class Cosign:
    """cosign against the services, in a folder with the file, its trusted root and signing config."""

    def __init__(self, program: Path, folder: Path, services: RealSigstore) -> None:
        self._program, self._services, self.folder = program, services, folder
        (folder / "program").write_bytes(FILE)
        (folder / "predicate.json").write_text("{}")
        config = services.trust_config()
        (folder / "root.json").write_text(json.dumps(config["trustedRoot"]))
        (folder / "signing.json").write_text(json.dumps(config["signingConfig"]))

    def __call__(self, *arguments: str, fails: bool = False) -> str:
        environment = os.environ | {"COSIGN_PASSWORD": "", "HOME": str(self.folder)}
        done = subprocess.run(
            [self._program, *arguments], cwd=self.folder, env=environment, capture_output=True, text=True, timeout=120
        )
        assert (done.returncode != 0) == fails, f"{arguments}: {done.stdout}\n{done.stderr}"
        return done.stderr

    @property
    def identity(self) -> list[str]:
        issuer = self._services.issuer.issuer.url
        return [f"--certificate-identity={SUBJECT}", f"--certificate-oidc-issuer={issuer}"]


@pytest.fixture(scope="module")
def cosign(services: RealSigstore, built: Path, tmp_path_factory: pytest.TempPathFactory) -> Cosign:
    return Cosign(build("cosign", built, COSIGN), tmp_path_factory.mktemp("cosign"), services)


def test_cosign_accepts_what_we_sign(
    services: RealSigstore, config: str, cosign: Cosign, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIGSTORE_ID_TOKEN", services.issuer.issuer.token())
    subjects = (Subject(name="program", digest=DIGEST), Subject(name="program", digest=DIGEST, statement=STATEMENT))
    signed = plugin.flowctl_sign(subjects, SigningRequest(signer="keyless", trust_config=config))
    assert signed is not None
    for name, attestation in zip(("file", "statement"), signed, strict=True):
        (cosign.folder / f"{name}.json").write_text(attestation.bundle)
    (cosign.folder / "other").write_bytes(b"other bytes")
    known = ["--trusted-root=root.json", *cosign.identity]
    cosign("verify-blob", "--bundle=file.json", *known, "program")
    cosign("verify-blob", "--bundle=file.json", *known, "other", fails=True)
    typed = ["--bundle=statement.json", "--type=slsaprovenance1", *known]
    cosign("verify-blob-attestation", *typed, "program")
    cosign("verify-blob-attestation", *typed, "other", fails=True)


@pytest.mark.parametrize("signer", ["key", "identity"])
def test_we_accept_what_cosign_signs(services: RealSigstore, cosign: Cosign, signer: str) -> None:
    (cosign.folder / "token").write_text(services.issuer.issuer.token())
    with_signer = ["--identity-token=token"]
    keys: tuple[TrustedKey, ...] = ()
    if signer == "key":
        cosign("generate-key-pair")
        with_signer = ["--key=cosign.key"]
        keys = (TrustedKey(name="publisher", public_key=(cosign.folder / "cosign.pub").read_text()),)
    common = [*with_signer, "--signing-config=signing.json", "--trusted-root=root.json", "--yes"]
    cosign("sign-blob", *common, "--bundle=blob.json", "program")
    attest = ["--type=slsaprovenance1", "--predicate=predicate.json", "--bundle=attestation.json"]
    cosign("attest-blob", *common, *attest, "program")
    trust = TrustMaterial(keys=keys, trusted_roots=(json.dumps(services.trusted_root()),))
    for name, content in (("blob.json", "signature"), ("attestation.json", "statement")):
        raw = (cosign.folder / name).read_bytes()
        verdict = verify_bundle(raw, DIGEST, trust, require_tlog=True, require_timestamp=True)
        assert (verdict.content, verdict.tlog, verdict.timestamp) == (content, "verified", "rfc3161")
        assert verdict.signer.key_name == ("publisher" if signer == "key" else "")
        with pytest.raises(VerificationError):
            verify_bundle(raw, f"sha256:{hashlib.sha256(b'other').hexdigest()}", trust)
        with pytest.raises(VerificationError):
            verify_bundle(raw, DIGEST, trust.model_copy(update={"keys": (), "trusted_roots": ()}))
