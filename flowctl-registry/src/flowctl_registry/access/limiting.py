"""How often a client may ask. Each API process counts for itself, in memory: with n processes a limit is up to n times
what the settings say, and no request waits for a counter elsewhere."""

from __future__ import annotations

import ipaddress
import time

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter
from starlette.requests import Request

from flowctl_registry.errors import TooManyRequestsError
from flowctl_registry.settings import Limits


class Limiter:
    """Counts requests of an address, of a token, and failed logins of an address."""

    def __init__(self, limits: Limits) -> None:
        self._windows = FixedWindowRateLimiter(MemoryStorage())
        self._anonymous = _item(limits.requests_per_minute)
        self._token = _item(limits.token_requests_per_minute)
        self._failures = _item(limits.failed_logins_per_minute)

    def count_address(self, address: str) -> None:
        """A request without a token. Raises TooManyRequestsError."""
        self._count(self._anonymous, "address", address, "this address asks too often without a token")

    def count_token(self, identity: str) -> None:
        """A request with a valid token. Raises TooManyRequestsError."""
        self._count(self._token, "token", identity, "this token asks too often")

    def check_logins(self, address: str) -> None:
        """Raises TooManyRequestsError for an address that has sent too many wrong tokens, whatever it sends now."""
        if self._failures is not None and not self._windows.test(self._failures, "failure", address):
            raise self._refused(self._failures, "failure", address, "too many wrong tokens came from this address")

    def count_failure(self, address: str) -> None:
        """A wrong token."""
        if self._failures is not None:
            self._windows.hit(self._failures, "failure", address)

    def _count(self, item: RateLimitItemPerMinute | None, kind: str, who: str, told: str) -> None:
        if item is not None and not self._windows.hit(item, kind, who):
            raise self._refused(item, kind, who, told)

    def _refused(self, item: RateLimitItemPerMinute, kind: str, who: str, told: str) -> TooManyRequestsError:
        wait = self._windows.get_window_stats(item, kind, who).reset_time - time.time()
        return TooManyRequestsError(told, retry_after_s=max(wait, 1), hint=f"{item.amount} a minute are allowed.")


def client_address(request: Request) -> str:
    """Who is counted: an IPv4 address, or the network of 64 bits that one IPv6 client has."""
    host = request.client.host if request.client is not None else "unknown"
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)


def _item(a_minute: int) -> RateLimitItemPerMinute | None:
    return RateLimitItemPerMinute(a_minute) if a_minute else None
