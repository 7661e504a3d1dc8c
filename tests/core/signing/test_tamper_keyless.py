"""The tamper matrix of releases that an identity signed: certificate, log entry, time stamp, and who it was.

A private Sigstore instance on loopback signs; sigstore-python is its own, unmodified self.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flowctl_core.errors import VerificationError
from flowctl_core.models import SigningRequest
from flowctl_core.models.policy import Policy
from flowctl_core.models.signing import TrustMaterial
from flowctl_core.plugins.call import InProcessCaller
from flowctl_core.plugins.manager import load_plugins
from flowctl_core.sign.release import sign_release
from sigstore_instance import SigstoreInstance, running

BINARY = "binaries/greeting-linux-amd64"
SIGNATURE = f"{BINARY}.sigstore.json"
WHO = "https://ci.example/acme/greeting/release.yaml@refs/tags/v1"

Edit = Callable[[dict[str, Any]], Any]


@pytest.fixture(scope="module")
def instances() -> Iterator[tuple[SigstoreInstance, SigstoreInstance]]:
    with running() as one, running() as other:
        yield one, other


def policy(identity: str, issuer: str, **rule: Any) -> Policy:
    signer = {"identity": identity, "issuer": issuer}
    return Policy.model_validate({"schema": 1, "namespaces": [{"pattern": "**", "signers": [signer], **rule}]})


@pytest.fixture
def keyless(signed, instances, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The release, signed again by an identity, and a client that trusts the instance and that identity."""
    instance, _ = instances
    sign_as(signed, instance, tmp_path, monkeypatch)
    roots = (json.dumps(instance.trusted_root()),)
    return replace(signed, policy=policy(WHO, instance.issuer.url), trust=TrustMaterial(trusted_roots=roots))


