"""What must be refused, on every route: the tests walk the route table, so that a new route cannot be forgotten."""

from __future__ import annotations

import http.client
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from sqlalchemy import insert

from flowctl_registry.api.endpoints import ENDPOINTS
from flowctl_registry.api.routing import Endpoint
from flowctl_registry.database.build_tables import builds
from flowctl_registry.database.engine import now

from .conftest import Registry
from .test_access import begin, change_token, make_token, new_user

WRITES = tuple(each for each in ENDPOINTS if each.method not in ("GET", "HEAD"))
OPEN_WRITES = {"POST /v1/oidc/token", "POST /v1/webhooks/github"}
"""Write routes that need no token: they check what the body brings."""
WITHOUT_NAMESPACE = {"POST /v1/tokens", "DELETE /v1/tokens/{token_id}"}
"""Write routes that concern the caller itself; test_access has their rules."""
STRANGERS = ("nobody", "garbage", "wrong secret", "expired", "revoked")
OUTSIDERS = (*STRANGERS, "owner elsewhere", "scoped elsewhere", "reader", "scoped to another component")


def title(endpoint: Endpoint) -> str:
    return f"{endpoint.method} {endpoint.path}"


@dataclass
class Scene:
    """A namespace with a release and an upload, and everybody who must not touch it."""

    registry: Registry
    namespace: str
    values: dict[str, str]
    tokens: dict[str, str | None]

    def path(self, endpoint: Endpoint, **changes: str) -> str:
        """An address of something that is there."""
        values = {**self.values, **changes}
        return re.sub(r"{(\w+)(?::\w+)?}", lambda found: values[found[1]], endpoint.path)


def ended_build(registry: Registry, namespace: str) -> str:
    """One that succeeded: nothing that its owner asks for changes it."""
    build_id = uuid.uuid4().hex
    values = {
        "id": build_id, "kind": "component", "namespace": namespace, "name": "greeting", "subdirectory": ".",
        "repository": "https://git.test/x", "trigger": "manual", "priority": 20, "state": "succeeded", "requested_by": "x",
    }  # fmt: skip
    registry.change(lambda c: c.execute(insert(builds).values(**values, created_at=now(c))))
    return build_id


def scene_of(registry: Registry, release: Path, *, private: bool) -> Scene:
    namespace, elsewhere = registry.namespace(private=private), registry.namespace()
    admin = registry.client()
    assert admin.publish(release, namespace, "greeting", "1.2.0").status_code == 201
    digest = admin.get(f"/v1/components/{namespace}/greeting/1.2.0").json()["binaries"][0]["digest"]
    owner = new_user(registry, namespace, "owner")
    assert (
        registry.client()
        .request("PUT", f"/v1/namespaces/{elsewhere}/members/{owner}", json={"role": "owner"})
        .is_success
    )
    right = make_token(registry, owner, namespace=namespace)
    expired, revoked = make_token(registry, owner), make_token(registry, owner)
    change_token(registry, expired, lambda row, moment: {"expires_at": moment - timedelta(seconds=1)})
    assert admin.request("DELETE", f"/v1/tokens/{revoked.split('_')[1]}").status_code == 204
    return Scene(
        registry,
        namespace,
        {
            "ns": namespace,
            "name": "greeting",
            "version": "1.2.0",
            "reference": "v1.2.0",
            "digest": digest,
            "id": begin(admin, namespace).json()["id"],
            "build": ended_build(registry, namespace),
            "user": new_user(registry, namespace, "member"),
            "token_id": make_token(registry, owner, namespace=namespace).split("_")[1],
            "publisher": "1",
            "hook": "0" * 32,
            "path": "metadata/component.yaml",
            "file": "root.json",
        },
        {
            "owner": right,
            "nobody": None,
            "garbage": "flowctl_garbage",
            "wrong secret": right[:-8] + ("0" * 8 if right[-8:] != "0" * 8 else "1" * 8),
            "expired": expired,
            "revoked": revoked,
            "owner elsewhere": make_token(registry, new_user(registry, elsewhere, "owner")),
            "scoped elsewhere": make_token(registry, owner, namespace=elsewhere),
            "reader": make_token(registry, owner, "read"),
            "scoped to another component": make_token(registry, owner, namespace=namespace, component="another"),
        },
    )


