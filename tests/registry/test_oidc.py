"""Trusted publishing, against an issuer on loopback."""

from __future__ import annotations

import base64
import hmac
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from joserfc.jwk import ECKey, RSAKey

from oidc_issuer import OidcIssuer

from .client import Client
from .conftest import Registry
from .test_access import begin, make_token, new_user

WORKFLOW = "octo/greeting/.github/workflows/release.yml@*"


@pytest.fixture(scope="module")
def issuer() -> Iterator[OidcIssuer]:
    running = OidcIssuer()
    yield running
    running.close()


@pytest.fixture(scope="module")
def registry(open_registry: Callable[..., Any], issuer: OidcIssuer) -> Iterator[Registry]:
    with open_registry(access__issuers=json.dumps([{"url": issuer.url}])) as running:
        yield running


def trust(registry: Registry, issuer: OidcIssuer, namespace: str, more: dict[str, Any] | None = None) -> httpx.Response:
    claims = {"repository": "octo/greeting", "job_workflow_ref": WORKFLOW}
    body = {"issuer": issuer.url, "claims": claims}
    return registry.client().post(f"/v1/namespaces/{namespace}/publishers", json=body | (more or {}))


def exchange(registry: Registry, token: str) -> httpx.Response:
    return Client(registry.urls).post("/v1/oidc/token", json={"token": token})


@pytest.mark.parametrize("kind", ["rsa", "ec"])
def test_a_workflow_publishes_without_a_stored_secret(
    registry: Registry, issuer: OidcIssuer, release: Path, kind: str
) -> None:
    namespace = registry.namespace()
    assert trust(registry, issuer, namespace).status_code == 201
    got = exchange(registry, issuer.token(key=getattr(issuer, kind)))
    assert got.status_code == 200, got.text
    assert {"namespace": namespace} in got.json()["grants"]
    client = registry.client(got.json()["token"])
    done = client.publish(release, namespace, "greeting", "1.2.0")
    assert done.status_code == 201, done.text
    assert done.json()["publisher"] == "127.0.0.1:repo:octo/greeting:ref:refs/tags/v1.2.0"
    assert client.post(f"/v1/components/{namespace}/greeting/1.2.0/yank", json={"reason": "no"}).status_code == 403
    assert begin(client, registry.namespace()).status_code == 403


def test_it_is_for_the_trusted_component_alone_and_makes_no_tokens(registry: Registry, issuer: OidcIssuer) -> None:
    namespace = registry.namespace(private=True)
    assert trust(registry, issuer, namespace, {"component": "greeting"}).status_code == 201
    client = registry.client(exchange(registry, issuer.token()).json()["token"])
    assert begin(client, namespace).status_code == 201
    assert begin(client, namespace, "another").status_code == 404, "all it must know of is its component"
    assert client.post("/v1/tokens", json={"name": "more", "actions": ["read"]}).status_code == 403


def test_a_token_is_exchanged_once_by_whatever_process(registry: Registry, issuer: OidcIssuer) -> None:
    assert trust(registry, issuer, registry.namespace()).status_code == 201
    token = issuer.token()
    answers = [exchange(registry, token) for _ in range(3)]
    assert [each.status_code for each in answers] == [200, 401, 401]
    assert "exchanged before" in answers[1].json()["detail"]


def test_of_many_exchanges_at_once_one_succeeds(registry: Registry, issuer: OidcIssuer) -> None:
    assert trust(registry, issuer, registry.namespace()).status_code == 201
    token = issuer.token()
    with ThreadPoolExecutor(8) as pool:
        statuses = sorted(pool.map(lambda _: exchange(registry, token).status_code, range(16)))
    assert statuses == [200] + [401] * 15


def now(seconds: float) -> int:
    return int(time.time() + seconds)


