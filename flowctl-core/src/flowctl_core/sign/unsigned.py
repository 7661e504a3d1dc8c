"""A release without its signatures, byte for byte as its build left it."""

from __future__ import annotations

import os
import shutil
from hashlib import sha256
from pathlib import Path

from flowctl_core.package.referrers import write_referrers
from flowctl_core.store.files import atomic_write

SUFFIX = ".sigstore.json"
ATTESTATION_FOLDER = "metadata/attestations"
CHECKSUMS = "metadata/checksums"
UNSIGNED = f"{ATTESTATION_FOLDER}/UNSIGNED"
OCI = "containers/oci"


def unsigned_copy(root: Path, made: Path) -> Path:
    """Fill the empty folder `made` with the release as its build left it, byte for byte."""
    shutil.copytree(root, made, symlinks=True, dirs_exist_ok=True, copy_function=_link, ignore=_signatures)
    if (made / OCI / "index.json").is_file():
        write_referrers(made / OCI, ())
        renew_checksums(made)
    return made


def renew_checksums(made: Path) -> str:
    """Signing changes one file that the build listed, the image layout's index. Returns the digest of the new list."""
    lines = []
    for line in (made / CHECKSUMS).read_text(encoding="utf-8").splitlines():
        path = line.partition("  ")[2]
        if path == f"{OCI}/index.json":
            line = f"{sha256((made / path).read_bytes()).hexdigest()}  {path}"
        lines.append(line + "\n")
    text = "".join(lines).encode()
    atomic_write(made / CHECKSUMS, text)
    return f"sha256:{sha256(text).hexdigest()}"


def is_signed(root: Path) -> bool:
    """True when there is anything that signing (or the decision against it) left."""
    return (root / ATTESTATION_FOLDER).exists() or (root / f"{CHECKSUMS}{SUFFIX}").exists()


def _signatures(folder: str, names: list[str]) -> list[str]:
    return [name for name in names if name.endswith(SUFFIX) or (name == "attestations" and folder.endswith("metadata"))]


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        shutil.copy2(source, target, follow_symlinks=False)
