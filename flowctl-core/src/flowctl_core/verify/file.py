"""What there is to verify of one file: its bundle beside it, and the attestations of the release that it lies in."""

from __future__ import annotations

from pathlib import Path

from flowctl_core.sign.statements import ATTESTATIONS
from flowctl_core.sign.unsigned import ATTESTATION_FOLDER, SUFFIX, UNSIGNED
from flowctl_core.verify.checks import Evidence
from flowctl_core.verify.rejection import rejected
from flowctl_core.verify.release import measure, read, refuse_unsigned


def gather_file(path: Path, bundle: Path | None, name: str, version: str | None) -> Evidence:
    """Measure a file. Raises VerificationError: `digest` when it cannot be read, `signature` for no bundle."""
    digest = measure(path)
    beside = bundle or path.with_name(path.name + SUFFIX)
    if bundle is None:
        refuse_unsigned(path.parent.parent / UNSIGNED)
    if not beside.is_file():
        raise rejected("signature", f"there is no bundle {beside}")
    folder = path.parent.parent / ATTESTATION_FOLDER
    attestations = {
        each: read(folder / f"{each}{SUFFIX}") for each in ATTESTATIONS if (folder / f"{each}{SUFFIX}").is_file()
    }
    return Evidence(
        component=name,
        version=version,
        digests={path.name: digest},
        signatures={path.name: read(beside)},
        attestations=attestations,
    )
