"""Runs a command that is not trusted: confined, measured, and ended whole."""

from __future__ import annotations

from flowctl_registry.sandbox.confinement import Confinement, Limits, Outcome, Reached, Sandbox

__all__ = ["Confinement", "Limits", "Outcome", "Reached", "Sandbox"]
