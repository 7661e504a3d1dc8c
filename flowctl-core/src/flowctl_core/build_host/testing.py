"""The project's own tests: in a copy of the source, so that nothing they write gets into the release."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from flowctl_core.build_host.states import TestState
from flowctl_core.errors import TestsFailedError
from flowctl_core.job import Job, Options
from flowctl_core.steps import build
from flowctl_core.store.export import exported_files
from flowctl_core.store.files import remove_any, system_refusals
from flowctl_core.test_outcome import failing_output, failure_of, interface_failure, interface_findings, is_empty
from flowctl_core.workflow import LOCAL, run_tests


def prepare(job: Job, folder: Path) -> None:
    """Copy the exported source and bring in what a build for this machine and the tests need."""
    with system_refusals(folder, "made"):
        remove_any(folder)
        folder.mkdir(parents=True)
        for path in exported_files(job.root):
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(job.root / path, target, follow_symlinks=False)
    local = _local(job, folder, offline=job.options.offline)
    for step in LOCAL[: LOCAL.index(build)]:
        step(local)
        if local.done:
            break


def run(job: Job, folder: Path) -> TestState:
    """Build for this machine and run the tests, without network. Raises TestsFailedError and what a build raises."""
    local = _local(job, folder, offline=True)
    report = run_tests(local)
    findings = interface_findings(local)
    if report is None or is_empty(report):
        if findings:
            raise interface_failure(findings, tested=False)
        job.progress.warning(f"{job.plan.component} has no tests")
        return TestState(state="none")
    if not report.ok:
        raise TestsFailedError(failure_of(job.plan.component, report).message, output=failing_output(report))
    if findings:
        raise interface_failure(findings)
    return TestState(
        state="passed",
        tool=report.tool,
        passed=report.passed,
        skipped=report.skipped,
        duration_s=report.duration_s,
    )


def _local(job: Job, folder: Path, *, offline: bool) -> Job:
    engine = replace(job.engine, cache=None)
    return Job(folder, engine, Options(offline=offline, jobs=job.options.jobs), job.progress)
