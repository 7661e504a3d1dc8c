"""Is a user's store whole? Whatever was killed when: what is reachable is verified, and what is there is all of it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path


def assert_whole(home: Path, published: dict[str, set[str]]) -> None:
    """`published`: `namespace/name@version` to the digests of its programs. Reads all bytes, and no code of flowctl."""
    own = home / ".flowctl"
    every = set().union(*published.values())
    links = (
        [path for path in (own / "bin").glob("*") if not path.name.startswith(".")] if (own / "bin").is_dir() else []
    )
    for link in links:
        assert link.is_symlink() and link.exists(), f"{link} leads to nothing: {link.readlink()}"
        assert digest_of(link) in every, f"{link} leads to what was never published"
    for folder in own.glob("components/*/*/*"):
        if folder.name.startswith("."):
            continue  # being made, or being removed: no link leads there, and no command sees it
        record = json.loads((folder / "installed.json").read_text())
        reference = f"{record['namespace']}/{record['name']}@{record['version']}"
        assert folder.parts[-3:] == (record["namespace"], record["name"], record["version"])
        for path, file in record["files"].items():
            assert digest_of(folder / path) == file["digest"], f"{folder / path} is not what was verified"
        programs = {
            file["digest"] for path, file in record["files"].items() if path in {p["path"] for p in record["programs"]}
        }
        assert programs and programs <= published[reference], reference
        assert all(check["verdict"] in ("passed", "not required") for check in record["checks"])
    for stored in own.glob("store/content/sha256/*/*"):
        assert digest_of(stored) == f"sha256:{stored.name}", f"{stored} has a name that is not its digest"


def digest_of(path: Path) -> str:
    return "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest()
