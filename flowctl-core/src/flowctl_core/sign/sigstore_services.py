"""sigstore-python's clients for one instance, with a time-out and with the services' own words on failure.

The clients set no time-out, and Fulcio's errors come back empty. Both are put right in the transport adapters that
`requests` has for it (https://requests.readthedocs.io/en/latest/user/advanced/#transport-adapters).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import requests
from requests.adapters import HTTPAdapter
from sigstore.errors import Error
from sigstore.models import ClientTrustConfig
from sigstore.sign import SigningContext

from flowctl_core.errors import FlowctlError, SigningError

if TYPE_CHECKING:
    from sigstore.models import Bundle

_HINT = "Is the trust config the one of a Sigstore instance that is up and that accepts this identity?"
_MOST = 2000
"""Characters of a service's answer that are shown."""


class _Transport(HTTPAdapter):
    """Adds a time-out, and keeps why a service did not serve."""

    def __init__(self, service: str, timeout_s: float, failures: list[str]) -> None:
        super().__init__()
        self._service, self._timeout_s, self._failures = service, timeout_s, failures

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        options["timeout"] = self._timeout_s
        try:
            response = super().send(request, *args, **options)
        except requests.Timeout:
            self._failures.append(f"{self._service} did not answer within {self._timeout_s:g} s")
            raise
        except requests.ConnectionError:
            self._failures.append(f"{self._service} cannot be reached")
            raise
        if not response.ok:
            self._failures.append(f"{self._service} answers {response.status_code}: {_words(response.text)}")
        return response


class Services:
    """The instance that `config` names. `token` is known only to keep it out of messages."""

    def __init__(self, config: ClientTrustConfig, token: str, timeout_s: float) -> None:
        self._token = token
        self._failures: list[str] = []
        with self.explained():
            signing = config.signing_config
            authority, log, stamps = signing.get_fulcio(), signing.get_tlogs()[0], signing.get_tsas()
            self._has_stamps = bool(stamps)
            clients: list[tuple[str, Any]] = [("the certificate authority", authority), ("the transparency log", log)]
            for name, client in [*clients, *(("the time-stamping authority", each) for each in stamps)]:
                session = client.session if client is authority else client._session
                transport = _Transport(f"{name} at {client.url}", timeout_s, self._failures)
                session.mount("https://", transport)
                session.mount("http://", transport)
            self.context = SigningContext(
                fulcio=authority, rekor=log, trusted_root=config.trusted_root, tsa_clients=stamps
            )

    def check_timestamps(self, bundle: Bundle) -> None:
        """SigningError where none of the time-stamping authorities stamped (sigstore-python only warns)."""
        if self._has_stamps and bundle.verification_material.timestamp_verification_data is None:
            raise SigningError(self._reason("no time stamp was had"), hint=_HINT)

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Turns whatever the clients raise into a SigningError with the service's own words."""
        try:
            yield
        except FlowctlError:
            raise
        except Exception as error:  # clients raise bare Exceptions of their own, and whatever odd answers make them
            kind = "" if isinstance(error, Error) and str(error) else f"{type(error).__name__}: "
            raise SigningError(self._reason(f"{kind}{error}"), hint=_HINT) from error

    def _reason(self, otherwise: str) -> str:
        reason = self._failures[-1] if self._failures else otherwise
        return f"keyless signing failed: {reason.replace(self._token, '[identity token]')[:_MOST]}"


def _words(text: str) -> str:
    """A service's message: Fulcio and Rekor answer with JSON that has one."""
    try:
        message = str(json.loads(text)["message"])
    except (ValueError, KeyError, TypeError, RecursionError):
        message = text
    return message.strip() or "(nothing)"
