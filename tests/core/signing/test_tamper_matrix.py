"""Whatever is changed about a signed release, verification fails, and the message names the check that failed."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from flowctl_core.errors import VerificationError
from flowctl_core.models.policy import Policy
from flowctl_core.models.signing import TrustMaterial
from flowctl_core.sign.statements import statement

from .resigned import resign, resign_checksums, strip_referrers

BINARY = "binaries/greeting-linux-amd64"
SIGNATURE = f"{BINARY}.sigstore.json"
ATTESTATIONS = "metadata/attestations"
PROVENANCE, SBOM, SCAN = (f"{ATTESTATIONS}/{name}.sigstore.json" for name in ("provenance", "sbom", "scan"))

Edit = Callable[[dict[str, Any]], None]


def edit(root: Path, path: str, change: Edit) -> None:
    document = json.loads((root / path).read_bytes())
    change(document)
    (root / path).write_text(json.dumps(document))


def flip(text: str) -> str:
    """Base64 of the same bytes with one bit changed in the middle."""
    data = bytearray(base64.b64decode(text))
    data[len(data) // 2] ^= 1
    return base64.b64encode(data).decode()


def rejected(signed: Any, check: str, *words: str, **changed: Any) -> None:
    outcome = signed.verify(**changed)
    failure = outcome.failure
    assert isinstance(failure, VerificationError), "it was accepted"
    assert failure.check == check, failure.message
    assert f"check {check} failed: " in failure.message
    for word in words:
        assert word in failure.message
    verdicts = {each.check: each.verdict for each in outcome.checks}
    assert verdicts[check] == "failed" and len(verdicts) == 7
    order = list(verdicts)
    assert all(verdicts[later] == "not reached" for later in order[order.index(check) + 1 :])


def test_what_nobody_touched_is_accepted(signed) -> None:
    outcome = signed.verify(name="greeting", version="1.2.0")
    assert outcome.failure is None
    assert {each.check: each.verdict for each in outcome.checks} == {
        "digest": "passed",
        "signature": "passed",
        "tlog": "not required",
        "identity": "passed",
        "statement": "passed",
        "builder": "passed",
        "sbom": "passed",
    }
    assert outcome.attestations == ["provenance", "sbom", "scan"]


# Regions of a bundle by signature

SIGNATURE_CELLS: dict[str, Edit] = {
    "media type of nothing": lambda b: b.update(mediaType="application/json"),
    "no media type": lambda b: b.pop("mediaType"),
    "no material": lambda b: b.pop("verificationMaterial"),
    "no key": lambda b: b["verificationMaterial"].pop("publicKey"),
    "certificate instead": lambda b: b.update(
        verificationMaterial={"certificate": {"rawBytes": "AAAA"}, "tlogEntries": []}
    ),
    "signature": lambda b: b["messageSignature"].update(signature=flip(b["messageSignature"]["signature"])),
    "signature of no bytes": lambda b: b["messageSignature"].update(signature=""),
    "signature that is no base64": lambda b: b["messageSignature"].update(signature="%%%"),
    "no signature": lambda b: b.pop("messageSignature"),
    "digest": lambda b: b["messageSignature"]["messageDigest"].update(
        digest=flip(b["messageSignature"]["messageDigest"]["digest"])
    ),
    "algorithm": lambda b: b["messageSignature"]["messageDigest"].update(algorithm="SHA2_512"),
    "two contents": lambda b: b.update(
        dsseEnvelope={"payload": "e30=", "payloadType": "x", "signatures": [{"sig": "AAAA"}]}
    ),
}


@pytest.mark.parametrize("cell", SIGNATURE_CELLS)
def test_a_signature_bundle(signed, cell: str) -> None:
    edit(signed.root, SIGNATURE, SIGNATURE_CELLS[cell])
    rejected(signed, "signature", BINARY)


@pytest.mark.parametrize("hint", ["", "AAAA"], ids=["empty", "another's"])
def test_the_hint(signed, hint: str) -> None:
    edit(signed.root, SIGNATURE, lambda b: b["verificationMaterial"]["publicKey"].update(hint=hint))
    rejected(signed, "signature", BINARY)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b'{"a":' * 100_000,
        b'{"mediaType": 1, "mediaType": 2}',
        b" " * (17 << 20),
    ],
    ids=["empty", "cut", "list", "null", "no text", "deep", "twins", "huge"],
)
def test_a_bundle_that_is_none(signed, text: bytes) -> None:
    (signed.root / SIGNATURE).write_bytes(text)
    rejected(signed, "signature", BINARY)


def test_a_log_entry_that_is_broken(signed) -> None:
    edit(signed.root, SIGNATURE, lambda b: b["verificationMaterial"].update(tlogEntries=[{"logIndex": "1"}]))
    rejected(signed, "signature")


# Regions of an attestation

ENVELOPE_CELLS: dict[str, tuple[str, Edit]] = {
    "payload": ("statement", lambda e: e.update(payload=flip(e["payload"]))),
    "payload of no bytes": ("statement", lambda e: e.update(payload="")),
    "type": ("statement", lambda e: e.update(payloadType="text/plain")),
    "signature": ("signature", lambda e: e["signatures"][0].update(sig=flip(e["signatures"][0]["sig"]))),
    "no signature": ("signature", lambda e: e.update(signatures=[])),
    "two signatures": ("signature", lambda e: e.update(signatures=e["signatures"] * 2)),
}


@pytest.mark.parametrize("path", [PROVENANCE, SBOM, SCAN])
@pytest.mark.parametrize("cell", ENVELOPE_CELLS)
def test_an_attestation(signed, cell: str, path: str) -> None:
    check, change = ENVELOPE_CELLS[cell]
    edit(signed.root, path, lambda bundle: change(bundle["dsseEnvelope"]))
    outcome = signed.verify()
    assert outcome.failure is not None and outcome.failure.check in (check, "signature")


def test_a_payload_with_another_word(signed) -> None:
    """Still a statement about the same subjects, and not what was signed."""

    def change(bundle: dict[str, Any]) -> None:
        text = base64.b64decode(bundle["dsseEnvelope"]["payload"]).replace(b"1.2.0", b"1.3.0")
        bundle["dsseEnvelope"]["payload"] = base64.b64encode(text).decode()

    edit(signed.root, PROVENANCE, change)
    strip_referrers(signed.root)
    resign_checksums(signed)
    rejected(signed, "signature", "provenance")


# Files


def append(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"\0")


@pytest.mark.parametrize(
    "path",
    [
        BINARY,
        "metadata/build-info.json",
        "metadata/sbom.cdx.json",
        "metadata/security-scan.json",
        "metadata/component.yaml",
        "metadata/metadata.json",
        "containers/manifest.json",
        "containers/oci/index.json",
        "containers/oci/oci-layout",
    ],
)
@pytest.mark.parametrize("how", ["changed", "removed"])
def test_a_file(signed, path: str, how: str) -> None:
    file = signed.root / path
    assert file.is_file()
    append(file) if how == "changed" else file.unlink()
    rejected(signed, "digest")


@pytest.mark.parametrize("number", range(4))
def test_a_blob_of_the_image(signed, number: int) -> None:
    blobs = image_blobs(signed.root)
    append(blobs[number])
    rejected(signed, "digest")


def image_blobs(root: Path) -> list[Path]:
    """Index, manifest, configuration, layer."""
    folder = root / "containers" / "oci" / "blobs"
    info = json.loads((root / "metadata/build-info.json").read_bytes())["images"]
    image = info["images"][0]
    digests = [info["index"], image["digest"], image["config"], *image["layers"]]
    return [folder / digest.replace(":", "/") for digest in digests]


def test_a_file_that_nobody_signed(signed) -> None:
    (signed.root / "binaries" / "greeting-linux-arm64").write_bytes(b"x")
    rejected(signed, "digest", "greeting-linux-arm64")


def test_a_file_and_the_list_of_checksums(signed) -> None:
    """The list is signed, too; and what was built is in the provenance."""
    append(signed.root / BINARY)
    rewrite_checksums(signed.root)
    rejected(signed, "digest", BINARY)


def test_the_list_of_checksums(signed) -> None:
    append(signed.root / "metadata/component.yaml")
    rewrite_checksums(signed.root)
    rejected(signed, "signature", "metadata/checksums")


def rewrite_checksums(root: Path) -> None:
    from hashlib import sha256

    lines = []
    for line in (root / "metadata/checksums").read_text().splitlines():
        path = line.partition("  ")[2]
        lines.append(f"{sha256((root / path).read_bytes()).hexdigest()}  {path}\n")
    (root / "metadata/checksums").write_text("".join(lines))


@pytest.mark.parametrize("line", ["x  ../../etc/passwd", "x  /etc/passwd", "x", "x  "])
def test_a_list_that_leads_out(signed, line: str) -> None:
    with (signed.root / "metadata/checksums").open("a") as file:
        file.write(line + "\n")
    rejected(signed, "digest", "malformed")


@pytest.mark.parametrize("path", [SIGNATURE, "metadata/checksums.sigstore.json"])
def test_a_signature_that_is_missing(signed, path: str) -> None:
    (signed.root / path).unlink()
    rejected(signed, "signature", "there is no signature of")


@pytest.mark.parametrize("path", [PROVENANCE, SBOM, SCAN])
def test_an_attestation_that_is_missing(signed, path: str) -> None:
    (signed.root / path).unlink()
    strip_referrers(signed.root)
    outcome = signed.verify()
    assert outcome.failure is not None and outcome.failure.check in ("signature", "statement")


# Referrers


def referrers(root: Path) -> list[dict[str, Any]]:
    index = json.loads((root / "containers/oci/index.json").read_bytes())
    return [each for each in index["manifests"] if "artifactType" in each]


@pytest.mark.parametrize("part", ["manifest", "bundle"])
@pytest.mark.parametrize("number", range(8))
def test_a_referrer(signed, number: int, part: str) -> None:
    folder = signed.root / "containers/oci/blobs"
    file = folder / referrers(signed.root)[number]["digest"].replace(":", "/")
    if part == "bundle":
        file = folder / json.loads(file.read_bytes())["layers"][0]["digest"].replace(":", "/")
    append(file)
    rejected(signed, "signature")


def test_referrers_that_are_gone(signed) -> None:
    layout = signed.root / "containers/oci"
    index = json.loads((layout / "index.json").read_bytes())
    index["manifests"] = index["manifests"][:1]
    (layout / "index.json").write_text(json.dumps(index))
    rejected(signed, "digest", "index.json")


# Who signed


def test_a_wrong_key(signed, sign_with) -> None:
    sign_with(signed, "other")
    only_default = TrustMaterial(keys=signed.trust.keys[:1])
    rejected(signed, "signature", "a key that is not trusted", trust=only_default)


def test_no_key_at_all(signed) -> None:
    rejected(signed, "signature", "a key that is not trusted", trust=TrustMaterial())


def test_a_trusted_key_that_may_not_sign_for_this_one(signed, sign_with) -> None:
    """Another namespace's valid signature."""
    sign_with(signed, "other")
    rejected(signed, "identity", "the key other")


