"""The builder's hooks; each delegates to the module that does the work."""

from __future__ import annotations

from flowctl_core import hookimpl
from flowctl_core.models import (
    Artifact,
    BuildContext,
    BuildResult,
    CleanReport,
    DependencyReport,
    Detection,
    FetchReport,
    ImagePlan,
    Limitation,
    Plan,
    PlanRequest,
    ReleaseResult,
    SourceTree,
    TestReport,
    ToolRequirement,
)


class PythonBuilder:
    """Builds Python components: an environment of their own, the project in it, and a launcher."""

    contract = 2

    @hookimpl
    def flowctl_detect(self, source: SourceTree) -> Detection | None:
        """Recognise pyproject.toml, setup.py, setup.cfg, Pipfile, requirements.txt and loose Python files."""
        from flowctl_lang_python.detect import detect

        return detect(source)

    @hookimpl
    def flowctl_toolchain(self) -> tuple[ToolRequirement, ...]:
        """Python and uv; cargo for packages built from Rust."""
        from flowctl_lang_python.toolchain import possible

        return possible()

    @hookimpl
    def flowctl_plan(self, source: SourceTree, request: PlanRequest) -> Plan:
        """Choose the program and say which dependencies, interpreter and tests belong to it."""
        from flowctl_lang_python.plan import make

        return make(source, request)

    @hookimpl
    def flowctl_fetch(self, plan: Plan, context: BuildContext) -> FetchReport:
        """Fill `.flowctl/env` with the dependencies and uv's cache with the build requirements."""
        from flowctl_lang_python.fetch import run

        return run(plan, context)

    @hookimpl
    def flowctl_build(self, plan: Plan, context: BuildContext) -> BuildResult:
        """Install the project editable and write the launcher."""
        from flowctl_lang_python.build import run

        return run(plan, context)

    @hookimpl
    def flowctl_test(self, plan: Plan, context: BuildContext) -> TestReport:
        """Run pytest or unittest in the environment."""
        from flowctl_lang_python.suite import run

        return run(plan, context)

    @hookimpl
    def flowctl_clean(self, plan: Plan, context: BuildContext) -> CleanReport:
        """Remove the metadata folders that installing left in the source."""
        from flowctl_lang_python.build import clean

        return clean(plan, context)

    @hookimpl
    def flowctl_limitations(self, plan: Plan, context: BuildContext) -> tuple[Limitation, ...]:
        """Locked packages without a wheel for the interpreter that was found."""
        from flowctl_lang_python.release.limitations import find

        return find(plan, context)

    @hookimpl
    def flowctl_build_multiplatform(self, plan: Plan, context: BuildContext) -> ReleaseResult:
        """One executable for each platform, from wheels for that platform."""
        from flowctl_lang_python.release.build import run

        return run(plan, context)

    @hookimpl
    def flowctl_dependencies(self, plan: Plan, context: BuildContext) -> DependencyReport:
        """The wheels that go into the executables, and what building the project needs."""
        from flowctl_lang_python.release.dependencies import report

        return report(plan, context)

    @hookimpl
    def flowctl_image(self, plan: Plan, artifact: Artifact) -> ImagePlan | None:
        """A Python image of the version that the executable needs; none for a `dev` build's launcher."""
        from flowctl_lang_python.release.image import plan_image

        return plan_image(plan, artifact)


plugin = PythonBuilder()
"""Named by the entry point in the group `flowctl`."""
