"""The builder's hooks; each delegates to the module of its name."""

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
from flowctl_lang_node.detect import LANGUAGE, detect


class NodeBuilder:
    """Builds TypeScript and JavaScript components."""

    contract = 1

    @hookimpl
    def flowctl_detect(self, source: SourceTree) -> Detection | None:
        """Recognise a source tree."""
        return detect(source)

    @hookimpl
    def flowctl_toolchain(self) -> tuple[ToolRequirement, ...]:
        """Tools for `flowctl doctor`."""
        from flowctl_lang_node.toolchain import offered

        return offered()

    @hookimpl
    def flowctl_plan(self, source: SourceTree, request: PlanRequest) -> Plan | None:
        """Say what will be built."""
        if request.language and request.language != LANGUAGE:
            return None
        from flowctl_lang_node.planning import plan

        return plan(source, request)

    @hookimpl
    def flowctl_fetch(self, plan: Plan, context: BuildContext) -> FetchReport:
        """Install dependencies."""
        from flowctl_lang_node.install import fetch

        return fetch(plan, context)

    @hookimpl
    def flowctl_build(self, plan: Plan, context: BuildContext) -> BuildResult:
        """Run the build script and write the launcher."""
        from flowctl_lang_node.build import build

        return build(plan, context)

    @hookimpl
    def flowctl_test(self, plan: Plan, context: BuildContext) -> TestReport:
        """Run the project's own tests."""
        from flowctl_lang_node.suite import test

        return test(plan, context)

    @hookimpl
    def flowctl_clean(self, plan: Plan, context: BuildContext) -> CleanReport:
        """Remove what builds made."""
        from flowctl_lang_node.outputs import clean

        return clean(plan, context)


plugin = NodeBuilder()
