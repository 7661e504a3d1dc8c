"""From component.yaml and a plan to an image's files, labels, ports, user and variables."""

from __future__ import annotations

import json
import os
import subprocess
from hashlib import sha256
from pathlib import Path

import pytest

from flowctl_core.errors import ImageError
from flowctl_core.models import ComponentSpec, ImageFile, ImagePlan, Platform
from flowctl_core.models.image import BaseImage, ImageInput
from flowctl_core.models.release import SourceIdentity
from flowctl_core.package.describe import describe_image
from flowctl_core.package.invariants import check_layout
from flowctl_core.package.metadata_json import metadata_json
from flowctl_core.specfile.load import load_component

AMD64 = Platform("linux/amd64")
SOURCE = SourceIdentity(
    tree_digest="sha256:" + "0" * 64, commit="c" * 40, epoch=1_700_000_000, repository="https://x/y"
)
PLAN = ImagePlan(files=(ImageFile(source="out/program", target="/app/component"),))
BASE = BaseImage(
    name="docker.io/library/node:24", digest="sha256:" + "1" * 64, manifest_digest="sha256:" + "2" * 64, platform=AMD64
)
FULL = """\
apiVersion: component.flowctl.io/v1
kind: ComponentSpec
metadata:
  name: greeter
  version: v1.2.3
  namespace: team
  description: Says hello
  author: Ann
  homepage: https://example.org
  repository: https://example.org/greeter.git
  license: Apache-2.0
  labels: {tier: "1"}
spec:
  type: consumer
  interface:
    inputEventTypes: [a.v1]
    outputEventTypes: [b.v1]
    communication: {protocol: grpc, port: 50051}
    config:
      rate: {type: integer, default: 5, description: How fast, env: RATE_LIMIT}
      mode: {type: string, required: true, enum: [a, b]}
  health:
    readiness: {path: /ready, port: 8088, period: 5}
    liveness: {http: {path: /live, port: 8089}}
  security: {run_as_user: 1000, run_as_group: 2000, read_only_root_filesystem: true}
  environment:
    - {name: LOG_LEVEL, default: info}
    - {name: TOKEN, required: true}
    - PLAIN=1
  volumes:
    - {name: data, path: /data}
"""


