"""Writes the content of single executables with the release's own node, and puts it into node binaries."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from flowctl_core.errors import BuildError
from flowctl_lang_node.sea import elf, macho, signature
from flowctl_lang_node.toolchain import Tooling

FUSE = b"NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2"
"""Node.js looks for content only where `:0` behind it has become `:1`."""
_RESOURCE = "NODE_SEA_BLOB"
_SEGMENT = "NODE_SEA"
QUIET = {"NODE_OPTIONS": "", "NODE_PATH": "", "NODE_NO_WARNINGS": "1"}
"""The caller's options are for the source's own scripts, not for ours."""


def resource(name: str) -> str:
    """Text of a file beside this module."""
    return resources.files("flowctl_lang_node.sea").joinpath(name).read_text(encoding="utf-8")


def write_blob(
    tooling: Tooling, folder: Path, *, entry: str, assets: Mapping[str, str], options: Iterable[str]
) -> Path:
    """Make `main.blob` in a folder with `bundle.cjs`; `assets` are absolute paths by the names that they get.

    Raises BuildError when node refuses.
    """
    listed = sorted(assets)
    job = json.dumps({"entry": entry, "assets": listed}, ensure_ascii=False)
    prelude = resource("prelude.cjs").replace("/* JOB */", job)
    bundle = (folder / "bundle.cjs").read_text(encoding="utf-8")
    (folder / "main.cjs").write_text(f"{prelude}\n{bundle}", encoding="utf-8")
    settings: dict[str, Any] = {
        # Paths are part of the content: this one is relative for that reason.
        "main": "main.cjs",
        "output": "main.blob",
        "disableExperimentalSEAWarning": True,
        "useSnapshot": False,
        # V8's code cache differs from run to run.
        "useCodeCache": False,
        "assets": {name: assets[name] for name in listed},
    }
    if options := list(options):
        settings["execArgv"] = options
    (folder / "sea.json").write_text(json.dumps(settings), encoding="utf-8")
    blob = folder / "main.blob"
    blob.unlink(missing_ok=True)
    argv = [tooling.node_path(), "--experimental-sea-config", "sea.json"]
    done = tooling.context.run(argv, cwd=str(folder), environment=QUIET)
    if not done.ok or not blob.is_file():
        raise BuildError(
            f"node could not prepare the single executable (exit code {done.exit_code})", output=done.output
        )
    return blob


def executable(node: bytes, blob: bytes, *, system: str, name: str) -> bytes:
    """A node binary with content inside. Raises BuildError when the binary is none that can carry any."""
    if node.count(FUSE + b":0") != 1:
        raise BuildError(
            "the node binary cannot become a single executable: it was built without that, or has content already"
        )
    fused = node.replace(FUSE + b":0", FUSE + b":1")
    try:
        if system == "darwin":
            return signature.signed(macho.with_segment(fused, _SEGMENT, f"__{_RESOURCE}", blob), name)
        return elf.with_note(fused, _RESOURCE, blob)
    except elf.UnsuitableBinaryError as error:
        raise BuildError(f"the node binary cannot become a single executable: {error}") from error


def digest(content: bytes) -> str:
    """SHA-256 (hex)."""
    return hashlib.sha256(content).hexdigest()
