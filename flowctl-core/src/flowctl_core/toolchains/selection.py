"""What decides which version a tool on PATH turns out to be, where the file itself does not.

`cargo` may be rustup's proxy, `python3` a shim of pyenv, `node` one of asdf or Volta, `pnpm` a script that obeys
package.json: their version depends on the folder they run in, on files above it, on variables and on what the version
manager has installed. A remembered version is only valid while none of that changed.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

_ABOVE = (
    "rust-toolchain",
    "rust-toolchain.toml",
    ".python-version",
    ".node-version",
    ".nvmrc",
    ".tool-versions",
    "mise.toml",
    ".mise.toml",
    "package.json",
)
"""Files that version managers look for in the current folder and its parents."""

_VARIABLES = re.compile(
    r"PATH|RUSTUP_.*|CARGO_HOME|PYENV_.*|NODENV_.*|ASDF_.*|MISE_.*|VOLTA_.*|FNM_.*|NVM_.*|COREPACK_.*|NODE_OPTIONS"
)
_PROGRAM_MAGIC = (b"\x7fELF", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe", b"\xce\xfa\xed\xfe")


def manager_of(path: Path) -> str | None:
    """The version manager whose proxy or shim this is: `rustup`, `volta`, `shim` (pyenv, asdf, mise, …), or None."""
    real = path.resolve()
    if real.name.startswith("rustup") or _same_file(path, path.with_name("rustup")):
        return "rustup"
    if real.name.startswith("volta-shim"):
        return "volta"
    return "shim" if "shims" in (path.parent.name, real.parent.name) else None


def speaks_for_itself(path: Path) -> bool:
    """True for a native program that is no version manager's proxy: its version changes only with its file."""
    try:
        with path.open("rb") as file:
            magic = file.read(4)
    except OSError:
        return False
    return magic in _PROGRAM_MAGIC and manager_of(path) is None


def deciding_paths(path: Path, environment: Mapping[str, str], cwd: Path) -> list[Path]:
    """Files and folders, there or not, whose change can change the version that `path` turns out to be in `cwd`."""
    if speaks_for_itself(path):
        return [path]
    return [path, *(folder / name for folder in (cwd, *cwd.parents) for name in _ABOVE), *_state(path, environment)]


def selection_digest(path: Path, environment: Mapping[str, str], cwd: Path) -> str:
    """Digest of everything beside the file itself that decides its version; empty for a program of its own."""
    if speaks_for_itself(path):
        return ""
    digest = hashlib.sha256(f"{cwd}\0".encode(errors="surrogateescape"))
    for name in sorted(environment):
        if _VARIABLES.fullmatch(name):
            digest.update(f"{name}={environment[name]}\0".encode(errors="surrogateescape"))
    for decisive in deciding_paths(path, environment, cwd):
        try:
            stat = decisive.stat()
        except OSError:
            continue
        digest.update(f"{decisive} {stat.st_ino} {stat.st_size} {stat.st_mtime_ns}\0".encode(errors="surrogateescape"))
    return digest.hexdigest()


def _state(path: Path, environment: Mapping[str, str]) -> Iterator[Path]:
    """Where the version manager keeps its default and what it has installed."""
    home = Path(environment.get("HOME") or os.path.expanduser("~"))  # noqa: PTH111 - Path.home() may raise
    manager = manager_of(path)
    if manager == "rustup":
        rustup = Path(environment.get("RUSTUP_HOME") or home / ".rustup")
        yield from (rustup / "settings.toml", rustup / "toolchains")
        # `rustup update` rewrites a toolchain in place
        yield from sorted(rustup.glob("toolchains/*/lib/rustlib/multirust-channel-manifest.toml"))
    elif manager == "volta":
        volta = Path(environment.get("VOLTA_HOME") or home / ".volta")
        yield volta / "tools" / "user" / "platform.json"
    elif manager == "shim":
        root = path.parent.parent
        yield from (root / "version", root / "versions", root / "installs", home / ".tool-versions")
        yield from sorted(root.glob("installs/*"))
        yield Path(environment.get("XDG_CONFIG_HOME") or home / ".config") / "mise" / "config.toml"


def _same_file(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False
