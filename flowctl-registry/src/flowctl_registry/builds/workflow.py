"""The order of a build's steps. It knows no engine: `do` does a step once and for all, and remembers its result."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

Result = dict[str, Any]
"""{"answer": …}, {"problem": …} as in BuildProblem, or {"cancelled": true}; plain JSON."""
Do = Callable[[str, str], Awaitable[Result]]
"""`do(step, platform)`; the platform is "" where a step is not of one."""
BEFORE = (
    "clone",  # the commit, as files
    "decide",  # component, builder, plan, platforms
    "fetch",  # dependencies: the only step after `clone` that may use the network
    "test",
)
AFTER = (
    "assemble",  # images, SBOM, scan, provenance: the release
    "publish",  # recorded, signed, visible
)


async def build(do: Do) -> Result:
    """Do all steps; the answer of `publish`, or the first result that is none."""
    result: Result = {}
    platforms: list[str] = []
    for step in BEFORE:
        result = await do(step, "")
        if "answer" not in result:
            return result
        if result["answer"].get("bundle"):
            break  # its members are builds of their own
        if step == "decide":
            platforms = list(result["answer"].get("platforms", ()))
    results = await asyncio.gather(*(do("build", platform) for platform in platforms))
    failed = [each for each in results if "answer" not in each]
    if failed:
        return next((each for each in failed if "problem" in each), failed[0])  # the others were ended because of it
    for step in AFTER:
        result = await do(step, "")
        if "answer" not in result:
            return result
    return result
