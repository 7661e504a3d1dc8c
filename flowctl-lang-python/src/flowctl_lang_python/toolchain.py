"""The tools a Python build needs, and how uv is told to behave."""

from __future__ import annotations

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from flowctl_core.errors import PlanError
from flowctl_core.models import ToolRequirement
from flowctl_lang_python.manifest import Project
from flowctl_lang_python.release import toolchain as release_toolchain

ENVIRONMENT = {
    "UV_PYTHON_DOWNLOADS": "never",  # a build never brings in an interpreter behind the user's back
    "UV_NO_PROGRESS": "1",
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
}
"""Set for every tool of a plan."""

PASSTHROUGH = (
    "UV_CACHE_DIR",
    "UV_CONSTRAINT",
    "UV_DEFAULT_INDEX",
    "UV_EXCLUDE_NEWER",
    "UV_EXTRA_INDEX_URL",
    "UV_FIND_LINKS",
    "UV_INDEX",
    "UV_INDEX_URL",
    "UV_LINK_MODE",
    "UV_OVERRIDE",
    "UV_PRERELEASE",
    "UV_RESOLUTION",
)
"""The caller's variables that decide what gets installed, and from where."""

_MINORS = tuple(range(15, 8, -1))

UV = ToolRequirement(
    name="uv",
    version=">=0.5",
    bundled_in=("uv:../../../bin/uv", "uv:../../../Scripts/uv.exe"),
    install_hint="pip install uv (it comes with flowctl-lang-python)",
)
"""uv makes the environment; its wheel puts the program beside the interpreter's."""

CARGO = ToolRequirement(
    name="cargo",
    declared_in="pyproject.toml build-system.requires",
    install_hint="Install Rust: https://rustup.rs",
)
"""For projects whose package is built by maturin or setuptools-rust."""


def python(project: Project, version: str | None = None) -> ToolRequirement:
    """The interpreter for a project.

    `requires-python` decides; a .python-version is what to try first, and decides alone where nothing else is
    declared; `version` is component.yaml's, for sources that declare nothing. Raises PlanError for a bad
    specifier.
    """
    specifier, declared_in = project.requires_python or "", project.python_declared_in
    pin = project.pinned_python
    if not specifier and pin:
        specifier, declared_in = f"=={pin}" if pin.count(".") == 2 else f"=={pin}.*", ".python-version"
    elif not specifier and version and version[:1].isdigit():
        specifier, declared_in = f">={version}", "component.yaml languages.version"
    try:
        SpecifierSet(specifier)
    except InvalidSpecifier as error:
        raise PlanError(
            f"{declared_in}: {specifier!r} is not a version specifier", hint="Write it like >=3.11,<4."
        ) from error
    names = ["python3", *(f"python3.{minor}" for minor in _MINORS), "python"]
    if pin:
        names.insert(0, f"python{'.'.join(pin.split('.')[:2])}")
    names = list(dict.fromkeys(names))
    return ToolRequirement(
        name="python",
        version=specifier,
        declared_in=declared_in,
        executable=names[0],
        alternatives=tuple(names[1:]),
        # The interpreter that runs flowctl is there in any case; its bin folder need not be on PATH.
        bundled_in=("flowctl-lang-python:../../../bin/python3",),
        install_hint=f"Install Python {specifier or '3'} and put it on PATH (uv python install, pyenv, …).",
    )


def requirements(project: Project, version: str | None = None) -> tuple[ToolRequirement, ...]:
    """All tools that building a project needs."""
    return (python(project, version), UV, *((CARGO,) if project.cargo else ()))


def possible() -> tuple[ToolRequirement, ...]:
    """Every tool that some Python project may need, for `flowctl doctor`."""
    return (
        python(Project()),
        UV,
        CARGO.model_copy(update={"optional": True, "declared_in": None}),
        *release_toolchain.possible(),
    )
