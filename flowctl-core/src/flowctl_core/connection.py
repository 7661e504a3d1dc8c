"""How a registry is reached: its address, token, certificates and proxy, for everything that asks it by HTTP.

A token goes to the registry's own address and nowhere else, whatever it redirects to; nobody is led out of TLS.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from flowctl_core import __version__
from flowctl_core.errors import ConfigError, UsageError
from flowctl_core.models.config import check_registry_url

if TYPE_CHECKING:
    import httpx

_LOOPBACK = frozenset(["localhost", "127.0.0.1", "::1"])
_MAX_REDIRECTS = 5
_PORTS = {"http": 80, "https": 443}


class InsecureRedirectError(Exception):
    """The server leads out of TLS, or to this machine."""


@dataclass(frozen=True)
class Connection:
    """Everything that is needed to ask one registry."""

    url: str
    """Without a slash at its end."""
    token: str | None = field(default=None, repr=False)
    ca: Path | None = None
    """Certificate authorities (PEM), beside the usual ones."""
    proxy: str | None = field(default=None, repr=False)
    """None: what the environment says."""
    mirrors: tuple[str, ...] = ()
    """Other addresses of the same files: believed only after comparison with the signed index."""

    @property
    def trust(self) -> str:
        """Address of the registry's trust repository, whose root is pinned."""
        return f"{self.url}/v1/trust"

    @property
    def host(self) -> str:
        """For messages: the host and, where it is named, its port."""
        return urlsplit(self.url).netloc

    def mirror(self, url: str) -> Connection:
        """The connection to one of the mirrors: by the same proxy and certificates, without the token."""
        return replace(self, url=url, token=None, mirrors=())


def connect(url: str, token: str | None = None) -> Connection:
    """A connection without any settings. Raises UsageError for what is no address of a registry."""
    try:
        return Connection(check_registry_url(url), token)
    except ValueError as error:
        raise UsageError(f"{url} is no registry that can be asked", hint="Give its address: https://HOST") from error


def open_client(connection: Connection, *, connect_s: float, read_s: float, plain: bool = False) -> httpx.Client:
    """An HTTP client that follows redirects and sends the token to `connection.url` alone.

    What is hashed is what travels: no answer is asked for compressed. `plain`: redirects without TLS are followed,
    where all that comes is signed. Raises ConfigError for a bad `ca` or `proxy`; the client raises
    InsecureRedirectError.
    """
    import httpx

    own = httpx.URL(connection.url)

    def check(request: httpx.Request) -> None:
        here = _origin(request.url) == _origin(own)
        request.headers.pop("Authorization", None)
        if here and connection.token is not None:
            request.headers["Authorization"] = f"Bearer {connection.token}"
        if here:
            return
        if request.url.host in _LOOPBACK:
            if own.host not in _LOOPBACK:
                raise InsecureRedirectError(f"the server leads to {request.url.host}, this machine itself")
        elif request.url.scheme != "https" and not plain:
            raise InsecureRedirectError(f"the server leads to {request.url.host} without TLS")

    try:
        return httpx.Client(
            timeout=httpx.Timeout(read_s, connect=connect_s),
            follow_redirects=True,
            max_redirects=_MAX_REDIRECTS,
            headers={"User-Agent": f"flowctl/{__version__}", "Accept-Encoding": "identity"},
            verify=_certificates(connection.ca) if connection.ca is not None else True,
            proxy=connection.proxy,
            event_hooks={"request": [check]},
        )
    except (ValueError, httpx.InvalidURL, ImportError) as error:  # its words may have the password
        raise ConfigError(
            f"the proxy for {connection.host} cannot be used",
            hint="Write http://[USER:PASSWORD@]HOST:PORT, in `registries` or in HTTPS_PROXY.",
        ) from error


def _certificates(ca: Path) -> ssl.SSLContext:
    import certifi

    context = ssl.create_default_context(cafile=certifi.where())
    try:
        context.load_verify_locations(ca)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"{ca} is no file of certificate authorities: {getattr(error, 'strerror', None) or error}",
            hint="`ca` in `registries` names a PEM file.",
        ) from error
    return context


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port or _PORTS.get(url.scheme)
