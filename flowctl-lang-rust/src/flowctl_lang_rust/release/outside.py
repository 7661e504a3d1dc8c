"""Cargo's configuration files that lie outside the source and reach into its build all the same."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from flowctl_lang_rust.manifest import table

_OVERRIDDEN = frozenset(("linker", "runner", "rustflags", "rustdocflags"))
"""Of `[target.…]`: what a release sets itself."""


def settings_outside(root: Path, folder: str, home: Path) -> Iterator[tuple[Path, tuple[str, ...]]]:
    """Files that cargo reads beside those of the source tree, with the keys in them that change what it makes.

    Cargo looks in each folder above the one it works in, and in its home («Hierarchical structure» of the Cargo
    Book's «Configuration»). What a release overrides (flags, linkers, wrappers, the target) is not told, nor what
    says only where crates come from.
    """
    top = root.resolve()
    places = [parent / ".cargo" for parent in (top / folder).resolve().parents if not parent.is_relative_to(top)]
    seen: set[Path] = set()
    for place in (*places, home):
        for name in ("config", "config.toml"):
            file = place / name
            try:
                real = file.resolve()
                data = tomllib.loads(file.read_text(encoding="utf-8"))
            except (OSError, ValueError, RuntimeError):
                continue  # cargo itself says what is wrong with it
            keys = tuple(_changing(data))
            if keys and real not in seen:
                yield file, keys
            seen.add(real)
            break


def _changing(data: Mapping[str, Any]) -> Iterator[str]:
    for name, profile in table(data, "profile").items():
        if isinstance(profile, dict):
            yield from (f"profile.{name}.{key}" for key in profile if key not in ("strip", "incremental"))
    for name, target in table(data, "target").items():
        if isinstance(target, dict):
            yield from (f"target.{name}.{key}" for key in target if key not in _OVERRIDDEN)
    yield from (f"env.{name}" for name in table(data, "env"))
    yield from (f"patch.{name}" for name in table(data, "patch"))
    if data.get("paths"):
        yield "paths"
