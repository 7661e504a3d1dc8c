"""The queue of remote builds: how soon a build starts, how full the slots are, what an idle worker costs.

The steps are processes that sleep, so that only the queue and the engine are measured, on PostgreSQL too where its
programs are. Budgets: p99 from request to start below 1 s with an idle worker; the sum of step time at least 95 % of
slots x wall time for 20 builds on 2 slots; an idle worker below 5 % of a core.
"""

from __future__ import annotations

import os
import random
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "services"))
from interleaved import environment_line

from build_farm import Farm

STARTS = int(os.environ.get("BENCH_STARTS", "100"))
IDLE_S = float(os.environ.get("BENCH_IDLE_S", "20"))
STEP_S = float(os.environ.get("BENCH_STEP_S", "1"))
BUILDS = 20


def cpu_s(pid: int) -> float:
    """Processor time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_mb(pid: int) -> float:
    """Resident memory of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def idle(farm: Farm) -> bool:
    """A worker that has nothing to do."""
    pid = farm.worker().pid
    time.sleep(3)
    before, at = cpu_s(pid), time.monotonic()
    time.sleep(IDLE_S)
    share = 100 * (cpu_s(pid) - before) / (time.monotonic() - at)
    print(f"  idle worker: {share:.1f} % of a core (budget 5), {memory_mb(pid):.0f} MB")
    return share < 5


def starts(farm: Farm) -> bool:
    """From the request's row to the first step's begin, one build at a time."""
    farm.plan(seconds=dict.fromkeys(("clone", "decide", "fetch", "test", "build", "assemble", "publish"), 0))
    waits = []
    for _ in range(STARTS):
        build_id = farm.queue()
        farm.wait_ended(build_id)
        first = farm.steps(build_id)["clone"]
        waits.append((first.started_at - farm.build(build_id).created_at).total_seconds())
        time.sleep(random.uniform(0, 0.3))
    waits.sort()
    p99 = waits[max(0, round(len(waits) * 0.99) - 1)]
    print(f"  request to start: median {waits[len(waits) // 2]:.2f} s, p99 {p99:.2f} s (budget 1), {len(waits)} builds")
    return p99 < 1


def filled(farm: Farm) -> bool:
    """20 builds on 2 slots."""
    farm.plan(seconds=dict.fromkeys(("fetch", "test", "build", "assemble"), STEP_S), platforms=["linux/amd64"])
    builds = [farm.queue() for _ in range(BUILDS)]
    farm.wait_ended(*builds, timeout_s=600)
    rows = [farm.build(each) for each in builds]
    wall = (max(row.finished_at for row in rows) - min(row.started_at for row in rows)).total_seconds()
    steps = [step for each in builds for step in farm.steps(each).values()]
    busy = sum((step.ended_at - step.started_at).total_seconds() for step in steps)
    share = 100 * busy / (2 * wall)
    print(f"  {BUILDS} builds on 2 slots: steps took {share:.1f} % of slots x wall time (budget 95), {wall:.0f} s")
    return share >= 95


def measure(url: str | None, scratch: Path) -> bool:
    """All three on one database."""
    farm = Farm(scratch, url)
    try:
        return all([idle(farm), starts(farm), filled(farm)])
    finally:
        farm.close()


def main() -> None:
    """Print the figures; exit 1 when a budget is missed."""
    print(environment_line())
    with tempfile.TemporaryDirectory() as scratch:
        print("SQLite")
        met = measure(None, Path(scratch) / "sqlite")
        if any(Path("/usr/lib/postgresql").glob("*/bin/postgres")):
            from postgres_server import PostgresServer

            server = PostgresServer()
            server.start()
            try:
                print("PostgreSQL")
                met = measure(server.database(), Path(scratch) / "postgres") and met
            finally:
                server.close()
    sys.exit(not met)


if __name__ == "__main__":
    main()
