"""When a component that ended starts again, and after how long."""

from __future__ import annotations

from typing import Literal

FIRST_S, LONGEST_S = 0.5, 30.0
"""Seconds before the first restart, and at most; each further one doubles."""
STEADY_S = 10.0
"""A component that ran so long is well: its next crash counts as the first."""
LOOP = 4
"""Crashes in a row after which people are told of a crash loop."""

Verdict = Literal["restart", "done", "failed"]


class Restarts:
    """The restart policy of one copy of a component; the default is on-failure."""

    def __init__(self, policy: str | None) -> None:
        self.policy = policy or "on-failure"
        self.in_a_row = 0

    def verdict(self, code: int) -> Verdict:
        """What happens after it ended by itself with this exit code."""
        if self.policy in ("always", "unless-stopped"):
            return "restart"
        if code == 0:
            return "done"
        return "restart" if self.policy == "on-failure" else "failed"

    def delay_s(self, ran_s: float) -> float:
        """Seconds until it starts again, after a run of so many."""
        self.in_a_row = 1 if ran_s >= STEADY_S else self.in_a_row + 1
        return float(min(FIRST_S * 2 ** min(self.in_a_row - 1, 16), LONGEST_S))

    @property
    def looping(self) -> bool:
        """True while it crashes again and again."""
        return self.in_a_row >= LOOP

    def forget(self) -> None:
        """It was changed, or somebody asked for it: it starts without a past."""
        self.in_a_row = 0
