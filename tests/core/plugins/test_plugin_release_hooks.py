"""The hooks of a release, and signing: called on one plugin, here and in a child, with the same answers."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from flowctl_core.errors import PluginError
from flowctl_core.models import Artifact, BuildContext, Plan, Platform, SigningRequest, SourceTree, Subject
from flowctl_core.plugins.boundary import ChildCaller
from flowctl_core.plugins.call import HOOK_MISSING, HookCaller, InProcessCaller
from flowctl_core.plugins.manager import load_plugins
from flowctl_core.runners.local import LocalRunner

RELEASE = """
from flowctl_core import models as m

class Release(Builder):
    @hookimpl
    def flowctl_build_multiplatform(self, plan, context):
        outcomes = []
        for platform in plan.platforms:
            if platform.os == "plan9":
                outcomes.append(m.PlatformOutcome(platform=platform, failure="no compiler for plan9"))
            else:
                done = context.run(["echo", platform])
                artifact = m.Artifact(path="out/" + done.stdout.strip().replace("/", "-"), platform=platform)
                outcomes.append(m.PlatformOutcome(platform=platform, artifacts=(artifact,), duration_s=0.5))
        return m.ReleaseResult(outcomes=tuple(outcomes))

    @hookimpl
    def flowctl_limitations(self, plan, context):
        wanted = [p for p in plan.platforms if p.os == "plan9"]
        return tuple(m.Limitation(platform=p, reason="no compiler for plan9", remedy="a worker on 9front") for p in wanted)

    @hookimpl
    def flowctl_dependencies(self, plan, context):
        one = m.Dependency(purl="pkg:golang/golang.org/x/text@v0.3.0", parents=("pkg:golang/a@v1",))
        return m.DependencyReport(dependencies=(one, m.Dependency(purl="pkg:golang/a@v1", direct=True, scope="test")))

    @hookimpl
    def flowctl_image(self, plan, artifact):
        file = m.ImageFile(source=artifact.path, target="/app/component")
        return m.ImagePlan(base="scratch", files=(file,), labels={"io.flowctl.component.type": plan.language})

plugin = Release()
"""

SIGNER = """
from flowctl_core import hookimpl, models as m

class Signer:
    contract = 1

    @hookimpl
    def flowctl_sign(self, subjects, request):
        return tuple(m.Attestation(subject=s, bundle='{"signed": "%s"}' % s.digest) for s in subjects)

plugin = Signer()
"""

PLATFORMS = (Platform("linux/amd64"), Platform("linux/arm/v7"), Platform("plan9/mips"))
PLAN = Plan(component="c", version="1", language="rel", profile="release", platforms=PLATFORMS)


@pytest.fixture(params=["inprocess", "child"])
def caller(request: pytest.FixtureRequest, install: Any, builder_source: Any) -> HookCaller:
    install("releasing", {"rel_plugin.py": builder_source("rel") + RELEASE}, {"rel": "rel_plugin:plugin"})
    install("signing", {"sign_plugin.py": SIGNER}, {"signer": "sign_plugin:plugin"})
    manager = load_plugins()
    return InProcessCaller(manager) if request.param == "inprocess" else ChildCaller(manager)


@pytest.fixture
def context(tmp_path: Path) -> BuildContext:
    return BuildContext(
        source_root=tmp_path, output_dir=tmp_path, work_dir=tmp_path, runner=LocalRunner(), environment=dict(os.environ)
    )


def test_multiplatform_has_an_outcome_for_each_platform(caller: HookCaller, context: BuildContext):
    result = caller.call("rel", "flowctl_build_multiplatform", plan=PLAN, context=context)
    assert [(o.platform, [a.path for a in o.artifacts], o.failure) for o in result.outcomes] == [
        ("linux/amd64", ["out/linux-amd64"], None),
        ("linux/arm/v7", ["out/linux-arm-v7"], None),
        ("plan9/mips", [], "no compiler for plan9"),
    ]
    assert all(isinstance(o.platform, Platform) for o in result.outcomes)


def test_limitations_name_the_platforms_that_cannot_be_built(caller: HookCaller, context: BuildContext):
    (limitation,) = caller.limitations("rel", PLAN, context)
    assert (limitation.platform, limitation.remedy) == ("plan9/mips", "a worker on 9front")
    assert caller.limitations("rel", PLAN.model_copy(update={"platforms": PLATFORMS[:1]}), context) == ()


def test_dependencies_keep_scope_and_parents(caller: HookCaller, context: BuildContext):
    report = caller.call("rel", "flowctl_dependencies", plan=PLAN, context=context)
    assert [(d.purl, d.direct, d.scope, d.parents) for d in report.dependencies] == [
        ("pkg:golang/golang.org/x/text@v0.3.0", False, "runtime", ("pkg:golang/a@v1",)),
        ("pkg:golang/a@v1", True, "test", ()),
    ]


def test_image_is_planned_for_an_artifact(caller: HookCaller):
    image = caller.call("rel", "flowctl_image", plan=PLAN, artifact=Artifact(path="bin/x", platform=PLATFORMS[0]))
    assert [(f.source, f.target, f.mode) for f in image.files] == [("bin/x", "/app/component", 0o755)]
    assert image.labels == {"io.flowctl.component.type": "rel"}


def test_signers_sign_and_take_no_part_in_building(caller: HookCaller, tmp_path: Path):
    subject = Subject(name="x", digest="sha256:" + "0" * 64)
    (attestation,) = caller.call("signer", "flowctl_sign", subjects=(subject,), request=SigningRequest())
    assert attestation.subject == subject and subject.digest in attestation.bundle
    assert caller.call("rel", "flowctl_sign", subjects=(subject,), request=SigningRequest()) is HOOK_MISSING
    assert "signer" not in {answer.builder for answer in caller.detect_all(SourceTree(root=tmp_path))}
    with pytest.raises(PluginError, match="it is a signer"):
        caller.manager.builder("signer")