def test_one_file_that_another_signed(signed, sign_with) -> None:
    own = (signed.root / SIGNATURE).read_bytes()
    sign_with(signed, "other")
    others = (signed.root / SIGNATURE).read_bytes()
    sign_with(signed, "default")
    (signed.root / SIGNATURE).write_bytes(others)
    rejected(signed, "identity", BINARY)
    (signed.root / SIGNATURE).write_bytes(own)
    assert signed.verify().failure is None


def changed_key(trust: TrustMaterial, **update: Any) -> TrustMaterial:
    first, *others = trust.keys
    return TrustMaterial(keys=(first.model_copy(update=update), *others))


def test_a_revoked_key(signed) -> None:
    rejected(signed, "signature", "revoked", trust=changed_key(signed.trust, revoked=True))


def test_an_expired_key(signed) -> None:
    past = datetime.now(UTC) - timedelta(days=1)
    rejected(signed, "signature", "has expired", trust=changed_key(signed.trust, valid_until=past))


def test_a_key_of_tomorrow(signed) -> None:
    future = datetime.now(UTC) + timedelta(days=1)
    rejected(signed, "signature", "is not believed before", trust=changed_key(signed.trust, valid_from=future))


def with_rule(policy: Policy, **update: Any) -> Policy:
    (rule,) = policy.namespaces
    return policy.model_copy(update={"namespaces": (rule.model_copy(update=update),)})


