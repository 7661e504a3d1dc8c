"""The suite that every builder passes, ours and third parties'.

Subclass `BuilderConformance` in a test module and state the builder's name and its projects; pytest then runs
each rule as a test of its own. See docs/plugins/conformance.md.
"""

from __future__ import annotations

from flowctl_core.testing.conformance.boundary import BoundaryRules
from flowctl_core.testing.conformance.building import BuildingRules
from flowctl_core.testing.conformance.cleaning import CleaningRules
from flowctl_core.testing.conformance.detection import DetectionRules
from flowctl_core.testing.conformance.planning import PlanningRules
from flowctl_core.testing.conformance.releasing import ReleaseRules
from flowctl_core.testing.conformance.suite import SuiteRules
from flowctl_core.testing.conformance.workshop import ExpectedTests

__all__ = ["BuilderConformance", "ExpectedTests"]


class BuilderConformance(
    DetectionRules, PlanningRules, BuildingRules, SuiteRules, ReleaseRules, CleaningRules, BoundaryRules
):
    """Every rule of the contract as a test; what an author states is described in `Subject`."""
