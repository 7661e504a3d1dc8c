"""Sigstore trusted roots, and what of them is valid at a moment.

sigstore-python reads `validFor` of logs and authorities but lets an ended one verify; here what was not valid when
something was signed is taken out of the root before the signature is verified against it.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from flowctl_core.errors import TrustError
from flowctl_core.models.signing import TrustMaterial

if TYPE_CHECKING:
    from sigstore.models import TrustedRoot


def load_roots(trust: TrustMaterial) -> tuple[TrustedRoot, ...]:
    """The trusted roots. Raises TrustError for a text that is none."""
    from sigstore.models import TrustedRoot
    from sigstore_models.trustroot.v1 import TrustedRoot as Document

    roots = []
    for text in trust.trusted_roots:
        try:
            roots.append(TrustedRoot(_with_inclusive_ends(Document.from_json(text))))
        except Exception as problem:  # noqa: BLE001 - pydantic's and sigstore's classes
            raise TrustError(
                f"this is no Sigstore trusted root: {_first_line(problem)}",
                hint="A JSON document of type application/vnd.dev.sigstore.trustedroot+json;version=0.1 or later.",
            ) from None
    return tuple(roots)


def _with_inclusive_ends(document: Any) -> Any:
    """`validFor.end` belongs to the time range (protobuf-specs, sigstore_common.proto); sigstore-python ends a
    time-stamping authority just before it."""
    authorities = [
        each.model_copy(
            update={"valid_for": each.valid_for.model_copy(update={"end": each.valid_for.end + timedelta.resolution})}
        )
        if each.valid_for.end is not None
        else each
        for each in document.timestamp_authorities or ()
    ]
    return document.model_copy(update={"timestamp_authorities": authorities})


def narrowed(root: TrustedRoot, moment: datetime) -> TrustedRoot:
    """`root` without the logs and authorities whose `validFor` does not hold `moment`."""
    from sigstore.models import TrustedRoot

    inner = root._inner
    return TrustedRoot(
        inner.model_copy(
            update={
                "tlogs": [log for log in inner.tlogs or () if _holds(log.public_key.valid_for, moment)],
                "ctlogs": [log for log in inner.ctlogs or () if _holds(log.public_key.valid_for, moment)],
                "certificate_authorities": [
                    each for each in inner.certificate_authorities or () if _holds(each.valid_for, moment)
                ],
                "timestamp_authorities": [
                    each for each in inner.timestamp_authorities or () if _holds(each.valid_for, moment)
                ],
            }
        )
    )


def _holds(valid_for: Any, moment: datetime) -> bool:
    if valid_for is None:
        return True
    return (valid_for.start is None or valid_for.start <= moment) and (valid_for.end is None or moment <= valid_for.end)


def _first_line(problem: Exception) -> str:
    return (str(problem).strip().splitlines() or [type(problem).__name__])[0]
