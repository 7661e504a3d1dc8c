"""A builder's answer to `flowctl_detect`, and core's resolution of all answers."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from flowctl_core.models.base import Frozen


class Evidence(Frozen):
    """One file that speaks for a language, and why."""

    path: str
    """Relative to the source tree, POSIX spelling."""
    reason: str
    """What the file says about the language."""


class Detection(Frozen):
    """What one builder recognises in a source tree.

    `basis` ranks before `confidence`: a manifest (go.mod, package.json, pyproject.toml, Cargo.toml)
    outweighs loose files (`*.py`), whatever the confidence.
    """

    language: str
    aliases: tuple[str, ...] = ()
    """Other names by which `--language` or component.yaml may ask for this language."""
    basis: Literal["component", "manifest", "files"] = "manifest"
    """`component`: component.yaml itself says how to build; reserved for core's `command` builder."""
    confidence: float = Field(ge=0.0, le=1.0)
    """0 to 1. Around 0.9 for a manifest that declares a program, 0.5 for one that may not, 0.2 for one that
    probably serves something else (a package.json that only builds docs)."""
    root: str = "."
    """Folder of the manifest, relative to the source tree."""
    evidence: tuple[Evidence, ...] = ()


class Candidate(Frozen):
    """A detection together with who made it and, for all but the winner, why it lost."""

    builder: str
    distribution: str
    detection: Detection
    lost_because: str | None = None


class DetectionReport(Frozen):
    """The winner and everything that was considered (`flowctl component detect -o json`)."""

    winner: Candidate
    lost: tuple[Candidate, ...] = ()
    silent: tuple[str, ...] = ()
    """Builders that answered None."""
