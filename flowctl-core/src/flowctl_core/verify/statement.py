"""The in-toto statement in a DSSE envelope (https://github.com/in-toto/attestation, spec/v1)."""

from __future__ import annotations

import json
from typing import Any

from flowctl_core.verify.rejection import rejected

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPES = ("https://in-toto.io/Statement/v1", "https://in-toto.io/Statement/v0.1")


def about(payload_type: str, payload: bytes, digest: str) -> str:
    """The statement's text, once it is an in-toto statement that names `digest` (`sha256:<hex>`) as a subject.

    Raises VerificationError (`statement`).
    """
    if payload_type != PAYLOAD_TYPE:
        raise rejected("statement", f"the payload is {payload_type or 'of no type'}, not {PAYLOAD_TYPE}")
    try:
        text = payload.decode()
        statement: Any = json.loads(text)
    except (ValueError, RecursionError) as problem:
        raise rejected("statement", f"the payload is no JSON: {problem}") from None
    if not isinstance(statement, dict) or statement.get("_type") not in STATEMENT_TYPES:
        raise rejected("statement", "the payload is no in-toto statement")
    subjects = statement.get("subject")
    if not isinstance(subjects, list) or not subjects:
        raise rejected("statement", "the statement names no subject")
    algorithm, _, value = digest.partition(":")
    for subject in subjects:
        digests = subject.get("digest") if isinstance(subject, dict) else None
        if isinstance(digests, dict) and digests.get(algorithm) == value:
            return text
    raise rejected("statement", f"none of the statement's subjects is {digest}")
