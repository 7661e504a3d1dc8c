"""Who may do what: tokens, roles, private namespaces."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from .client import Client
from .conftest import Registry


def anonymous(registry: Registry) -> Client:
    return Client(registry.urls)


def make_token(registry: Registry, user: str, *actions: str, **scope: Any) -> str:
    body = {"name": "test", "user": user, "actions": list(actions or ("read", "publish", "yank", "manage")), **scope}
    made = registry.client().post("/v1/tokens", json=body)
    assert made.status_code == 201, made.text
    return made.json()["token"]


def new_user(registry: Registry, namespace: str, role: str | None = None) -> str:
    user = f"user-{uuid.uuid4().hex[:8]}"
    if role is not None:
        done = registry.client().request("PUT", f"/v1/namespaces/{namespace}/members/{user}", json={"role": role})
        assert done.status_code == 200, done.text
    return user


def begin(client: Client, namespace: str, name: str = "greeting") -> httpx.Response:
    files = [{"path": "metadata/component.yaml", "digest": "sha256:" + "0" * 64, "size": 1}]
    return client.post(f"/v1/components/{namespace}/{name}/uploads", json={"version": "1.0.0", "files": files})


def test_a_member_publishes_and_an_outsider_does_not(registry: Registry, release: Path) -> None:
    namespace = registry.namespace()
    member = registry.client(make_token(registry, new_user(registry, namespace, "member")))
    outsider = registry.client(make_token(registry, new_user(registry, namespace)))
    assert outsider.publish(release, namespace, "greeting", "1.2.0").status_code == 403
    assert anonymous(registry).publish(release, namespace, "greeting", "1.2.0").status_code == 401
    done = member.publish(release, namespace, "greeting", "1.2.0")
    assert done.status_code == 201
    assert done.json()["publisher"].startswith("user-")
    for reader in (outsider, anonymous(registry)):
        assert reader.get(f"/v1/components/{namespace}/greeting/1.2.0").status_code == 200
    assert member.request("PUT", f"/v1/namespaces/{namespace}/members/eve", json={}).status_code == 403


def test_a_private_namespace_is_not_there_for_outsiders(registry: Registry, release: Path) -> None:
    namespace = registry.namespace(private=True)
    member = registry.client(make_token(registry, new_user(registry, namespace, "member")))
    outsider = registry.client(make_token(registry, new_user(registry, namespace)))
    assert member.publish(release, namespace, "greeting", "1.2.0").status_code == 201
    address = f"/v1/components/{namespace}/greeting/1.2.0"
    assert member.get(address).status_code == 200
    for reader in (outsider, anonymous(registry)):
        answer, missing = reader.get(address), reader.get(address.replace(namespace, "missing"))
        assert answer.status_code == missing.status_code == 404
        assert answer.json()["detail"].replace(namespace, "missing") == missing.json()["detail"]
        listed = reader.get("/v1/namespaces").json()["namespaces"]
        assert namespace not in {each["name"] for each in listed}
    assert begin(outsider, namespace).status_code == 404
    assert namespace in {each["name"] for each in member.get("/v1/namespaces").json()["namespaces"]}


def test_a_tokens_actions_and_scope_limit_its_user(registry: Registry) -> None:
    mine, other = registry.namespace(), registry.namespace()
    user = new_user(registry, mine, "owner")
    registry.client().request("PUT", f"/v1/namespaces/{other}/members/{user}", json={"role": "owner"})
    reader = registry.client(make_token(registry, user, "read"))
    scoped = registry.client(make_token(registry, user, "read", "publish", namespace=mine))
    narrow = registry.client(make_token(registry, user, "read", "publish", namespace=mine, component="greeting"))
    assert [begin(each, mine).status_code for each in (reader, scoped, narrow)] == [403, 201, 201]
    assert [begin(each, other).status_code for each in (reader, scoped, narrow)] == [403, 403, 403]
    assert begin(scoped, mine, "another").status_code == 201
    assert begin(narrow, mine, "another").status_code == 403


def test_a_scoped_token_sees_no_other_private_namespace(registry: Registry) -> None:
    mine, private = registry.namespace(), registry.namespace(private=True)
    user = new_user(registry, mine, "owner")
    registry.client().request("PUT", f"/v1/namespaces/{private}/members/{user}", json={"role": "owner"})
    scoped = registry.client(make_token(registry, user, "read", namespace=mine))
    assert scoped.get(f"/v1/namespaces/{private}").status_code == 404
    assert private not in scoped.get("/v1/namespaces").text
    assert registry.client(make_token(registry, user, "read")).get(f"/v1/namespaces/{private}").status_code == 200


@pytest.mark.parametrize(
    "asked",
    [
        {"actions": ["admin"]},
        {"actions": ["read"], "user": "somebody"},
        {"actions": ["read", "yank"]},
        {"actions": ["read"], "namespace": "elsewhere"},
        {"actions": ["read"]},
    ],
    ids=["admin", "another user", "another action", "another namespace", "no namespace"],
)
def test_a_token_makes_none_that_can_do_more(registry: Registry, asked: dict[str, Any]) -> None:
    namespace = registry.namespace()
    user = new_user(registry, namespace, "owner")
    narrow = registry.client(make_token(registry, user, "read", "manage", namespace=namespace))
    assert narrow.post("/v1/tokens", json={"name": "more", **asked}).status_code == 403
    same = {"name": "same", "actions": ["read"], "namespace": namespace}
    assert narrow.post("/v1/tokens", json=same).status_code == 201


def test_a_revoked_token_ends_at_once_in_every_process(registry: Registry) -> None:
    namespace = registry.namespace()
    user = new_user(registry, namespace, "owner")
    token = make_token(registry, user)
    client = registry.client(token)
    listed = client.get("/v1/tokens").json()["tokens"]
    assert [each["user"] for each in listed] == [user]
    assert all("hash" not in each and "token" not in each for each in listed)
    assert client.request("DELETE", f"/v1/tokens/{listed[0]['id']}").status_code == 204
    for _ in registry.urls:
        refused = client.get("/v1/whoami")
        assert refused.status_code == 401
        assert refused.headers["www-authenticate"].startswith("Bearer ")
    assert registry.client().request("DELETE", f"/v1/tokens/{listed[0]['id']}").status_code == 204


def test_another_users_token_cannot_be_revoked_or_seen(registry: Registry) -> None:
    namespace = registry.namespace()
    victim, other = new_user(registry, namespace, "member"), new_user(registry, registry.namespace(), "owner")
    token = make_token(registry, victim, namespace=namespace)
    client, identity = registry.client(make_token(registry, other)), token.split("_")[1]
    refused = client.request("DELETE", f"/v1/tokens/{identity}")
    missing = client.request("DELETE", "/v1/tokens/0000000000000000")
    assert refused.status_code == missing.status_code == 404
    assert client.get("/v1/tokens", params={"namespace": namespace}).status_code == 403
    owner = registry.client(make_token(registry, new_user(registry, namespace, "owner")))
    assert owner.get("/v1/tokens", params={"namespace": namespace}).json()["tokens"][0]["id"] == identity
    assert owner.request("DELETE", f"/v1/tokens/{identity}").status_code == 204
    assert registry.client(token).get("/v1/whoami").status_code == 401


def test_an_expired_token_is_refused(registry: Registry) -> None:
    from datetime import timedelta

    token = make_token(registry, "expired")
    assert registry.client(token).get("/v1/whoami").json()["user"] == "expired"
    change_token(registry, token, lambda row, moment: {"expires_at": moment - timedelta(seconds=1)})
    assert registry.client(token).get("/v1/whoami").status_code == 401


def change_token(registry: Registry, token: str, values: Callable[..., dict[str, Any]]) -> Any:
    """Write a token's row past the registry; gives it as it is then."""
    from sqlalchemy import select, update

    from flowctl_registry.database.engine import now, open_engine, writing
    from flowctl_registry.database.tables import tokens
    from flowctl_registry.settings import load_settings

    engine = open_engine(load_settings(None, registry.environment).database)
    mine = tokens.c.id == token.split("_")[1]

    def change(connection: Any) -> Any:
        row = connection.execute(select(tokens).where(mine)).one()
        if changed := values(row, now(connection)):
            connection.execute(update(tokens).where(mine).values(**changed))
        return connection.execute(select(tokens).where(mine)).one()

    try:
        return writing(engine, change)
    finally:
        engine.dispose()


