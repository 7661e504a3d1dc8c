"""Who the user is to a registry: challenges answered with what docker login left, and nothing of it shown."""

from __future__ import annotations

import base64
import json
import logging
import os
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from flowctl_core.errors import ImageError
from flowctl_core.models import Platform
from flowctl_core.package.base import fetch_base
from flowctl_core.package.credentials import find_credentials

AMD64 = Platform("linux/amd64")
BASIC = "Basic " + base64.b64encode(b"ann:s3cret").decode()


def login(**config: object) -> None:
    (Path(os.environ["DOCKER_CONFIG"]) / "config.json").write_text(json.dumps(config))


def auth_entry(host: str) -> dict[str, object]:
    return {"auths": {host: {"auth": base64.b64encode(b"ann:s3cret").decode()}}}


def guard(liar, reply, challenge: str, accepted: str) -> list[str | None]:
    """Every answer needs this Authorization; returns what was sent."""
    heard: list[str | None] = []
    for path, honest in list(liar.replies.items()):

        def guarded(handler: BaseHTTPRequestHandler, _: bytes, honest=honest):
            heard.append(handler.headers.get("Authorization"))
            if handler.headers.get("Authorization") == accepted:
                return honest
            return reply(status=401, headers={"WWW-Authenticate": challenge})

        liar.replies[path] = guarded
    return heard


def helper(monkeypatch: pytest.MonkeyPatch, folder: Path, script: str) -> None:
    program = folder / "docker-credential-test"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


def test_basic(liar, reply, tmp_path: Path, caplog) -> None:
    liar.has_image()
    login(**auth_entry(liar.host))
    heard = guard(liar, reply, 'Basic realm="here"', BASIC)
    with caplog.at_level(logging.DEBUG, "flowctl_core"):
        assert fetch_base(f"{liar.host}/base:1", [AMD64], tmp_path)[AMD64].layers
    assert heard.count(None) == 1, "asked once, known from then on"
    assert "s3cret" not in caplog.text


@pytest.mark.parametrize("who", ["ann", "nobody", "identity token"])
def test_a_token_server(liar, reply, tmp_path: Path, who: str) -> None:
    liar.has_image()
    asked = []

    def token(handler: BaseHTTPRequestHandler, sent: bytes):
        query = parse_qs(f"{urlsplit(handler.path).query}&{sent.decode()}")
        asked.append((handler.command, handler.headers.get("Authorization"), query))
        return reply(json.dumps({"token": "t0ken"}).encode())

    realm = f'Bearer realm="http://{liar.host}/token?account=a",service="registry, it is",scope="repository:base:pull"'
    guard(liar, reply, realm, "Bearer t0ken")
    liar.replies["/token"] = token
    if who == "ann":
        login(**auth_entry(liar.host))
    if who == "identity token":
        login(auths={liar.host: {"identitytoken": "refresh-me"}})
    assert fetch_base(f"{liar.host}/base:1", [AMD64], tmp_path)[AMD64].layers
    (command, authorization, query), *more = asked
    assert not more
    assert query["service"] == ["registry, it is"] and query["scope"] == ["repository:base:pull"]
    assert authorization == (BASIC if who == "ann" else None)
    assert command == ("POST" if who == "identity token" else "GET")
    if who == "identity token":
        assert query["grant_type"] == ["refresh_token"] and query["refresh_token"] == ["refresh-me"]
    assert query["account"] == ["a"]


@pytest.mark.parametrize(
    ("challenge", "token", "message"),
    [
        ("Bearer", None, "does not say where to get it"),
        ('Bearer realm="not a url"', None, "where to get it"),
        ("Negotiate", None, "Negotiate authentication"),
        ('Basic realm="x"', None, "gives no access"),
        ('Bearer realm="http://HOST/token"', {"status": 401}, "no token"),
        ('Bearer realm="http://HOST/token"', {"body": b"<html>"}, "without a token"),
        ('Bearer realm="http://HOST/token"', {"body": b'{"token": "a\\r\\nX: y"}'}, "without a token"),
        ('Bearer realm="http://HOST/token"', {"body": b'{"token": "wrong"}'}, "gives no access"),
    ],
)
def test_challenges_that_lead_nowhere(liar, reply, tmp_path: Path, challenge: str, token, message: str) -> None:
    liar.has_image()
    guard(liar, reply, challenge.replace("HOST", liar.host), "Bearer right")
    if token is not None:
        liar.replies["/token"] = reply(**token)
    with pytest.raises(ImageError, match=message):
        fetch_base(f"{liar.host}/base:1", [AMD64], tmp_path)


def test_credential_helpers(liar, reply, tmp_path: Path, monkeypatch) -> None:
    answer = json.dumps({"Username": "ann", "Secret": "s3cret"})
    helper(monkeypatch, tmp_path, f"read server; [ \"$server\" = '{liar.host}' ] && echo '{answer}'")
    for config in ({"credHelpers": {liar.host: "test"}}, {"credsStore": "test"}):
        login(**config)
        found = find_credentials(liar.host)
        assert found is not None and found.basic == BASIC and "s3cret" not in repr(found)
    helper(monkeypatch, tmp_path, """echo '{"Username": "<token>", "Secret": "refresh-me"}'""")
    found = find_credentials(liar.host)
    assert found is not None and found.identity_token == "refresh-me"
    helper(monkeypatch, tmp_path, "echo 'credentials not found in native keychain'; exit 1")
    assert find_credentials(liar.host) is None
    helper(monkeypatch, tmp_path, "echo 'the keychain is locked'; exit 1")
    with pytest.raises(ImageError, match="cannot be read") as caught:
        find_credentials(liar.host)
    assert "docker login" in caught.value.hint
    login(credsStore="no-such-helper")
    with pytest.raises(ImageError, match="cannot be read"):
        find_credentials(liar.host)


def test_files_that_are_none() -> None:
    assert find_credentials("example.org") is None
    path = Path(os.environ["DOCKER_CONFIG"]) / "config.json"
    for text in ('{"auths": {"example.org": 5}}', '{"auths": {"example.org": {"auth": "%%%"}}}', '{"auths": 5}'):
        path.write_text(text)
        with pytest.raises(ImageError, match="cannot be read") as caught:
            find_credentials("example.org")
        assert str(path) in caught.value.hint


def test_docker_hub_has_an_old_name() -> None:
    login(auths={"https://index.docker.io/v1/": {"auth": base64.b64encode(b"ann:s3cret").decode()}})
    found = find_credentials("docker.io")
    assert found is not None and found.username == "ann"
