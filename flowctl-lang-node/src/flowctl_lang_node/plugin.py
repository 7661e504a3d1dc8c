"""The builder's hooks; each delegates to the module of its name."""

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
from flowctl_lang_node.detect import LANGUAGE, detect


class NodeBuilder:
    """Builds TypeScript and JavaScript components."""

    contract = 2

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

    @hookimpl
    def flowctl_limitations(self, plan: Plan, context: BuildContext) -> tuple[Limitation, ...]:
        """Name native addons, which releases cannot carry."""
        from flowctl_lang_node.addons import limitations

        return limitations(plan, context)

    @hookimpl
    def flowctl_build_multiplatform(self, plan: Plan, context: BuildContext) -> ReleaseResult:
        """Make one executable a platform."""
        from flowctl_lang_node.release import build_multiplatform

        return build_multiplatform(plan, context)

    @hookimpl
    def flowctl_dependencies(self, plan: Plan, context: BuildContext) -> DependencyReport:
        """List what the lockfile resolved."""
        from flowctl_lang_node.dependencies import dependencies

        return dependencies(plan, context)

    @hookimpl
    def flowctl_image(self, plan: Plan, artifact: Artifact) -> ImagePlan:
        """A base with the C and C++ libraries, and the executable."""
        from flowctl_lang_node.image import image

        return image(plan, artifact)


plugin = NodeBuilder()
