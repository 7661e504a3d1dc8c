"""Who is next: priorities, fairness between namespaces, limits; place and estimate."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from build_farm import Farm
from flowctl_registry.builds import queue
from flowctl_registry.builds.queue import Waiting, in_order
from flowctl_registry.database.build_tables import builds
from flowctl_registry.database.engine import reading
from flowctl_registry.errors import TooManyRequestsError

_START = datetime(2026, 1, 1, tzinfo=UTC)


def waiting(*asked: str, begun: str = "") -> list[Waiting]:
    """`a10` is a build of namespace `a` with priority 10, each asked for a second after the one before."""
    return [
        Waiting(f"{number}:{each}", each[0], int(each[1:]), _START + timedelta(seconds=number), each == begun)
        for number, each in enumerate(asked)
    ]


def names(ordered: list[Waiting]) -> str:
    return " ".join(each.id.partition(":")[2] for each in ordered)


def test_the_oldest_is_first() -> None:
    assert [each.id for each in in_order(waiting("a10", "a10", "a10"), Counter())] == ["0:a10", "1:a10", "2:a10"]


def test_a_release_comes_before_rebuilds_of_all_namespaces() -> None:
    assert names(in_order(waiting("a30", "b30", "c20", "a10"), Counter())) == "a10 c20 b30 a30"


def test_a_namespace_with_many_builds_does_not_hold_up_another() -> None:
    assert names(in_order(waiting("a20", "a20", "a20", "b20"), Counter())) == "a20 b20 a20 a20"


def test_who_has_builds_in_work_waits_for_those_who_have_none() -> None:
    assert names(in_order(waiting("a20", "b20", "c20"), Counter(a=2, b=1))) == "c20 b20 a20"


def test_a_namespace_at_its_limit_waits() -> None:
    assert names(in_order(waiting("a10", "a10", "b30"), Counter(a=1), limit=2)) == "a10 b30"


def test_what_a_lost_worker_had_begun_comes_first() -> None:
    assert names(in_order(waiting("a10", "b30"), Counter(), 0)) == "a10 b30"
    assert names(in_order(waiting("a10", "b30", begun="b30"), Counter(), 0)) == "b30 a10"


def test_workers_take_in_that_order(farm: Farm) -> None:
    rebuilds = [farm.queue("many", "rebuild") for _ in range(3)]
    other, release = farm.queue("other", "rebuild"), farm.queue("third", "publish")
    farm.worker(slots=1)
    farm.wait_ended(*rebuilds, other, release)
    begun = [note.build for note in farm.journal(step="clone", what="begin")]
    assert begun[0] == release
    with reading(farm.engine) as connection:  # two may be asked for in one moment
        query = select(builds.c.id).where(builds.c.id.in_(rebuilds)).order_by(builds.c.created_at, builds.c.id)
        oldest = list(connection.execute(query).scalars())
    assert set(begun[1:3]) == {oldest[0], other} or begun[1:3] == oldest[:2]  # all are equal when none is in work


def test_no_more_of_a_namespace_run_at_once_than_its_limit(open_farm: Callable[..., Farm]) -> None:
    farm = open_farm(builds__running_per_namespace=1)
    farm.plan(seconds={"test": 0.3})
    builds = [farm.queue() for _ in range(3)]
    farm.worker(slots=3)
    farm.wait_ended(*builds)
    running = 0
    for note in sorted(farm.journal(), key=lambda note: note.at):
        running += {("clone", "begin"): 1, ("publish", "end"): -1}.get((note.step, note.what), 0)
        assert running <= 1


def test_place_and_estimate(farm: Farm) -> None:
    first, second, third = farm.queue("one"), farm.queue("one"), farm.queue("two")
    with reading(farm.engine) as connection:
        seen = queue.outlook(connection)
    assert {seen[first].position, seen[third].position, seen[second].position} == {1, 2, 3}
    assert seen[second].position == 3  # its namespace has had a turn
    farm.plan(seconds={"test": 0.5})
    farm.worker(slots=1)
    farm.wait_ended(first, second, third)
    farm.plan(seconds={"test": 30})
    running = farm.queue("one")
    farm.wait_begun(running, "test")
    behind = farm.queue("one")
    with reading(farm.engine) as connection:
        seen = queue.outlook(connection)
    assert seen[running].position is None and 0 < seen[running].estimate_s < 20
    assert seen[behind].position == 1 and seen[behind].estimate_s == pytest.approx(seen[running].estimate_s)


def test_a_namespace_cannot_fill_the_queue(open_farm: Callable[..., Farm]) -> None:
    farm = open_farm(builds__queued_per_namespace=2)
    farm.queue()
    with reading(farm.engine) as connection:
        queue.check_room(connection, farm.settings.builds, "acme")
    farm.queue()
    with reading(farm.engine) as connection, pytest.raises(TooManyRequestsError, match="2 builds of acme wait"):
        queue.check_room(connection, farm.settings.builds, "acme")
    with reading(farm.engine) as connection:
        queue.check_room(connection, farm.settings.builds, "other")
