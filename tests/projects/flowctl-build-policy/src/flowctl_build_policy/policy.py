"""Refuses components whose dependencies cannot be fetched without running code."""

from __future__ import annotations

from collections.abc import Generator

from flowctl_core import hookimpl
from flowctl_core.errors import PlanError
from flowctl_core.models import Plan, PlanRequest, SourceTree


class NoCodeInFetch:
    """Looks at every builder's plan before anything runs."""

    contract = 1

    @hookimpl(wrapper=True)
    def flowctl_plan(self, source: SourceTree, request: PlanRequest) -> Generator[None, Plan, Plan]:
        plan = yield
        if plan.fetch_runs_code:
            raise PlanError(
                f"{plan.component} cannot be fetched without running code of its own or of its dependencies",
                hint="Declare the dependencies in a lockfile, or ask for an exception from this policy.",
            )
        return plan


plugin = NoCodeInFetch()
