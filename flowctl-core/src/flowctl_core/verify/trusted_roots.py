"""Sigstore TrustedRoot documents, and what of one counts at a time.

Format: https://github.com/sigstore/protobuf-specs/blob/main/protos/sigstore_trustroot.proto. sigstore-python's verifier
does not hold CAs, CT logs and logs to the end of their `validFor`, and leaves out a time-stamping authority's last
moment (the range is closed). So `validFor` is enforced here: the verifier is given a root that has only what counts.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING

from flowctl_core.errors import TrustError

if TYPE_CHECKING:
    from sigstore_models.common.v1 import TimeRange
    from sigstore_models.trustroot.v1 import CertificateAuthority, TransparencyLogInstance, TrustedRoot


@lru_cache(maxsize=16)
def parse_trusted_root(text: str) -> TrustedRoot:
    """A TrustedRoot (JSON); TrustError if it is none."""
    from sigstore_models.trustroot.v1 import TrustedRoot

    try:
        return TrustedRoot.from_json(text)
    except (ValueError, RecursionError, OverflowError) as error:
        raise TrustError(
            "a trusted root cannot be read: it is no Sigstore TrustedRoot in JSON",
            hint="Give the trusted_root.json of the Sigstore instance whose signatures you trust.",
            output=str(error)[:2000],
        ) from error


def covers(period: TimeRange | None, moments: Iterable[datetime]) -> bool:
    """Whether all moments are in the period, both ends included; no period covers all."""
    if period is None:
        return True
    start, end = _aware(period.start), None if period.end is None else _aware(period.end)
    return all(start <= moment and (end is None or moment <= end) for moment in moments)


def authorities_at(
    authorities: Iterable[CertificateAuthority], moments: Iterable[datetime]
) -> list[CertificateAuthority]:
    """Authorities whose `validFor` covers all moments, and open-ended, as the question is answered with that."""
    times = tuple(moments)
    return [_open_ended(authority) for authority in authorities if covers(authority.valid_for, times)]


def logs_at(logs: Iterable[TransparencyLogInstance], moments: Iterable[datetime]) -> list[TransparencyLogInstance]:
    """Logs whose key's `validFor` covers all moments."""
    times = tuple(moments)
    return [log for log in logs if covers(log.public_key.valid_for, times)]


def _open_ended(authority: CertificateAuthority) -> CertificateAuthority:
    return authority.model_copy(update={"valid_for": authority.valid_for.model_copy(update={"end": None})})


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
