"""The field's own verifier reads what we write, and we read what it writes (sweep: cosign is built from its Go module)."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.conftest import unavailable

from flowctl_core.errors import VerificationError
from flowctl_core.models.signing import TrustedKey, TrustMaterial
from flowctl_core.package.push import push_layout
from flowctl_core.package.reference import parse_reference
from flowctl_core.package.registry import Registry
from flowctl_core.package.remote_referrers import fetch_referrers, push_referrers
from flowctl_core.sign.key_folder import KeyFolder
from flowctl_core.verify.bundle import verify_bundle

MODULE = "github.com/sigstore/cosign/v3/cmd/cosign@v3.1.2"
SCAN = "https://flowctl.dev/attestation/vulnerability-scan/v1"
pytestmark = [pytest.mark.sweep, pytest.mark.timeout(3600)]
TYPES = {"provenance": "slsaprovenance1", "sbom": "cyclonedx", "scan": SCAN}
FILE = "binaries/greeting-linux-amd64"


@pytest.fixture(scope="session")
def cosign_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """FLOWCTL_COSIGN, or the one on PATH, or one that is built now."""
    found = os.environ.get("FLOWCTL_COSIGN") or shutil.which("cosign")
    if found:
        return Path(found)
    if shutil.which("go") is None:
        unavailable("go, which builds cosign,")
    folder = tmp_path_factory.mktemp("cosign")
    subprocess.run(["go", "install", MODULE], env={**os.environ, "GOBIN": str(folder)}, check=True)
    return folder / "cosign"


@pytest.fixture
def cosign(cosign_program: Path, tmp_path: Path):
    def run(*words: str | Path) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "HOME": str(tmp_path), "COSIGN_PASSWORD": "", "COSIGN_YES": "true"}
        return subprocess.run([cosign_program, *words], cwd=tmp_path, env=environment, capture_output=True, text=True)

    return run


def ok(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def ours(signed, tmp_path: Path) -> Path:
    public = tmp_path / "ours.pub"
    public.write_text(KeyFolder(signed.keys).lives("default")[0].public_key)
    return public


@pytest.fixture
def theirs(cosign, tmp_path: Path) -> TrustMaterial:
    ok(cosign("generate-key-pair"))
    return TrustMaterial(keys=(TrustedKey(name="theirs", public_key=(tmp_path / "cosign.pub").read_text()),))


def digest_of(path: Path) -> str:
    from hashlib import sha256

    return f"sha256:{sha256(path.read_bytes()).hexdigest()}"


@pytest.mark.parametrize("path", [FILE, "metadata/checksums"], ids=["artifact", "checksums"])
def test_cosign_accepts_our_files(signed, cosign, ours: Path, path: str) -> None:
    bundle = signed.root / f"{path}.sigstore.json"
    words = ("verify-blob", "--key", ours, "--bundle", bundle, "--insecure-ignore-tlog")
    ok(cosign(*words, signed.root / path))
    assert cosign(*words, signed.root / "metadata/build-info.json").returncode != 0, "and no other file"


@pytest.mark.parametrize("name", TYPES)
def test_cosign_accepts_our_statements(signed, cosign, ours: Path, name: str) -> None:
    bundle = signed.root / f"metadata/attestations/{name}.sigstore.json"
    words = ("verify-blob-attestation", "--key", ours, "--insecure-ignore-tlog", "--bundle", bundle, "--type")
    ok(cosign(*words, TYPES[name], signed.root / FILE))
    assert cosign(*words, TYPES[name], signed.root / "metadata/build-info.json").returncode != 0
    assert cosign(*words, "spdx", signed.root / FILE).returncode != 0


@pytest.mark.requires_tool("docker-registry")
def test_cosign_accepts_our_images(signed, cosign, ours: Path, registry: str) -> None:
    layout, reference = signed.root / "containers/oci", f"{registry}/ours/greeting:1"
    push_layout(layout, reference)
    words = ("--key", ours, "--insecure-ignore-tlog=true")
    assert cosign("verify", *words, reference).returncode != 0, "nothing is attached yet"
    push_referrers(layout, reference)
    ok(cosign("verify", *words, reference))
    for kind in TYPES.values():
        ok(cosign("verify-attestation", *words, "--type", kind, reference))
    other = signed.keys / "other.pub"
    assert cosign("verify", "--key", other, "--insecure-ignore-tlog=true", reference).returncode != 0


def test_we_accept_what_cosign_signs(signed, cosign, theirs: TrustMaterial, tmp_path: Path) -> None:
    file = signed.root / FILE
    quiet = ("--key", "cosign.key", "--use-signing-config=false", "--tlog-upload=false")
    ok(cosign("sign-blob", *quiet, "--bundle", "b.json", file))
    verdict = verify_bundle((tmp_path / "b.json").read_bytes(), digest_of(file), theirs)
    assert (verdict.content, verdict.signer.key_name, verdict.tlog) == ("signature", "theirs", "none")
    with pytest.raises(VerificationError):
        verify_bundle((tmp_path / "b.json").read_bytes(), "sha256:" + "0" * 64, theirs)
    (tmp_path / "predicate.json").write_text('{"bomFormat": "CycloneDX", "specVersion": "1.6"}')
    ok(
        cosign(
            "attest-blob", *quiet, "--predicate", "predicate.json", "--type", "cyclonedx", "--bundle", "a.json", file
        )
    )
    verdict = verify_bundle((tmp_path / "a.json").read_bytes(), digest_of(file), theirs)
    assert verdict.content == "statement" and "https://cyclonedx.org/bom" in (verdict.statement or "")


@pytest.mark.requires_tool("docker-registry")
def test_we_accept_the_images_that_cosign_signs(signed, cosign, theirs: TrustMaterial, registry: str) -> None:
    reference = f"{registry}/theirs/greeting:1"
    digest = push_layout(signed.root / "containers/oci", reference).digest
    name = f"{registry}/theirs/greeting@{digest}"
    ok(cosign("sign", "--key", "cosign.key", "--use-signing-config=false", "--tlog-upload=false", name))
    with Registry(parse_reference(reference)) as asked:
        (referrer,) = fetch_referrers(asked, digest)
    verdict = verify_bundle(referrer.bundle.encode(), digest, theirs)
    assert verdict.signer.key_name == "theirs"
    assert referrer.predicate_type == "https://sigstore.dev/cosign/sign/v1"