def sign_as(signed: Any, instance: SigstoreInstance, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith(("SIGSTORE_", "ACTIONS_ID_TOKEN")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("SIGSTORE_ID_TOKEN", instance.issuer.token(sub=WHO))
    config = folder / "trust-config.json"
    config.write_text(json.dumps(instance.trust_config()))
    request = SigningRequest(signer="keyless", trust_config=str(config))
    sign_release(signed.root, InProcessCaller(load_plugins()), request)


def edit(keyless: Any, change: Edit) -> None:
    file = keyless.root / SIGNATURE
    document = json.loads(file.read_bytes())
    change(document)
    file.write_text(json.dumps(document))


def flip(text: str, at: float = 0.5) -> str:
    data = bytearray(base64.b64decode(text))
    data[int(len(data) * at)] ^= 1
    return base64.b64encode(data).decode()


def rejected(keyless: Any, *checks: str, **changed: Any) -> None:
    failure = keyless.verify(**changed).failure
    assert isinstance(failure, VerificationError), "it was accepted"
    assert failure.check in checks, failure.message
    assert f"check {failure.check} failed: " in failure.message


def test_what_nobody_touched_is_accepted(keyless) -> None:
    outcome = keyless.verify()
    assert outcome.failure is None
    assert {each.check: each.verdict for each in outcome.checks}["tlog"] == "passed"
    assert {verdict.tlog for verdict in outcome.verdicts.values()} == {"verified"}
    assert all(verdict.signed_at is not None for verdict in outcome.verdicts.values())
    assert {verdict.signer.identity for verdict in outcome.verdicts.values()} == {WHO}


def entry(bundle: dict[str, Any]) -> dict[str, Any]:
    (one,) = bundle["verificationMaterial"]["tlogEntries"]
    found: dict[str, Any] = one
    return found


def change_text(holder: dict[str, Any], name: str, at: float = 0.5) -> None:
    holder[name] = flip(holder[name], at)


CELLS: dict[str, Edit] = {
    "certificate, first half": lambda b: change_text(b["verificationMaterial"]["certificate"], "rawBytes", 0.3),
    "certificate, its signature": lambda b: change_text(b["verificationMaterial"]["certificate"], "rawBytes", 0.95),
    "no certificate": lambda b: b["verificationMaterial"].pop("certificate"),
    "signature": lambda b: change_text(b["messageSignature"], "signature"),
    "digest": lambda b: change_text(b["messageSignature"]["messageDigest"], "digest"),
    "no log entry": lambda b: b["verificationMaterial"].update(tlogEntries=[]),
    "two log entries": lambda b: b["verificationMaterial"].update(
        tlogEntries=b["verificationMaterial"]["tlogEntries"] * 2
    ),
    "log, its name": lambda b: change_text(entry(b)["logId"], "keyId"),
    "log, the body": lambda b: change_text(entry(b), "canonicalizedBody"),
    "log, the body's kind": lambda b: entry(b)["kindVersion"].update(kind="dsse"),
    "log, the body's version": lambda b: entry(b)["kindVersion"].update(version="0.0.9"),
    "log, no proof": lambda b: entry(b).pop("inclusionProof"),
    "log, root hash": lambda b: change_text(entry(b)["inclusionProof"], "rootHash"),
    "log, checkpoint": lambda b: entry(b)["inclusionProof"]["checkpoint"].update(envelope="nothing\n1\nAAAA\n"),
    "log, no checkpoint": lambda b: entry(b)["inclusionProof"].pop("checkpoint"),
    "log, index beyond the tree": lambda b: entry(b)["inclusionProof"].update(logIndex="99999"),
    "log, negative index": lambda b: entry(b)["inclusionProof"].update(logIndex="-1"),
    "time stamp": lambda b: change_text(stamp(b), "signedTimestamp", 0.9),
    "time stamp of nothing": lambda b: stamp(b).update(signedTimestamp="AAAA"),
    "no time stamp": lambda b: b["verificationMaterial"].pop("timestampVerificationData"),
}


def stamp(bundle: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = bundle["verificationMaterial"]["timestampVerificationData"]["rfc3161Timestamps"][0]
    return found


@pytest.mark.parametrize("cell", CELLS)
def test_a_region_of_the_bundle(keyless, cell: str) -> None:
    edit(keyless, CELLS[cell])
    rejected(keyless, "signature", "tlog")


def test_an_entry_of_another_file(keyless) -> None:
    """A whole, valid log entry, of something else."""
    other = json.loads((keyless.root / "metadata/checksums.sigstore.json").read_bytes())
    edit(keyless, lambda b: b["verificationMaterial"].update(tlogEntries=other["verificationMaterial"]["tlogEntries"]))
    rejected(keyless, "tlog", "signature")


def test_a_time_stamp_of_another_signature(keyless) -> None:
    other = json.loads((keyless.root / "metadata/checksums.sigstore.json").read_bytes())["verificationMaterial"]
    edit(
        keyless,
        lambda b: b["verificationMaterial"].update(timestampVerificationData=other["timestampVerificationData"]),
    )
    rejected(keyless, "tlog", "signature")


def test_a_bundle_of_another_file(keyless) -> None:
    (keyless.root / SIGNATURE).write_bytes((keyless.root / "metadata/checksums.sigstore.json").read_bytes())
    rejected(keyless, "signature")


def test_another_identity(keyless, instances) -> None:
    rejected(keyless, "identity", policy=policy("somebody@example.org", instances[0].issuer.url))


def test_the_same_identity_of_another_issuer(keyless, instances) -> None:
    rejected(keyless, "identity", policy=policy(WHO, instances[1].issuer.url))


def test_another_instance(keyless, instances) -> None:
    roots = (json.dumps(instances[1].trusted_root()),)
    rejected(keyless, "signature", "tlog", trust=TrustMaterial(trusted_roots=roots))


def test_no_instance(keyless) -> None:
    rejected(keyless, "signature", trust=TrustMaterial())


@pytest.mark.parametrize("part", ["certificateAuthorities", "tlogs", "ctlogs", "timestampAuthorities"])
def test_a_part_that_the_root_no_longer_names(keyless, instances, part: str) -> None:
    """Removal revokes."""
    root = instances[0].trusted_root()
    root[part] = []
    rejected(keyless, "signature", "tlog", trust=TrustMaterial(trusted_roots=(json.dumps(root),)))


def test_a_key_that_signs_where_an_identity_is_asked_for(signed, instances) -> None:
    """A trusted key's valid signature says nothing about an identity."""
    failure = signed.verify(policy=policy(WHO, instances[0].issuer.url)).failure
    assert failure is not None and failure.check == "identity"
