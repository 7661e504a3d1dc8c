"""Times commands side by side: each round runs every case once, in turn, so that all meet the same machine."""

from __future__ import annotations

import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Case:
    """A command to time; `prepare` runs before each round and is not timed."""

    argv: Sequence[str]
    cwd: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    prepare: Callable[[], None] | None = None
    seconds: list[float] = field(default_factory=list)
    cpu_seconds: list[float] = field(default_factory=list)
    """Of all processes, on all cores: what other work on the machine disturbs least."""

    @property
    def median_ms(self) -> float:
        return statistics.median(self.seconds) * 1000

    @property
    def median_cpu_ms(self) -> float:
        return statistics.median(self.cpu_seconds) * 1000


def run(cases: Mapping[str, Case], *, rounds: int, warmups: int = 1) -> None:
    """Run all cases `rounds` times; a case that fails ends the bench with its output."""
    for number in range(rounds + warmups):
        for name, case in cases.items():
            if case.prepare is not None:
                case.prepare()
            environment = {**os.environ, **case.environment}
            used, started = _cpu_seconds(), time.perf_counter()
            done = subprocess.run(case.argv, cwd=case.cwd, env=environment, capture_output=True, check=False)
            took = time.perf_counter() - started
            if done.returncode:
                sys.exit(f"{name} failed:\n{done.stdout.decode()}\n{done.stderr.decode()}")
            if number >= warmups:
                case.seconds.append(took)
                case.cpu_seconds.append(_cpu_seconds() - used)


def _cpu_seconds() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return children.ru_utime + children.ru_stime


def show(title: str, cases: Mapping[str, Case], budgets: Sequence[tuple[str, str, float]]) -> bool:
    """Print medians, and for each budget (case, reference, factor) the ratio and whether it holds."""
    print(f"\n## {title}\n")
    print("| Case | Median ms | Min | Max | CPU ms |\n|---|---|---|---|---|")
    for name, case in cases.items():
        low, high = min(case.seconds) * 1000, max(case.seconds) * 1000
        cpu = f"{case.median_cpu_ms:.1f}" if case.cpu_seconds else "–"  # what runs in this process counts none
        print(f"| {name} | {case.median_ms:.1f} | {low:.1f} | {high:.1f} | {cpu} |")
    print()
    met = True
    for name, reference, factor in budgets:
        if reference not in cases:
            print(f"- {name} / {reference}: not measured, {reference} is not here")
            continue
        ratio = cases[name].median_ms / cases[reference].median_ms
        met &= ratio <= factor
        print(f"- {name} / {reference} = {ratio:.2f} (budget {factor:.2f}): {'met' if ratio <= factor else 'MISSED'}")
    return met


def environment_line() -> str:
    """Machine, Python and commit, for the head of a result."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return (
        f"commit {commit.stdout.strip()}, {time.strftime('%Y-%m-%d')}, {platform.system()} {platform.machine()}, "
        f"{os.cpu_count()} cores, Python {platform.python_version()}, load {os.getloadavg()[0]:.1f}"
    )
