"""Workers that die, stand still, or come back."""

from __future__ import annotations

import signal
import subprocess
from collections import Counter
from collections.abc import Callable

import pytest
from sqlalchemy import Connection, delete, select, update

from build_farm import Farm, runs
from flowctl_registry.builds import cancelling, queue
from flowctl_registry.builds.registration import TAKEOVERS
from flowctl_registry.database.build_tables import build_steps, builds, workers
from flowctl_registry.database.engine import writing


def ended_once(farm: Farm, build_id: str) -> None:
    """No completed step was done twice, and it was published once."""
    done = Counter((note.step, note.platform) for note in farm.journal(build=build_id, what="end"))
    assert set(done.values()) == {1}, done
    assert farm.published() == [build_id]
    assert farm.build(build_id).state == "succeeded"


@pytest.mark.parametrize("step", ["clone", "build", "publish"])
def test_another_worker_goes_on_where_one_was_killed(farm: Farm, step: str) -> None:
    farm.plan(seconds={step: 30})
    one = farm.worker("one")
    build_id = farm.queue()
    note = farm.wait_begun(build_id, step)
    farm.worker("two")
    farm.plan()
    one.process.kill()
    one.process.wait()
    farm.wait(lambda: not runs(note.pid), 2)
    assert farm.wait_ended(build_id) == ["succeeded"]
    ended_once(farm, build_id)
    assert farm.build(build_id).takeovers == 1
    assert farm.steps(build_id)["publish"].worker == "two"


def test_the_same_worker_goes_on_when_it_comes_back(farm: Farm) -> None:
    farm.plan(seconds={"test": 30})
    one = farm.worker("one")
    build_id = farm.queue()
    farm.wait_begun(build_id, "test")
    one.process.kill()
    one.process.wait()
    farm.plan()
    farm.worker("one")
    assert farm.wait_ended(build_id) == ["succeeded"]
    ended_once(farm, build_id)


def test_a_worker_that_stood_still_does_nothing_more(farm: Farm) -> None:
    farm.plan(seconds={"build": 30})
    one = farm.worker("one")
    build_id = farm.queue()
    note = farm.wait_begun(build_id, "build")
    farm.pause("one")
    farm.plan(seconds={"build": 2})
    farm.worker("two")
    farm.wait(lambda: farm.journal(build=build_id, step="build", worker="two"))
    one.process.send_signal(signal.SIGCONT)
    farm.wait(lambda: not runs(note.pid), 5)
    assert farm.wait_ended(build_id) == ["succeeded"]
    assert farm.steps(build_id)["publish"].worker == "two"
    ended_once(farm, build_id)
    farm.plan()
    more = [farm.queue() for _ in range(6)]  # it is a worker again
    assert set(farm.wait_ended(*more)) == {"succeeded"}
    assert {note.worker for note in farm.journal() if note.build in more} == {"one", "two"}


def test_a_worker_that_stands_still_in_a_transaction_keeps_no_locks(farm: Farm) -> None:
    if farm.engine.dialect.name == "sqlite":
        pytest.skip("a SQLite database has one writer: who stands still there keeps it")
    farm.plan(seconds={"build": 30})
    one = farm.worker("one")
    build_id = farm.queue()
    farm.wait_begun(build_id, "build")
    with farm.engine.connect() as connection:  # says nothing more either, as the worker's own would
        connection.execute(select(workers).with_for_update())
        connection.execute(select(builds).with_for_update())
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({queue._LOCK})")
        one.process.send_signal(signal.SIGSTOP)
        farm.plan()
        farm.worker("two")
        assert farm.wait_ended(build_id) == ["succeeded"]
        connection.invalidate()
    one.process.send_signal(signal.SIGCONT)
    assert farm.build(build_id).takeovers == 1
    ended_once(farm, build_id)


