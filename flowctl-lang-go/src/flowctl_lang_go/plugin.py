"""The builder that flowctl loads: each hook delegates to the module that does it."""

from __future__ import annotations

from flowctl_core import hookimpl
from flowctl_core.models import (
    BuildContext,
    BuildResult,
    CleanReport,
    Detection,
    FetchReport,
    Plan,
    PlanRequest,
    SourceTree,
    TestReport,
    ToolRequirement,
)


class GoBuilder:
    """Builds Go components."""

    contract = 1

    @hookimpl
    def flowctl_detect(self, source: SourceTree) -> Detection | None:
        """Recognise go.mod, go.work or *.go."""
        from flowctl_lang_go.detect import detect

        return detect(source)

    @hookimpl
    def flowctl_toolchain(self) -> tuple[ToolRequirement, ...]:
        """`go` and the C compiler."""
        from flowctl_lang_go.toolchain import requirements

        return requirements()

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


plugin = GoBuilder()
