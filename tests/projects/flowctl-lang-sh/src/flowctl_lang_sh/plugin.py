"""Builds a component out of shell scripts: `sh.toml` names the main script and the libraries that go into it.

Written as somebody outside the project would: it imports only what `flowctl_core` exports.
"""

from __future__ import annotations

import tomllib

from flowctl_core import hookimpl
from flowctl_core.errors import BuildError, PlanError
from flowctl_core.models import (
    Artifact,
    BuildContext,
    BuildResult,
    CleanReport,
    Detection,
    EntryPoint,
    Evidence,
    Inputs,
    Plan,
    PlanRequest,
    Platform,
    SourceTree,
    TestCase,
    TestReport,
    ToolRequirement,
)

MANIFEST = "sh.toml"
SHELL = ToolRequirement(name="sh", version_command=(), install_hint="every Unix has one")
SKIPPED = 77
LISTING = "build/contents.txt"


class ShellBuilder:
    """Joins scripts into one program, after the shell has checked each."""

    contract = 1

    @hookimpl
    def flowctl_detect(self, source: SourceTree) -> Detection | None:
        if not source.exists(MANIFEST):
            return None
        evidence = (Evidence(path=MANIFEST, reason="describes a shell component"),)
        return Detection(language="sh", aliases=("shell",), confidence=0.9, evidence=evidence)

    @hookimpl
    def flowctl_toolchain(self) -> tuple[ToolRequirement, ...]:
        return (SHELL,)

    @hookimpl
    def flowctl_plan(self, source: SourceTree, request: PlanRequest) -> Plan:
        try:
            manifest = tomllib.loads(source.read_text(MANIFEST))
        except tomllib.TOMLDecodeError as error:
            raise PlanError(f"{MANIFEST}: {error}") from error
        main = request.entry_point or manifest.get("main")
        if not main or not source.exists(main):
            raise PlanError(f"{MANIFEST} names no main script that exists", hint='Add main = "main.sh".')
        scripts = [*manifest.get("libraries", []), main]
        tests = [path for path in source.walk("tests") if path.endswith("_test.sh")] if source.is_dir("tests") else []
        return Plan(
            component=request.name,
            version=request.version,
            language="sh",
            profile=request.profile,
            platforms=request.platforms,
            entry_points=(EntryPoint(name=request.name, path=main),),
            inputs=Inputs(include=("**",), exclude=("build/",)),
            toolchain=(SHELL,),
            generated=("build",),
            settings=request.settings,
            details={"scripts": scripts, "tests": tests},
        )

    @hookimpl
    def flowctl_build(self, plan: Plan, context: BuildContext) -> BuildResult:
        shell = str(context.tool("sh").path)
        scripts = plan.details["scripts"]
        program = context.output_dir / plan.component
        text = "#!/bin/sh\n"
        for script in scripts:
            context.progress.step(f"sh -n {script}")
            checked = context.run([shell, "-n", script])
            if not checked.ok:
                raise BuildError(f"{script} is not a shell script", hint="Correct it.", output=checked.output)
            text += (context.source_root / script).read_text(encoding="utf-8")
        program.write_text(text, encoding="utf-8")
        program.chmod(0o755)
        listing = context.source_root / LISTING
        listing.parent.mkdir(exist_ok=True)
        listing.write_text("\n".join(scripts) + "\n", encoding="utf-8")
        made = program.relative_to(context.source_root).as_posix()
        return BuildResult(artifacts=(Artifact(path=made, platform=Platform.host()),))

    @hookimpl
    def flowctl_test(self, plan: Plan, context: BuildContext) -> TestReport:
        shell = str(context.tool("sh").path)
        cases, outputs = [], []
        for path in plan.details["tests"]:
            done = context.run([shell, path])
            outcome = {0: "passed", SKIPPED: "skipped"}.get(done.exit_code, "failed")
            cases.append(TestCase(name=path, outcome=outcome, duration_s=done.duration_s, output=done.output))
            outputs.append(done.output)
        outcomes = [case.outcome for case in cases]
        return TestReport(
            tool="sh",
            command=("sh", "tests/*_test.sh"),
            passed=outcomes.count("passed"),
            failed=outcomes.count("failed"),
            skipped=outcomes.count("skipped"),
            exit_code=1 if "failed" in outcomes else 0,
            cases=tuple(cases),
            output="\n".join(outputs),
        )

    @hookimpl
    def flowctl_clean(self, plan: Plan, context: BuildContext) -> CleanReport:
        listing = context.source_root / LISTING
        if not listing.exists():
            return CleanReport()
        listing.unlink()
        if not any(listing.parent.iterdir()):
            listing.parent.rmdir()
        return CleanReport(removed=("build",))


plugin = ShellBuilder()
