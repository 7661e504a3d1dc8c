"""Checksums that Cargo.lock records."""

from __future__ import annotations

import tomllib
from pathlib import Path

from flowctl_core.errors import SourceError
from flowctl_lang_rust.manifest import table


def read_checksums(path: Path) -> dict[tuple[str, str, str], str]:
    """SHA-256 (hex) of each crate's archive, by name, version and source.

    Raises SourceError when the file cannot be read or is not TOML.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SourceError(
            f"Cargo.lock cannot be read: {error}", hint="Make it anew with `cargo generate-lockfile`."
        ) from error
    metadata = table(data, "metadata")
    packages = data.get("package")
    found: dict[tuple[str, str, str], str] = {}
    for package in packages if isinstance(packages, list) else ():
        if not isinstance(package, dict):
            continue
        name, version, source = (str(package.get(key, "")) for key in ("name", "version", "source"))
        # The first version of the format keeps checksums in a table at its end.
        checksum = package.get("checksum") or metadata.get(f"checksum {name} {version} ({source})")
        if isinstance(checksum, str) and checksum != "<none>":
            found[name, version, source] = checksum
    return found
