"""Keyless signing against a private instance, with sigstore-python as it is, and verification without a network."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from flowctl_core.errors import SigningError, VerificationError
from flowctl_core.models import Attestation, SigningRequest, Subject
from flowctl_core.models.signing import BundleVerdict, TrustMaterial
from flowctl_core.plugins.discovery import installed_plugins
from flowctl_core.sign.keyless import KeylessSigner, plugin
from flowctl_core.verify.bundle import verify_bundle
from sigstore_instance import SigstoreInstance, running
from sigstore_instance.instance import JOB_TOKEN, moment
from sigstore_instance.issuer import REPOSITORY, SUBJECT

FILE = b"the bytes of a program\n"
DIGEST = f"sha256:{hashlib.sha256(FILE).hexdigest()}"
STATEMENT = json.dumps(
    {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "program", "digest": {"sha256": DIGEST[7:]}}],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {"builder": "prüfstand"},
    }
)
SUBJECTS = (Subject(name="program", digest=DIGEST), Subject(name="program", digest=DIGEST, statement=STATEMENT))
Config = Callable[..., str]


def sign(config: str | None, *subjects: Subject, signer: KeylessSigner = plugin) -> tuple[Attestation, ...]:
    request = SigningRequest(signer="keyless", trust_config=config)
    answer = signer.flowctl_sign(subjects or SUBJECTS, request)
    assert answer is not None
    return answer


def refused(config: str | None, signer: KeylessSigner = plugin) -> SigningError:
    with pytest.raises(SigningError) as caught:
        sign(config, signer=signer)
    assert caught.value.hint
    return caught.value


def trust(*instances: SigstoreInstance, **ends: str) -> TrustMaterial:
    return TrustMaterial(trusted_roots=tuple(json.dumps(each.trusted_root(**ends)) for each in instances))


def verify(attestation: Attestation, material: TrustMaterial, **need: bool) -> BundleVerdict:
    return verify_bundle(attestation.bundle.encode(), DIGEST, material, **need)


def rejected(attestation: Attestation, material: TrustMaterial) -> VerificationError:
    with pytest.raises(VerificationError) as caught:
        verify(attestation, material)
    assert caught.value.hint
    return caught.value


@pytest.fixture
def token(instance: SigstoreInstance, monkeypatch: pytest.MonkeyPatch) -> str:
    text = instance.issuer.token()
    monkeypatch.setenv("SIGSTORE_ID_TOKEN", text)
    return text


@pytest.fixture
def fault(instance: SigstoreInstance) -> Iterator[SigstoreInstance]:
    """The instance, whose services are as before afterwards."""
    yield instance
    instance.answers.clear()
    instance.hanging.clear()


@contextmanager
def no_network() -> Iterator[None]:
    """Nothing can be connected to: an offline check does not notice."""

    def refuse(*_: Any) -> None:
        raise AssertionError("the network was used")

    import socket

    before = socket.socket.connect
    socket.socket.connect = refuse  # type: ignore[assignment,method-assign]
    try:
        yield
    finally:
        socket.socket.connect = before  # type: ignore[method-assign]


@pytest.mark.parametrize(
    ("rekor", "tsa", "timestamp"), [(2, True, "rfc3161"), (1, True, "rfc3161"), (1, False, "tlog")]
)
@pytest.mark.usefixtures("token")
def test_files_and_statements_are_signed_and_verified_offline(
    instance: SigstoreInstance, config: Config, rekor: int, tsa: bool, timestamp: str
) -> None:
    before = time.time()
    of_file, of_statement = sign(config(rekor=rekor, tsa=tsa))
    assert (of_file.subject, of_statement.subject) == SUBJECTS
    with no_network():
        verdicts = [
            verify(each, trust(instance), require_tlog=True, require_timestamp=True) for each in (of_file, of_statement)
        ]
    assert [verdict.content for verdict in verdicts] == ["signature", "statement"]
    assert [verdict.statement for verdict in verdicts] == [None, STATEMENT]
    for verdict in verdicts:
        assert (verdict.tlog, verdict.timestamp) == ("verified", timestamp)
        assert verdict.signed_at is not None
        assert before - 2 <= verdict.signed_at.timestamp() <= time.time() + 1
        assert verdict.log_index is not None
        assert (verdict.signer.kind, verdict.signer.identity) == ("certificate", SUBJECT)
        assert verdict.signer.issuer == instance.issuer.url
        assert verdict.signer.claims["source_repository_uri"] == REPOSITORY
        assert verdict.signer.claims["source_repository_digest"] == "5" * 40
    assert json.loads(of_file.bundle)["mediaType"] == "application/vnd.dev.sigstore.bundle.v0.3+json"


def test_an_email_is_an_identity(instance: SigstoreInstance, config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGSTORE_ID_TOKEN", instance.issuer.token(sub="ann@acme.example"))
    assert verify(sign(config())[0], trust(instance)).signer.identity == "ann@acme.example"


def test_the_ci_gives_the_identity(instance: SigstoreInstance, config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on GitHub Actions, whose runner has such an endpoint for each job."""
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    assert "ACTIONS_ID_TOKEN_REQUEST_TOKEN" in refused(config()).message
    monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", JOB_TOKEN)
    monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_URL", f"{instance.url}/job-token?job=1")
    assert verify(sign(config())[0], trust(instance)).signer.identity == SUBJECT
    monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "another")
    assert "code=403" in refused(config()).message


