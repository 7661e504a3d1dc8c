"""Which addresses a host has, if all of them may be reached."""

from __future__ import annotations

import fnmatch
import socket
from collections.abc import Sequence

from flowctl_registry.sandbox.addresses import AddressRules


class NotAllowedError(Exception):
    """An address of the host is private, or this machine's."""


def find_addresses(host: str, port: int, allow_private: Sequence[str]) -> list[str]:
    """Resolve once; a connection must use one of the answers. `allow_private` has networks (CIDR) and globs of names.

    Raises NotAllowedError, OSError when the host is not found.
    """
    networks = [each for each in allow_private if _is_network(each)]
    names = [each.lower() for each in allow_private if not _is_network(each)]
    rules = AddressRules(networks)
    entries = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    found = list(dict.fromkeys(str(entry[4][0]) for entry in entries))
    if not any(fnmatch.fnmatchcase(host.lower(), name) for name in names):
        for address in found:
            refusal = rules.refusal(address)
            if refusal is not None:
                raise NotAllowedError(refusal)
    return found


def _is_network(text: str) -> bool:
    try:
        AddressRules([text])
    except ValueError:
        return False
    return True