@pytest.fixture(scope="module")
def public(registry: Registry, make_release) -> Iterator[Scene]:
    yield scene_of(registry, make_release(), private=False)


@pytest.fixture(scope="module")
def private(registry: Registry, make_release) -> Iterator[Scene]:
    yield scene_of(registry, make_release(), private=True)


def ask(scene: Scene, method: str, target: str, token: str | None, body: bytes | None = None) -> tuple[int, str]:
    """One request as it stands, since clients tidy addresses up; each goes to the next process."""
    scene.registry.turn = getattr(scene.registry, "turn", 0) + 1
    url = urlsplit(scene.registry.urls[scene.registry.turn % len(scene.registry.urls)])
    connection = http.client.HTTPConnection(str(url.hostname), url.port, timeout=30)
    try:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        connection.request(method, target, body=body, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode(errors="replace")
    finally:
        connection.close()


def is_refused(status: int, told: str) -> bool:
    """By the checks of access, not by something that was met behind them."""
    return status in (401, 403) or (
        status == 404 and ('"there is no namespace ' in told or '"there is no build ' in told)
    )


def in_a_namespace(endpoint: Endpoint) -> bool:
    return "{ns}" in endpoint.path or endpoint.place is not None


def test_every_route_of_the_application_is_declared(tmp_path: Path) -> None:
    from flowctl_registry.app import create_app
    from flowctl_registry.database import migrate
    from flowctl_registry.database.engine import open_engine
    from flowctl_registry.settings import load_settings

    settings = load_settings(None, {}, data=tmp_path)
    engine = open_engine(settings.database)
    migrate.upgrade(engine)
    engine.dispose()
    app = create_app(settings)
    images = [route for route in app.routes if route.path.startswith("/v2/")]  # tested in test_images_login.py
    served = {
        f"{method} {route.path}"
        for route in app.routes
        if route not in images
        for method in route.endpoint.methods - {"HEAD"}
    }
    app.state.services.close()
    assert {route.path for route in images if route.methods - {"GET", "HEAD"}} == {"/v2/{rest:path}"}, "says 405"
    assert served == {title(each) for each in ENDPOINTS if each.method != "HEAD"}


def test_write_routes_without_a_namespace_are_known() -> None:
    assert {title(each) for each in WRITES if each.action is None and "/v1/" in each.path} == OPEN_WRITES
    bare = {title(each) for each in WRITES if each.action is not None and not in_a_namespace(each)}
    assert bare == WITHOUT_NAMESPACE


@pytest.mark.parametrize("endpoint", [each for each in WRITES if each.action], ids=title)
def test_no_outsider_writes(public: Scene, private: Scene, endpoint: Endpoint) -> None:
    for scene in (public, private):
        for who in OUTSIDERS if in_a_namespace(endpoint) else STRANGERS:
            status, told = ask(scene, endpoint.method, scene.path(endpoint), scene.tokens[who], b"{}")
            assert is_refused(status, told), f"{who}: {status} {told}"
            if who in STRANGERS:
                assert status == 401, f"{who}: {status} {told}"
        if endpoint.action != "admin":
            status, told = ask(scene, endpoint.method, scene.path(endpoint), scene.tokens["owner"], b"nonsense")
            assert not is_refused(status, told), f"the owner: {status} {told}"


@pytest.mark.parametrize(
    "endpoint", [each for each in ENDPOINTS if each not in WRITES and in_a_namespace(each)], ids=title
)
def test_no_outsider_reads_what_is_private(private: Scene, endpoint: Endpoint) -> None:
    path = private.path(endpoint)
    for who in set(OUTSIDERS) - {"reader"}:
        status, told = ask(private, endpoint.method, path, private.tokens[who])
        assert is_refused(status, told) or status == 404, f"{who}: {status} {told}"
        assert who not in STRANGERS or status == 401 or who == "nobody", f"{who}: {status}"
    status, told = ask(private, endpoint.method, path, private.tokens["owner"])
    assert not is_refused(status, told), f"the owner: {status} {told}"


QUERIES = {"/v1/components/search": "?q=greeting", "/v1/bundles/search": "?q=greeting"}
SIGNED_INDEX = "/v1/trust/"
"""It has the names of private versions too (docs/operators/registry-access.md)."""


@pytest.mark.parametrize(
    "endpoint", [each for each in ENDPOINTS if each.method == "GET" and "{" not in each.path], ids=title
)
def test_no_list_tells_an_outsider_of_what_is_private(private: Scene, endpoint: Endpoint) -> None:
    target = endpoint.path + QUERIES.get(endpoint.path, "")
    for who in ("nobody", "owner elsewhere", "scoped elsewhere"):
        status, told = ask(private, "GET", target, private.tokens[who])
        assert status < 500
        assert private.namespace not in told, who
    if endpoint.path in ("/v1/components", "/v1/components/search", "/v1/namespaces"):
        assert private.namespace in ask(private, "GET", target, private.tokens["owner"])[1]


@pytest.mark.parametrize("endpoint", [each for each in ENDPOINTS if each.action in ("manage", "admin")], ids=title)
def test_no_mere_member_manages(public: Scene, endpoint: Endpoint) -> None:
    member = make_token(
        public.registry, new_user(public.registry, public.namespace, "member"), "read", "publish", "yank"
    )
    status, told = ask(public, endpoint.method, public.path(endpoint), member, b"{}")
    assert status == 403, f"{status} {told}"


TRICKS = (
    "..", ".", "%2e%2e", "..%2f..%2fetc%2fpasswd", "%2e%2e%2f%2e%2e%2fx", "..%5c..%5cx", "%00", "a%00b", "a%0ab", "a%0d%0ab",
    "%c0%ae%c0%ae", "%ff", "A", "a%20b", "a%2fb", "-a", ".a", "a..b", "~root", "$HOME", "%24%7bx%7d", "a'--", "%22", "*",
    "a" * 300, "%F0%9F%92%A9", "%E2%80%AE", "1.2.0%0a", "sha256:%2e%2e", "greeting%0a", "xn--%0a", "%2525",
)  # fmt: skip


def fields(endpoint: Endpoint) -> tuple[str, ...]:
    return tuple(re.findall(r"{(\w+)(?::\w+)?}", endpoint.path))


@pytest.mark.parametrize("endpoint", [each for each in ENDPOINTS if "{" in each.path], ids=title)
def test_no_trick_in_a_path_finds_anything(public: Scene, endpoint: Endpoint) -> None:
    admin = public.registry.token
    for name in fields(endpoint):
        for trick in TRICKS:
            if name in ("user", "version", "reference", "tag", "id") and trick == "A":
                continue  # a name that could be one
            target = public.path(endpoint, **{name: trick})
            status, told = ask(public, endpoint.method, target, admin, b"{}")
            assert 300 <= status < 500, f"{name}={trick}: {status} {told}"
            assert "root:" not in told
    assert ask(public, "GET", "/healthz", None)[0] == 200


PATHS = (
    "../x", "/etc/passwd", "metadata/../../x", "metadata/..", "metadata/.hidden", "metadata//x", "metadata/", "metadata",
    "metadata/x\0", "metadata/x\n", "other/x", "metadata\\x", "metadata/a\\b", "metadata/" + "a" * 500, "Metadata/x", "",
    "metadata/x/", "containers/./index.json", "binaries/%2e%2e/x", "binaries/💩", " metadata/x",
)  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
def test_a_release_has_no_file_outside_its_folders(public: Scene, path: str) -> None:
    files = [{"path": path, "digest": "sha256:" + "0" * 64, "size": 1}]
    base = f"/v1/components/{public.namespace}/greeting/uploads"
    refused = public.registry.client().post(base, json={"version": "9.9.9", "files": files})
    assert refused.status_code == 400, refused.text


@pytest.mark.parametrize(
    "change",
    [
        {"digest": "sha256:" + "A" * 64},
        {"digest": "sha256:" + "0" * 63},
        {"digest": "sha512:" + "0" * 128},
        {"digest": "md5:" + "0" * 32},
        {"digest": "sha256:" + "0" * 64 + "\n"},
        {"size": -1},
        {"size": 2**63},
        {"size": 2**53 + 1},
        {"size": "many"},
        {"size": 1.5},
        {"size": None},
    ],
    ids=str,
)
def test_a_file_that_is_said_wrong_is_refused(public: Scene, change: dict[str, object]) -> None:
    files = [{"path": "metadata/component.yaml", "digest": "sha256:" + "0" * 64, "size": 1} | change]
    base = f"/v1/components/{public.namespace}/greeting/uploads"
    refused = public.registry.client().post(base, json={"version": "9.9.9", "files": files})
    assert refused.status_code in (400, 413), refused.text


BODIES = {
    "nested": b"[" * 100_000,
    "nested in an object": b'{"name":' * 50_000,
    "not UTF-8": b'{"name": "\xff"}',
    "half a character": b'{"name": "\\ud800", "actions": ["read"], "reason": "\\ud800", "role": "\\ud800"}',
    "a NUL": b'{"name": "a\\u0000b", "actions": ["read"], "reason": "a\\u0000b", "role": "\\u0000", "owner": "\\u0000", "private": "\\u0000"}',
    "a huge number": b'{"quota_bytes": 1' + b"0" * 5_000 + b', "expires_in_days": 1e999, "role": 1e999}',
    "NaN": b'{"quota_bytes": NaN, "role": NaN, "expires_in_days": NaN}',
    "a list": b"[]",
    "text": b'"text"',
    "nothing": b"",
    "a form": b"name=x&actions=read",
    "a BOM": b'\xef\xbb\xbf{"name": "x"}',
}


@pytest.mark.parametrize("endpoint", [each for each in WRITES if each.body], ids=title)
def test_no_body_upsets_it(public: Scene, endpoint: Endpoint) -> None:
    for name, body in BODIES.items():
        target = public.path(endpoint, version="1.2.0")
        if endpoint.method == "PUT" and endpoint.path == "/v1/namespaces/{ns}":
            target = f"/v1/namespaces/n{uuid.uuid4().hex[:10]}"
        status, told = ask(public, endpoint.method, target, public.registry.token, body)
        assert 400 <= status < 500, f"{name}: {status} {told}"
        assert "Traceback" not in told


@pytest.mark.parametrize(
    "header",
    [b"Bearer " + b"x" * 20_000, b"Bearer \xff\xfe", b"Bearer flowctl_" + b"a" * 16 + b"_" + b"0" * 48, b"Bearer a b c",
     b"Bearer flowctl_\xd9\xa1123456789abcdef_" + b"0" * 48, b"bearer", b"Basic =", b"Negotiate x", b","],
    ids=range(9),
)  # fmt: skip
def test_no_credentials_upset_it(public: Scene, header: bytes) -> None:
    url = urlsplit(public.registry.urls[0])
    connection = http.client.HTTPConnection(str(url.hostname), url.port, timeout=30)
    connection.putrequest("GET", "/v1/whoami")
    connection.putheader("Authorization", header)
    connection.endheaders()
    assert connection.getresponse().status in (400, 401, 431)
    connection.close()


IMAGES = ("/v2/{ns}/{name}/manifests/{tag}", "/v2/{ns}/{name}/blobs/{digest}", "/v2/{ns}/{name}/tags/list",
          "/v2/{ns}/{name}/referrers/{digest}")  # fmt: skip


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_images_are_written_by_nobody(public: Scene, method: str) -> None:
    values = {**public.values, "tag": "1.2.0"}
    for path in (*IMAGES, "/v2/{ns}/{name}/blobs/uploads/", "/v2/{ns}/{name}/blobs/uploads/x", "/v2/"):
        for token in (public.tokens["owner"], public.registry.token):
            status, told = ask(public, method, path.format(**values), token, b"{}")
            assert status == 405, f"{path}: {status} {told}"


@pytest.mark.parametrize("path", IMAGES)
def test_no_outsider_pulls_what_is_private(private: Scene, path: str) -> None:
    target = path.format(**private.values, tag="1.2.0")
    for who in OUTSIDERS:
        status, told = ask(private, "GET", target, private.tokens[who])
        allowed = {200, 404} if who == "reader" else {401, 403, 404}
        assert status in allowed, f"{who}: {status} {told}"


@pytest.mark.parametrize("path", IMAGES)
def test_no_trick_in_an_image_path_finds_anything(public: Scene, path: str) -> None:
    values = {**public.values, "tag": "1.2.0"}
    for name in re.findall(r"{(\w+)}", path):
        for trick in TRICKS:
            status, told = ask(public, "GET", path.format(**{**values, name: trick}), public.registry.token)
            assert 300 <= status < 500, f"{name}={trick}: {status} {told}"
