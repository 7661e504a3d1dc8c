"""The whole contract between flowctl and its plugins.

A plugin is an object (usually a module-level instance) named by an entry point in the group `flowctl`. A builder
implements the hooks below that concern one language; `flowctl_detect`, `flowctl_plan` and `flowctl_build` at least.
Each hook takes one or two frozen pydantic objects that may grow fields, and answers with one; all of them are JSON
across a process boundary. Optional hooks that a builder leaves out: fetch (nothing to fetch), test (has none), clean
(core removes `.flowctl`), and the release hooks (then it makes no releases).
"""

from __future__ import annotations

import pluggy

from flowctl_core import models as m

CONTRACT_VERSION = 3
"""Raised when a hook or an argument is added (plugins for an older one keep working); see docs/plugins/contract.md."""

hookspec = pluggy.HookspecMarker("flowctl")
hookimpl = pluggy.HookimplMarker("flowctl")


@hookspec
def flowctl_detect(source: m.SourceTree) -> m.Detection | None:
    """Recognise a source tree. Every builder is asked; None says «not mine». Reads files, runs nothing."""


@hookspec
def flowctl_toolchain() -> tuple[m.ToolRequirement, ...] | None:
    """Name the tools this builder may use, for `flowctl doctor`. Every builder is asked."""


@hookspec(firstresult=True)
def flowctl_plan(source: m.SourceTree, request: m.PlanRequest) -> m.Plan | None:
    """Say what will be built, from which inputs, with which tools, and what this host cannot do. Runs nothing."""


@hookspec(firstresult=True)
def flowctl_fetch(plan: m.Plan, context: m.BuildContext) -> m.FetchReport | None:
    """Bring dependencies in: the only hook that may use the network; runs no code of the source if it can."""


@hookspec(firstresult=True)
def flowctl_build(plan: m.Plan, context: m.BuildContext) -> m.BuildResult | None:
    """Build for the host into `context.output_dir`: quick, incremental, without network."""


@hookspec(firstresult=True)
def flowctl_test(plan: m.Plan, context: m.BuildContext) -> m.TestReport | None:
    """Run the project's own tests and report what their tool counted."""


@hookspec(firstresult=True)
def flowctl_clean(plan: m.Plan, context: m.BuildContext) -> m.CleanReport | None:
    """Remove what build made outside `.flowctl`, and nothing else; core removes `.flowctl`."""


@hookspec(firstresult=True)
def flowctl_limitations(plan: m.Plan, context: m.BuildContext) -> tuple[m.Limitation, ...] | None:
    """Add to the release plan's limitations what only the tools that were found can tell; asked before fetch."""


@hookspec(firstresult=True)
def flowctl_build_multiplatform(plan: m.Plan, context: m.BuildContext) -> m.ReleaseResult | None:
    """Build optimised, stripped, reproducible artifacts for the plan's platforms, with an outcome each."""


@hookspec(firstresult=True)
def flowctl_dependencies(plan: m.Plan, context: m.BuildContext) -> m.DependencyReport | None:
    """List the resolved dependencies as package URLs, for SBOM and scan."""


@hookspec(firstresult=True)
def flowctl_image(plan: m.Plan, artifact: m.Artifact) -> m.ImagePlan | None:
    """Say how an artifact becomes an image: base, files, entry point, user."""


@hookspec(firstresult=True)
def flowctl_sign(subjects: tuple[m.Subject, ...], request: m.SigningRequest) -> tuple[m.Attestation, ...] | None:
    """Sign subjects, in their order. Implemented by signers only, never by builders: no key is in reach of a build."""
