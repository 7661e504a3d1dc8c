"""Attestations of images in a real registry: pushed after the images, found again, and verified there."""

from __future__ import annotations

import json
import shutil
import urllib.request
from dataclasses import replace
from pathlib import Path

import pytest

from flowctl_core.errors import ImageError
from flowctl_core.package.push import push_layout
from flowctl_core.package.remote_referrers import push_referrers
from flowctl_core.verify.checks import run_checks
from flowctl_core.verify.image import gather_image

from .conftest import policy_of

pytestmark = pytest.mark.requires_tool("docker-registry", "busybox")


def fetch(url: str) -> dict:
    request = urllib.request.Request(url, headers={"Accept": "application/vnd.oci.image.index.v1+json"})
    with urllib.request.urlopen(request) as answer:
        return dict(json.load(answer))


def fallback(registry: str, name: str, digest: str) -> list[dict]:
    return list(fetch(f"http://{registry}/v2/{name}/manifests/{digest.replace(':', '-')}")["manifests"])


def test_what_was_pushed_is_found_and_verified(signed, registry: str) -> None:
    layout, reference = signed.root / "containers/oci", f"{registry}/greeting:1.2.0"
    pushed = push_layout(layout, reference)
    assert push_referrers(layout, reference) == 8
    # This registry has no referrers API: what it has is the index under the fallback tag.
    entries = fallback(registry, "greeting", pushed.digest)
    assert {each["artifactType"] for each in entries} == {"application/vnd.dev.sigstore.bundle.v0.3+json"}
    assert {each["annotations"]["dev.sigstore.bundle.predicateType"] for each in entries} == {
        "https://sigstore.dev/cosign/sign/v1",
        "https://slsa.dev/provenance/v1",
        "https://cyclonedx.org/bom",
        "https://flowctl.dev/attestation/vulnerability-scan/v1",
    }
    outcome = run_checks(lambda: gather_image(reference, "greeting", "1.2.0"), signed.policy, signed.trust)
    assert outcome.failure is None


def test_pushing_again_lists_nothing_twice(signed, registry: str) -> None:
    layout, reference = signed.root / "containers/oci", f"{registry}/again:1"
    digest = push_layout(layout, reference).digest
    push_referrers(layout, reference)
    before = fallback(registry, "again", digest)
    push_referrers(layout, reference)
    assert fallback(registry, "again", digest) == before


def test_what_others_attached_stays(signed, sign_with, registry: str) -> None:
    layout, reference = signed.root / "containers/oci", f"{registry}/others:1"
    digest = push_layout(layout, reference).digest
    push_referrers(layout, reference)
    before = fallback(registry, "others", digest)
    sign_with(signed, "other")
    push_referrers(layout, reference)
    after = fallback(registry, "others", digest)
    assert after[: len(before)] == before and len(after) == 2 * len(before)


def test_a_registry_that_has_not_the_images(signed, tmp_path: Path) -> None:
    with pytest.raises(ImageError):
        push_referrers(signed.root / "containers/oci", "127.0.0.1:9/nobody:1")


def test_what_others_sign_hides_nothing(signed, sign_with, registry: str) -> None:
    """Whoever may push may attach a bundle: the one that the policy allows is found among them, before and after."""
    reference = f"{registry}/acme/shared:1"
    push_layout(signed.root / "containers/oci", reference)
    push_referrers(signed.root / "containers/oci", reference)
    other = replace(signed, root=signed.root.with_name("other"))
    shutil.copytree(signed.root, other.root)
    sign_with(other, "other")
    push_referrers(other.root / "containers/oci", reference)
    found = gather_image(reference, "greeting", None)
    assert all(len(found.others[name]) == 1 for name in found.digests)
    for allowed in ("default", "other"):
        signers = ({"key": allowed},)
        outcome = run_checks(
            lambda: gather_image(reference, "greeting", None),
            policy_of(signed.trust, {"pattern": "greeting", "signers": signers}),
            signed.trust,
        )
        assert outcome.failure is None, outcome.failure
        assert {verdict.signer.key_name for verdict in outcome.verdicts.values()} == {allowed}
