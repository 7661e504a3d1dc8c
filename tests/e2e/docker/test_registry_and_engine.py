"""What a registry has of us, the engine pulls, and skopeo and the engine agree with what we wrote."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from flowctl_core.docker_engine.images import find_image
from flowctl_core.docker_engine.pull import require_image
from flowctl_core.models import Platform, Silent
from flowctl_core.models.image import ImageInput, LayerEntry, LayerInput
from flowctl_core.package.layout import write_layout
from flowctl_core.package.layout_read import read_image
from flowctl_core.package.push import push_layout

LABELS = {"io.flowctl.component.name": "word", "org.opencontainers.image.title": "Wörter"}


@pytest.fixture
def layout(tmp_path: Path, both: tuple[Platform, ...], program_for) -> Path:
    images = []
    for platform in both:
        file = tmp_path / platform.arch
        file.write_bytes(program_for(platform, f"pulled for {platform}\n"))
        entries = (
            LayerEntry(target="/app", kind="folder", mode=0o755),
            LayerEntry(target="/app/component", source=file, mode=0o755),
        )
        layers = (LayerInput(created_by="test", entries=entries),)
        images.append(ImageInput(platform=platform, layers=layers, entrypoint=("/app/component",), labels=LABELS))
    write_layout(images, tmp_path / "oci", epoch=1_700_000_000)
    return tmp_path / "oci"


def _skopeo(reference: str, arch: str, *flags: str) -> dict[str, Any]:
    command = ["skopeo", "inspect", "--override-arch", arch, "--tls-verify=false", *flags, f"docker://{reference}"]
    return dict(json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout))


@pytest.mark.requires_tool("docker-registry", "skopeo")
def test_images_are_pulled_and_run(docker, docker_env, both, layout, registry, run_image) -> None:
    pushed = push_layout(layout, f"{registry}/examples/word:1")
    raw = subprocess.run(
        ["skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{pushed.reference}"],
        capture_output=True, check=True,
    ).stdout  # fmt: skip
    assert [entry["platform"]["architecture"] for entry in json.loads(raw)["manifests"]] == sorted(p.arch for p in both)
    for platform in both:
        wrote = read_image(layout, platform)
        seen = _skopeo(pushed.reference, platform.arch)
        config = _skopeo(pushed.reference, platform.arch, "--config")
        assert seen["Labels"] == LABELS and seen["Layers"] == [layer.digest for layer in wrote.layers]
        assert config == wrote.config
        client = docker.client(None)
        said = list(client.pull(f"{registry}/examples/word", tag="1", platform=platform, stream=True, decode=True))
        found = find_image(docker, pushed.reference)
        assert found is not None and found.run is not None, said
        assert (found.id, found.diff_ids) == (wrote.config_digest, wrote.diff_ids)
        assert found.run.labels == LABELS and list(found.run.entrypoint or ()) == ["/app/component"]
        client.close()
        assert f"Digest: {pushed.digest}" in [line.get("status") for line in said]
        assert run_image(pushed.reference) == f"pulled for {platform}\n"


@pytest.mark.requires_tool("docker-registry")
def test_a_test_image_is_pulled_once(docker, docker_env, layout, registry) -> None:
    name = push_layout(layout, f"{registry}/examples/tools:1").reference
    assert find_image(docker, name) is None
    assert require_image(docker, name, Silent()).platform == docker.platform
    assert require_image(docker, name, Silent(), offline=True).platform == docker.platform


@pytest.mark.requires_tool("docker-registry")
def test_a_release_is_pushed_and_loaded_at_once(flowctl, docker, docker_env, component, registry, run_image) -> None:
    reference = f"{registry}/examples/released:1"
    command = ("component", "build", "--container", "--push", reference)
    report = flowctl.json(*command, cwd=component(name="released"), **docker_env)
    assert report["pushed"] == reference
    found = require_image(docker, reference, Silent())
    assert found.id == report["loaded"]["id"]
    assert run_image(reference) == f"a word from {docker.platform}\n"
