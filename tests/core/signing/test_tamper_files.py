"""The tamper matrix of single files, of image layouts, and of releases without attestations."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from .resigned import resign, resign_checksums, strip_referrers

BINARY = "binaries/greeting-linux-amd64"
SIGNATURE = f"{BINARY}.sigstore.json"
PROVENANCE, SBOM, SCAN = (f"metadata/attestations/{name}.sigstore.json" for name in ("provenance", "sbom", "scan"))


def drop_attestations(signed: Any) -> Any:
    """The release as of one who makes none, and the rule of a client who wants none."""
    for path in (PROVENANCE, SBOM, SCAN):
        (signed.root / path).unlink()
    strip_referrers(signed.root)
    resign_checksums(signed)
    rule = dict(signed.policy.namespaces[0], require=(), pattern="**")
    return signed.policy.model_copy(update={"namespaces": (type(signed.policy.namespaces[0])(**rule),)})


@pytest.mark.parametrize(("named", "says"), [({"name": "other"}, "component"), ({"version": "9.9.9"}, "version")])
def test_another_name_or_version_without_provenance(signed, named: dict[str, str], says: str) -> None:
    policy = drop_attestations(signed)
    right = signed.verify(policy=policy, name="greeting", version="1.2.0")
    assert right.failure is None, right.failure
    failure = signed.verify(policy=policy, **named).failure
    assert failure is not None and failure.check == "statement" and f"the release is of {says}" in failure.message


def verify_file(signed: Any, path: Path, bundle: Path | None = None, version: str | None = None) -> Any:
    from flowctl_core.verify.checks import run_checks
    from flowctl_core.verify.file import gather_file

    rule = dict(signed.policy.namespaces[0], require=())
    policy = signed.policy.model_copy(update={"namespaces": (type(signed.policy.namespaces[0])(**rule),)})
    return run_checks(lambda: gather_file(path, bundle, "greeting", version), policy, signed.trust)


def test_a_version_that_nothing_proves(signed, tmp_path: Path) -> None:
    file = tmp_path / "far" / "away" / "greeting"
    file.parent.mkdir(parents=True)
    file.write_bytes((signed.root / BINARY).read_bytes())
    assert verify_file(signed, file, signed.root / SIGNATURE).failure is None
    failure = verify_file(signed, file, signed.root / SIGNATURE, "9.9.9").failure
    assert failure.check == "statement" and "nothing proves that it is version 9.9.9" in failure.message


def test_one_file_in_the_place_of_another(signed) -> None:
    """Both are signed, by the right signer; the attestations tell them apart."""
    name = Path(BINARY).name

    def two(document: dict[str, Any]) -> None:
        (one,) = (each for each in document["subject"] if each["name"] == name)
        document["subject"].append({"name": "greeting-linux-arm64", "digest": one["digest"]})
        one["digest"] = {"sha256": "1" * 64}

    assert verify_file(signed, signed.root / BINARY).failure is None
    resign(signed, PROVENANCE, two)
    failure = verify_file(signed, signed.root / BINARY).failure
    assert failure.check == "statement" and f"names another {name} than this one" in failure.message


def test_a_file_of_a_release_that_was_left_unsigned(signed) -> None:
    from flowctl_core.sign.release import leave_unsigned

    leave_unsigned(signed.root, "build.remote.sign_artifacts is false")
    failure = verify_file(signed, signed.root / BINARY).failure
    assert failure.check == "signature" and "left unsigned" in failure.message


@pytest.mark.parametrize("path", [BINARY, SIGNATURE, "metadata/build-info.json", "metadata/checksums", PROVENANCE])
def test_a_pipe_is_not_waited_for(signed, path: str) -> None:
    (signed.root / path).unlink()
    os.mkfifo(signed.root / path)
    failure = signed.verify().failure
    assert failure is not None and failure.check in ("digest", "signature", "statement")


def test_a_layout_by_itself(signed) -> None:
    from flowctl_core.verify.checks import run_checks
    from flowctl_core.verify.layout import gather_layout, is_layout

    layout = signed.root / "containers/oci"
    assert is_layout(layout)
    done = run_checks(lambda: gather_layout(layout, "greeting", "1.2.0"), signed.policy, signed.trust)
    assert done.failure is None and set(done.verdicts) >= {"index", "linux/amd64"}
    assert set(done.attestations) == {"provenance", "sbom", "scan"}


def test_each_blob_of_a_layout_by_itself(signed) -> None:
    from flowctl_core.verify.checks import run_checks
    from flowctl_core.verify.layout import gather_layout

    layout = signed.root / "containers/oci"
    tried = 0
    for file in sorted((layout / "blobs/sha256").iterdir()):
        whole = file.read_bytes()
        if whole == b"{}":
            continue  # the empty configuration of referrers: nobody reads it
        middle = len(whole) // 2
        file.unlink()
        file.write_bytes(whole[:middle] + bytes((whole[middle] ^ 1,)) + whole[middle + 1 :])
        failure = run_checks(lambda: gather_layout(layout, "greeting", None), signed.policy, signed.trust).failure
        assert failure is not None and f"check {failure.check} failed: " in failure.message, file.name
        file.write_bytes(whole)
        tried += 1
    assert tried >= 8


def hostile_referrer(root: Path, change: dict[str, Any]) -> None:
    """One referrer more, well named, that leads somewhere else."""
    layout = root / "containers/oci"
    index = json.loads((layout / "index.json").read_bytes())
    entry = next(each for each in index["manifests"] if "artifactType" in each)
    manifest = json.loads((layout / "blobs" / entry["digest"].replace(":", "/")).read_bytes())
    for part, digest in change.items():
        (manifest["config"] if part == "config" else manifest["layers"][0])["digest"] = digest
    data = json.dumps(manifest).encode()
    name = sha256(data).hexdigest()
    (layout / "blobs/sha256" / name).write_bytes(data)
    index["manifests"].append({**entry, "digest": f"sha256:{name}", "size": len(data)})
    (layout / "index.json").write_text(json.dumps(index))


@pytest.mark.parametrize("digest", ["/dev/zero", "sha256:../../../../metadata/checksums", "", "sha256:" + "0" * 64, 7])
def test_a_referrer_that_leads_elsewhere(signed, digest: Any) -> None:
    from flowctl_core.verify.checks import run_checks
    from flowctl_core.verify.layout import gather_layout

    hostile_referrer(signed.root, {"layer": digest})
    layout = signed.root / "containers/oci"
    failure = run_checks(lambda: gather_layout(layout, "greeting", None), signed.policy, signed.trust).failure
    assert failure is not None and failure.check == "signature"


def test_signing_again_removes_nothing_outside_the_layout(signed, tmp_path: Path) -> None:
    from flowctl_core.errors import ImageError
    from flowctl_core.package.referrers import write_referrers

    mine = tmp_path / "mine"
    mine.write_text("keep")
    hostile_referrer(signed.root, {"config": str(mine)})
    with pytest.raises(ImageError, match="no digest"):
        write_referrers(signed.root / "containers/oci", ())
    assert mine.read_text() == "keep"


def test_a_layout_on_the_command_line(signed, tmp_path: Path) -> None:
    command = [Path(sys.prefix) / "bin" / "flowctl", "verify", signed.root / "containers/oci"]
    key = ["--key", signed.keys / "default.pub", "-o", "json"]
    environment = {**os.environ, "HOME": str(tmp_path)}
    unnamed = subprocess.run([*command, *key], env=environment, capture_output=True, text=True)
    assert unnamed.returncode == 2 and "--name" in unnamed.stdout + unnamed.stderr
    done = subprocess.run([*command, *key, "--name", "greeting"], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["kind"] == "image" and found["verified"] and found["version"] == "1.2.0"
