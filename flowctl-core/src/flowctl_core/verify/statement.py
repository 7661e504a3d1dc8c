"""The in-toto statement of a DSSE envelope, as far as a signature's check needs it: is this file among its subjects?"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from flowctl_core.errors import VerificationError

PAYLOAD_TYPE = "application/vnd.in-toto+json"
_HINT = "Only in-toto statements attest to an artifact; get the attestation again from where it was published."


def pae(payload_type: str, payload: bytes) -> bytes:
    """What a DSSE signature is over (https://github.com/secure-systems-lab/dsse/blob/v1.0.0/protocol.md)."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


class _Subject(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)

    name: str = ""
    digest: dict[str, str] = {}


class _Statement(BaseModel):
    """https://github.com/in-toto/attestation/tree/main/spec/v1; v0.1 differs in what it allows, not in these fields."""

    model_config = ConfigDict(extra="ignore", strict=True)

    type: Literal["https://in-toto.io/Statement/v1", "https://in-toto.io/Statement/v0.1"] = Field(alias="_type")
    subject: list[_Subject] = Field(min_length=1)


def checked_statement(payload_type: str, payload: bytes, sha256: bytes) -> str:
    """The statement (JSON), once a subject has the digest; VerificationError(check="statement") otherwise."""
    if payload_type != PAYLOAD_TYPE:
        raise VerificationError(
            f"the envelope holds {payload_type!r}, not {PAYLOAD_TYPE}", check="statement", hint=_HINT
        )
    try:
        statement = _Statement.model_validate_json(payload)
        text = payload.decode("utf-8")
    except (ValidationError, UnicodeDecodeError, RecursionError) as error:
        raise VerificationError("the envelope holds no in-toto statement", check="statement", hint=_HINT) from error
    if not any(subject.digest.get("sha256") == sha256.hex() for subject in statement.subject):
        raise VerificationError(
            f"the statement is about other files: sha256:{sha256.hex()} is not among its subjects",
            check="statement",
            hint="The file was changed after signing, or the attestation belongs to another release.",
        )
    return text