def test_the_last_use_is_noted_once_a_minute(registry: Registry) -> None:
    from datetime import timedelta

    token = make_token(registry, "busy")
    client = registry.client(token)
    assert change_token(registry, token, lambda *_: {}).last_used_at is None
    client.get("/v1/whoami")
    first = change_token(registry, token, lambda *_: {}).last_used_at
    assert first is not None
    client.get("/v1/whoami")
    assert change_token(registry, token, lambda *_: {}).last_used_at == first
    early = change_token(registry, token, lambda row, moment: {"last_used_at": moment - timedelta(seconds=90)})
    client.get("/v1/whoami")
    assert change_token(registry, token, lambda *_: {}).last_used_at > early.last_used_at


def test_only_a_hash_of_the_secret_is_kept(registry: Registry) -> None:
    token = make_token(registry, "hashed")
    row = change_token(registry, token, lambda *_: {})
    assert token.split("_")[2] not in json.dumps(dict(row._mapping), default=str)
    wrong = token[:-1] + ("0" if token[-1] != "0" else "1")
    assert registry.client(wrong).get("/v1/whoami").status_code == 401


def test_basic_credentials_carry_a_token_as_password(registry: Registry) -> None:
    token = make_token(registry, "docker")

    def ask(value: str) -> httpx.Response:
        return anonymous(registry).get("/v1/whoami", headers={"Authorization": value})

    pair = base64.b64encode(f"anybody:{token}".encode()).decode()
    assert ask(f"Basic {pair}").json()["user"] == "docker"
    for wrong in ("Basic", "Basic ???", "Basic " + base64.b64encode(b"\xff\xfe").decode(), "Digest x", "Bearer", "x"):
        assert ask(wrong).status_code == 401, wrong