WRONG: dict[str, tuple[Callable[[OidcIssuer], str], str]] = {
    "expired": (lambda i: i.token(iat=now(-900), nbf=now(-900), exp=now(-120)), "expired"),
    "not valid yet": (lambda i: i.token(nbf=now(600), exp=now(900)), "not valid yet"),
    "made in the future": (lambda i: i.token(iat=now(600), exp=now(900)), "not valid yet"),
    "without an end": (lambda i: i.token(exp=None), "no exp"),
    "an end that is no number": (lambda i: i.token(exp="never"), "no exp"),
    "an endless one": (lambda i: i.token(exp=now(40 * 86_400)), "more than a day"),
    "without iat": (lambda i: i.token(iat=None), "no iat"),
    "without jti": (lambda i: i.token(jti=None), "no jti"),
    "a jti that is no text": (lambda i: i.token(jti=7), "no jti"),
    "without sub": (lambda i: i.token(sub=None), "no sub"),
    "for another audience": (lambda i: i.token(aud="elsewhere"), "audience"),
    "without audience": (lambda i: i.token(aud=None), "audience"),
    "of another issuer": (lambda i: i.token(iss="https://evil.example"), "issuer"),
    "without issuer": (lambda i: i.token(iss=None), "issuer"),
    "a stranger's key under a known id": (
        lambda i: i.token(key=RSAKey.generate_key(2048, {"kid": "rsa-1"})), "signature",
    ),
    "a key of the wrong kind": (lambda i: i.token(key=ECKey.generate_key("P-256", {"kid": "rsa-1"})), "signature"),
    "an unknown key": (lambda i: i.token(key=RSAKey.generate_key(2048, {"kid": "rsa-9"})), "no such key"),
    "no key id": (lambda i: i.token(header={"kid": None}), "header"),
    "signed with the public key as its secret": (
        lambda i: with_a_public_secret(i), "header",
    ),
    "alg none": (lambda i: unsigned(i), "header"),
    "changed after signing": (lambda i: tampered(i), "signature"),
    "no token": (lambda i: "a.b.c", "JSON Web Token"),
    "nothing like it": (lambda i: "x" * 5000, "JSON Web Token"),
    "not ASCII": (lambda i: "ä.ö.ü", "JSON Web Token"),
}  # fmt: skip


def unsigned(issuer: OidcIssuer) -> str:
    parts = [{"alg": "none", "kid": "rsa-1"}, issuer.claims()]
    return ".".join(base64.urlsafe_b64encode(json.dumps(each).encode()).decode().rstrip("=") for each in parts) + "."


def with_a_public_secret(issuer: OidcIssuer) -> str:
    """HS256 with what everybody knows: accepted by checkers that let the header choose what a key means."""
    parts = [{"alg": "HS256", "kid": "rsa-1"}, issuer.claims()]
    text = ".".join(base64.urlsafe_b64encode(json.dumps(each).encode()).decode().rstrip("=") for each in parts)
    digest = hmac.digest(issuer.rsa.as_pem(private=False), text.encode(), "sha256")
    return f"{text}.{base64.urlsafe_b64encode(digest).decode().rstrip('=')}"


def tampered(issuer: OidcIssuer) -> str:
    header, _, signature = issuer.token().split(".")
    other = base64.urlsafe_b64encode(json.dumps(issuer.claims(repository="octo/other")).encode()).decode().rstrip("=")
    return f"{header}.{other}.{signature}"


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_token_is_refused_with_its_fault(registry: Registry, issuer: OidcIssuer, name: str) -> None:
    namespace = registry.namespace()
    assert trust(registry, issuer, namespace).status_code == 201
    make, told = WRONG[name]
    refused = exchange(registry, make(issuer))
    assert refused.status_code == 401, refused.text
    assert told in refused.json()["detail"]


