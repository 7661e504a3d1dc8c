"""Notes a registry in the user's configuration file; everything else in it stays as it is written, comments too."""

from __future__ import annotations

import io
import os
import stat
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from flowctl_core.config.load import LoadedConfig, config_paths, load_config
from flowctl_core.errors import ConfigError
from flowctl_core.models.config import RegistryEntry
from flowctl_core.store.files import atomic_write, system_refusals


def remember_registry(loaded: LoadedConfig, url: str, namespaces: list[str]) -> str | None:
    """Make it `registry.url` where none is set, and claim namespaces for it; returns what was noted, for people.

    Raises ConfigError for names that are none, a file that is not ours to change, and claims of another registry.
    """
    claimed = {name: entry.url for entry in loaded.config.registries for name in entry.namespaces}
    for name in namespaces:
        _check_namespace(name)
        if claimed.get(name, url) != url:
            raise ConfigError(f"namespace {name} belongs to {claimed[name]}", hint="Change `registries` by hand.")
    new = [name for name in namespaces if name not in claimed]
    is_default = loaded.config.registry.url is None and not namespaces
    if not new and not is_default:
        return None
    ours, upstream = config_paths(Path(os.environ.get("HOME") or Path.home()))
    file = loaded.file or ours
    if file == upstream:
        raise ConfigError(
            f"{file} belongs to another program and is not changed", hint=f"Copy what you need of it to {ours}."
        )
    data, yaml = _read(file)
    if is_default:
        data.setdefault("registry", {})["url"] = url
    if new:
        entries = data.setdefault("registries", [])
        entry = next((each for each in entries if str(each.get("url", "")).rstrip("/") == url), None)
        if entry is None:
            entry = {"url": url}
            entries.append(entry)
        entry["namespaces"] = [*entry.get("namespaces", []), *new]
    text = io.StringIO()
    yaml.dump(data, text)
    _write(file, text.getvalue().encode())
    load_config(path=file)  # what was written is read as it is meant, or it is said
    what = "it is the registry for everything" if is_default else f"only it answers for {', '.join(new)}"
    return f"noted in {file}: {what}"


def _check_namespace(name: str) -> None:
    try:
        RegistryEntry(url="https://registry.invalid", namespaces=(name,))
    except ValidationError as error:
        raise ConfigError(
            f"'{name}' is no namespace", hint="Small letters, digits, `.`, `_`, `-`; `acme-*` for several."
        ) from error


def _read(file: Path) -> tuple[Any, Any]:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    yaml = YAML(typ="rt")
    yaml.preserve_quotes = True
    yaml.width = 10_000
    try:
        data = yaml.load(file.read_text(encoding="utf-8")) if file.exists() else None
    except (YAMLError, UnicodeDecodeError, OSError) as error:
        raise ConfigError(f"{file} cannot be read: {error}") from error
    return ({} if data is None else data), yaml


def _write(file: Path, data: bytes) -> None:
    real = file.resolve()  # people keep their configuration behind links
    with system_refusals(real.parent, "made"):
        real.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    mode = stat.S_IMODE(real.stat().st_mode) if real.exists() else 0o600  # it may hold a token one day
    atomic_write(real, data, mode=mode)
