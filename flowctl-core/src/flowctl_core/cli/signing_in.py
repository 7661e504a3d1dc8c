"""Signs in to registries and out again."""

from __future__ import annotations

import getpass
import os
import sys
from pathlib import Path

from flowctl_core.cli.console import emit, is_terminal, say, warn
from flowctl_core.cli.remote import registries
from flowctl_core.cli.session import load_configuration
from flowctl_core.cli.trusting import confirm_root
from flowctl_core.client.credentials import Credentials, Place
from flowctl_core.client.registries import Registries
from flowctl_core.client.session import Session
from flowctl_core.config.edit import remember_registry
from flowctl_core.connection import Connection
from flowctl_core.errors import StoreError, TrustError, UsageError
from flowctl_core.models.base import Frozen
from flowctl_core.models.config import Config
from flowctl_core.models.remote_build import CallerReport

_PLACES = {"keyring": "in the keyring", "file": "in ~/.flowctl/credentials.json"}
_LONGEST = 4096


class _Caller(Frozen):
    user: str | None = None
    actions: tuple[str, ...] = ()
    namespaces: dict[str, str] = {}  # noqa: RUF012 - pydantic copies it


def sign_in(
    url: str | None,
    namespaces: list[str],
    fingerprint: str | None,
    *,
    token_stdin: bool,
    token_file: Path | None,
    no_token: bool,
) -> None:
    """Check the token, pin the root, keep the token, note the registry; in this order, so that nothing is half done."""
    if sum((token_stdin, token_file is not None, no_token)) > 1:
        raise UsageError("one token, from one place", hint="One of --token-stdin, --token-file and --no-token.")
    loaded = load_configuration()
    bare = _without_token(loaded.config, url)
    from_environment = os.environ.get("FLOWCTL_TOKEN")
    given = token_stdin or token_file is not None
    token = None if no_token else from_environment if from_environment and not given else None
    if token is None and not no_token:
        token = _read_token(bare.url, token_file, from_stdin=token_stdin)
    connection = Connection(bare.url, token, bare.ca, bare.proxy)
    caller = _caller(connection)
    pinned = _pin(connection, fingerprint)
    place: Place | None = None
    if token is not None and token != from_environment:
        place = Credentials().keep(connection.url, token)
        if from_environment:
            warn("FLOWCTL_TOKEN is set, and goes before the token that was kept")
    noted = remember_registry(loaded, connection.url, namespaces)
    report = CallerReport(
        registry=connection.url,
        user=caller.user,
        actions=caller.actions,
        namespaces=caller.namespaces,
        token=place or ("environment" if token is not None else None),
        fingerprint=pinned,
    )
    if emit(report.model_dump(mode="json")):
        return
    say(f"signed in to {connection.url} as {caller.user}" if caller.user else f"{connection.url} may be asked")
    if place is not None:
        say(f"  token      {_PLACES[place]}")
    elif token is not None:
        say("  token      in FLOWCTL_TOKEN, not kept")
    _show_rights(caller)
    say(f"  root       {pinned}, pinned")
    if noted:
        say(f"  {noted}")
    say("next: flowctl component publish, or flowctl component install NS/NAME")


def sign_out(url: str | None) -> None:
    """Forget a token."""
    loaded = load_configuration()
    bare = _without_token(loaded.config, url)
    forgotten = Credentials().forget(bare.url)
    if emit(CallerReport(registry=bare.url).model_dump(mode="json")):
        return
    say(f"the token of {bare.url} is forgotten here" if forgotten else f"no token of {bare.url} was kept")
    if forgotten:
        say("  it stays valid until it expires or somebody ends it in the registry")
    if os.environ.get("FLOWCTL_TOKEN"):
        say("  FLOWCTL_TOKEN is still set")


def show_caller(url: str | None) -> None:
    """Show the user, the token's actions and the roles. Raises UnauthorizedError for a token that is not valid."""
    known = registries(url)
    connection = known.main()
    caller = _caller(connection)
    place = known.place_of_token(connection.url)
    report = CallerReport(
        registry=connection.url,
        user=caller.user,
        actions=caller.actions,
        namespaces=caller.namespaces,
        token=place,
        fingerprint=_pinned_fingerprint(connection),
    )
    if emit(report.model_dump(mode="json")):
        return
    say(f"{caller.user or 'nobody in particular'} at {connection.url}")
    say(f"  token      {_PLACES.get(place, place) if place else 'none'}")
    _show_rights(caller)
    say(f"  root       {report.fingerprint or 'not pinned: flowctl login ' + connection.url}")


def _show_rights(caller: _Caller) -> None:
    say(f"  may        {', '.join(caller.actions) or 'read what is public'}")
    if caller.namespaces:
        say(f"  namespaces {', '.join(f'{name} ({role})' for name, role in sorted(caller.namespaces.items()))}")


def _without_token(config: Config, url: str | None) -> Connection:
    """The registry that is meant, with its proxy and certificates, and without any token."""
    return Registries(config, named=url).bare(url)


def _caller(connection: Connection) -> _Caller:
    with Session(connection) as session:
        return session.document(_Caller, "/v1/whoami", what="your token")


def _read_token(url: str, file: Path | None, *, from_stdin: bool) -> str:
    if from_stdin:
        text = sys.stdin.read(_LONGEST)
    elif file is not None:
        try:
            with file.open(encoding="utf-8", errors="replace") as opened:
                text = opened.read(_LONGEST)
        except OSError as error:
            raise StoreError.of(error, file, "read") from error
    elif is_terminal() and sys.stdin.isatty():
        text = getpass.getpass(f"Token for {url}: ", stream=sys.stderr)
    else:
        raise UsageError(
            f"no token for {url}", hint="Give --token-stdin or --token-file, set FLOWCTL_TOKEN, or --no-token."
        )
    token = text.strip()
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise UsageError("that is no token", hint="A token is one word; the registry shows it once, when it is made.")
    return token


def _pin(connection: Connection, fingerprint: str | None) -> str:
    """Pin the root, or find that it is; its fingerprint. Raises TrustError."""
    from flowctl_core.trust import pinning

    registry = pinning.normal(connection.trust)
    known = _pinned_fingerprint(connection)
    if known is not None and fingerprint is None:
        return known
    data = pinning.offered_root(registry, fingerprint, connection=connection)
    if fingerprint is None:
        confirm_root(registry, pinning.fingerprint_of(data))
    return pinning.pin(registry, data).fingerprint


def _pinned_fingerprint(connection: Connection) -> str | None:
    from flowctl_core.trust import pinning

    registry = pinning.normal(connection.trust)
    folder = pinning.folder_of(registry)
    if not folder.pin.exists():
        return None
    try:
        return pinning.read_pin(folder, registry).fingerprint
    except TrustError as error:
        raise TrustError(error.message, hint=f"`flowctl trust pin {registry} --replace` pins it anew.") from error
