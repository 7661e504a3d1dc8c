"""What the release hooks need to know beyond the Recipe."""

from __future__ import annotations

from flowctl_core.models import Frozen
from flowctl_lang_python.release.settings import Settings


class ReleaseRecipe(Frozen):
    """The part of `Plan.details` that only release plans have."""

    requirements: tuple[str, ...] = ()
    """PEP 508 lines that running needs, where uv cannot read them from the project."""
    requirement_files: tuple[str, ...] = ()
    """Requirement files that running needs, relative to the plan's root."""
    direct: tuple[str, ...] = ()
    """Normalised names of the distributions that the project itself asks for, as far as files tell."""
    compiles: str | None = None
    """What compiles native code for sure; None where only building tells."""
    version_from_vcs: bool = False
    """True: the backend asks the version control for the version, which an export does not have."""
    settings: Settings = Settings()
