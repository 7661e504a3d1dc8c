"""Tokens of container clients: who gets them, what they are good for, and what is refused."""

from __future__ import annotations

import base64
import json
import re
import time
from dataclasses import dataclass
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey
from sqlalchemy import select

from flowctl_registry.api.images import image_routes
from flowctl_registry.database.engine import open_engine, reading
from flowctl_registry.database.tables import secrets
from flowctl_registry.settings import load_settings

from .client import Client
from .conftest import Registry


@dataclass
class Place:
    """A public and a private repository, and a token that may read in the private one."""

    public: str
    private: str
    reader: str

    @property
    def basic(self) -> dict[str, str]:
        return basic(self.reader)


def basic(token: str, user: str = "rita") -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{token}".encode()).decode()}


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture(scope="module")
def place(registry: Registry, make_release) -> Place:
    found = []
    for private in (False, True):
        namespace = registry.namespace(private=private)
        done = registry.client().publish(make_release(), namespace, "greeting", "1.2.0")
        assert done.status_code == 201, done.text
        found.append(namespace)
    registry.command("namespace", "member", "add", found[1], "rita")
    made = registry.command("token", "create", "--user", "rita", "--action", "read", "-o", "json")
    return Place(f"{found[0]}/greeting", f"{found[1]}/greeting", json.loads(made.stdout)["token"])


@pytest.fixture
def nobody(registry: Registry) -> Client:
    return Client(registry.urls)


def fetch(client: Client, *repositories: str, headers: dict[str, str] | None = None, actions: str = "pull") -> str:
    scopes = [f"repository:{each}:{actions}" for each in repositories]
    answer = client.get("/v2/token", params={"scope": scopes, "service": "flowctl-registry"}, headers=headers or {})
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    assert body["token"] == body["access_token"] and body["expires_in"] == 300
    return str(body["token"])


def pulled(client: Client, repository: str, token: str | None = None) -> int:
    headers = bearer(token) if token else {}
    return client.get(f"/v2/{repository}/manifests/v1.2.0", headers=headers).status_code


def test_a_client_is_told_where_tokens_are(nobody: Client, place: Place) -> None:
    greeting = nobody.get("/v2/")
    assert greeting.status_code == 401
    assert re.fullmatch(
        r'Bearer realm="http://127\.0\.0\.1:\d+/v2/token",service="flowctl-registry"',
        greeting.headers["www-authenticate"],
    )


def test_every_route_of_a_private_repository_asks_for_a_token(nobody: Client, place: Place) -> None:
    namespace, name = place.private.split("/")
    parts = {"ns": namespace, "name": name, "reference": "v1.2.0", "digest": "sha256:" + "0" * 64}
    routes = [each.path for each in image_routes(None) if "{ns}" in each.path]  # type: ignore[arg-type]
    assert len(routes) >= 4
    for path in routes:
        refused = nobody.get(path.format(**parts))
        assert refused.status_code == 401 and refused.json()["errors"][0]["code"] == "UNAUTHORIZED"
        assert refused.headers["www-authenticate"].endswith(f',scope="repository:{place.private}:pull"')


def test_everybody_gets_a_token_for_what_is_public(nobody: Client, place: Place) -> None:
    token = fetch(nobody, place.public, place.private)
    assert pulled(nobody, place.public, token) == 200
    assert pulled(nobody, place.private, token) == 401
    assert nobody.get("/v2/", headers=bearer(token)).status_code == 200


def test_a_token_of_the_registry_is_exchanged(nobody: Client, place: Place) -> None:
    token = fetch(nobody, place.private, headers=place.basic)
    assert pulled(nobody, place.private, token) == 200
    for _ in range(4):  # all API processes sign with one key
        assert pulled(nobody, place.private, fetch(nobody, place.private, headers=place.basic)) == 200


def test_a_pull_token_is_good_for_its_repositories_only(nobody: Client, place: Place) -> None:
    token = fetch(nobody, place.private, headers=place.basic)
    refused = nobody.get(f"/v2/{place.public}/manifests/v1.2.0", headers=bearer(token))
    assert refused.status_code == 401 and 'error="insufficient_scope"' in refused.headers["www-authenticate"]


