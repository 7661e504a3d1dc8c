"""A build's way through a worker: its steps, its failures, its end."""

from __future__ import annotations

import signal
from collections.abc import Callable

from sqlalchemy import select

from build_farm import Farm, runs
from flowctl_registry.builds import cancelling
from flowctl_registry.database.build_tables import build_logs
from flowctl_registry.database.engine import reading, writing

ALL = ["clone", "decide", "fetch", "test", "build linux/amd64", "build linux/arm64", "assemble", "publish"]


def test_a_build_goes_through_all_steps(farm: Farm) -> None:
    farm.worker()
    build_id = farm.queue()
    assert farm.wait_ended(build_id) == ["succeeded"]
    row, steps = farm.build(build_id), farm.steps(build_id)
    assert sorted(steps) == sorted(ALL)
    assert {step.state for step in steps.values()} == {"succeeded"}
    assert (row.commit, row.version, row.worker, row.phase, row.problem) == ("c" * 40, "1.0.0", "one", None, None)
    assert steps["publish"].answer == {"seen": ["assemble", "build", "clone", "decide", "fetch", "test"]}
    assert steps["clone"].started_at <= steps["clone"].ended_at <= steps["decide"].started_at
    assert farm.published() == [build_id]


def test_what_steps_print_is_the_builds_log(farm: Farm) -> None:
    farm.plan(fail={"test": 1, "build linux/arm64": "build"}, platforms=["linux/arm64"])
    farm.worker()
    build_id = farm.queue()
    assert farm.wait_ended(build_id) == ["failed"]
    with reading(farm.engine) as connection:
        rows = connection.execute(
            select(build_logs).where(build_logs.c.build_id == build_id).order_by(build_logs.c.sequence)
        ).all()
    text = "".join(row.text for row in rows)
    tries = [line for line in text.splitlines() if "of try" in line]
    assert [" ".join(line.split()) for line in tries] == [
        "clone of try 1", "decide of try 1", "fetch of try 1", "test of try 1", "test of try 2",
        "build linux/arm64 of try 1",
    ]  # fmt: skip
    assert text.endswith("[flowctl: failed: it does not compile]\n")
    assert {(row.step, row.platform) for row in rows} >= {("test", ""), ("build", "linux/arm64")}


def test_platforms_are_built_at_the_same_time(farm: Farm) -> None:
    farm.plan(seconds={"build": 0.7}, platforms=["linux/amd64", "linux/arm64", "darwin/arm64"])
    farm.worker(slots=1)
    build_id = farm.queue()
    farm.wait_ended(build_id)
    begun = [note.at for note in farm.journal(build=build_id, step="build", what="begin")]
    ended = [note.at for note in farm.journal(build=build_id, step="build", what="end")]
    assert len(begun) == 3 and max(begun) < min(ended)


def test_what_will_not_pass_is_tried_once(farm: Farm) -> None:
    farm.plan(fail={"build linux/arm64": "build"})
    farm.worker()
    build_id = farm.queue()
    assert farm.wait_ended(build_id) == ["failed"]
    problem = farm.build(build_id).problem
    assert problem["code"] == "build" and problem["step"] == "build" and problem["platform"] == "linux/arm64"
    assert problem["message"] == "it does not compile" and problem["output"] == "main.go:1: syntax error"
    steps = farm.steps(build_id)
    assert steps["build linux/arm64"].state == "failed" and steps["build linux/arm64"].attempt == 1
    assert "assemble" not in steps and not farm.published()


def test_one_platforms_failure_ends_the_others(farm: Farm) -> None:
    farm.plan(fail={"build linux/arm64": "build"}, seconds={"build": 0.3})
    farm.worker()
    first = farm.queue()
    farm.wait_ended(first)
    plan = {"fail": {"test": "build"}}
    farm.plan(**plan)
    second = farm.queue()
    assert farm.wait_ended(second) == ["failed"]
    assert not farm.journal(build=second, step="build")


