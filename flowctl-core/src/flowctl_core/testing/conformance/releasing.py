"""Rules for the hooks of a release; a builder without `flowctl_build_multiplatform` makes none, and skips them."""

# ruff: noqa: S101 - these are tests
from __future__ import annotations

import os
import re
import shutil
import subprocess
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from flowctl_core.models import Artifact, Platform
from flowctl_core.package.binary import check_artifact
from flowctl_core.testing.conformance.subject import Subject
from flowctl_core.testing.conformance.workshop import Released, Workshop

if TYPE_CHECKING:
    from collections.abc import Iterator

PLATFORMS = (Platform("linux/amd64"), Platform("linux/arm64"), Platform("darwin/amd64"))
_PURL = re.compile(r"pkg:[a-z][a-z0-9.+-]*/[^@\s]+(@[^@?#\s]+)?(\?[^#\s]*)?(#\S*)?")


class ReleaseRules(Subject):
    """A release is built for every platform that can be built, with the same bytes each time, and told in full."""

    def test_release_plan_is_pure_and_names_its_platforms(self, workshop: Workshop) -> None:
        """Same source and request, same plan; limitations name a platform that was asked for, and a remedy."""
        _require_releases(workshop)
        plans = [workshop.release_driver(workshop.tree(), PLATFORMS).plan() for _ in range(2)]
        assert plans[0] == plans[1], "two release plans of the same source differ"
        assert plans[0].profile == "release" and plans[0].platforms == PLATFORMS
        for limitation in plans[0].limitations:
            assert limitation.platform is None or limitation.platform in PLATFORMS, f"not asked for: {limitation}"
            assert len(limitation.reason) > 10 and len(limitation.remedy) > 10, f"says too little: {limitation}"

    def test_release_is_built_or_refused(self, workshop: Workshop) -> None:
        """Each platform is built, or a limitation says before the build why it cannot be; this host's is built."""
        released = workshop.released
        for platform in PLATFORMS:
            outcome, refusal = released.outcomes.get(platform), released.refused.get(platform)
            assert (outcome is None) != (refusal is None), f"{platform}: {outcome} and {refusal}"
            if outcome is not None:
                assert outcome.failure is None, f"{platform}: {outcome.failure}\n{outcome.output or ''}"
                assert outcome.artifacts, f"{platform}: built, without artifacts"
        assert Platform.host() in released.outcomes, f"this host's platform is refused: {released.refused}"

    def test_release_artifacts_are_for_their_platform(self, workshop: Workshop) -> None:
        """The header of each file says so; there is one for each entry point of the plan."""
        released = workshop.released
        for platform, outcome in released.outcomes.items():
            files = [artifact for artifact in outcome.artifacts if artifact.kind != "tree"]
            assert {Path(a.path).name for a in files} >= {entry.name for entry in released.plan.entry_points}
            for artifact in files:
                facts = check_artifact(released.root / artifact.path, platform, artifact.kind)
                assert facts.format != "script" or artifact.format == "script", f"{artifact.path} is a script, unsaid"

    def test_release_program_runs_by_itself(self, workshop: Workshop) -> None:
        """The program of this host's platform works away from its source, from a folder with another name."""
        released = workshop.released
        programs = [a for a in released.outcomes[Platform.host()].artifacts if a.kind == "program"]
        if not programs:
            pytest.skip("the project has no program")
        said = []
        for artifact in programs:
            away = workshop.folder("elsewhere, by itself") / Path(artifact.path).name
            shutil.copy2(released.root / artifact.path, away)
            away.chmod(0o755)
            done = subprocess.run(
                [str(away), *self.arguments],
                cwd=away.parent,
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
                stdin=subprocess.DEVNULL,
                env={"PATH": os.environ["PATH"], "HOME": str(away.parent)},
            )
            assert done.returncode == self.exit_code, f"{away.name}: {done.returncode}\n{done.stdout}{done.stderr}"
            said.append(done.stdout + done.stderr)
        assert any(self.output in text for text in said), f"no program printed {self.output!r}: {said}"

    def test_release_has_the_same_bytes_elsewhere(self, workshop: Workshop) -> None:
        """Built again in another folder, by another umask, with more jobs: the same digests."""
        first = _digests(workshop.released, Platform.host())
        with _umask(0o077):
            again = workshop.release(workshop.tree(), (Platform.host(),), jobs=4, environ={"USER": "somebody"})
        assert _digests(again, Platform.host()) == first, "the release of this host's platform has other bytes"

    def test_release_leaves_no_place_of_this_machine_in_the_program(self, workshop: Workshop) -> None:
        """The folder that it was built in is in no artifact."""
        released = workshop.released
        folder = str(released.root).encode()
        for outcome in released.outcomes.values():
            for artifact in outcome.artifacts:
                path = released.root / artifact.path
                if path.is_file():
                    assert folder not in path.read_bytes(), f"{artifact.path} tells where it was built: {released.root}"

    def test_release_dependencies_are_package_urls(self, workshop: Workshop) -> None:
        """Sorted, each once, with parents that are in the list."""
        report = workshop.released.dependencies
        if report is None:
            pytest.skip("the builder lists no dependencies")
        purls = [dependency.purl for dependency in report.dependencies]
        assert purls == sorted(set(purls)), "dependencies are not sorted, or one is there twice"
        for dependency in report.dependencies:
            assert _PURL.fullmatch(dependency.purl), f"{dependency.purl} is no package URL"
            assert set(dependency.parents) <= set(purls), f"{dependency.purl} has parents that are not in the list"

    def test_release_image_starts_the_program(self, workshop: Workshop) -> None:
        """The image has the artifact at its entry point, and does not run as root."""
        released = workshop.released
        artifact = next((a for a in released.outcomes[Platform.host()].artifacts if a.kind == "program"), None)
        if artifact is None:
            pytest.skip("the project has no program")
        image = released.driver.caller.image(self.builder, released.plan, artifact)
        assert image is not None, "flowctl_image answers nothing for a program"
        assert artifact.path in {file.source for file in image.files}, "the program is not in its image"
        targets = {file.target for file in image.files}
        assert "/app/component" in targets, "the program is not at /app/component"
        assert any(word in targets for word in image.entrypoint), (
            f"the entry point is not in the image: {image.entrypoint}"
        )
        assert image.user.partition(":")[0] not in ("", "0", "root"), "the image runs as root"


def _require_releases(workshop: Workshop) -> None:
    if not workshop.makes_releases:
        pytest.skip("the builder makes no releases")


def _digests(released: Released, platform: Platform) -> dict[str, str]:
    def digest(artifact: Artifact) -> str:
        return sha256((released.root / artifact.path).read_bytes()).hexdigest()

    return {Path(a.path).name: digest(a) for a in released.outcomes[platform].artifacts if a.kind != "tree"}


@contextmanager
def _umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)
