"""`flowctl component build --container`: the image is in the engine, as it was written, and runs."""

from __future__ import annotations

import json

import pytest

from flowctl_core.docker_engine.images import find_image
from flowctl_core.models import Platform
from flowctl_core.models.image import ImageInput, LayerEntry, LayerInput
from flowctl_core.package.layout import write_layout
from flowctl_core.package.load import engine_names, load_image, read_image

NAMES = ["word:1.2.3-build.7", "examples/word:1.2.3-build.7"]


def test_the_image_is_loaded_and_runs(flowctl, docker, docker_env, component, run_image) -> None:
    root = component()
    done = flowctl.run("component", "build", "--container", cwd=root, **docker_env)
    assert done.returncode == 0, done.stderr
    assert f"loaded   {', '.join(NAMES)}" in done.stdout
    assert done.stdout.rstrip().endswith(f"docker run --rm {NAMES[0]}")
    for name in NAMES:
        assert run_image(name) == f"a word from {docker.platform}\n"


def test_the_engine_has_what_was_written(flowctl, docker, docker_env, component) -> None:
    root = component()
    loaded = flowctl.json("component", "build", "--container", cwd=root, **docker_env)["loaded"]
    image = read_image(root / "dist/containers/oci", docker.platform)
    found = find_image(docker, NAMES[0])
    assert found is not None
    assert (loaded["names"], loaded["id"], loaded["platform"]) == (NAMES, found.id, str(docker.platform))
    assert loaded["size"] == found.size > 0
    config = image.config["config"]
    assert found.id == image.config_digest and found.diff_ids == image.diff_ids
    assert found.run is not None and found.run.user == config["User"] == "65532:65532"
    assert list(found.run.entrypoint or ()) == config["Entrypoint"] == ["/app/component"]
    assert found.run.labels == config["Labels"]


def test_it_can_be_loaded_again_and_after_a_change(flowctl, docker, docker_env, component, program_for) -> None:
    root = component()
    first = flowctl.json("component", "build", "--container", cwd=root, **docker_env)["loaded"]
    assert flowctl.json("component", "build", "--container", cwd=root, **docker_env)["loaded"] == first
    (root / f"says-{docker.platform.arch}").write_bytes(program_for(docker.platform, "another\n"))
    second = flowctl.json("component", "build", "--container", cwd=root, **docker_env)["loaded"]
    assert second["id"] != first["id"]
    found = find_image(docker, NAMES[0])
    assert found is not None and found.id == second["id"]


def test_images_of_both_architectures_run(docker, both, tmp_path, program_for, run_image) -> None:
    images = []
    for platform in both:
        file = tmp_path / platform.arch
        file.write_bytes(program_for(platform, f"hello from {platform}\n"))
        entries = (
            LayerEntry(target="/app", kind="folder", mode=0o755),
            LayerEntry(target="/app/component", source=file, mode=0o755),
        )
        layers = (LayerInput(created_by="test", entries=entries),)
        images.append(ImageInput(platform=platform, layers=layers, entrypoint=("/app/component",)))
    write_layout(images, tmp_path / "oci", epoch=1_700_000_000)
    for platform in both:
        loaded = load_image(docker, tmp_path / "oci", platform, [f"flowctl-test-arch:{platform.arch}"])
        assert loaded.platform == platform
        assert run_image(loaded.names[0]) == f"hello from {platform}\n"


def test_without_an_engine_nothing_is_built(flowctl, component, tmp_path) -> None:
    root = component()
    error = flowctl.failure("component", "build", "--container", cwd=root, DOCKER_HOST=f"unix://{tmp_path}/none.sock")
    assert (error["code"], error["exit_code"]) == ("engine", 43)
    assert error["message"] == f"no Docker engine answers at unix://{tmp_path}/none.sock"
    assert "sudo systemctl start docker" in error["hint"] and "DOCKER_HOST" in error["hint"]
    assert not (root / "dist").exists()


def test_what_is_no_engine_is_said(flowctl, component) -> None:
    error = flowctl.failure("component", "build", "--container", cwd=component(), DOCKER_HOST="nonsense://x")
    assert error["code"] == "engine" and "nonsense://x" in error["message"]


def test_a_context_chooses_the_engine(flowctl, docker, docker_env, component, tmp_path) -> None:
    folder = tmp_path / "docker" / "contexts" / "meta" / "x"
    root = component()
    missing = {**docker_env, "DOCKER_HOST": "", "DOCKER_CONTEXT": "mine"}
    assert (
        "no context called mine" in flowctl.failure("component", "build", "--container", cwd=root, **missing)["message"]
    )
    from hashlib import sha256

    folder = folder.with_name(sha256(b"mine").hexdigest())
    folder.mkdir(parents=True)
    (tmp_path / "docker" / "config.json").write_text("{}")
    endpoint = {"Host": docker.address, "SkipTLSVerify": False}
    (folder / "meta.json").write_text(json.dumps({"Name": "mine", "Metadata": {}, "Endpoints": {"docker": endpoint}}))
    done = flowctl.run("component", "build", "--container", cwd=root, **missing)
    assert done.returncode == 0, done.stderr


def test_other_platforms_alone_are_refused(flowctl, docker, docker_env, component) -> None:
    error = flowctl.failure(
        "component", "build", "--container", "--platforms", "darwin/arm64", cwd=component(), **docker_env
    )
    assert (error["code"], error["exit_code"]) == ("usage", 2)
    assert str(docker.platform) in error["hint"]


def test_an_image_is_needed(flowctl, component) -> None:
    error = flowctl.failure("component", "build", "--container", "--no-images", cwd=component())
    assert error["code"] == "usage" and "--no-images" in error["message"]


@pytest.mark.parametrize(
    ("component", "version", "namespace", "names"),
    [
        ("word", "1.2.3", None, ("word:1.2.3",)),
        ("word", "1.2.3", "org", ("word:1.2.3", "org/word:1.2.3")),
        ("My Word_.-x", "1.0.0+a~b", "Ünit", ("my-word-x:1.0.0-a-b", "nit/my-word-x:1.0.0-a-b")),
        ("a__b", "-1", None, ("a__b:1",)),
        ("a___b", "v" * 200, None, ("a-b:" + "v" * 128,)),
        ("...", "", None, ("component:latest",)),
    ],
)
def test_names_are_such_as_docker_allows(component, version, namespace, names) -> None:
    assert engine_names(component, version, namespace) == names


def test_a_layout_without_the_platform_is_an_error(docker, tmp_path) -> None:
    from flowctl_core.errors import ImageError

    image = ImageInput(platform=Platform("linux/arm64"), layers=(), entrypoint=("/x",))
    write_layout([image], tmp_path / "oci", epoch=1)
    with pytest.raises(ImageError, match="has nothing for linux/s390x; it has: linux/arm64"):
        load_image(docker, tmp_path / "oci", Platform("linux/s390x"), ["x:1"])
