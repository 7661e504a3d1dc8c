"""The verdicts of sigstore-conformance's vectors (https://github.com/sigstore/sigstore-conformance): the folder's name says."""

from __future__ import annotations

import hashlib
import importlib.resources
from pathlib import Path

import pytest

from flowctl_core.errors import TrustError, VerificationError
from flowctl_core.models.signing import TrustedKey, TrustMaterial
from flowctl_core.verify.bundle import verify_bundle

IDENTITY = (
    "https://github.com/sigstore-conformance/extremely-dangerous-public-oidc-beacon/.github/workflows/"
    "extremely-dangerous-oidc-beacon.yml@refs/heads/main"
)
ISSUER = "https://token.actions.githubusercontent.com"
OLD_ENTRY_TYPE = {
    "intoto-expired-certificate_fail",
    "intoto-log-entry-mismatch_fail",
    "intoto-set-outside-signing-cert-validity_fail",
    "intoto-tsa-timestamp-outside-cert-validity_fail",
}
"""Rejected as they must be, yet for their entry's type, `intoto/0.0.2`, which sigstore-python reads no more: what they were
made to show is never reached. All other vectors apply as they are."""
VECTORS = 48


def public_root() -> str:
    """The public instance's trusted root, as sigstore-python carries it."""
    store = importlib.resources.files("sigstore._store")
    return store.joinpath("https%3A%2F%2Ftuf-repo-cdn.sigstore.dev", "trusted_root.json").read_text()


@pytest.fixture(scope="module")
def vectors(shared_data: Path) -> Path:
    return shared_data / "sigstore-conformance"


def judge(folder: Path) -> str | None:
    """None when accepted, else why not."""

    def text(name: str, default: str) -> str:
        return (folder / name).read_text().strip() if (folder / name).is_file() else default

    artifact = folder / "artifact"
    digest = hashlib.sha256((artifact if artifact.is_file() else folder.parent / "a.txt").read_bytes()).hexdigest()
    key = text("key.pub", "")
    trust = TrustMaterial(
        keys=(TrustedKey(name="vector", public_key=key),) if key else (),
        trusted_roots=(text("trusted_root.json", "") or public_root(),),
    )
    try:
        verdict = verify_bundle((folder / "bundle.sigstore.json").read_bytes(), f"sha256:{digest}", trust)
    except VerificationError as error:
        return f"{error.check}: {error.message}"
    except TrustError as error:  # one vector's own key is no key
        return error.message
    if verdict.tlog != "verified" or verdict.signed_at is None:
        return "no log entry or time was verified"
    if key:
        return None if verdict.signer.key_name == "vector" else "another signer"
    if verdict.signer.identity != text("identity", IDENTITY) or verdict.signer.issuer != text("issuer", ISSUER):
        return f"identity: {verdict.signer.identity} by {verdict.signer.issuer}"
    return None


def test_every_vector_has_the_verdict_of_its_name(vectors: Path) -> None:
    folders = sorted(folder for folder in vectors.iterdir() if folder.is_dir())
    assert len(folders) == VECTORS
    verdicts = {folder.name: judge(folder) for folder in folders}
    wrong = {name: why or "accepted" for name, why in verdicts.items() if (why is not None) != name.endswith("_fail")}
    assert wrong == {}
    assert {name for name, why in verdicts.items() if why and "only supported for" in why} == OLD_ENTRY_TYPE
