"""Which addresses a fetch may reach: public ones, in whatever notation they come."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
_NAT64 = IPv6Network("64:ff9b::/96")
_HOSTS_OF_CLOUDS = frozenset({IPv4Address("168.63.129.16")})
"""Public by number, but answered by the machine below (Azure's wire server)."""


class AddressRules:
    """Public addresses, and private networks that the operator allows."""

    def __init__(self, allow_private: Iterable[str] = ()) -> None:
        """Networks (CIDR) or addresses. Raises ValueError."""
        self._allowed = tuple(ip_network(text, strict=False) for text in allow_private)

    def refusal(self, text: str) -> str | None:
        """Why an address, as a resolver gives it, must not be reached; None when it may."""
        address = ip_address(text.partition("%")[0])
        if any(address in network for network in self._allowed):
            return None
        if _is_own(address):
            return f"{address} is this machine"
        for one in (address, *_embedded(address)):
            if not _is_public(one):
                return f"{address} is not a public address"
        return None


def _is_own(address: Address) -> bool:
    """A public address of this machine leads to its services as loopback does: only such can be listened on."""
    family = socket.AF_INET if isinstance(address, IPv4Address) else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.bind((str(address), 0))
    except OSError:
        return False
    return address.is_global


def _embedded(address: Address) -> list[IPv4Address]:
    """Addresses of version 4 that traffic to this one ends at."""
    if isinstance(address, IPv4Address):
        return []
    found = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if address in _NAT64:
        found.append(IPv4Address(int(address) & 0xFFFFFFFF))
    return [each for each in found if each is not None]


def _is_public(address: Address) -> bool:
    if isinstance(address, IPv6Address):
        if address in _NAT64 or address.ipv4_mapped is not None:
            return True  # as public as what is in it, which is looked at too
        if address.is_site_local:
            return False
    return address.is_global and not (address.is_multicast or address.is_reserved or address in _HOSTS_OF_CLOUDS)