@pytest.fixture
def described(tmp_path: Path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/program").write_text("#!/bin/sh\n")

    def make(text: str | None = None, plan: ImagePlan = PLAN, **options) -> ImageInput:
        spec: ComponentSpec | None = None
        if text is not None:
            (tmp_path / "component.yaml").write_text(text)
            spec = load_component(tmp_path / "component.yaml").spec
        given = {"component": "greeter", "version": "1.2.3", "spec": spec, "source_root": tmp_path, "source": SOURCE}
        return describe_image(plan, AMD64, **{**given, **options})

    return make


def files(image: ImageInput) -> dict[str, str | None]:
    entries = [entry for layer in image.layers for entry in layer.entries if entry.kind == "file"]
    return {entry.target: entry.text if entry.source is None else None for entry in entries}


def test_what_a_component_says(described) -> None:
    image = described(FULL)
    labels = image.labels
    assert labels == {
        "io.flowctl.component.api-version": "v1",
        "io.flowctl.component.capabilities": "streaming",
        "io.flowctl.component.description": "Says hello",
        "io.flowctl.component.health": labels["io.flowctl.component.health"],
        "io.flowctl.component.name": "greeter",
        "io.flowctl.component.security": labels["io.flowctl.component.security"],
        "io.flowctl.component.type": "sink",
        "io.flowctl.component.version": "1.2.3",
        "org.opencontainers.image.authors": "Ann",
        "org.opencontainers.image.created": "2023-11-14T22:13:20Z",
        "org.opencontainers.image.description": "Says hello",
        "org.opencontainers.image.licenses": "Apache-2.0",
        "org.opencontainers.image.revision": "c" * 40,
        "org.opencontainers.image.source": "https://example.org/greeter.git",
        "org.opencontainers.image.title": "greeter",
        "org.opencontainers.image.url": "https://example.org",
        "org.opencontainers.image.vendor": "team",
        "org.opencontainers.image.version": "1.2.3",
        "tier": "1",
    }
    assert json.loads(labels["io.flowctl.component.health"])["readiness"] == {
        "path": "/ready",
        "port": 8088,
        "period": 5,
    }
    assert json.loads(labels["io.flowctl.component.security"])["read_only_root_filesystem"] is True
    assert image.user == "1000:2000" and image.volumes == ("/data",) and image.author == "Ann"
    assert image.exposed_ports == ("8088/tcp", "8089/tcp", "50051/tcp")
    assert image.environment["LOG_LEVEL"] == "info" and image.environment["PLAIN"] == "1"
    assert "TOKEN" not in image.environment
    assert json.loads(files(image)["/metadata.json"] or "") == {
        "name": "greeter",
        "version": "1.2.3",
        "type": "sink",
        "description": "Says hello",
        "input_types": ["a.v1"],
        "output_types": ["b.v1"],
        "env_mapping": {"rate": "RATE_LIMIT"},
        "config_schema": {
            "rate": {"type": "integer", "description": "How fast", "default": 5, "env": "RATE_LIMIT"},
            "mode": {"type": "string", "required": True, "enum": ["a", "b"]},
        },
        "port": 50051,
        "health_port": 8088,
    }


def test_without_component_yaml(described) -> None:
    image = described()
    assert image.user == "65532:65532" and image.entrypoint == ("/app/component",) and image.exposed_ports == ()
    assert json.loads(files(image)["/metadata.json"] or "") == {"name": "greeter", "version": "1.2.3"}
    assert image.labels["org.opencontainers.image.source"] == "https://x/y"
    assert "io.flowctl.component.type" not in image.labels


@pytest.mark.requires_tool("umoci", "skopeo")
def test_scratch_has_what_programs_expect(described, layout_of, tmp_path: Path) -> None:
    image = described(FULL, PLAN.model_copy(update={"needs_certificates": True}))
    layout, _ = layout_of("oci", image)
    assert check_layout(layout) == ()
    subprocess.run(["skopeo", "copy", "--quiet", f"oci:{layout}", f"oci:{tmp_path}/one:x"], check=True)
    argv = ["umoci", "unpack", "--rootless", "--image", f"{tmp_path}/one:x", str(tmp_path / "bundle")]
    subprocess.run(argv, check=True, capture_output=True)
    root = tmp_path / "bundle/rootfs"
    assert "nonroot:x:1000:2000:nonroot:/home/nonroot:/sbin/nologin\n" in (root / "etc/passwd").read_text()
    assert "nonroot:x:2000:\n" in (root / "etc/group").read_text()
    assert "BEGIN CERTIFICATE" in (root / "etc/ssl/certs/ca-certificates.crt").read_text()
    assert image.environment["SSL_CERT_FILE"] == "/etc/ssl/certs/ca-certificates.crt"
    assert (root / "tmp").stat().st_mode & 0o7777 == 0o1777
    assert os.access(root / "app/component", os.X_OK)
    assert not (root / "etc/ssl/certs").joinpath("other").exists()


def test_a_base_keeps_its_own_system(described) -> None:
    image = described(FULL, base=BASE)
    assert set(files(image)) == {"/app/component", "/metadata.json"}
    assert [entry.kind for layer in image.layers for entry in layer.entries] == ["file", "file"], (
        "a folder would replace a link of the base"
    )
    assert "PATH" not in image.environment
    assert image.labels["org.opencontainers.image.base.name"] == "docker.io/library/node:24"
    assert image.labels["org.opencontainers.image.base.digest"] == "sha256:" + "2" * 64


def test_the_projects_own_metadata_wins(described, tmp_path: Path) -> None:
    own = {
        "name": "other",
        "version": "0.0.1",
        "consumes": ["c.v1"],
        "env_mapping": {"mode": "MODE"},
        "config_schema": {"rate": {"type": "number"}},
        "capabilities": ["batch", "streaming"],
        "port": 7000,
    }
    image = described(FULL, own_metadata=own)
    found = json.loads(files(image)["/metadata.json"] or "")
    assert found["name"] == "other" and found["version"] == "1.2.3" and found["description"] == "Says hello"
    assert found["consumes"] == ["c.v1"] and "input_types" not in found and found["output_types"] == ["b.v1"]
    assert found["env_mapping"] == {"rate": "RATE_LIMIT", "mode": "MODE"}
    assert found["config_schema"]["rate"] == {"type": "number"} and "mode" in found["config_schema"]
    assert image.labels["io.flowctl.component.capabilities"] == "batch,streaming"
    assert "7000/tcp" in image.exposed_ports and "50051/tcp" not in image.exposed_ports


def test_the_examples() -> None:
    """Every component.yaml of the examples becomes an image's description."""
    root = Path(__file__).parents[3] / "examples"
    for path in sorted(root.glob("*/component.yaml")):
        spec = load_component(path).spec
        assert metadata_json(spec.name, spec.version or "0", spec)["name"] == spec.name


def test_folders_and_links_of_an_artifact(described, tmp_path: Path) -> None:
    lib = tmp_path / "out/lib"
    (lib / "deep").mkdir(parents=True)
    (lib / "deep/data").write_text("x")
    (lib / "run").write_text("x")
    (lib / "run").chmod(0o700)
    (lib / "link").symlink_to("deep/data")
    plan = PLAN.model_copy(update={"files": (*PLAN.files, ImageFile(source="out/lib", target="/app/lib"))})
    image = described(plan=plan)
    found = {entry.target: entry for layer in image.layers for entry in layer.entries}
    assert found["/app/lib/run"].mode == 0o755 and found["/app/lib/deep/data"].mode == 0o644
    assert (found["/app/lib/link"].kind, found["/app/lib/link"].text) == ("link", "deep/data")
    (lib / "out").symlink_to("/etc/passwd")
    with pytest.raises(ImageError, match="not in the image"):
        described(plan=plan)
    (lib / "out").unlink()
    os.mkfifo(lib / "pipe")
    with pytest.raises(ImageError, match="neither a file nor a folder"):
        described(plan=plan)


def test_files_that_are_not_there(described) -> None:
    plan = PLAN.model_copy(update={"files": (ImageFile(source="out/nothing", target="/app/component"),)})
    with pytest.raises(ImageError, match=r"out/nothing, which would be /app/component"):
        described(plan=plan)


def test_only_what_was_built_goes_in(described, layout_of, tmp_path: Path) -> None:
    built = "sha256:" + sha256((tmp_path / "out/program").read_bytes()).hexdigest()
    image = described(digests={"out/program": built})
    layout_of("oci", image)
    (tmp_path / "out/program").write_text("something else")
    with pytest.raises(ImageError, match="is not the file that was built"):
        layout_of("again", image)