def test_several_authorization_headers_are_refused(registry: Registry) -> None:
    headers = [("Authorization", f"Bearer {registry.token}"), ("Authorization", "Bearer other")]
    assert httpx.get(registry.urls[0] + "/v1/whoami", headers=headers).status_code == 400


def test_a_namespace_keeps_an_owner(registry: Registry) -> None:
    admin, name = registry.client(), f"n{uuid.uuid4().hex[:8]}"
    path = f"/v1/namespaces/{name}"
    assert admin.request("PUT", path, json={"owner": "ann"}).status_code == 201
    assert admin.request("PUT", path, json={}).status_code == 409
    ann = registry.client(make_token(registry, "ann", namespace=name))
    assert ann.request("PUT", path + "/members/bob", json={}).json()["role"] == "member"
    assert ann.request("DELETE", path + "/members/ann").status_code == 409
    assert ann.request("PUT", path + "/members/ann", json={"role": "member"}).status_code == 409
    assert ann.request("PUT", path + "/members/bob", json={"role": "owner"}).status_code == 200
    assert ann.request("DELETE", path + "/members/ann").status_code == 204
    assert ann.get(path + "/members").status_code == 403
    assert [each["user"] for each in admin.get(path + "/members").json()["members"]] == ["bob"]


def test_two_owners_who_remove_each_other_at_once_do_not_both_succeed(registry: Registry) -> None:
    for _ in range(10):
        namespace = registry.namespace()
        users = [new_user(registry, namespace, "owner") for _ in range(2)]
        new_user(registry, namespace, "member")

        def leave(user: str, namespace: str = namespace) -> int:
            return registry.client().request("DELETE", f"/v1/namespaces/{namespace}/members/{user}").status_code

        with ThreadPoolExecutor(2) as pool:
            assert sorted(pool.map(leave, users)) == [204, 409]


def test_only_an_administrator_changes_quotas_and_makes_namespaces(registry: Registry) -> None:
    namespace = registry.namespace()
    owner = registry.client(make_token(registry, new_user(registry, namespace, "owner")))
    path = f"/v1/namespaces/{namespace}"
    assert owner.request("PATCH", path, json={"private": True}).json()["private"] is True
    assert owner.request("PATCH", path, json={"quota_bytes": 0}).status_code == 403
    assert registry.client().request("PATCH", path, json={"quota_bytes": 7}).json()["quota_bytes"] == 7
    assert owner.request("PUT", "/v1/namespaces/more", json={}).status_code == 403
    assert owner.request("DELETE", path).status_code == 403
    assert owner.get("/v1/audit").status_code == 403


