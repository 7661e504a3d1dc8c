"""What each step of a build does."""

from __future__ import annotations

from collections.abc import Mapping

from flowctl_registry.builds.jobs import StepFunction
from flowctl_registry.sandbox.confinement import Sandbox
from flowctl_registry.services import Services


def step_functions(services: Services, sandbox: Sandbox) -> Mapping[str, StepFunction]:
    """The functions of the steps, by name; whatever is the source's runs in the sandbox."""
    return {}
