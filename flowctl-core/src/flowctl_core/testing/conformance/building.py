"""Rules for `flowctl_fetch` and `flowctl_build`."""

# ruff: noqa: S101 - these are tests
from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from flowctl_core.errors import BuildError, CancelledError, FetchError, ToolTimeoutError
from flowctl_core.models import Plan
from flowctl_core.store.files import STATE_DIR
from flowctl_core.testing.conformance.subject import Subject
from flowctl_core.testing.conformance.workshop import Workshop
from flowctl_core.testing.driver import Driver
from flowctl_core.testing.projects import Snapshot
from flowctl_core.testing.recording import RecordingRunner

_SLACK_S = 1.0
"""Seconds by which a second build may exceed the first on a busy machine."""


class BuildingRules(Subject):
    """Fetch, then build, makes exactly what the plan promised, offline, and touches nothing else."""

    def test_build_makes_what_the_plan_promises(self, workshop: Workshop) -> None:
        """One program or library for each entry point, no other, each a file with something in it."""
        built = workshop.built
        promised = {entry.name: entry.kind for entry in built.plan.entry_points}
        made = {Path(a.path).name: a.kind for a in built.driver.artifacts if a.kind != "tree"}
        assert made == promised, f"the plan promises {promised}, the build reported {made}"
        for artifact in built.driver.artifacts:
            path = built.driver.root / artifact.path
            if artifact.kind == "tree":
                assert path.is_dir(), f"the tree {artifact.path} is not a folder"
            else:
                assert path.is_file() and path.stat().st_size > 0, f"{artifact.path} is missing or empty"
            assert artifact.platform in built.plan.platforms, f"{artifact.path} is for {artifact.platform}"

    def test_programs_run_where_core_puts_them(self, workshop: Workshop) -> None:
        """Each program is executable and runs after core moved it to `.flowctl/bin`."""
        _run_programs(self, workshop.built.driver, workshop.built.plan)

    def test_build_is_offline(self, workshop: Workshop) -> None:
        """Only fetch may ask for the network."""
        for hook, step in workshop.built.steps.items():
            if hook != "flowctl_fetch":
                online = [" ".join(command.argv) for command in step.commands if command.network]
                assert not online, f"{hook} asks for the network: {online}; bring dependencies in with flowctl_fetch"

    def test_commands_obey_the_context(self, workshop: Workshop) -> None:
        """Each command has the context's time limit and search path, and works inside the source tree."""
        built = workshop.built
        context = built.driver.context(built.plan)
        for hook, step in built.steps.items():
            for command in step.commands:
                said = f"{hook} runs {' '.join(command.argv)}"
                assert command.timeout_s == context.timeout_s, f"{said} without the context's timeout_s"
                assert command.environment.get("PATH"), f"{said} without PATH: start from the context's environment"
                inside = command.cwd.resolve().is_relative_to(built.driver.root.resolve())
                assert inside, f"{said} in {command.cwd}, outside the source tree"

    def test_build_again_works_and_is_not_slower(self, workshop: Workshop) -> None:
        """A build over the results of the last one gives the same, without starting anew."""
        driver, plan, first = workshop.spare
        made = driver.artifacts
        started = time.monotonic()
        driver.build(plan)
        second = time.monotonic() - started
        assert driver.artifacts == made, f"the second build made {driver.artifacts}, the first {made}"
        assert second <= first * 1.5 + _SLACK_S, f"the second build took {second:.1f} s, the first {first:.1f} s"
        _run_programs(self, driver, plan)

    def test_fetch_makes_what_the_plan_says(self, workshop: Workshop) -> None:
        """The paths in `Plan.fetched` are there after fetch: core fetches again while one is missing."""
        built = workshop.built
        for path in built.plan.fetched:
            assert (built.driver.root / path).exists(), f"Plan.fetched names {path}, which fetch did not make"

    def test_build_writes_only_where_it_may(self, workshop: Workshop) -> None:
        """Outside `.flowctl`, only the declared `fetched` and `generated` paths change."""
        built = workshop.built
        declared = (STATE_DIR, *built.plan.fetched, *built.plan.generated)
        now = Snapshot.take(built.driver.root, without=declared)
        before = _without(built.original, declared)
        changes = before.changes_to(now)
        assert not changes, f"fetch and build changed the source tree: {changes}; declare the paths in Plan.generated"

    def test_a_source_that_does_not_build_says_why(self, workshop: Workshop) -> None:
        """The error is a BuildError (or FetchError) with what the tool itself printed, whole."""
        driver = workshop.driver(workshop.tree(changes=self.broken_build))
        plan = driver.plan()
        with pytest.raises((BuildError, FetchError)) as caught:
            driver.fetch(plan)
            driver.build(plan)
        error = caught.value
        assert error.message, "the error has no message"
        said = f"{error.message}\n{error.output or ''}"
        assert self.broken_build_says in said, (
            f"the tool's own words, {self.broken_build_says!r}, are not in the error's output:\n{said}"
        )

    def test_works_in_a_path_with_spaces_and_other_letters(self, workshop: Workshop) -> None:
        """Folders have spaces, accents and signs that a shell would take for its own."""
        name = "mein Gerät & 'naïve' 数据"
        driver = workshop.driver(workshop.tree(name=name))
        plan = driver.plan()
        driver.fetch(plan)
        driver.build(plan)
        _run_programs(self, driver, plan)
        report = driver.test(plan)
        assert report is not None and report.ok, f"the tests fail in {name!r}: {report and report.output}"

    @pytest.mark.parametrize("error", [CancelledError("cancelled"), ToolTimeoutError("too slow")], ids=lambda e: e.code)
    def test_cancellation_and_timeouts_pass_unchanged(
        self, workshop: Workshop, error: CancelledError | ToolTimeoutError
    ) -> None:
        """A hook whose command is cancelled ends at once with that very error, and starts nothing more."""
        spare, plan, _ = workshop.spare
        for hook in ("flowctl_fetch", "flowctl_build", "flowctl_test"):
            runner = RecordingRunner(scripted_only=True).script(error=error)
            driver = workshop.driver(spare.root, runner=runner)
            context = driver.context(plan)
            raised: BaseException | None = None
            try:
                driver.caller.call(self.builder, hook, plan=plan, context=context)
            except type(error) as same:
                raised = same
            if runner.commands:
                assert raised is not None, f"{hook} goes on after its command was ended by {type(error).__name__}"
                assert len(runner.commands) == 1, f"{hook} starts {runner.commands[1].argv} after it was cancelled"

    def test_hooks_leave_environment_and_folder_alone(self, workshop: Workshop) -> None:
        """No hook changes `os.environ` or the working folder of the process: several builds share it."""
        _ = workshop.tested
        for hook, step in workshop.built.steps.items():
            assert not step.environment_changes, f"{hook} changes os.environ: {step.environment_changes}"
            assert step.folder_change is None, f"{hook} changes the working folder: {step.folder_change}"

    def test_hooks_print_nothing(self, workshop: Workshop) -> None:
        """Standard output belongs to the command, which may be writing JSON there: report with `context.progress`."""
        _ = workshop.tested
        for hook, step in workshop.built.steps.items():
            assert not step.printed, f"{hook} prints {step.printed!r}; use context.progress"


def _run_programs(subject: Subject, driver: Driver, plan: Plan) -> None:
    programs = driver.programs()
    expected = {entry.name for entry in plan.entry_points if entry.kind == "program"}
    assert set(programs) == expected, f"programs {sorted(programs)}, promised {sorted(expected)}"
    outputs = []
    for name, path in sorted(programs.items()):
        assert os.access(path, os.X_OK), f"{name} is not executable"
        done = subprocess.run(
            [str(path), *subject.arguments],
            cwd=driver.root,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        printed = f"{done.stdout}{done.stderr}"
        assert done.returncode == subject.exit_code, f"{name} ended with {done.returncode}:\n{printed}"
        outputs.append(printed)
    if programs:
        assert any(subject.output in printed for printed in outputs), (
            f"no program printed {subject.output!r}:\n{'---'.join(outputs)}"
        )


def _without(snapshot: Snapshot, paths: tuple[str, ...]) -> Snapshot:
    kept = {
        name: entry
        for name, entry in snapshot.entries.items()
        if not any(name == path or name.startswith(path.rstrip("/") + "/") for path in paths)
    }
    return Snapshot(kept)