def test_a_namespace_with_components_stays(registry: Registry, release: Path) -> None:
    admin, empty, full = registry.client(), registry.namespace(), registry.namespace()
    assert admin.publish(release, full, "greeting", "1.2.0").status_code == 201
    assert admin.request("DELETE", f"/v1/namespaces/{full}").status_code == 409
    assert admin.request("DELETE", f"/v1/namespaces/{empty}").status_code == 204
    assert admin.get(f"/v1/namespaces/{empty}").status_code == 404


def test_without_anonymous_read_everything_needs_a_token(open_registry: Callable[..., Any]) -> None:
    with open_registry(access__anonymous_read=False) as registry:
        namespace = registry.namespace()
        path = f"/v1/namespaces/{namespace}"
        assert anonymous(registry).get(path).status_code == 401
        assert anonymous(registry).get("/healthz").status_code == 200
        reader = make_token(registry, "reader", "read")
        writer = make_token(registry, "writer", "publish")
        assert registry.client(reader).get(path).status_code == 200
        assert registry.client(writer).get(path).status_code == 403
        assert registry.client(writer).get("/v1/namespaces").json()["namespaces"] == []


def test_commands_make_and_end_what_the_api_takes(registry: Registry) -> None:
    name = f"n{uuid.uuid4().hex[:8]}"
    registry.command("namespace", "create", name, "--owner", "olga", "--private")
    made = json.loads(
        registry.command(
            "token", "create", "--user", "olga", "--namespace", name, "--action", "manage", "-o", "json"
        ).stdout
    )
    assert registry.client(made["token"]).get(f"/v1/namespaces/{name}/members").status_code == 200
    registry.command("namespace", "member", "add", name, "pit")
    registry.command("namespace", "set", name, "--public", "--quota", "1000")
    listed = json.loads(registry.command("namespace", "list", "-o", "json").stdout)
    assert {"private": False, "quota_bytes": 1000}.items() <= next(e for e in listed if e["name"] == name).items()
    members = json.loads(registry.command("namespace", "member", "list", name, "-o", "json").stdout)
    assert [(each["user"], each["role"]) for each in members] == [("olga", "owner"), ("pit", "member")]
    assert made["id"] in registry.command("token", "list", "--user", "olga").stdout
    registry.command("token", "revoke", made["id"])
    assert registry.client(made["token"]).get("/v1/whoami").status_code == 401
    pit = [make_token(registry, "pit") for _ in range(2)]
    registry.command("token", "revoke", "--user", "pit")
    assert [registry.client(each).get("/v1/whoami").status_code for each in pit] == [401, 401]
    registry.command("namespace", "member", "remove", name, "pit")
    registry.command("namespace", "delete", name)
    assert "no namespace" in registry.command("namespace", "set", name, "--private", code=80).stderr


@pytest.mark.parametrize(
    "words",
    [
        ("token", "create", "--user", "a:b"),
        ("token", "create", "--user", "a", "--action", "fly"),
        ("token", "create", "--user", "a", "--component", "c"),
        ("token", "create", "--user", "a", "--admin", "--namespace", "n"),
        ("token", "revoke"),
        ("token", "revoke", "0123456789abcdef", "--user", "a"),
        ("namespace", "create", "../up"),
        ("namespace", "create", "UP"),
        ("audit", "verify", "--expect", "nonsense"),
    ],
    ids=" ".join,
)
def test_commands_refuse_what_means_nothing(registry: Registry, words: tuple[str, ...]) -> None:
    done = registry.command(*words, code=80)
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr


def test_a_command_in_the_wrong_folder_makes_no_registry(registry: Registry, tmp_path: Path) -> None:
    if registry.backend != "sqlite":
        pytest.skip("a database URL names the registry")
    done = registry.command("token", "list", "--data", str(tmp_path / "none"), code=80)
    assert "there is no registry" in done.stderr
    assert not (tmp_path / "none").exists()


def test_a_new_registry_says_how_to_begin_and_makes_no_token(registry: Registry) -> None:
    for process in registry.api:
        assert "flowctl-registry token create --user NAME --admin" in process.log.read_text()
    listed = json.loads(registry.command("token", "list", "--user", "admin", "-o", "json").stdout)
    assert [each["created_by"] for each in listed] == ["operator"]
