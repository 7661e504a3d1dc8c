"""How a registry wants to be answered when it says 401: basic authentication, or a token of its token server.

Protocol: RFC 7235 challenges; distribution's token specification (GET) and its OAuth2 form (POST, for identity tokens).
"""

from __future__ import annotations

import json
from urllib.request import parse_http_list, parse_keqv_list

import httpx

from flowctl_core.errors import ImageError
from flowctl_core.package.answer import read_answer
from flowctl_core.package.credentials import Credentials

CLIENT_ID = "flowctl"


def answer(
    header: str, registry: str, credentials: Credentials | None, scopes: tuple[str, ...], client: httpx.Client
) -> str | None:
    """The header `Authorization` for a challenge; None when there is nothing to answer with.

    `scopes` are what is wanted of the token server. Raises ImageError when it refuses or makes no sense.
    """
    scheme, _, rest = header.partition(" ")
    if scheme.lower() == "basic":
        return credentials.basic if credentials is not None and credentials.username else None
    if scheme.lower() != "bearer":
        raise ImageError(f"{registry} asks for {scheme or 'nothing'} authentication, which flowctl does not know")
    try:
        fields = parse_keqv_list(parse_http_list(rest))
        realm = httpx.URL(fields["realm"])
        if realm.scheme not in ("http", "https"):
            raise ValueError(fields["realm"])
    except (ValueError, KeyError, IndexError, httpx.InvalidURL) as error:
        raise ImageError(f"{registry} asks for a token and does not say where to get it") from error
    wanted = {"service": fields.get("service", ""), "scope": " ".join(scopes) or fields.get("scope", "")}
    given = read_answer(client.send(_token_request(client, realm, wanted, scopes, credentials), stream=True))
    if not given.ok:
        who = "these credentials" if credentials is not None else "nobody in particular"
        raise ImageError(
            f"{realm.host} gives {who} no token for {registry}: HTTP {given.status}",
            hint=f"Sign in with rights for that repository: docker login {registry}",
        )
    try:
        document = json.loads(given.body)
        token = document.get("token") or document.get("access_token")
    except (ValueError, AttributeError):
        token = None
    if not isinstance(token, str) or not token or not token.isascii() or not token.isprintable():
        raise ImageError(f"{realm.host} answers without a token")
    return f"Bearer {token}"


def _token_request(
    client: httpx.Client, realm: httpx.URL, wanted: dict[str, str], scopes: tuple[str, ...], who: Credentials | None
) -> httpx.Request:
    if who is not None and who.identity_token:
        form = {**wanted, "grant_type": "refresh_token", "client_id": CLIENT_ID, "refresh_token": who.identity_token}
        return client.build_request("POST", realm, data=form)
    query = [*realm.params.multi_items(), ("service", wanted["service"]), ("client_id", CLIENT_ID)]
    query += [("scope", scope) for scope in scopes or (wanted["scope"],)]
    headers = {"Authorization": who.basic} if who is not None and who.username else {}
    return client.build_request("GET", realm.copy_with(params=query), headers=headers)