@pytest.mark.parametrize(
    "changes",
    [
        {"repository": "octo/other"},
        {"repository": "octo/greeting2"},
        {"repository": None},
        {"repository": ["octo/greeting"]},
        {"job_workflow_ref": "evil/greeting/.github/workflows/release.yml@refs/heads/main"},
        {"job_workflow_ref": "octo/greeting/.github/workflows/release.yml.evil"},
    ],
    ids=["another", "a longer name", "missing", "a list", "another workflow", "a longer path"],
)
def test_claims_must_be_those_that_are_trusted(registry: Registry, issuer: OidcIssuer, changes: dict[str, Any]) -> None:
    assert trust(registry, issuer, registry.namespace()).status_code == 201
    refused = exchange(registry, issuer.token(**changes))
    assert refused.status_code == 403
    assert "no namespace trusts this publisher" in refused.json()["detail"]


def test_a_publisher_that_is_removed_is_trusted_no_more(registry: Registry, issuer: OidcIssuer) -> None:
    namespace = registry.namespace()
    made = trust(registry, issuer, namespace).json()
    path = f"/v1/namespaces/{namespace}/publishers"
    assert [each["id"] for each in registry.client().get(path).json()["publishers"]] == [made["id"]]
    other = registry.namespace()
    assert registry.client().request("DELETE", f"/v1/namespaces/{other}/publishers/{made['id']}").status_code == 404
    assert registry.client().request("DELETE", f"{path}/{made['id']}").status_code == 204
    got = exchange(registry, issuer.token())
    assert got.status_code == 403 or {"namespace": namespace} not in got.json()["grants"]


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"issuer": "https://elsewhere.example"}, "issuer"),
        ({"claims": {"job_workflow_ref": WORKFLOW}}, "strangers"),
        ({"claims": {"ref": "refs/tags/*"}}, "strangers"),
        ({"claims": {"repository": "octo/*"}}, "cannot stand"),
        ({"claims": {"repository": "octo/greeting", "job_workflow_ref": "*"}}, "cannot stand"),
        ({"claims": {"repository": "octo/greeting", "ref": "refs/*/v1"}}, "cannot stand"),
        ({"claims": {}}, "claims"),
        ({"claims": {"repository": 7}}, "claims"),
    ],
)
def test_a_publisher_that_would_trust_too_many_is_refused(
    registry: Registry, issuer: OidcIssuer, more: dict[str, Any], told: str
) -> None:
    refused = trust(registry, issuer, registry.namespace(), more)
    assert refused.status_code == 400
    assert told in refused.json()["detail"]


def test_only_owners_add_publishers(registry: Registry, issuer: OidcIssuer) -> None:
    namespace = registry.namespace()
    body = {"issuer": issuer.url, "claims": {"repository": "octo/greeting"}}
    path = f"/v1/namespaces/{namespace}/publishers"
    for role, status in (("member", 403), ("owner", 201)):
        token = make_token(registry, new_user(registry, namespace, role))
        assert registry.client(token).post(path, json=body).status_code == status


def test_commands_add_and_remove_publishers(registry: Registry, issuer: OidcIssuer) -> None:
    namespace = registry.namespace()
    words = ("--issuer", issuer.url, "--claim", "repository=octo/greeting", "--component", "greeting", "-o", "json")
    made = json.loads(registry.command("publisher", "add", namespace, *words).stdout)
    assert f"{made['id']} " in registry.command("publisher", "list", namespace).stdout
    assert {"namespace": namespace, "component": "greeting"} in exchange(registry, issuer.token()).json()["grants"]
    registry.command("publisher", "remove", namespace, str(made["id"]))
    assert json.loads(registry.command("publisher", "list", namespace, "-o", "json").stdout) == []
    refused = registry.command("publisher", "add", namespace, "--issuer", issuer.url, "--claim", "nonsense", code=80)
    assert "NAME=VALUE" in refused.stderr


