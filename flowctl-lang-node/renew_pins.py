"""Renews src/flowctl_lang_node/pins.json: which packages releases are made with, with their integrity.

Run by the maintainers before a version of this builder, and its result reviewed:
    python flowctl-lang-node/renew_pins.py [ESBUILD_VERSION]
It asks npm for what each package has, one question a package.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

from flowctl_lang_node.pins import ESBUILD_PACKAGES, FIRST, NODE_PACKAGES

PINS = Path(__file__).parent / "src/flowctl_lang_node/pins.json"


def main() -> None:
    """Ask and write."""
    node: dict[str, dict[str, str]] = {}
    for platform, package in NODE_PACKAGES.items():
        first = ".".join(map(str, FIRST))
        for version, integrity in _ask(f"{package}@>={first}").items():
            node.setdefault(version, {})[platform] = integrity
    esbuild = sys.argv[1] if len(sys.argv) > 1 else json.loads(PINS.read_text())["esbuild"]["version"]
    integrities = {
        package: _ask(f"{package}@{esbuild}")[esbuild] for package in ("esbuild", *ESBUILD_PACKAGES.values())
    }
    ordered = {version: dict(sorted(node[version].items())) for version in sorted(node, key=_numbers)}
    pins = {"esbuild": {"version": esbuild, "integrity": integrities}, "node": ordered}
    PINS.write_text(json.dumps(pins, indent=1) + "\n")


def _ask(wanted: str) -> dict[str, str]:
    done = subprocess.run(
        ["npm", "view", wanted, "name", "version", "dist.integrity", "--json"],
        check=True,
        capture_output=True,
        text=True,
    )
    answer = json.loads(done.stdout)
    entries = answer if isinstance(answer, list) else [answer]
    return {entry["version"]: entry["dist.integrity"] for entry in entries if re.fullmatch(r"[\d.]+", entry["version"])}


def _numbers(version: str) -> list[int]:
    return [int(part) for part in version.split(".")]


if __name__ == "__main__":
    main()
