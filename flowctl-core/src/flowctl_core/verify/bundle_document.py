"""Reading a bundle's JSON, whoever wrote it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from flowctl_core.verify.rejection import rejected

if TYPE_CHECKING:
    from sigstore_models.bundle.v1 import Bundle

LARGEST_BUNDLE = 16 * 1024 * 1024
"""Bytes. A statement may carry a whole bill of materials."""


def parse_bundle(bundle: bytes) -> Bundle:
    """The bundle's document; raises VerificationError (`signature`) for anything that is none."""
    from pydantic import ValidationError
    from sigstore_models.bundle.v1 import Bundle

    if len(bundle) > LARGEST_BUNDLE:
        raise rejected("signature", f"the bundle is larger than {LARGEST_BUNDLE // 2**20} MiB")
    try:
        raw = json.loads(bundle, object_pairs_hook=_no_twins)
        document = Bundle.from_json(bundle)
    except RecursionError:
        raise rejected("signature", "the bundle is nested too deeply") from None
    except ValidationError as problem:
        first = problem.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(str(step) for step in first["loc"])
        raise rejected(
            "signature", f"this is no Sigstore bundle: {f'{where}: ' if where else ''}{first['msg']}"
        ) from None
    except (ValueError, TypeError) as problem:
        raise rejected("signature", f"this is no Sigstore bundle: {problem}") from None
    _check_version(document, raw)
    return document


def _no_twins(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Two readers that take a different one of two equal names would read two documents."""
    names = [name for name, _ in pairs]
    if len(set(names)) != len(names):
        twin = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{twin} stands there twice")
    return dict(pairs)


def _check_version(document: Bundle, raw: dict[str, object]) -> None:
    """What v0.3 asks for beyond the fields' types (protobuf-specs, sigstore_bundle.proto)."""
    material = document.verification_material
    if document.media_type.endswith("0.3") or document.media_type.endswith("v0.3+json"):
        if material.x509_certificate_chain is not None:
            raise rejected("signature", "a bundle of version 0.3 must not carry a certificate chain")
        if any(entry.inclusion_proof is None for entry in material.tlog_entries):
            raise rejected("tlog", "the log entry has no inclusion proof")
