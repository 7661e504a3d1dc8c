"""Configuration from flags, environment, `~/.flowctl/config.yaml`, upstream's file, defaults; in that order."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr, ValidationError

from flowctl_core.errors import ConfigError, SpecError
from flowctl_core.models.config import Config

ENVIRONMENT = {
    "FLOWCTL_REGISTRY_URL": "registry.url",
    "FLOWCTL_TOKEN": "registry.auth.token",
    "FLOWCTL_CACHE_DIR": "build.local.cache_dir",
    "FLOWCTL_CACHE_SIZE": "build.local.cache_size",
    "FLOWCTL_PARALLEL_JOBS": "build.local.parallel_jobs",
    "FLOWCTL_TIMEOUT": "build.local.timeout",
    "FLOWCTL_PLATFORMS": "build.remote.platforms",
    "FLOWCTL_SIGN_ARTIFACTS": "build.remote.sign_artifacts",
    "FLOWCTL_SCAN_DATABASE": "build.scan.database",
    "FLOWCTL_SCAN_API": "build.scan.api",
    "FLOWCTL_SCAN_FAIL_ON": "build.scan.fail_on",
}
"""Environment variables and the key that each one sets."""

_REFERENCE = re.compile(r"\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\}")


@dataclass(frozen=True)
class LoadedConfig:
    """A configuration and, for each dotted key that was set, where its value came from."""

    config: Config
    origins: Mapping[str, str]
    file: Path | None
    """The file that was read, None when there was none."""
    warnings: tuple[str, ...] = field(default=())


def config_paths(home: Path) -> tuple[Path, Path]:
    """Our file, then upstream's, which is read when ours does not exist."""
    xdg = os.environ.get("XDG_CONFIG_HOME")
    upstream = (Path(xdg) if xdg else home / ".config") / "flowctl" / "flowctl.yaml"
    return home / ".flowctl" / "config.yaml", upstream


def load_config(
    *, path: Path | None = None, flags: Mapping[str, object] | None = None, environ: Mapping[str, str] | None = None
) -> LoadedConfig:
    """Load the configuration.

    `path` (or FLOWCTL_CONFIG) names a file that must exist; `flags` maps dotted keys to values from the command
    line, None meaning not given. Raises ConfigError naming file and key, or the variable, for each bad value.
    """
    environ = os.environ if environ is None else environ
    named = path or (Path(environ["FLOWCTL_CONFIG"]) if environ.get("FLOWCTL_CONFIG") else None)
    ours, upstream = config_paths(Path(environ.get("HOME") or Path.home()))
    file = named or next((candidate for candidate in (ours, upstream) if os.path.lexists(candidate)), None)
    lenient = named is None and file == upstream

    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    warnings: list[str] = []
    if file is not None:
        for key, value in _flatten(_read(file, environ)):
            if lenient and not _known(key):
                warnings.append(f"{file}: '{key}' is not used")
                continue
            values[key], origins[key] = value, str(file)
    for variable, key in ENVIRONMENT.items():
        if environ.get(variable):
            text = environ[variable]
            values[key] = [p.strip() for p in text.split(",")] if key.endswith("platforms") else text
            origins[key] = f"environment variable {variable}"
    for key, flag in (flags or {}).items():
        if flag is not None:
            values[key], origins[key] = flag, "command line"
    return LoadedConfig(_validate(values, origins), origins, file, tuple(warnings))


def _read(file: Path, environ: Mapping[str, str]) -> dict[str, Any]:
    from flowctl_core.specfile.content import decode, read_bytes
    from flowctl_core.specfile.yaml_text import TextProblem, parse_yaml

    try:
        text = decode(read_bytes(file.resolve()))  # people keep their configuration behind links
        if not text.strip():
            return {}
        node, problems = parse_yaml(text)
    except SpecError as error:
        raise ConfigError(error.message, hint=error.hint) from error
    except (OSError, RuntimeError) as error:
        raise ConfigError(f"{file} cannot be read: {error}") from error
    except TextProblem as problem:
        raise ConfigError(f"{file}:{problem.line or 1}: {problem.message}") from problem
    if problems:
        raise ConfigError("\n".join(f"{file}:{problem.line}: {problem.message}" for problem in problems))
    if node.mapping is None:
        raise ConfigError(f"{file}:{node.line}: the configuration is a mapping, not a list or a text")
    expanded = _expand(node.data(), environ, file)
    assert isinstance(expanded, dict)  # noqa: S101 - a mapping stays one
    return expanded


