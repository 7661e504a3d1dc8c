"""Writes docs/compatibility.md from the results."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from measure import Result

HEAD = """\
# Compatibility with real components

Public component trees that this project's authors did not write, each built and tested by hand, as its own README or CI
says, and by flowctl, in copies of their own. `nox -s compatibility` writes this page; the trees and the commands by hand
are data in tests/sweep/compatibility/trees.py.

For each tree: detection names the right language; the program does the same as the one built by hand (same arguments,
same output, same exit code); a second build is fresh; `clean` leaves the tree as it was published, ignored files
included (node_modules stays: dependencies, and maybe the developer's own); the next build restores from the cache; the
project's own tests give the same counts.
"""

NOTES = """\
Times are seconds of wall clock, medians. A build is cold: a fresh copy, an empty cache of results (`GOCACHE`, `target/`,
flowctl's cache), downloads already there for both. The two ways take turns in going first; a tree whose build by hand
takes less than 45 s in sum is built up to three times. By hand the dependencies' install scripts are off, as they are
with flowctl. `fresh` is the whole command when nothing changed, asked for JSON.
"""


def write(path: Path, results: Sequence[Result], reasons: dict[str, str], *, started_load: float) -> None:
    """Replace the page as a whole."""
    tried = [result for result in results if not result.missing]
    same = [result for result in tried if not result.differences]
    lines = [
        HEAD,
        f"{len(tried)} trees tried, {len(same)} the same as by hand, {len(tried) - len(same)} different; "
        f"{sum(bool(result.failures) for result in same)} of the same ones fail both ways. "
        f"{environment(started_load)}\n",
        *measured_when(results),
        "| Tree | Commit | Language | What is special | Result | Tests | flowctl s | By hand s | Ratio | Fresh s |",
        "|---|---|---|---|---|---|---|---|---|---|",
        *(row(result) for result in results),
        "",
        NOTES,
    ]
    told = [result for result in results if result.differences or result.failures or result.missing or result.left_out]
    if told:
        lines.append("## What is not as it should be\n")
        for result in told:
            lines.append(f"- **{result.tree}** ({result.commit[:7]}): {account(result, reasons)}")
        lines.append("")
    text = "\n".join(lines)
    path.with_suffix(".new").write_text(text, encoding="utf-8")
    path.with_suffix(".new").replace(path)


def measured_when(results: Sequence[Result]) -> list[str]:
    """A paragraph that says which rows were measured at which commit; nothing when all were at one."""
    by_time: dict[str, list[str]] = {}
    for result in results:
        by_time.setdefault(result.flowctl, []).append(result.tree)
    if len(by_time) < 2:
        return []
    most = max(by_time, key=lambda when: len(by_time[when]))
    said = [f"{', '.join(trees)} at {when}" for when, trees in sorted(by_time.items()) if when != most]
    return [f"Not all rows were measured at that commit: {'; '.join(said)}; all others at {most}.\n"]


def row(result: Result) -> str:
    """One line of the table."""
    hand, flow = result.hand_median, result.flowctl_median
    ratio = f"{flow / hand:.2f}" if hand and flow else "–"
    cells = [
        f"{result.tree}<br>{result.repository}",
        f"`{result.commit[:7]}`",
        result.language,
        result.traits,
        verdict(result),
        result.flowctl_tests or "–",
        number(flow),
        number(hand),
        ratio,
        number(result.fresh_s, 2),
    ]
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


def verdict(result: Result) -> str:
    """In a few words."""
    if result.missing:
        return "not here"
    if result.differences:
        return "**differs**"
    return "fails both ways" if result.failures else "same"


def account(result: Result, reasons: dict[str, str]) -> str:
    """The reason that somebody found, else what the run itself said; without paths of this machine."""
    parts = [result.missing] if result.missing else []
    if result.differences or result.failures:
        said = "; ".join(" ".join(text.split()) for text in (*result.differences, *result.failures))
        parts.append(reasons.get(result.tree) or said.replace("|", "/")[:500])
    if result.left_out:
        parts.append(f"{result.left_out} big files that the snapshot of the repository lacks are left out both ways")
    return "; ".join(part.rstrip(".") for part in parts) + "."


def number(value: float | None, digits: int = 1) -> str:
    """A figure, or a dash."""
    return "–" if value is None else f"{value:.{digits}f}"


def environment(load: float) -> str:
    """Commit, day, machine and toolchains."""
    versions = []
    for argv in (["go", "version"], ["cargo", "--version"], ["node", "--version"], ["uv", "--version"]):
        try:
            said = subprocess.run(argv, capture_output=True, text=True).stdout.split()
        except OSError:
            continue
        words = [word for word in said if any(character.isdigit() for character in word) and "/" not in word]
        versions.append(f"{argv[0]} {words[0].removeprefix('go').removeprefix('v')}")
    return (
        f"flowctl at {measured_now()}, {platform.system()} "
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, {', '.join(versions)}; "
        f"load of the machine when the run began {load:.1f}."
    )


def measured_now() -> str:
    """flowctl's commit and the day."""
    root = Path(__file__).resolve().parents[3]
    argv = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    commit = subprocess.run(argv, cwd=root, capture_output=True, text=True).stdout.strip()
    return f"`{commit}`, {time.strftime('%Y-%m-%d', time.gmtime())}"
