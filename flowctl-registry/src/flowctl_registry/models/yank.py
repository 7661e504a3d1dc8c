"""Yanking a version."""

from __future__ import annotations

from typing import Annotated

from pydantic import StringConstraints

from flowctl_core.models.base import Frozen


class YankRequest(Frozen):
    """Why a version must not be used any more."""

    reason: Annotated[str, StringConstraints(pattern=r"^[^\x00-\x08\x0b-\x1f]+$", min_length=1, max_length=1000)]
    """Shown to everybody who asks for the version."""