def _expand(value: Any, environ: Mapping[str, str], file: Path, key: str = "") -> Any:
    """Replace `${NAME}` and `${NAME:-default}` in every text; a variable that is not set leaves the key unset."""
    if isinstance(value, dict):
        expanded = {k: _expand(v, environ, file, f"{key}.{k}".lstrip(".")) for k, v in value.items()}
        return {k: v for k, v in expanded.items() if v is not None}
    if isinstance(value, list):
        return [_expand(item, environ, file, key) for item in value]
    if not isinstance(value, str):
        return value
    whole = _REFERENCE.fullmatch(value)
    if whole and whole["default"] is None and whole["name"] not in environ:
        return None

    def replacement(match: re.Match[str]) -> str:
        found = environ.get(match["name"], match["default"])
        if found is None:
            raise ConfigError(
                f"{file}: {key} refers to ${{{match['name']}}}, which is not set",
                hint=f"Set {match['name']}, or write ${{{match['name']}:-default}}.",
            )
        return found

    return _REFERENCE.sub(replacement, value)


def _flatten(data: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    pairs: list[tuple[str, Any]] = []
    for name, value in data.items():
        key = f"{prefix}{name}"
        if isinstance(value, dict) and value:
            pairs.extend(_flatten(value, f"{key}."))
        else:
            pairs.append((key, value))
    return pairs


def _known(key: str) -> bool:
    model: Any = Config
    for part in key.split("."):
        if not (isinstance(model, type) and issubclass(model, BaseModel)):
            return True
        if part not in model.model_fields:
            return False
        model = model.model_fields[part].annotation
    return True


def _validate(values: Mapping[str, Any], origins: Mapping[str, str]) -> Config:
    nested: dict[str, Any] = {}
    for key, value in values.items():
        *parents, leaf = key.split(".")
        place = nested
        for parent in parents:
            place = place.setdefault(parent, {})
            if not isinstance(place, dict):
                raise ConfigError(f"{origins.get(key, 'configuration')}: {key}: '{parent}' is not a section")
        place[leaf] = value
    try:
        return Config.model_validate(nested)
    except ValidationError as error:
        lines = []
        for problem in error.errors():
            key = ".".join(str(part) for part in problem["loc"] if isinstance(part, str))
            origin = origins.get(key) or next((o for k, o in origins.items() if k.startswith(key)), "configuration")
            text = "is not a known key" if problem["type"] == "extra_forbidden" else problem["msg"]
            lines.append(f"{origin}: {key}: {text.removeprefix('Value error, ')}")
        hint = "`flowctl schema config` prints every key; `flowctl config show` prints the values in use."
        raise ConfigError("\n".join(lines), hint=hint) from error


def effective_values(loaded: LoadedConfig) -> list[tuple[str, object, str]]:
    """Every key with its value (secrets masked) and where it came from."""

    def walk(model: BaseModel, prefix: str) -> list[tuple[str, object, str]]:
        rows: list[tuple[str, object, str]] = []
        for name in type(model).model_fields:
            key, value = f"{prefix}{name}", getattr(model, name)
            if isinstance(value, dict):
                for entry, section in value.items():
                    rows.extend(walk(section, f"{key}.{entry}."))
            elif isinstance(value, BaseModel):
                rows.extend(walk(value, f"{key}."))
            elif isinstance(value, tuple) and value and isinstance(value[0], BaseModel):
                origin = loaded.origins.get(key, "default")
                for number, section in enumerate(value):
                    rows.extend((name, text, origin) for name, text, _ in walk(section, f"{key}[{number}]."))
            else:
                shown = "********" if isinstance(value, SecretStr) else value
                rows.append((key, shown, loaded.origins.get(key, "default")))
        return rows

    return walk(loaded.config, "")