def test_a_namespace_that_the_policy_does_not_know(signed) -> None:
    rejected(signed, "identity", "says nothing about", policy=with_rule(signed.policy, pattern="others/*"))


def test_a_transparency_log_that_is_required(signed) -> None:
    rejected(signed, "tlog", "transparency log", policy=with_rule(signed.policy, transparency="required"))


def test_a_time_stamp_that_is_required(signed) -> None:
    rejected(signed, "tlog", "time stamp", policy=with_rule(signed.policy, timestamp="required"))


# What the statements say


@pytest.mark.parametrize(("named", "says"), [({"name": "greeting2"}, "greeting2"), ({"version": "1.1.0"}, "1.1.0")])
def test_another_name_or_version(signed, named: dict[str, str], says: str) -> None:
    rejected(signed, "statement", says, policy=with_rule(signed.policy, pattern="**"), **named)


def test_another_builder(signed) -> None:
    builders = ("https://flowctl.dev/builder/registry",)
    rejected(signed, "builder", "builder/local", policy=with_rule(signed.policy, builders=builders))


def test_an_attestation_about_another_file(signed) -> None:
    def change(document: dict[str, Any]) -> None:
        document["subject"] = [{"name": "greeting", "digest": {"sha256": "0" * 64}}]

    resign(signed, SBOM, change)
    rejected(signed, "statement", "subjects")


