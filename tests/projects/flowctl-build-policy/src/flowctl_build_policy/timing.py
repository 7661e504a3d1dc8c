"""Says how long the builder itself took."""

from __future__ import annotations

import time
from collections.abc import Generator

from flowctl_core import hookimpl
from flowctl_core.models import BuildContext, BuildResult, Plan


class Timing:
    """Measures; changes nothing."""

    contract = 1

    @hookimpl(wrapper=True)
    def flowctl_build(self, plan: Plan, context: BuildContext) -> Generator[None, BuildResult, BuildResult]:
        started = time.monotonic()
        try:
            return (yield)
        finally:
            context.progress.note(f"building {plan.component} took {time.monotonic() - started:.2f} s")


plugin = Timing()