def test_a_worker_that_stood_still_may_take_its_own_build_again(farm: Farm) -> None:
    farm.plan(seconds={"build": 30})
    one = farm.worker("one")
    build_id = farm.queue()
    farm.wait_begun(build_id, "build")
    farm.pause("one")
    farm.worker("two", label="platform=darwin")  # sees that it is dead, takes no builds
    farm.wait(lambda: farm.build(build_id).state == "queued")
    farm.plan()
    one.process.send_signal(signal.SIGCONT)
    assert farm.wait_ended(build_id) == ["succeeded"]
    ended_once(farm, build_id)


def test_a_pause_that_nobody_saw_costs_nothing(farm: Farm) -> None:
    farm.plan(seconds={"build": 1})
    one = farm.worker("one")
    build_id = farm.queue()
    farm.wait_begun(build_id, "build")
    one.process.send_signal(signal.SIGSTOP)
    subprocess.run(["sleep", "3"])
    one.process.send_signal(signal.SIGCONT)
    assert farm.wait_ended(build_id) == ["succeeded"]
    assert farm.build(build_id).takeovers == 0
    ended_once(farm, build_id)


def test_a_build_that_kills_workers_fails(farm: Farm) -> None:
    farm.plan(seconds={"test": 30})
    build_id = farm.queue()
    one = farm.worker("one")
    for lost in range(1, TAKEOVERS + 1):
        farm.wait(lambda: len(farm.journal(build=build_id, step="test", what="begin")) == lost)  # noqa: B023
        one.kill()
        one.start()
        one.ready = lambda lost=lost: one.text().count("worker one is ready") > lost
    assert farm.wait_ended(build_id) == ["failed"]
    assert farm.build(build_id).problem["code"] == "worker-lost"


def test_a_build_that_is_cancelled_while_its_worker_is_dead_ends(farm: Farm) -> None:
    farm.plan(seconds={"test": 30})
    one = farm.worker("one")
    build_id = farm.queue()
    farm.wait_begun(build_id, "test")
    one.process.kill()
    one.process.wait()
    writing(farm.engine, lambda connection: cancelling.cancel(connection, build_id, "somebody"))
    farm.worker("two")
    assert farm.wait_ended(build_id) == ["cancelled"]


def test_what_the_registry_recorded_counts_when_the_engine_forgot(farm: Farm) -> None:
    farm.plan(seconds={"build": 30})
    one = farm.worker("one")
    build_id = farm.queue()
    farm.wait_begun(build_id, "build")
    one.kill()
    farm.forget_engine()
    farm.plan()
    farm.worker("one")
    assert farm.wait_ended(build_id) == ["succeeded"]
    ended_once(farm, build_id)


def test_what_the_registry_recorded_counts_when_it_was_restored(farm: Farm) -> None:
    one = farm.worker("one")
    build_id = farm.queue()
    farm.wait_ended(build_id)
    one.stop()

    def restore(connection: Connection) -> None:
        late = (build_steps.c.build_id == build_id, build_steps.c.step.in_(("assemble", "publish")))
        connection.execute(delete(build_steps).where(*late))
        before = {"state": "running", "claim": "0" * 32, "finished_at": None, "version_id": None}
        connection.execute(update(builds).where(builds.c.id == build_id).values(**before))

    writing(farm.engine, restore)
    one.start()
    assert farm.wait_ended(build_id) == ["succeeded"]
    assert len(farm.journal(build=build_id, step="build", what="end")) == 2  # one a platform: not again
    assert farm.steps(build_id)["publish"].state == "succeeded"


def test_two_workers_cannot_have_one_name(farm: Farm) -> None:
    farm.worker("one")
    other = farm.worker("one", wait=False)
    assert other.process.wait() == 1
    assert "another worker has the id one" in other.text()


