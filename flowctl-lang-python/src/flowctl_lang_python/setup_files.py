"""setup.cfg and setup.py, read without ever running them."""

from __future__ import annotations

import ast
import configparser
import re
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class SetupMetadata:
    """What a setup.cfg or setup.py says literally; None or `dynamic` where only running it would tell."""

    name: str | None = None
    requires_python: str | None = None
    requirements: tuple[str, ...] = ()
    requirements_in: tuple[str, ...] = ()
    """Files that the requirements are read from (`install_requires = file: requirements.txt`)."""
    extras: dict[str, tuple[str, ...]] = field(default_factory=dict)
    scripts: dict[str, str] = field(default_factory=dict)
    setup_requires: tuple[str, ...] = ()
    dynamic: bool = False
    """True when the dependencies are computed, so that only the build backend can tell them."""
    compiled: bool = False
    """True when it declares extension modules."""


def _lines(text: str) -> tuple[str, ...]:
    stripped = (line.strip() for line in text.splitlines())
    return tuple(line for line in stripped if line and not line.startswith("#"))


def read_cfg(text: str) -> SetupMetadata:
    """A setup.cfg; a broken one gives empty metadata: the backend will complain in its own words."""
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        parser.read_string(text)
    except configparser.Error:
        return SetupMetadata(dynamic=True)

    def get(section: str, option: str) -> str:
        return parser.get(section, option, fallback="")

    requirements = get("options", "install_requires")
    extras = dict(parser.items("options.extras_require")) if parser.has_section("options.extras_require") else {}
    return SetupMetadata(
        name=get("metadata", "name") or None,
        requires_python=get("options", "python_requires") or None,
        requirements=() if requirements.startswith("file:") else _lines(requirements),
        requirements_in=tuple(re.findall(r"[^\s,]+", requirements.removeprefix("file:")))
        if requirements.startswith("file:")
        else (),
        extras={name: _lines(value) for name, value in extras.items()},
        scripts=_scripts(_lines(get("options.entry_points", "console_scripts"))),
        setup_requires=_lines(get("options", "setup_requires")),
        dynamic=requirements.startswith("file:"),
    )


def read_setup_py(text: str) -> SetupMetadata:
    """The literal arguments of the `setup()` call in a setup.py; what is computed makes it `dynamic`."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return SetupMetadata(dynamic=True)
    call = next((node for node in ast.walk(tree) if isinstance(node, ast.Call) and _called(node) == "setup"), None)
    if call is None:
        return SetupMetadata(dynamic=True)
    names: dict[str, ast.expr] = {}
    for statement in tree.body:
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            names[statement.targets[0].id] = statement.value
    given: dict[str, Any] = {}
    unknown: set[str | None] = set()
    for keyword in call.keywords:
        value = keyword.value
        if isinstance(value, ast.Name):
            value = names.get(value.id, value)
        try:
            given[keyword.arg or ""] = ast.literal_eval(value)
        except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
            unknown.add(keyword.arg)
    extras = given.get("extras_require")
    points = given.get("entry_points")
    return SetupMetadata(
        name=_text(given.get("name")),
        requires_python=_text(given.get("python_requires")),
        requirements=_strings(given.get("install_requires")),
        extras={str(key): _strings(value) for key, value in extras.items()} if isinstance(extras, dict) else {},
        scripts=_points(points),
        setup_requires=_strings(given.get("setup_requires")),
        dynamic=bool({"install_requires", None} & unknown),
        compiled=bool({"ext_modules", "rust_extensions", "cffi_modules"} & (unknown | set(given))),
    )


def _called(node: ast.Call) -> str:
    return getattr(node.func, "attr", None) or getattr(node.func, "id", "") or ""


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _strings(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return _lines(value)
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list | tuple) else ()


def _scripts(lines: tuple[str, ...]) -> dict[str, str]:
    pairs = (line.split("=", 1) for line in lines if "=" in line)
    return {name.strip(): target.strip() for name, target in pairs}


def _points(points: object) -> dict[str, str]:
    """Console scripts of `entry_points`, which is a dict or the text of an INI file."""
    if isinstance(points, dict):
        return _scripts(_strings(points.get("console_scripts")))
    if isinstance(points, str):
        section, lines = "", []
        for line in _lines(points):
            if line.startswith("["):
                section = line.strip("[] ")
            elif section == "console_scripts":
                lines.append(line)
        return _scripts(tuple(lines))
    return {}