def test_a_pull_token_opens_nothing_else(nobody: Client, place: Place, registry: Registry) -> None:
    token = fetch(nobody, place.private, headers=basic(str(registry.token)), actions="pull,push,delete,*")
    namespace = place.private.partition("/")[0]
    for method, path in (
        ("POST", f"/v1/components/{place.private}/uploads"),
        ("GET", f"/v1/components/{place.private}/1.2.0"),
        ("GET", f"/v1/namespaces/{namespace}"),
    ):
        assert nobody.request(method, path, headers=bearer(token)).status_code == 401
    assert nobody.request("PUT", f"/v2/{place.private}/manifests/x", headers=bearer(token)).status_code == 405


def test_the_registrys_own_token_pulls_too(nobody: Client, place: Place) -> None:
    for headers in (bearer(place.reader), place.basic):
        found = nobody.get(f"/v2/{place.private}/manifests/v1.2.0", headers=headers)
        assert found.status_code == 200 and found.headers["docker-content-digest"].startswith("sha256:")
        assert nobody.get("/v2/", headers=headers).status_code == 200
        by_digest = f"/v2/{place.private}/manifests/{found.headers['docker-content-digest']}"
        assert nobody.get(by_digest, headers=headers).headers["cache-control"].startswith("private, ")


@pytest.mark.parametrize("repository", ["{ns}/greeting", "{ns}/absent", "absent-namespace/greeting"])
def test_an_outsider_cannot_tell_private_from_missing(
    registry: Registry, nobody: Client, place: Place, repository: str
) -> None:
    repository = repository.format(ns=place.private.partition("/")[0])
    made = registry.command("token", "create", "--user", "otto", "--action", "read", "-o", "json")
    outsider = json.loads(made.stdout)["token"]
    assert pulled(nobody, repository) == 401
    assert pulled(nobody, repository, fetch(nobody, repository)) == 401
    assert pulled(nobody, repository, fetch(nobody, repository, headers=basic(outsider, "otto"))) == 401
    own = nobody.get(f"/v2/{repository}/manifests/v1.2.0", headers=bearer(outsider))
    assert own.status_code == 404 and own.json()["errors"][0]["code"] == "NAME_UNKNOWN"


def test_a_component_scoped_token_pulls_its_component_only(registry: Registry, nobody: Client, place: Place) -> None:
    namespace = place.private.partition("/")[0]
    words = ("token", "create", "--user", "rita", "--namespace", namespace, "--component", "other", "-o", "json")
    other = json.loads(registry.command(*words, "--action", "read").stdout)["token"]
    assert pulled(nobody, place.private, fetch(nobody, place.private, headers=basic(other))) == 401


@pytest.mark.parametrize("token", ["", "x", "flowctl_0123456789abcdef_" + "0" * 48, "a.b.c"])
def test_wrong_credentials_get_no_token(nobody: Client, place: Place, token: str) -> None:
    refused = nobody.get("/v2/token", params={"scope": f"repository:{place.public}:pull"}, headers=basic(token))
    assert refused.status_code == 401 and refused.json()["errors"][0]["code"] == "UNAUTHORIZED"
    assert refused.headers["www-authenticate"] == 'Basic realm="flowctl-registry"'


def test_a_revoked_token_gets_no_pull_token(registry: Registry, nobody: Client, place: Place) -> None:
    made = json.loads(registry.command("token", "create", "--user", "rita", "--action", "read", "-o", "json").stdout)
    assert fetch(nobody, place.private, headers=basic(made["token"]))
    registry.command("token", "revoke", made["id"])
    assert nobody.get("/v2/token", headers=basic(made["token"])).status_code == 401


def test_odd_scopes_are_left_out(nobody: Client, place: Place) -> None:
    for scope in ("repository:../../etc:pull", "registry:catalog:*", "", "repository:a/b/c:pull", "repository::pull"):
        answer = nobody.get("/v2/token", params={"scope": scope})
        assert answer.status_code == 200 and claims_of(answer.json()["token"])["access"] == []
    assert nobody.get("/v2/token", params={"scope": "repository:a/b:pull " * 21}).status_code == 400
    assert nobody.get("/v2/token", params={"service": "another"}).status_code == 400
    assert nobody.post("/v2/token").status_code == 405


def claims_of(token: str) -> dict[str, Any]:
    part = token.split(".")[1]
    return dict(json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))))


def test_a_pull_token_says_nothing_that_is_secret(nobody: Client, place: Place) -> None:
    claims = claims_of(fetch(nobody, place.private, headers=place.basic))
    assert claims.pop("exp") - claims.pop("iat") == 300 and claims.pop("nbf") and claims.pop("jti")
    access = [{"type": "repository", "name": place.private, "actions": ["pull"]}]
    assert claims == {"iss": "flowctl-registry", "aud": "flowctl-registry", "sub": "rita", "access": access}


