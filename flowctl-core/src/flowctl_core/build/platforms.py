"""Builds for several platforms at once, with an outcome each: one that fails hides no other."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from flowctl_core.errors import CancelledError, FlowctlError
from flowctl_core.models import Plan, Platform, PlatformOutcome, Progress, ReleaseResult

BuildOne = Callable[[Plan], ReleaseResult | None]
"""Calls the builder with a plan that names just one platform."""


class PlatformProgress:
    """Progress of one platform among several."""

    def __init__(self, progress: Progress, platform: Platform) -> None:
        self._progress = progress
        self._prefix = f"{platform}: "

    def step(self, text: str) -> None:
        """See Progress."""
        self._progress.step(self._prefix + text)

    def line(self, text: str) -> None:
        """See Progress."""
        self._progress.line(self._prefix + text)

    def note(self, text: str) -> None:
        """See Progress."""
        self._progress.note(self._prefix + text)

    def warning(self, text: str) -> None:
        """See Progress."""
        self._progress.warning(self._prefix + text)


def progress_of(progress: Progress, platform: Platform) -> Progress:
    """Progress of one platform: by a field of its own where `progress` has one, else by a prefix."""
    of_platform: Callable[[Platform], Progress] | None = getattr(progress, "of_platform", None)
    return PlatformProgress(progress, platform) if of_platform is None else of_platform(platform)


def build_platforms(
    plan: Plan, platforms: Sequence[Platform], build: BuildOne, *, parallel: int, stop: Callable[[], None]
) -> list[PlatformOutcome]:
    """One outcome for each platform, in their order.

    `stop` ends every tool that runs; it is called when this is interrupted, since the others would be waited for.
    Raises CancelledError, and nothing else that a builder raises.
    """

    def one(platform: Platform) -> PlatformOutcome:
        started = time.monotonic()
        try:
            result = build(plan.model_copy(update={"platforms": (platform,)}))
        except CancelledError:
            raise
        except FlowctlError as error:
            outcome = PlatformOutcome(platform=platform, failure=error.message, hint=error.hint, output=error.output)
        else:
            outcome = _outcome(result, platform)
        return outcome.model_copy(update={"duration_s": round(time.monotonic() - started, 4)})

    with ThreadPoolExecutor(max_workers=max(1, min(parallel, len(platforms)))) as pool:
        pending = [pool.submit(one, platform) for platform in platforms]
        try:
            return [future.result() for future in pending]
        except BaseException:
            for future in pending:
                future.cancel()
            stop()
            raise


def _outcome(result: ReleaseResult | None, platform: Platform) -> PlatformOutcome:
    if result is None:
        return PlatformOutcome(
            platform=platform,
            failure=f"the builder makes no releases for {platform}",
            hint="Ask the plugin's authors, or build it with a command in component.yaml.",
        )
    found = [outcome for outcome in result.outcomes if outcome.platform == platform]
    if len(found) != 1:
        return PlatformOutcome(
            platform=platform,
            failure=f"the builder answered with {len(found)} outcomes for {platform}",
            hint="This is a fault of the builder plugin.",
        )
    return found[0]