def test_what_may_pass_is_tried_again(farm: Farm) -> None:
    farm.plan(fail={"fetch": 2})
    farm.worker()
    build_id = farm.queue()
    assert farm.wait_ended(build_id) == ["succeeded"]
    assert farm.steps(build_id)["fetch"].attempt == 3
    assert len(farm.journal(build=build_id, step="fetch", what="failed")) == 2


def test_what_does_not_pass_fails_in_the_end(open_farm: Callable[..., Farm]) -> None:
    farm = open_farm(builds__tries=2)
    farm.plan(fail={"fetch": 9})
    farm.worker()
    build_id = farm.queue()
    assert farm.wait_ended(build_id) == ["failed"]
    assert farm.steps(build_id)["fetch"].attempt == 2
    assert farm.build(build_id).problem["transient"] is True


def test_a_defect_of_a_step_fails_its_build_only(farm: Farm) -> None:
    farm.plan(fail={"test": "defect"})
    farm.worker()
    broken = farm.queue()
    assert farm.wait_ended(broken) == ["failed"]
    assert farm.build(broken).problem["code"] == "internal"
    farm.plan()
    whole = farm.queue()
    assert farm.wait_ended(whole) == ["succeeded"]


def test_a_failed_build_is_tried_again_from_where_it_failed(farm: Farm) -> None:
    farm.plan(fail={"build linux/arm64": "build"})
    farm.worker()
    build_id = farm.queue()
    farm.wait_ended(build_id)
    farm.plan()
    assert writing(farm.engine, lambda connection: cancelling.retry(connection, build_id)) == 2
    assert farm.wait_ended(build_id) == ["succeeded"]
    for step in ("clone", "decide", "fetch", "test"):
        assert len(farm.journal(build=build_id, step=step, what="begin")) == 1
    assert farm.published() == [build_id]


def test_cancelling_ends_the_processes(farm: Farm) -> None:
    farm.plan(seconds={"build": 60})
    farm.worker()
    build_id = farm.queue()
    note = farm.wait_begun(build_id, "build")
    writing(farm.engine, lambda connection: cancelling.cancel(connection, build_id, "somebody"))
    assert farm.wait_ended(build_id) == ["cancelled"]
    assert not runs(note.pid)
    steps = farm.steps(build_id)
    assert steps["build linux/amd64"].state == "cancelled" and "assemble" not in steps
    assert farm.build(build_id).cancelled_by == "somebody" and not farm.published()


def test_cancelling_a_build_that_waits(farm: Farm) -> None:
    build_id = farm.queue()
    writing(farm.engine, lambda connection: cancelling.cancel(connection, build_id, "somebody"))
    assert farm.build(build_id).state == "cancelled"
    farm.worker()
    after = farm.queue()
    assert farm.wait_ended(after) == ["succeeded"]
    assert not farm.journal(build=build_id)


def test_a_worker_that_is_stopped_ends_its_step_and_leaves_the_rest(farm: Farm) -> None:
    farm.plan(seconds={"fetch": 1})
    one = farm.worker("one")
    build_id = farm.queue()
    farm.wait_begun(build_id, "fetch")
    assert one.stop() == 0
    assert farm.build(build_id).state == "queued" and farm.build(build_id).takeovers == 0
    assert farm.registered()["one"].stopped_at is not None
    farm.worker("two")
    assert farm.wait_ended(build_id) == ["succeeded"]
    assert [note.worker for note in farm.journal(build=build_id, step="fetch", what="end")] == ["one"]
    assert {note.worker for note in farm.journal(build=build_id, step="publish")} == {"two"}


def test_a_step_that_does_not_end_in_time_is_done_elsewhere(open_farm: Callable[..., Farm]) -> None:
    farm = open_farm(builds__stop_s=0.3)
    farm.plan(seconds={"fetch": 30})
    one = farm.worker("one")
    build_id = farm.queue()
    note = farm.wait_begun(build_id, "fetch")
    one.process.send_signal(signal.SIGTERM)
    assert one.process.wait() == 0
    assert not runs(note.pid)
    farm.plan()
    farm.worker("two")
    assert farm.wait_ended(build_id) == ["succeeded"]