class TestKeys:
    """How a registry's process keeps an issuer's keys; `Keys` itself, since a process asks again once a minute only."""

    def validate(self, issuer: OidcIssuer, keys: Any, token: str) -> str:
        from flowctl_registry.access import issuers
        from flowctl_registry.errors import RegistryError
        from flowctl_registry.settings import Issuer

        try:
            return str(issuers.validated(token, (Issuer(url=issuer.url),), keys)[1]["sub"])
        except RegistryError as error:
            return error.message

    @pytest.fixture
    def own(self) -> Iterator[OidcIssuer]:
        running = OidcIssuer()
        yield running
        running.close()

    @pytest.fixture
    def keys(self) -> Any:
        from flowctl_registry.access.issuers import Keys

        return Keys()

    def test_they_are_asked_for_once(self, own: OidcIssuer, keys: Any) -> None:
        for _ in range(5):
            assert self.validate(own, keys, own.token()).startswith("repo:")
        assert own.asked == ["/.well-known/openid-configuration", "/keys"]

    def test_unknown_key_ids_do_not_make_it_ask_more(self, own: OidcIssuer, keys: Any) -> None:
        for number in range(5):
            stranger = RSAKey.generate_key(2048, {"kid": f"x{number}"})
            assert "no such key" in self.validate(own, keys, own.token(key=stranger))
        assert len(own.asked) == 2

    def test_a_new_key_is_found_a_minute_later(
        self, own: OidcIssuer, keys: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.validate(own, keys, own.token())
        new = RSAKey.generate_key(2048, {"kid": "rsa-2", "use": "sig"})
        own.keys = [new]
        assert "no such key" in self.validate(own, keys, own.token(key=new))
        later = time.monotonic() + 61
        monkeypatch.setattr("flowctl_registry.access.issuers.time.monotonic", lambda: later)
        assert self.validate(own, keys, own.token(key=new)).startswith("repo:")
        assert "no such key" in self.validate(own, keys, own.token())

    @pytest.mark.parametrize(
        ("configuration", "told"),
        [
            ({"issuer": "http://127.0.0.1:1"}, "another issuer"),
            ({"jwks_uri": "http://keys.example/keys"}, "without https"),
            ({"jwks_uri": "file:///etc/passwd"}, "without https"),
            ({"jwks_uri": None}, "without https"),
            ({"jwks_uri": "/missing"}, "without https"),
        ],
    )
    def test_an_issuer_that_is_none_is_told(
        self, own: OidcIssuer, keys: Any, configuration: dict[str, Any], told: str
    ) -> None:
        own.configuration |= configuration
        assert told in self.validate(own, keys, own.token())

    @pytest.mark.filterwarnings("ignore:Key size")
    def test_weak_keys_are_not_taken(self, own: OidcIssuer, keys: Any) -> None:
        with pytest.warns(UserWarning):
            own.keys = [RSAKey.generate_key(1024, {"kid": "rsa-1"})]
        assert "no such key" in self.validate(own, keys, own.token())

    def test_an_issuer_that_is_gone_can_be_tried_again(self, keys: Any) -> None:
        gone = OidcIssuer()
        token = gone.token()
        gone.close()
        assert "cannot be had" in self.validate(gone, keys, token)
        back = OidcIssuer(gone.server.server_port)
        try:
            assert "cannot be had" in self.validate(back, keys, back.token())
            assert back.asked == [], "forged tokens must not make every thread wait for an issuer that is gone"
            later = time.monotonic() + 11
            keys._gone.expire(later)
            assert self.validate(back, keys, back.token()).startswith("repo:")
        finally:
            back.close()


@pytest.mark.parametrize("url", ["http://issuer.example", "ftp://127.0.0.1", "http://127.0.0.1.example", "issuer"])
def test_an_issuer_without_https_is_no_setting(url: str) -> None:
    from flowctl_core.errors import ConfigError
    from flowctl_registry.settings import load_settings

    with pytest.raises(ConfigError, match="https"):
        load_settings(None, {}, access={"issuers": [{"url": url}]})
