"""sigstore-conformance's vectors: the folder's name is the verdict (its README names the files)."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest

from flowctl_core.errors import TrustError, VerificationError
from flowctl_core.models.policy import NamespaceRule, SignerRule
from flowctl_core.models.signing import BundleVerdict, TrustedKey, TrustMaterial
from flowctl_core.verify.bundle import verify_bundle
from flowctl_core.verify.policy import check_identity

IDENTITY = (
    "https://github.com/sigstore-conformance/extremely-dangerous-public-oidc-beacon"
    "/.github/workflows/extremely-dangerous-oidc-beacon.yml@refs/heads/main"
)
ISSUER = "https://token.actions.githubusercontent.com"
NUMBER = 48
"""Of vectors. Every one of them applies: no vector is left out."""
MALFORMED_KEY = {"managed-key-wrong-key_fail"}
"""Its key is no key at all, which is told as a fault of the trust material."""


def _vectors(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir())


def _text(folder: Path, name: str, otherwise: str) -> str:
    file = folder / name
    return file.read_text(encoding="utf-8").strip() if file.exists() else otherwise


def _public_good() -> str:
    """The public instance's trusted root, as sigstore-python carries it."""
    import sigstore

    (root,) = Path(sigstore.__file__).parent.glob("_store/https%3A%2F%2Ftuf-repo-cdn.sigstore.dev/trusted_root.json")
    return root.read_text(encoding="utf-8")


def _verify(vector: Path) -> BundleVerdict:
    artifact = vector / "artifact"
    data = (artifact if artifact.exists() else vector.parent / "a.txt").read_bytes()
    key, root = vector / "key.pub", vector / "trusted_root.json"
    keys = (TrustedKey(name="key.pub", public_key=key.read_text(encoding="utf-8")),) if key.exists() else ()
    roots = (_text(vector, root.name, ""),) if root.exists() else () if keys else (_public_good(),)
    verdict = verify_bundle(
        (vector / "bundle.sigstore.json").read_bytes(),
        f"sha256:{sha256(data).hexdigest()}",
        TrustMaterial(keys=keys, trusted_roots=roots),
    )
    if verdict.signer.kind == "certificate":
        rule = SignerRule(identity=_text(vector, "identity", IDENTITY), issuer=_text(vector, "issuer", ISSUER))
        check_identity(NamespaceRule(pattern="**", signers=(rule,)), verdict.signer, "the artifact")
    return verdict


def test_every_vector(shared_data: Path, subtests: pytest.Subtests) -> None:
    vectors = _vectors(shared_data / "sigstore-conformance")
    assert len(vectors) == NUMBER, "vectors were added or are missing"
    for vector in vectors:
        with subtests.test(vector.name):
            if vector.name in MALFORMED_KEY:
                with pytest.raises(TrustError):
                    _verify(vector)
            elif vector.name.endswith("_fail"):
                with pytest.raises(VerificationError) as failure:
                    _verify(vector)
                assert failure.value.message.startswith(f"check {failure.value.check} failed: ")
            else:
                assert _verify(vector)


def test_a_managed_key_with_a_log_entry_is_told_as_such(shared_data: Path) -> None:
    verdict = _verify(shared_data / "sigstore-conformance" / "managed-key-and-trusted-root")
    assert (verdict.tlog, verdict.signer.kind) == ("verified", "key")
    assert verdict.signed_at is not None and verdict.timestamp in ("tlog", "rfc3161")
    bare = _verify(shared_data / "sigstore-conformance" / "managed-key-happy-path")
    assert bare.signer.key_name == "key.pub" and bare.signer.key_hint