def test_an_attestation_about_some_of_the_files(signed) -> None:
    resign(signed, PROVENANCE, lambda document: document["subject"].pop())
    rejected(signed, "statement", "says nothing of")


def test_a_predicate_of_another_type(signed) -> None:
    resign(signed, PROVENANCE, lambda document: document.update(predicateType="https://cyclonedx.org/bom"))
    rejected(signed, "statement", "is of type https://cyclonedx.org/bom")


def test_a_swapped_sbom(signed) -> None:
    resign(signed, SBOM, lambda document: document["predicate"].update(serialNumber="urn:uuid:0"))
    rejected(signed, "sbom", "the sbom beside the release")


def test_an_sbom_about_more_than_the_release(signed) -> None:
    def change(document: dict[str, Any]) -> None:
        document["subject"].append({"name": "more", "digest": {"sha256": "0" * 64}})

    resign(signed, SBOM, change)
    rejected(signed, "sbom", "about other files than the provenance")


def test_a_build_of_another_type(signed) -> None:
    resign(
        signed,
        PROVENANCE,
        lambda document: document["predicate"]["buildDefinition"].update(buildType="https://example.org/build"),
    )
    rejected(signed, "builder", "https://example.org/build")


def test_a_record_that_the_provenance_does_not_name(signed) -> None:
    resign(signed, PROVENANCE, lambda document: document["predicate"]["runDetails"]["byproducts"].clear())
    rejected(signed, "statement", "build-info.json")


def test_a_release_that_was_left_unsigned(signed) -> None:
    from flowctl_core.sign.release import leave_unsigned

    leave_unsigned(signed.root, "build.remote.sign_artifacts is false")
    rejected(signed, "signature", "left unsigned", "sign_artifacts is false")


def test_statements_are_the_same_text_each_time() -> None:
    one, two = (statement({"b": "sha256:" + "1" * 64}, "t", {"z": 1, "a": [True, None]}) for _ in range(2))
    assert one == two and json.loads(one)["predicate"] == {"a": [True, None], "z": 1}
