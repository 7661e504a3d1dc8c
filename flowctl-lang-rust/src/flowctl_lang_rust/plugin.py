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


class RustBuilder:
    """Builds Rust components with cargo."""

    contract = 1

    @hookimpl
    def flowctl_detect(self, source: SourceTree) -> Detection | None:
        """Recognise a Cargo.toml."""
        from flowctl_lang_rust.detect import detect

        return detect(source)

    @hookimpl
    def flowctl_toolchain(self) -> tuple[ToolRequirement, ...]:
        """cargo, rustc, cc."""
        from flowctl_lang_rust.toolchain import requirements

        return requirements()

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


plugin = RustBuilder()
