"""Keys that are not in a file: on a real PKCS#11 token (SoftHSM), and what is said where a service is not there."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from tests.conftest import unavailable

from flowctl_core.errors import SigningError
from flowctl_core.models import SigningRequest, Subject
from flowctl_core.models.signing import TrustedKey, TrustMaterial
from flowctl_core.sign import key_pair
from flowctl_core.sign.embedded import needs_passphrase, plugin
from flowctl_core.sign.pkcs11_key import TokenKey, parse_uri
from flowctl_core.sign.statements import statement
from flowctl_core.verify.bundle import verify_bundle

DIGEST = "sha256:" + "ab" * 32
PIN = "4711-pin"
MODULES = ("/usr/lib/softhsm/libsofthsm2.so", "/usr/local/lib/softhsm/libsofthsm2.so")


@pytest.fixture(scope="module")
def token(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A token with a P-256 key `release` (id 01) and a P-384 one `big` (id 02): the start of their URIs, a public key."""
    module = next((each for each in MODULES if Path(each).is_file()), None)
    if module is None or shutil.which("softhsm2-util") is None:
        unavailable("softhsm2 (Debian: softhsm2) not found")
    pytest.importorskip("pkcs11")
    folder = tmp_path_factory.mktemp("token")
    (folder / "tokens").mkdir()
    (folder / "softhsm2.conf").write_text(f"directories.tokendir = {folder}/tokens\nlog.level = ERROR\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOFTHSM2_CONF", str(folder / "softhsm2.conf"))
        words = ("softhsm2-util", "--init-token", "--free", "--label", "flow ctl", "--so-pin", "0000", "--pin", PIN)
        subprocess.run(words, check=True, capture_output=True)
        yield f"pkcs11:token=flow%20ctl;@?module-path={module}", _make_keys(module)


def _make_keys(module: str) -> str:
    import pkcs11
    from pkcs11.util.ec import encode_ec_public_key, encode_named_curve_parameters

    (found,) = pkcs11.lib(module).get_tokens(token_label="flow ctl")
    with found.open(user_pin=PIN, rw=True) as session:
        pems = []
        for number, (label, curve) in enumerate((("release", "secp256r1"), ("big", "secp384r1")), start=1):
            parameters = {pkcs11.Attribute.EC_PARAMS: encode_named_curve_parameters(curve)}
            domain = session.create_domain_parameters(pkcs11.KeyType.EC, parameters, local=True)
            public, _ = domain.generate_keypair(store=True, label=label, id=bytes([number]))
            if number == 1:
                pems.append(key_pair.pem_of(encode_ec_public_key(public)))
    return pems[0]


def sign(key: str, *subjects: Subject) -> list[bytes]:
    made = plugin.flowctl_sign(subjects or (Subject(name="f", digest=DIGEST),), SigningRequest(key=key)) or ()
    return [each.bundle.encode() for each in made]


@pytest.mark.parametrize("which", ["object=release", "id=%01", "object=release;id=%01;type=private"])
def test_a_token_signs_files_and_statements(
    token: tuple[str, str], which: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri, public = token
    monkeypatch.setenv(key_pair.PASSPHRASE, PIN)
    text = statement({"f": DIGEST}, "https://cyclonedx.org/bom", {"bomFormat": "CycloneDX"})
    subjects = (Subject(name="f", digest=DIGEST), Subject(name="sbom", digest=DIGEST, statement=text))
    trust = TrustMaterial(keys=(TrustedKey(name="token", public_key=public),))
    verdicts = [verify_bundle(each, DIGEST, trust) for each in sign(uri.replace("@", which), *subjects)]
    assert [each.content for each in verdicts] == ["signature", "statement"]
    assert {each.signer.key_hint for each in verdicts} == {key_pair.hint_of(public)}
    assert needs_passphrase(uri.replace("@", which))


def test_a_wrong_pin_is_tried_once_and_never_shown(token: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(key_pair.PASSPHRASE, "falsche-pin")
    with pytest.raises(SigningError, match="PinIncorrect") as failure:
        sign(token[0].replace("@", "object=release"))
    assert "once" in (failure.value.hint or "")
    assert "falsche" not in f"{failure.value}{failure.value.hint}"
    monkeypatch.setenv(key_pair.PASSPHRASE, PIN)
    assert sign(token[0].replace("@", "object=release")), "the token did not lock itself"


def test_no_pin(token: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(key_pair.PASSPHRASE, raising=False)
    with pytest.raises(SigningError, match="PIN is needed"):
        sign(token[0].replace("@", "object=release"))


@pytest.mark.parametrize(
    ("which", "told"),
    [
        ("object=nothing", "no private key"),
        ("object=big", "no ECDSA P-256 key"),
        ("serial=77;object=release", "there is no token"),
    ],
)
def test_what_is_not_on_the_token(
    token: tuple[str, str], which: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(key_pair.PASSPHRASE, PIN)
    with pytest.raises(SigningError, match=told):
        sign(token[0].replace("@", which))


def test_the_parts_of_a_uri() -> None:
    assert parse_uri("pkcs11:token=a%20b;serial=12;object=x%3By;id=%01%ff?module-path=/m.so") == TokenKey(
        module="/m.so", token="a b", serial=b"12", label="x;y", key_id=b"\x01\xff"
    )


@pytest.mark.parametrize(
    ("uri", "told"),
    [
        ("pkcs11:object=x", "module-path"),
        ("pkcs11:token=x?module-path=/m.so", "neither object nor id"),
        ("pkcs11:object=x;colour=red?module-path=/m.so", "colour"),
        ("pkcs11:object=x?module-path=/m.so&pin-value=4711", "PIN does not belong"),
        ("pkcs11:object=x?module-path=/m.so&pin-source=file:/pin", "PIN does not belong"),
        ("pkcs11:object=x?module-path=/there/is/none.so", "cannot be used|refuses"),
    ],
)
def test_uris_that_are_refused(uri: str, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(key_pair.PASSPHRASE, PIN)
    with pytest.raises(SigningError, match=told) as failure:
        sign(uri)
    assert "4711" not in f"{failure.value}{failure.value.hint}"


@pytest.mark.parametrize("uri", ["ssh:key", "https://example.org/key", "hsm:2"])
def test_unknown_schemes(uri: str) -> None:
    with pytest.raises(SigningError, match="not a kind of key"):
        sign(uri)


@pytest.mark.parametrize("uri", ["awskms:alias/x", "gcpkms:projects/p/k/1", "azurekms://v.vault.azure.net/keys/k"])
def test_a_service_whose_library_is_not_there(uri: str) -> None:
    with pytest.raises(SigningError) as failure:
        sign(uri)
    assert f"flowctl-core[{uri.partition(':')[0]}]" in (failure.value.hint or "")
