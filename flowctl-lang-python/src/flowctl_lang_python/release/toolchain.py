"""The tools that only releases need."""

from __future__ import annotations

from flowctl_core.models import ToolRequirement

SCIENCE = ToolRequirement(
    name="science",
    version=">=0.21",
    declared_in="component.yaml build.python.interpreter",
    install_hint="Install science, which packs executables with an interpreter: https://science.scie.app",
)
"""For executables that carry an interpreter: pex has it make them."""

PEX = ToolRequirement(
    name="pex",
    bundled_in=("pex:../../../bin/pex",),
    install_hint="pip install pex (it comes with flowctl-lang-python)",
    optional=True,
)
"""For `flowctl doctor`: releases start pex as a module under the interpreter that the plan names."""


def uv() -> ToolRequirement:
    """uv as releases need it: it has to write pylock.toml."""
    from flowctl_lang_python.toolchain import UV

    return UV.model_copy(update={"version": ">=0.8"})


def possible() -> tuple[ToolRequirement, ...]:
    """Every tool that some release may need, for `flowctl doctor`."""
    return (PEX, SCIENCE.model_copy(update={"optional": True, "declared_in": None}))
