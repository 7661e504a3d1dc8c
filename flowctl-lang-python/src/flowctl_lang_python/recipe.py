"""What later hooks need to know: the builder's own part of the plan."""

from __future__ import annotations

from typing import Literal

from flowctl_core.models import Frozen, Plan
from flowctl_lang_python.release.recipe import ReleaseRecipe

ENVIRONMENT = ".flowctl/env"
"""The component's environment, relative to the source tree: a tree artifact, not relocatable."""


class Recipe(Frozen):
    """`Plan.details` of a Python plan; all paths relative to the source tree."""

    kind: Literal["function", "module", "file"] | None = None
    """How the program starts; None for a library."""
    target: str = ""
    """`module:function`, a module, or a file."""
    installable: bool = False
    """True: the project is installed editable; False: `import_roots` are put on the environment's path."""
    import_roots: tuple[str, ...] = ()
    compiled: bool = False
    """True: every build asks the build backend, because it may have to compile."""
    cargo: bool = False
    metadata: tuple[str, ...] = ()
    """Files that decide whether an editable install is up to date."""
    lock: str | None = None
    """Lockfile's name, in the plan's root."""
    standard: bool = False
    """uv reads the dependencies from pyproject.toml itself."""
    dynamic: str | None = None
    """`pyproject.toml` or `setup.py`: only the build backend can tell the dependencies."""
    requirements: tuple[str, ...] = ()
    """PEP 508 lines to install, where uv cannot read them from the project."""
    requirement_files: tuple[str, ...] = ()
    """Relative to the plan's root."""
    extras: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    build_requirements: tuple[str, ...] = ()
    ask_backend: bool = False
    """True for a build backend whose further requirements only it can tell (one in the source, for example)."""
    test_tool: Literal["pytest", "unittest"] | None = None
    test_start: str | None = None
    """Where unittest starts to look, relative to the plan's root; None lets it decide."""
    local: tuple[str, ...] = ()
    """Names of the distributions that are installed from folders of the source, as copies."""
    add_pytest: bool = False
    """pytest is used and not declared."""
    release: ReleaseRecipe | None = None
    """None in plans of the profile `dev`."""

    @staticmethod
    def of(plan: Plan) -> Recipe:
        """The recipe in a plan."""
        return Recipe.model_validate(plan.details)
