"""The in-toto statements of a release (https://github.com/in-toto/attestation, spec/v1), as JSON text.

Each is held to in-toto-attestation's own models before it is signed, and is the same text for the same release.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from flowctl_core.sign.provenance import PROVENANCE, provenance
from flowctl_core.sign.released import Released

STATEMENT = "https://in-toto.io/Statement/v1"
SBOM = "https://cyclonedx.org/bom"
SCAN = "https://flowctl.dev/attestation/vulnerability-scan/v1"
IMAGE_SIGNATURE = "https://sigstore.dev/cosign/sign/v1"
"""What cosign signs an image with: a statement whose predicate is empty."""

ATTESTATIONS = {"provenance": PROVENANCE, "sbom": SBOM, "scan": SCAN}
"""Name of each attestation of a release (`metadata/attestations/<name>.sigstore.json`) and its predicate's type."""


def release_statements(released: Released, builder_id: str) -> dict[str, str]:
    """The statements about everything in the release: by the name of the attestation."""
    predicates = {
        "provenance": provenance(released, builder_id),
        "sbom": released.sbom,
        "scan": released.scan,
    }
    return {name: statement(released.subjects, ATTESTATIONS[name], each) for name, each in predicates.items()}


def image_signature(name: str, digest: str) -> str:
    """The statement that stands for an image's signature."""
    return statement({name: digest}, IMAGE_SIGNATURE, {})


def statement(subjects: Mapping[str, str], predicate_type: str, predicate: Mapping[str, Any]) -> str:
    """A statement about `subjects` (name and digest `sha256:<hex>`)."""
    document = {
        "_type": STATEMENT,
        "subject": [
            {"name": name, "digest": {"sha256": digest.removeprefix("sha256:")}} for name, digest in subjects.items()
        ],
        "predicateType": predicate_type,
        "predicate": predicate,
    }
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    _validate(text, predicate)
    return text


def _validate(text: str, predicate: Mapping[str, Any]) -> None:
    from google.protobuf.json_format import Parse
    from in_toto_attestation.v1.statement import Statement
    from in_toto_attestation.v1.statement_pb2 import Statement as Message

    checked = Statement.copy_from_pb(Parse(text, Message()))
    if predicate:  # cosign's own statement has an empty one, which the model refuses
        checked.validate()
