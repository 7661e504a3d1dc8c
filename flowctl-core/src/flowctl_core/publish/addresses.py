"""Where a registry fetches what a person pushes."""

from __future__ import annotations

import re
from urllib.parse import urlsplit, urlunsplit

from flowctl_core.errors import SourceError

_SCP = re.compile(r"(?:[\w.-]+@)?(?P<host>[\w.-]+):(?P<path>/?[^/:\s]\S*)")
_HINT = "Name the address that the registry can fetch from: --repository https://HOST/PATH."


def fetched_from(address: str, remote: str) -> str:
    """The public address of a git remote: `git@host:path` and `ssh://` become `https://`, user and password go.

    Raises SourceError for what only this machine can reach.
    """
    if "://" not in address:
        scp = _SCP.fullmatch(address)
        if scp is None or len(scp["host"]) == 1:
            raise SourceError(f"the remote {remote} is {address}: the registry cannot fetch from there", hint=_HINT)
        return f"https://{scp['host']}/{scp['path'].lstrip('/')}"
    parts = urlsplit(address)
    host = parts.hostname or ""
    if not host or parts.scheme not in ("https", "http", "ssh", "git"):
        shown = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
        raise SourceError(f"the remote {remote} is {shown}: the registry cannot fetch from there", hint=_HINT)
    if parts.scheme in ("https", "http"):
        netloc = f"{host}:{parts.port}" if parts.port else host
        return urlunsplit((parts.scheme, netloc, parts.path, "", ""))
    return f"https://{host}{parts.path}"
