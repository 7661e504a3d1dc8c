"""What python-tuf and the file system refuse, for people."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tuf.api.exceptions import (
    BadVersionNumberError,
    DownloadError,
    DownloadHTTPError,
    DownloadLengthMismatchError,
    ExpiredMetadataError,
    LengthOrHashMismatchError,
    RepositoryError,
    UnsignedMetadataError,
)

from flowctl_core.errors import StoreError, TrustError
from flowctl_core.trust.fetcher import InsecureError, UnreachableError

_OPERATOR = "Ask the registry's operator; nothing that it sent now is used."
_MEANINGS: tuple[tuple[type[Exception], str, str], ...] = (
    (
        ExpiredMetadataError,
        "the trust metadata of {registry} has expired ({error})",
        "The registry is frozen, or somebody holds newer metadata back; its operator runs `flowctl trust refresh`. "
        "Also check this machine's clock.",
    ),
    (
        BadVersionNumberError,
        "{registry} offers older trust metadata than was seen before (rollback: {error})",
        _OPERATOR,
    ),
    (UnsignedMetadataError, "the trust metadata of {registry} is not signed by the keys it needs ({error})", _OPERATOR),
    (
        LengthOrHashMismatchError,
        "{registry} offers files that do not belong together, or were changed ({error})",
        _OPERATOR,
    ),
    (DownloadLengthMismatchError, "{registry} sends more than its metadata allows ({error})", _OPERATOR),
    (InsecureError, "{registry} cannot be asked safely: {error}", "Pin the address that has TLS."),
    (
        UnreachableError,
        "{registry} cannot be reached ({error})",
        "Check the address and this machine's network (HTTPS_PROXY).",
    ),
    (
        DownloadHTTPError,
        "{registry} lacks a file of its trust repository ({error})",
        "Check the address; an operator looks whether the whole folder is served.",
    ),
    (DownloadError, "{registry} cannot be asked ({error})", "Check the address and this machine's network."),
    (RepositoryError, "the trust metadata of {registry} is malformed ({error})", _OPERATOR),
)


@contextmanager
def refusals(registry: str) -> Iterator[None]:
    """Raise TrustError, or StoreError for what this machine refuses."""
    try:
        yield
    except (RepositoryError, DownloadError) as error:
        message, hint = next((text, hint) for kind, text, hint in _MEANINGS if isinstance(error, kind))
        raise TrustError(message.format(registry=registry, error=error), hint=hint) from error
    except OSError as error:
        raise StoreError.of(error) from error
