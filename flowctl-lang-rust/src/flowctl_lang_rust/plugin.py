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


class RustBuilder:
    """Builds Rust components with cargo."""

    contract = 2

    @hookimpl
    def flowctl_detect(self, source: SourceTree) -> Detection | None:
        """Recognise a Cargo.toml."""
        from flowctl_lang_rust.detect import detect

        return detect(source)

    @hookimpl
    def flowctl_toolchain(self) -> tuple[ToolRequirement, ...]:
        """cargo, rustc, cc; zig and cargo-zigbuild for releases."""
        from flowctl_lang_rust.toolchain import cross_tools, requirements

        return (*requirements(), *cross_tools())

    @hookimpl
    def flowctl_plan(self, source: SourceTree, request: PlanRequest) -> Plan:
        """Choose the program and name inputs and tools."""
        from flowctl_lang_rust.plan import make_plan

        return make_plan(source, request)

    @hookimpl
    def flowctl_fetch(self, plan: Plan, context: BuildContext) -> FetchReport:
        """`cargo fetch --locked`."""
        from flowctl_lang_rust.fetch import fetch

        return fetch(plan, context)

    @hookimpl
    def flowctl_build(self, plan: Plan, context: BuildContext) -> BuildResult:
        """`cargo build --offline --locked`."""
        from flowctl_lang_rust.build import build

        return build(plan, context)

    @hookimpl
    def flowctl_test(self, plan: Plan, context: BuildContext) -> TestReport:
        """`cargo test --offline --locked --no-fail-fast`, counted."""
        from flowctl_lang_rust.suite import run_tests

        return run_tests(plan, context)

    @hookimpl
    def flowctl_clean(self, plan: Plan, context: BuildContext) -> CleanReport:
        """A Cargo.lock that cargo wrote for us; all else that build makes lies in flowctl's own folder."""
        from flowctl_lang_rust.lockfile import remove

        return CleanReport(removed=remove(plan, context))

    @hookimpl
    def flowctl_limitations(self, plan: Plan, context: BuildContext) -> tuple[Limitation, ...]:
        """Which targets rustc has and what links for them."""
        from flowctl_lang_rust.release.limits import find_limitations

        return find_limitations(plan, context)

    @hookimpl
    def flowctl_build_multiplatform(self, plan: Plan, context: BuildContext) -> ReleaseResult:
        """`cargo zigbuild --release --target T`, or `cargo build` where there is no zig."""
        from flowctl_lang_rust.release.build import build_release

        return build_release(plan, context)

    @hookimpl
    def flowctl_dependencies(self, plan: Plan, context: BuildContext) -> DependencyReport:
        """`cargo metadata --filter-platform T`, with the checksums of Cargo.lock."""
        from flowctl_lang_rust.release.dependencies import list_dependencies

        return list_dependencies(plan, context)

    @hookimpl
    def flowctl_image(self, plan: Plan, artifact: Artifact) -> ImagePlan | None:
        """Scratch for a static program, else a base with glibc."""
        from flowctl_lang_rust.release.image import image

        return image(plan, artifact)


plugin = RustBuilder()
