"""The compilers' flags of a release: what the source asks for, and paths that read the same wherever it is built."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from pathlib import Path

from flowctl_core.models import BuildContext, Plan
from flowctl_lang_rust.manifest import strings
from flowctl_lang_rust.release.cfg import matches
from flowctl_lang_rust.release.rustc import Rustc

SEPARATOR = "\x1f"
"""Between flags in CARGO_ENCODED_RUSTFLAGS (Cargo Book, «Environment Variables»)."""


def path_map(context: BuildContext, rustc: Rustc, target_dir: Path) -> list[tuple[str, str]]:
    """(folder here, what stands for it in the program); of two that fit the later one counts, as in rustc.

    Each folder also as it is without symlinks: tools differ in which they tell.
    """
    home = cargo_home(context)
    registries = sorted((home / "registry" / "src").glob("*/"))  # one for each registry or mirror
    pairs = [
        # rustc puts its own library's sources into panics from where they lie here, when they are installed.
        (rustc.sysroot / "lib" / "rustlib" / "src" / "rust", f"/rustc/{rustc.commit}"),
        (home, "/cargo"),
        *((folder, "/cargo/registry") for folder in registries),
        (context.source_root, "/source"),
        (target_dir, "/target"),
    ]
    spelled = ((str(path), name) for folder, name in pairs for path in dict.fromkeys((folder.resolve(), folder)))
    return list(dict.fromkeys(spelled))


def cargo_home(context: BuildContext) -> Path:
    """Cargo's own folder: `CARGO_HOME`, else `~/.cargo`."""
    environment = context.environment
    given = environment.get("CARGO_HOME")
    return Path(given) if given else Path(environment.get("HOME") or Path.home()) / ".cargo"


def rust_flags(plan: Plan, rustc: Rustc, triple: str, mapped: Iterable[tuple[str, str]]) -> str:
    """CARGO_ENCODED_RUSTFLAGS: it replaces what any configuration says, so the source's own flags are in it."""
    flags = _declared(plan)
    if flags is None:
        flags = _configured(plan, rustc, triple)
    return SEPARATOR.join([*flags, *(f"--remap-path-prefix={folder}={name}" for folder, name in mapped)])


def _declared(plan: Plan) -> list[str] | None:
    """What component.yaml's environment says, which outranks configuration files in cargo too."""
    encoded = plan.environment.get("CARGO_ENCODED_RUSTFLAGS")
    if encoded is not None:
        return encoded.split(SEPARATOR) if encoded else []
    plain = plan.environment.get("RUSTFLAGS")
    return None if plain is None else plain.split()


def _configured(plan: Plan, rustc: Rustc, triple: str) -> list[str]:
    """The flags of the tree's `.cargo/config.toml`: those of the target where there are any, else `build.rustflags`."""
    known = plan.details.get("rustflags")
    if not isinstance(known, dict):
        return []
    targets = known.get("target")
    entries = [entry for entry in targets if isinstance(entry, list)] if isinstance(targets, list) else []
    cfg = rustc.cfg(triple) if any(str(entry[0]).startswith("cfg") for entry in entries) else frozenset()
    fitting = [entry for entry in entries if matches(str(entry[0]), triple, cfg)]
    # The triple's own flags come before those of cfg(…), whatever their order in the file.
    fitting.sort(key=lambda entry: entry[0] != triple)
    return [flag for entry in fitting for flag in strings(entry[1])] or list(strings(known.get("build")))


def c_flags(plan: Plan, triple: str, mapped: Iterable[tuple[str, str]]) -> dict[str, str]:
    """CFLAGS and CXXFLAGS for the `cc` crate: `__FILE__` and debug information without folders of this machine."""
    flags = [f"-ffile-prefix-map={folder}={name}" for folder, name in mapped]
    quoted = any(any(sign in flag for sign in " \t\"'\\") for flag in flags)
    variables: dict[str, str] = {}
    for name in ("CFLAGS", "CXXFLAGS"):
        names = (f"{name}_{triple}", f"{name}_{triple.replace('-', '_')}", f"TARGET_{name}", name)
        declared = next((plan.environment[each] for each in names if each in plan.environment), "")
        variables[names[1]] = " ".join(filter(None, [declared, shlex.join(flags) if quoted else " ".join(flags)]))
    if quoted:
        variables["CC_SHELL_ESCAPED_FLAGS"] = "1"  # else the crate splits a folder's name at its space
    return variables