def test_no_identity(config: Config) -> None:
    error = refused(config())
    assert "there is none" in error.message
    assert "SIGSTORE_ID_TOKEN" in (error.hint or "")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"lifetime": -60}, "expired"),
        ({"aud": "another-service"}, "Audience"),
        ({"sub": None}, 'missing the "sub" claim'),
    ],
)
def test_a_token_that_is_not_for_this(
    instance: SigstoreInstance, config: Config, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any], said: str
) -> None:
    text = instance.issuer.token(**change)
    monkeypatch.setenv("SIGSTORE_ID_TOKEN", text)
    error = refused(config())
    assert said.lower() in error.message.lower()
    assert text not in error.message + str(error.hint) + str(error.output)


@pytest.mark.parametrize("text", ["no token at all", "a.b.c"])
def test_what_is_no_token(config: Config, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("SIGSTORE_ID_TOKEN", text)
    error = refused(config())
    assert error.message.startswith("SIGSTORE_ID_TOKEN cannot be used")
    assert text not in error.message


def test_a_token_of_another_issuer_and_the_authoritys_own_words(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running() as other:
        monkeypatch.setenv("SIGSTORE_ID_TOKEN", other.issuer.token())
        message = refused(config()).message
    assert "the certificate authority at http://127.0.0.1" in message
    assert "There was an error processing the identity token: Signature verification failed" in message


@pytest.mark.usefixtures("token")
def test_a_signature_of_another_instance(instance: SigstoreInstance, config: Config) -> None:
    of_file, of_statement = sign(config())
    with running() as other:
        assert rejected(of_file, trust(other)).check in ("tlog", "signature")
        assert verify(of_statement, trust(other, instance)).content == "statement"
        changed = of_statement.bundle.replace('"payload":"', '"payload":"AAAA')
        error = rejected(of_statement.model_copy(update={"bundle": changed}), trust(other, instance))
        assert "DSSE: invalid signature" in error.message
    assert "no trusted root is known" in rejected(of_file, TrustMaterial()).message


@pytest.mark.usefixtures("token")
def test_another_file(instance: SigstoreInstance, config: Config) -> None:
    other = f"sha256:{hashlib.sha256(b'other').hexdigest()}"
    for attestation, check in zip(sign(config()), ("digest", "statement"), strict=True):
        with pytest.raises(VerificationError) as caught:
            verify_bundle(attestation.bundle.encode(), other, trust(instance))
        assert caught.value.check == check


@pytest.mark.parametrize(
    ("removed", "check"),
    [
        ("certificateAuthorities", "signature"),
        ("ctlogs", "signature"),
        ("tlogs", "tlog"),
        ("timestampAuthorities", "tlog"),
    ],
)
@pytest.mark.usefixtures("token")
def test_what_is_taken_out_of_the_trusted_root_is_not_believed(
    instance: SigstoreInstance, config: Config, removed: str, check: str
) -> None:
    root = instance.trusted_root() | {removed: []}
    material = TrustMaterial(trusted_roots=(json.dumps(root),))
    for attestation in sign(config()):
        assert rejected(attestation, material).check == check


@pytest.mark.parametrize(
    ("ended", "check"), [("ca", "signature"), ("ct", "signature"), ("log", "tlog"), ("tsa", "tlog")]
)
@pytest.mark.parametrize("rekor", [1, 2])
@pytest.mark.usefixtures("token")
def test_what_has_ended_in_the_trusted_root_is_not_believed(
    instance: SigstoreInstance, config: Config, ended: str, check: str, rekor: int
) -> None:
    """sigstore-python's verifier holds only time-stamping authorities to it."""
    attestation = sign(config(rekor=rekor))[0]
    assert verify(attestation, trust(instance, **{ended: moment(hours=1)}))
    assert rejected(attestation, trust(instance, **{ended: moment(hours=-1)})).check == check


@pytest.mark.usefixtures("token")
def test_a_bundle_without_its_log_entry_or_time_stamp(instance: SigstoreInstance, config: Config) -> None:
    attestation = sign(config())[0]
    for strip in ("tlogEntries", "timestampVerificationData"):
        document = json.loads(attestation.bundle)
        document["verificationMaterial"][strip] = [] if strip == "tlogEntries" else {}
        changed = attestation.model_copy(update={"bundle": json.dumps(document)})
        rejected(changed, trust(instance))


@pytest.mark.parametrize("service", ["ca", "log", "tsa"])
@pytest.mark.usefixtures("token")
def test_a_service_that_refuses_is_quoted(fault: SigstoreInstance, config: Config, service: Any) -> None:
    fault.answers[service] = (503, b'{"code": 14, "message": "closed for stocktaking"}')
    message = refused(config()).message
    assert "answers 503: closed for stocktaking" in message
    assert {"ca": "certificate authority", "log": "transparency log", "tsa": "time-stamping"}[service] in message


@pytest.mark.parametrize("rekor", [1, 2])
@pytest.mark.usefixtures("token")
def test_a_time_stamp_that_is_to_be_there_is_not_left_out(fault: SigstoreInstance, config: Config, rekor: int) -> None:
    """sigstore-python warns, and with Rekor v1 goes on without."""
    fault.answers["tsa"] = (500, b"")
    assert "the time-stamping authority" in refused(config(rekor=rekor)).message


@pytest.mark.parametrize("service", ["ca", "log", "tsa"])
@pytest.mark.parametrize("answer", [b"", b"<html>", b"{}", b"[]", b"null", b"\xff\x00", b"[" * 100_000])
@pytest.mark.usefixtures("token")
def test_a_service_that_answers_nonsense(fault: SigstoreInstance, config: Config, service: Any, answer: bytes) -> None:
    fault.answers[service] = (201, answer)
    assert refused(config()).message.startswith("keyless signing failed: ")


@pytest.mark.parametrize("service", ["ca", "log"])
@pytest.mark.usefixtures("token")
def test_a_service_that_hangs(fault: SigstoreInstance, config: Config, service: Any) -> None:
    fault.hanging.add(service)
    started = time.monotonic()
    message = refused(config(), signer=KeylessSigner(timeout_s=0.3)).message
    assert "did not answer within 0.3 s" in message
    assert time.monotonic() - started < 10


def test_an_instance_that_cannot_be_reached(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    with running() as gone:
        path = config(of=gone)
        monkeypatch.setenv("SIGSTORE_ID_TOKEN", gone.issuer.token())
    assert "the certificate authority at http://127.0.0.1" in refused(path).message
    assert "cannot be reached" in refused(path).message


@pytest.mark.usefixtures("token")
def test_the_public_instance_where_there_is_no_network(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
        monkeypatch.setenv(name.lower(), "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    error = refused(None)
    assert error.message.startswith("the public Sigstore instance's trust root cannot be had: ")
    assert "--trust-config" in (error.hint or "")


@pytest.mark.usefixtures("token")
def test_a_log_that_cannot_be_reached(instance: SigstoreInstance, config: Config, tmp_path: Any) -> None:
    document = json.loads((tmp_path / config().rpartition("/")[2]).read_text())
    document["signingConfig"]["rekorTlogUrls"][0]["url"] = "http://127.0.0.1:9"
    path = tmp_path / "other.json"
    path.write_text(json.dumps(document))
    assert "the transparency log at http://127.0.0.1:9/api/v2 cannot be reached" in refused(str(path)).message


@pytest.mark.usefixtures("token")
def test_a_trust_config_that_is_none(tmp_path: Any) -> None:
    assert "cannot be read: No such file" in refused(str(tmp_path / "missing.json")).message
    path = tmp_path / "config.json"
    for text in ("", "{}", "[" * 100_000, '{"mediaType": "x"}'):
        path.write_text(text)
        assert "is no Sigstore trust config" in refused(str(path)).message
    path.write_bytes(b"\xff\xfe")
    assert "is no Sigstore trust config" in refused(str(path)).message


def test_a_token_is_never_logged_or_shown(
    fault: SigstoreInstance,
    config: Config,
    token: str,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    with caplog.at_level(logging.DEBUG):
        attestations = sign(config())
        fault.answers["ca"] = (400, json.dumps({"message": f"bad token {token}"}).encode())
        error = refused(config())
    shown = capfd.readouterr()
    assert "bad token [identity token]" in error.message
    secret = token.rpartition(".")[2]
    for text in (caplog.text, shown.out, shown.err, error.message, *(each.bundle for each in attestations)):
        assert secret not in text


def test_it_is_an_installed_plugin_for_its_own_name_only() -> None:
    assert [each.value for each in installed_plugins() if each.name == "keyless"] == [
        "flowctl_core.sign.keyless:plugin"
    ]
    assert plugin.flowctl_sign(SUBJECTS, SigningRequest(signer="embedded")) is None
    assert plugin.flowctl_sign((), SigningRequest(signer="keyless")) == ()


def test_importing_the_plugin_imports_nothing_heavy() -> None:
    code = (
        "import sys, flowctl_core.sign.keyless\n"
        "print([name for name in ('sigstore', 'cryptography', 'requests', 'tuf', 'id') if name in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ)
    assert answer.stdout.strip() == "[]"
