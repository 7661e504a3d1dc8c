"""The JavaScript client of Sigstore (@sigstore/verify) accepts what we make, and refuses it changed."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from flowctl_core.models import SigningRequest, Subject
from flowctl_core.sign.keyless import plugin
from sigstore_instance import SigstoreInstance, running
from sigstore_instance.issuer import SUBJECT

from ..conftest import find_tool, unavailable

FOLDER = Path(__file__).parent / "sigstore_js"
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
Judge = Callable[..., list[str | None]]


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Judge:
    """Verdicts of @sigstore/verify, installed as the lock file says."""
    node, npm = find_tool("node"), find_tool("npm")
    if node is None or npm is None:
        unavailable("node and npm are not there")
        raise AssertionError
    folder = tmp_path_factory.mktemp("sigstore-js")
    for name in ("package.json", "package-lock.json", "verify.mjs"):
        shutil.copy(FOLDER / name, folder)
    environment = os.environ | {"PATH": f"{Path(node).parent}:{os.environ['PATH']}"}
    command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr

    def run(*cases: dict[str, Any]) -> list[str | None]:
        command = [node, str(folder / "verify.mjs")]
        done = subprocess.run(command, input=json.dumps(cases), cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        verdicts: list[str | None] = json.loads(done.stdout)
        return verdicts

    return run


@pytest.fixture(scope="module")
def instance() -> Iterator[SigstoreInstance]:
    with running() as one:
        yield one


@pytest.mark.parametrize("rekor", [1, 2])
def test_keyless_bundles(
    judge: Judge, instance: SigstoreInstance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rekor: Any
) -> None:
    monkeypatch.setenv("SIGSTORE_ID_TOKEN", instance.issuer.token())
    config = tmp_path / "trust-config.json"
    config.write_text(json.dumps(instance.trust_config(rekor=rekor)))
    subjects = (Subject(name="program", digest=DIGEST), Subject(name="program", digest=DIGEST, statement=STATEMENT))
    signed = plugin.flowctl_sign(subjects, SigningRequest(signer="keyless", trust_config=str(config)))
    assert signed is not None
    identity = {"name": SUBJECT, "issuer": instance.issuer.url}
    cases = [case(json.loads(each.bundle), instance.trusted_root(), identity=identity) for each in signed]
    assert judge(*cases) == [None, None]
    assert_changed_ones_are_refused(judge, cases)
    with running() as other:
        assert None not in judge(*(each | {"root": other.trusted_root()} for each in cases))
        assert None not in judge(*(each | {"identity": identity | {"issuer": other.url}} for each in cases))


def test_bundles_of_a_managed_key(judge: Judge, instance: SigstoreInstance) -> None:
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    spki = key.public_key().public_bytes(serialization.Encoding.DER, form)
    pem = key.public_key().public_bytes(serialization.Encoding.PEM, form).decode()
    hint = b64(hashlib.sha256(spki).digest())

    def bundle(**content: Any) -> dict[str, Any]:
        material = {"publicKey": {"hint": hint}, "tlogEntries": []}
        kind = "application/vnd.dev.sigstore.bundle.v0.3+json"
        return {"mediaType": kind, "verificationMaterial": material, **content}

    def signature(data: bytes) -> str:
        return b64(key.sign(data, ec.ECDSA(hashes.SHA256())))

    digest = {"algorithm": "SHA2_256", "digest": b64(hashlib.sha256(FILE).digest())}
    of_file = bundle(messageSignature={"messageDigest": digest, "signature": signature(FILE)})
    kind, payload = "application/vnd.in-toto+json", STATEMENT.encode()
    signed = signature(b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), len(payload), payload))
    envelope = {"payload": b64(payload), "payloadType": kind, "signatures": [{"sig": signed}]}
    cases = [case(each, instance.trusted_root(), keys={hint: pem}) for each in (of_file, bundle(dsseEnvelope=envelope))]
    assert judge(*cases) == [None, None]
    assert_changed_ones_are_refused(judge, cases)


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def case(bundle: dict[str, Any], root: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"bundle": bundle, "root": root, "artifact": b64(FILE), **more}


def assert_changed_ones_are_refused(judge: Judge, cases: list[dict[str, Any]]) -> None:
    """So that accepting means something."""
    of_file, of_statement = cases
    other_file = of_file | {"artifact": b64(b"other bytes")}
    changed = json.loads(json.dumps(of_statement))
    envelope = changed["bundle"]["dsseEnvelope"]
    envelope["payload"] = b64(base64.b64decode(envelope["payload"]).replace(b"program", b"another"))
    assert None not in judge(other_file, changed)