def test_forged_and_stale_tokens_are_refused(registry: Registry, nobody: Client, place: Place) -> None:
    token = fetch(nobody, place.private, headers=place.basic)
    claims, now = claims_of(token), int(time.time())
    engine = open_engine(load_settings(None, registry.environment).database)
    with reading(engine) as connection:
        key = OctKey.import_key(connection.execute(select(secrets.c.value)).scalars().one())
    engine.dispose()
    stranger = OctKey.import_key(b"0" * 32)

    def made(key: Any = key, algorithm: str = "HS256", **changed: Any) -> str:
        return jwt.encode({"alg": algorithm}, {**claims, **changed}, key, algorithms=[algorithm])

    assert pulled(nobody, place.private, made()) == 200
    head, body, _ = token.split(".")
    unsigned = base64.urlsafe_b64encode(b'{"alg":"none"}').decode().rstrip("=")
    refused = {
        "another key": made(stranger),
        "no signature": f"{head}.{body}.",
        "no algorithm": f"{unsigned}.{body}.",
        "another algorithm": made(OctKey.import_key(key.raw_value), "HS512"),
        "an asymmetric one": made(ECKey.generate_key("P-256"), "ES256"),
        "run out": made(exp=now - 60),
        "not yet valid": made(nbf=now + 60),
        "another audience": made(aud="another"),
        "another issuer": made(iss="another"),
        "no rights": made(access=[]),
        "malformed rights": made(access="all"),
        "rights of another kind": made(access=[{"name": place.private}]),
    }
    assert {why: pulled(nobody, place.private, each) for why, each in refused.items()} == dict.fromkeys(refused, 401)


def test_a_registry_for_known_users_only(open_registry, make_release) -> None:
    with open_registry(access__anonymous_read=False) as closed:
        namespace = closed.namespace()
        assert closed.client().publish(make_release(), namespace, "greeting", "1.2.0").status_code == 201
        nobody, repository = Client(closed.urls), f"{namespace}/greeting"
        assert pulled(nobody, repository) == 401
        assert nobody.get("/v2/token", params={"scope": f"repository:{repository}:pull"}).status_code == 401
        token = fetch(nobody, repository, headers=basic(str(closed.token)))
        assert pulled(nobody, repository, token) == 200


def test_pulls_are_counted_too(open_registry, make_release) -> None:
    limits = {"limits__requests_per_minute": 20, "limits__failed_logins_per_minute": 5}
    with open_registry(apis=1, **limits) as limited:
        namespace = limited.namespace()
        assert limited.client().publish(make_release(), namespace, "greeting", "1.2.0").status_code == 201
        nobody, repository = Client(limited.urls), f"{namespace}/greeting"
        token = fetch(nobody, repository)
        answers = [nobody.get(f"/v2/{repository}/tags/list", headers=bearer(token)) for _ in range(25)]
        assert [each.status_code for each in answers[:19]] == [200] * 19
        last = answers[-1]
        assert last.status_code == 429 and last.json()["errors"][0]["code"] == "TOOMANYREQUESTS"
        assert int(last.headers["retry-after"]) >= 1
        wrong = [nobody.get("/v2/token", headers=basic("flowctl_wrong")).status_code for _ in range(10)]
        assert set(wrong[:5]) == {401} and wrong[-1] == 429
        assert nobody.get(f"/v2/{repository}/tags/list", headers=bearer("a.b.c")).status_code == 429


def test_clients_are_sent_to_the_public_address(open_registry) -> None:
    with open_registry(apis=1, server__public_url="https://registry.example/") as behind:
        told = Client(behind.urls).get("/v2/").headers["www-authenticate"]
        assert told == 'Bearer realm="https://registry.example/v2/token",service="flowctl-registry"'


def test_a_trusted_proxy_says_how_clients_come(open_registry) -> None:
    headers = {"X-Forwarded-For": "198.51.100.7", "X-Forwarded-Proto": "https", "Host": "registry.example"}
    for trusted, scheme in (('["127.0.0.0/8"]', "https"), ('["192.0.2.0/24"]', "http")):
        with open_registry(apis=1, server__trusted_proxies=trusted) as behind:
            told = Client(behind.urls).get("/v2/", headers=headers).headers["www-authenticate"]
            assert told.startswith(f'Bearer realm="{scheme}://registry.example/v2/token"')
