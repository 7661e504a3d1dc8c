"""What signing a release writes, and what it leaves alone."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from hashlib import sha256
from pathlib import Path

import pytest

from flowctl_core.errors import PluginError, SigningError, UsageError, VerificationError
from flowctl_core.hookspecs import hookimpl
from flowctl_core.models import Attestation, SigningRequest, Subject
from flowctl_core.plugins.call import InProcessCaller
from flowctl_core.plugins.discovery import PluginReference
from flowctl_core.plugins.manager import load_plugins
from flowctl_core.sign.key_folder import KeyFolder
from flowctl_core.sign.release import leave_unsigned, sign_release
from flowctl_core.sign.released import read_released
from flowctl_core.sign.statements import release_statements
from flowctl_core.sign.unsigned import unsigned_copy


def contents(root: Path) -> dict[str, str]:
    return {
        path.relative_to(root).as_posix(): sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def test_what_is_written(signed) -> None:
    files = contents(signed.root)
    assert "binaries/greeting-linux-amd64.sigstore.json" in files
    assert "metadata/checksums.sigstore.json" in files
    for name in ("provenance", "sbom", "scan"):
        assert f"metadata/attestations/{name}.sigstore.json" in files
    bundle = json.loads((signed.root / "binaries/greeting-linux-amd64.sigstore.json").read_bytes())
    assert bundle["mediaType"] == "application/vnd.dev.sigstore.bundle.v0.3+json"
    assert bundle["messageSignature"]["messageDigest"]["algorithm"] == "SHA2_256"
    hint = KeyFolder(signed.keys).lives("default")[0].hint
    assert bundle["verificationMaterial"] == {"publicKey": {"hint": hint}, "tlogEntries": []}


def test_the_users_own_check_still_holds(signed) -> None:
    subprocess.run(["sha256sum", "--check", "--quiet", "--strict", "metadata/checksums"], cwd=signed.root, check=True)


def test_the_copy_of_the_index_is_still_one(signed) -> None:
    info = json.loads((signed.root / "metadata/build-info.json").read_bytes())
    data = (signed.root / "containers/manifest.json").read_bytes()
    assert f"sha256:{sha256(data).hexdigest()}" == info["images"]["index"]


def test_without_signatures_it_is_what_was_built(signed, unsigned: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    assert contents(unsigned_copy(signed.root, bare)) == contents(unsigned / "dist")
    assert signed.verify().failure is None, "the copy shares nothing with it that was changed"


def test_signing_again_changes_nothing_but_signatures(signed, sign_with) -> None:
    before = contents(signed.root)
    sign_with(signed, "default")
    after = contents(signed.root)
    stays = {path for path in before if before[path] == after.get(path)}
    assert {path for path in before if not path.endswith(".sigstore.json") and "/blobs/" not in path} - stays <= {
        "containers/oci/index.json",
        "metadata/checksums",
    }
    assert len(after) == len(before), "what referred to the old signatures is gone"
    assert signed.verify().failure is None


def test_the_provenance(signed) -> None:
    released = read_released(signed.root)
    text = release_statements(released, "https://example.org/builder")["provenance"]
    statement = json.loads(text)
    definition = statement["predicate"]["buildDefinition"]
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=signed.component, capture_output=True, text=True, check=True
    ).stdout.strip()
    assert definition["externalParameters"]["commit"] == commit
    assert definition["externalParameters"]["component"] == "greeting"
    assert definition["internalParameters"]["fetchRanCode"] == []
    source, *others = definition["resolvedDependencies"]
    assert source["digest"]["gitCommit"] == commit
    kinds = {each["annotations"]["kind"] for each in others if "annotations" in each}
    assert {"tool", "builder"} <= kinds
    assert statement["predicate"]["runDetails"]["builder"]["id"] == "https://example.org/builder"
    assert {each["name"] for each in statement["subject"]} == {"greeting-linux-amd64", "index", "linux/amd64"}


def test_every_image_is_referred_to(signed) -> None:
    index = json.loads((signed.root / "containers/oci/index.json").read_bytes())
    image, *referrers = index["manifests"]
    assert "artifactType" not in image and len(referrers) == 8
    blobs = signed.root / "containers/oci/blobs"
    about = set()
    for entry in referrers:
        manifest = json.loads((blobs / entry["digest"].replace(":", "/")).read_bytes())
        assert manifest["artifactType"] == manifest["layers"][0]["mediaType"]
        assert manifest["config"]["mediaType"] == "application/vnd.oci.empty.v1+json"
        subject = (blobs / manifest["subject"]["digest"].replace(":", "/")).read_bytes()
        assert len(subject) == manifest["subject"]["size"]
        about.add((manifest["subject"]["digest"], manifest["annotations"]["dev.sigstore.bundle.predicateType"]))
        bundle = json.loads((blobs / manifest["layers"][0]["digest"].replace(":", "/")).read_bytes())
        payload = json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))
        digests = {f"sha256:{each['digest']['sha256']}" for each in payload["subject"]}
        assert manifest["subject"]["digest"] in digests
    assert len(about) == 8


@pytest.mark.parametrize(
    "changed",
    [
        "binaries/greeting-linux-amd64",
        "metadata/sbom.cdx.json",
        "metadata/security-scan.json",
        "metadata/build-info.json",
        "metadata/checksums",
        "containers/manifest.json",
        "a layer",
    ],
)
@pytest.mark.parametrize("again", [False, True])
def test_a_file_that_was_changed_is_never_signed(
    unsigned: Path, signed, tmp_path: Path, changed: str, again: bool
) -> None:
    release = tmp_path / "release"
    shutil.copytree(signed.root if again else unsigned / "dist", release)
    blobs = (release / "containers/oci/blobs/sha256").iterdir()
    path = max(blobs, key=lambda blob: blob.stat().st_size) if changed == "a layer" else release / changed
    text = path.read_bytes()
    path.write_bytes(b"0" * 64 + text[64:] if changed == "metadata/checksums" else text + b" ")
    before = contents(release)
    request = SigningRequest(key=str(signed.keys / "default.key"))
    with pytest.raises(VerificationError, match="is not what the build recorded") as failure:
        sign_release(release, InProcessCaller(load_plugins()), request)
    assert failure.value.check == "digest"
    assert contents(release) == before


def test_a_list_that_leads_out_of_the_release(signed) -> None:
    with (signed.root / "metadata/checksums").open("a") as file:
        file.write(f"{'0' * 64}  ../component.yaml\n")
    with pytest.raises(VerificationError, match="outside the release"):
        sign_release(signed.root, InProcessCaller(load_plugins()), SigningRequest())


def test_what_is_no_release(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is no release"):
        sign_release(tmp_path, InProcessCaller(load_plugins()), SigningRequest())


@pytest.mark.parametrize("name", ["command", "nobody"])
def test_what_is_no_signer(signed, name: str) -> None:
    with pytest.raises((SigningError, PluginError)):
        sign_release(signed.root, InProcessCaller(load_plugins()), SigningRequest(signer=name))
    assert signed.verify().failure is None


class Forgetful:
    """A signer that answers for others than it was asked."""

    contract = 3

    @hookimpl
    def flowctl_sign(self, subjects: tuple[Subject, ...]) -> tuple[Attestation, ...]:
        return tuple(Attestation(subject=each, bundle="{}") for each in subjects[1:])


def test_a_signer_that_forgets_one(signed) -> None:
    manager = load_plugins(extra=[PluginReference("forgetful", plugin=Forgetful())])
    with pytest.raises(PluginError, match="for each subject"):
        sign_release(signed.root, InProcessCaller(manager), SigningRequest(signer="forgetful"))


def test_the_one_who_leaves_it_unsigned_says_so(signed) -> None:
    leave_unsigned(signed.root, "because")
    assert (signed.root / "metadata/attestations/UNSIGNED").read_text() == "because\n"
    assert not list(signed.root.rglob("*.sigstore.json"))