def test_a_platform_waits_for_a_worker_with_its_label(open_farm: Callable[..., Farm]) -> None:
    farm = open_farm(builds__placements={"darwin/*": "platform=darwin"})
    farm.plan(platforms=["linux/amd64", "darwin/arm64"])
    farm.worker("linux")
    build_id = farm.queue()
    farm.wait(lambda: farm.journal(build=build_id, step="build", what="end"))
    assert farm.build(build_id).state == "running"
    farm.worker("mac", label="platform=darwin")
    assert farm.wait_ended(build_id) == ["succeeded"]
    done = {note.platform: note.worker for note in farm.journal(build=build_id, step="build", what="end")}
    assert done == {"linux/amd64": "linux", "darwin/arm64": "mac"}
    assert farm.steps(build_id)["build darwin/arm64"].worker == "mac"
    ended_once(farm, build_id)


def test_a_labelled_worker_that_dies_is_followed_by_the_next(open_farm: Callable[..., Farm]) -> None:
    farm = open_farm(builds__placements={"darwin/*": "platform=darwin"})
    farm.plan(platforms=["darwin/arm64"], seconds={"build": 30})
    farm.worker("linux")
    mac = farm.worker("mac", label="platform=darwin")
    build_id = farm.queue()
    farm.wait_begun(build_id, "build")
    mac.process.kill()
    mac.process.wait()
    farm.plan()
    farm.worker("mac2", label="platform=darwin")
    assert farm.wait_ended(build_id) == ["succeeded"]
    ended_once(farm, build_id)


def test_a_labelled_worker_that_is_stopped_leaves_its_platform_to_the_next(open_farm: Callable[..., Farm]) -> None:
    farm = open_farm(builds__placements={"darwin/*": "platform=darwin"}, builds__stop_s=0.2)
    farm.plan(platforms=["darwin/arm64"], seconds={"build": 30})
    farm.worker("linux")
    mac = farm.worker("mac", label="platform=darwin")
    build_id = farm.queue()
    farm.wait_begun(build_id, "build")
    assert mac.stop() == 0
    farm.plan()
    farm.worker("mac2", label="platform=darwin")
    assert farm.wait_ended(build_id) == ["succeeded"]
    ended_once(farm, build_id)


def test_a_platform_goes_on_elsewhere_while_the_builds_worker_is_lost(open_farm: Callable[..., Farm]) -> None:
    farm = open_farm(builds__placements={"darwin/*": "platform=darwin"})
    farm.plan(platforms=["darwin/arm64"], seconds={"build": 8})
    one = farm.worker("one")
    farm.worker("mac", label="platform=darwin")
    build_id = farm.queue()
    farm.wait_begun(build_id, "build")
    one.process.kill()
    one.process.wait()
    farm.wait(lambda: farm.build(build_id).state == "queued")
    assert farm.steps(build_id)["build darwin/arm64"].state == "running"
    farm.worker("two")
    assert farm.wait_ended(build_id) == ["succeeded"]
    assert len(farm.journal(build=build_id, step="build", what="begin")) == 1
    ended_once(farm, build_id)


def test_cancelling_reaches_labelled_workers(open_farm: Callable[..., Farm]) -> None:
    farm = open_farm(builds__placements={"darwin/*": "platform=darwin"})
    farm.plan(platforms=["darwin/arm64"], seconds={"build": 60})
    farm.worker("linux")
    waiting = farm.queue()  # there is no such worker yet
    farm.wait(lambda: farm.journal(build=waiting, step="test", what="end"))
    writing(farm.engine, lambda connection: cancelling.cancel(connection, waiting, "somebody"))
    assert farm.wait_ended(waiting) == ["cancelled"]
    farm.worker("mac", label="platform=darwin")
    running = farm.queue()
    note = farm.wait_begun(running, "build")
    writing(farm.engine, lambda connection: cancelling.cancel(connection, running, "somebody"))
    assert farm.wait_ended(running) == ["cancelled"]
    farm.wait(lambda: not runs(note.pid), 5)
    assert not farm.journal(build=waiting, step="build")
