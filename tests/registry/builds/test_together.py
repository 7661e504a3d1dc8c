"""Platforms that one worker builds in one sandbox: who does the work, who waits, and whose failure it is."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import pytest

from flowctl_core.errors import CancelledError, PlatformsFailedError
from flowctl_registry.builds.jobs import Answer, StepCall
from flowctl_registry.builds.together import Together, Work

ALL = ["darwin/arm64", "linux/amd64", "linux/arm64"]


def call_for(platform: str, build: str = "b") -> StepCall:
    return StepCall(build, "build", platform, 1, threading.Event())


class Builder:
    def __init__(self, failure: Exception | None = None) -> None:
        self.together = Together()
        self.worked: list[list[str]] = []
        self.failure = failure

    def work(self, calls: Mapping[str, StepCall], cancelled: threading.Event) -> Mapping[str, Answer]:
        self.worked.append(list(calls))
        if self.failure is not None:
            raise self.failure
        return {platform: {"of": platform} for platform in calls}

    def all(self, calls: list[StepCall], expected: list[str], work: Work | None = None) -> list[object]:
        def one(call: StepCall) -> object:
            try:
                return self.together.do(call, expected, work or self.work)
            except Exception as error:  # noqa: BLE001 - what it is, the test looks at
                return error

        with ThreadPoolExecutor(len(calls)) as pool:
            return list(pool.map(one, calls))


def test_the_first_works_for_all() -> None:
    builder = Builder()
    assert builder.all([call_for(each) for each in ALL], ALL) == [{"of": each} for each in ALL]
    assert builder.worked == [ALL]


def test_builds_do_not_mix_and_nobody_waits_for_ever() -> None:
    builder = Builder()
    calls = [call_for("linux/amd64", build) for build in ("one", "two")]
    assert builder.all(calls, ALL) == [{"of": "linux/amd64"}] * 2
    assert builder.worked == [["linux/amd64"]] * 2


def test_who_comes_late_is_done_after() -> None:
    builder = Builder()
    begun, late = threading.Event(), threading.Event()

    def work(calls: Mapping[str, StepCall], cancelled: threading.Event) -> Mapping[str, Answer]:
        begun.set()
        assert late.wait(20)
        return builder.work(calls, cancelled)

    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(builder.together.do, call_for("linux/amd64"), ["linux/amd64"], work)
        assert begun.wait(20)
        assert builder.together.do(call_for("linux/arm64"), ["linux/arm64"], builder.work) == {"of": "linux/arm64"}
        late.set()
        assert first.result() == {"of": "linux/amd64"}
    assert builder.worked == [["linux/arm64"], ["linux/amd64"]]


def test_a_failure_is_of_the_platforms_that_it_names() -> None:
    failure = PlatformsFailedError("1 of 3 platforms could not be built\nlinux/arm64: no")
    found = Builder(failure).all([call_for(each) for each in ALL], ALL)
    assert found[2] is failure and all(isinstance(each, CancelledError) for each in found[:2])


def test_a_failure_that_names_none_is_of_all() -> None:
    failure = PlatformsFailedError("the disk is full")
    assert Builder(failure).all([call_for(each) for each in ALL], ALL) == [failure] * 3


def test_one_that_is_to_end_ends_all() -> None:
    def work(calls: Mapping[str, StepCall], cancelled: threading.Event) -> Mapping[str, Answer]:
        assert not cancelled.is_set()
        calls["linux/arm64"].cancelled.set()
        deadline = time.monotonic() + 20
        while not cancelled.is_set():
            assert time.monotonic() < deadline
        raise CancelledError("the build was cancelled")

    found = Builder().all([call_for(each) for each in ALL], ALL, work)
    assert [str(each) for each in found] == ["the build was cancelled"] * 3


@pytest.mark.parametrize("platform", ALL)
def test_the_same_platform_twice_is_done_twice(platform: str) -> None:
    builder = Builder()
    assert builder.all([call_for(platform), call_for(platform)], ALL) == [{"of": platform}] * 2
    assert builder.worked == [[platform]] * 2
