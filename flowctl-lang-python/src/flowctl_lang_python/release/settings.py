"""What component.yaml says about releases of Python components, under `build.python`."""

from __future__ import annotations

import re
from typing import Literal

from flowctl_core.errors import PlanError
from flowctl_core.models import Frozen, SourceTree

_KEYS = ("interpreter", "standalone", "assets", "glibc", "macos")


class Settings(Frozen):
    """`build.python` of component.yaml."""

    interpreter: Literal["system", "embedded"] = "system"
    """`system`: the executable starts the Python on PATH; `embedded`: it carries one."""
    standalone: str = ""
    """Release of python-build-standalone that an embedded interpreter comes from, a date such as `20251120`."""
    assets: str = ""
    """URL of a mirror that `science download` made; empty for the places where these releases are published."""
    glibc: tuple[int, int] | None = None
    """Newest glibc that wheels for Linux may need."""
    macos: tuple[int, int] | None = None
    """Newest macOS that wheels may need."""


def read(source: SourceTree) -> Settings:
    """The settings; PlanError for one that is unknown or malformed."""
    given = source.extra("python")  # noqa: S610 - nothing of Django
    if given is None:
        return Settings()
    if not isinstance(given, dict) or not set(given) <= set(_KEYS):
        raise PlanError("component.yaml build.python has unknown fields", hint=f"Possible are {', '.join(_KEYS)}.")
    interpreter = given.get("interpreter", "system")
    if interpreter not in ("system", "embedded"):
        raise PlanError(
            f"component.yaml build.python.interpreter: {interpreter!r} is unknown", hint="Write system or embedded."
        )
    standalone = str(given.get("standalone") or "")
    if interpreter == "embedded" and not re.fullmatch(r"\d{8}", standalone):
        raise PlanError(
            "component.yaml build.python.standalone has to name the interpreter to embed",
            hint="Write a release of python-build-standalone, a date such as '20251120': the newest would change.",
        )
    return Settings(
        standalone=standalone,
        assets=str(given.get("assets") or ""),
        interpreter="embedded" if interpreter == "embedded" else "system",
        glibc=_version("glibc", given.get("glibc"), "2.34"),
        macos=_version("macos", given.get("macos"), "14.0"),
    )


def _version(name: str, value: object, example: str) -> tuple[int, int] | None:
    if value is None:
        return None
    found = re.fullmatch(r"(\d+)(?:\.(\d+))?", str(value))
    if found is None:
        raise PlanError(
            f"component.yaml build.python.{name}: {value!r} is not a version", hint=f"Write it like '{example}'."
        )
    return int(found.group(1)), int(found.group(2) or 0)
