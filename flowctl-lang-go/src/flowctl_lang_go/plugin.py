"""The builder that flowctl loads: each hook delegates to the module that does it."""

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


class GoBuilder:
    """Builds Go components."""

    contract = 2

    @hookimpl
    def flowctl_detect(self, source: SourceTree) -> Detection | None:
        """Recognise go.mod, go.work or *.go."""
        from flowctl_lang_go.detect import detect

        return detect(source)

    @hookimpl
    def flowctl_toolchain(self) -> tuple[ToolRequirement, ...]:
        """`go`, the C compiler, and zig, which is the one of releases."""
        from flowctl_lang_go.toolchain import requirements
        from flowctl_lang_go.zig import REQUIREMENT

        return (*requirements(), REQUIREMENT)

    @hookimpl
    def flowctl_plan(self, source: SourceTree, request: PlanRequest) -> Plan:
        """Choose the program and name inputs and tools."""
        from flowctl_lang_go.plan import make_plan

        return make_plan(source, request)

    @hookimpl
    def flowctl_fetch(self, plan: Plan, context: BuildContext) -> FetchReport:
        """`go mod download`."""
        from flowctl_lang_go.fetch import fetch

        return fetch(plan, context)

    @hookimpl
    def flowctl_build(self, plan: Plan, context: BuildContext) -> BuildResult:
        """`go build`, without network."""
        from flowctl_lang_go.build import build

        return build(plan, context)

    @hookimpl
    def flowctl_test(self, plan: Plan, context: BuildContext) -> TestReport:
        """`go test -json`, counted."""
        from flowctl_lang_go.suite import run_tests

        return run_tests(plan, context)

    @hookimpl
    def flowctl_clean(self, plan: Plan, context: BuildContext) -> CleanReport:
        """Nothing: all that build makes lies in flowctl's own folder, and Go's caches are everybody's."""
        return CleanReport()

    @hookimpl
    def flowctl_limitations(self, plan: Plan, context: BuildContext) -> tuple[Limitation, ...]:
        """What needs C and has no compiler for it."""
        from flowctl_lang_go.limits import limitations

        return limitations(plan, context)

    @hookimpl
    def flowctl_build_multiplatform(self, plan: Plan, context: BuildContext) -> ReleaseResult:
        """`go build` for each platform; C by zig."""
        from flowctl_lang_go.release import build_multiplatform

        return build_multiplatform(plan, context)

    @hookimpl
    def flowctl_dependencies(self, plan: Plan, context: BuildContext) -> DependencyReport:
        """The modules that are linked in."""
        from flowctl_lang_go.dependencies import dependencies

        return dependencies(plan, context)

    @hookimpl
    def flowctl_image(self, plan: Plan, artifact: Artifact) -> ImagePlan:
        """The program alone, where it is static."""
        from flowctl_lang_go.image import image

        return image(plan, artifact)


plugin = GoBuilder()
