"""Images of components that have a Dockerfile: the engine builds them, the release holds them."""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
from pathlib import Path
from typing import Any

import pytest

from flowctl_core.docker_engine.buildkit import needs_buildkit
from flowctl_core.docker_engine.images import find_image
from flowctl_core.models import Platform
from flowctl_core.package.layout_read import read_image

NAME = "word:1.2.3-build.7"
INLINE = """
          dockerfile: |
            FROM scratch
            ARG TARGETARCH
            COPY says-${TARGETARCH} /word
            RUN ["/word"]
            USER 1000
            CMD ["/word"]
"""


def _info(root: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((root / "dist/metadata/build-info.json").read_text())
    return document


def _inspect(layout: Path, arch: str) -> dict[str, Any]:
    done = subprocess.run(
        ["skopeo", "inspect", "--override-arch", arch, f"oci:{layout}"], capture_output=True, text=True, check=True
    )
    return dict(json.loads(done.stdout))


@pytest.mark.requires_tool("skopeo")
def test_text_in_component_yaml_is_built_and_loaded(
    flowctl, docker, docker_env, component, run_image, monkeypatch
) -> None:
    root = component(container=INLINE)
    done = flowctl.run("component", "build", "--container", cwd=root, **docker_env)
    assert done.returncode == 0, done.stderr
    assert "the Dockerfile in component.yaml" in done.stderr and "COPY says-" in done.stderr
    assert run_image(NAME) == f"a word from {docker.platform}\n"
    found, image = find_image(docker, NAME), read_image(root / "dist/containers/oci", docker.platform)
    assert found is not None and found.id == image.config_digest and found.diff_ids == image.diff_ids
    monkeypatch.chdir(root / "dist/containers")  # skopeo takes a colon, and no ü, for the end of the path
    seen = _inspect(Path("oci"), docker.platform.arch)
    assert found.run is not None and seen["Labels"] == found.run.labels
    assert seen["Labels"]["io.flowctl.component.name"] == "word" and seen["Labels"]["org.opencontainers.image.vendor"]
    assert found.run.user == "1000"


def test_the_record_says_that_it_is_not_reproducible(flowctl, docker, docker_env, component) -> None:
    root = component(container=INLINE)
    flowctl.ok("component", "build", "--platforms", str(docker.platform), cwd=root, **docker_env)
    made = _info(root)["images"]["dockerfile"]
    assert (made["reproducible"], made["path"], made["engine"]) == (False, None, docker.version)
    again = flowctl.json("component", "reproduce", cwd=root, DOCKER_HOST="unix:///none.sock")
    assert again["reproduced"] is True and len(again["left_out"]) == 1
    (root / "dist/metadata/sbom.cdx.json").write_text("{}")
    done = flowctl.run("component", "reproduce", cwd=root)
    assert done.returncode == 39 and "not compared: containers/" in done.stderr


def test_both_platforms(flowctl, docker, docker_env, both, component) -> None:
    root = component(container=INLINE)
    wanted = ",".join(both)
    done = flowctl.run("component", "build", "--platforms", wanted, "-o", "json", cwd=root, **docker_env)
    report = json.loads(done.stdout)
    assert [image["platform"] for image in report["images"]] == sorted(both), done.stderr
    assert report["image_failures"] == []
    for platform in both:
        image = read_image(root / "dist/containers/oci", platform)
        assert image.config["architecture"] == platform.arch


def test_a_file_with_context_arguments_and_target(flowctl, docker, docker_env, component, busybox, run_image) -> None:
    root = component(
        container="{dockerfile: docker/My.Dockerfile, context: sub, target: small, args: {WORD: hi, N: 7}}",
        **{
            "docker/My.Dockerfile": (
                f"FROM {busybox} AS small\nARG WORD\nARG N\nARG SOURCE_DATE_EPOCH\nCOPY . /got/\n"
                'RUN echo "$WORD $N $SOURCE_DATE_EPOCH" > /said\nCMD cat /said; find /got -type f | sort\n'
                "FROM scratch AS other\nCOPY nothing /\n"
            ),
            "sub/a.txt": "a",
            "sub/secret.txt": "s",
            "sub/.dockerignore": "secret.*\n",
        },
    )
    flowctl.ok("component", "build", "--container", cwd=root, **docker_env)
    assert run_image(NAME).splitlines() == ["hi 7 315532800", "/got/.dockerignore", "/got/a.txt"]
    assert _info(root)["images"]["dockerfile"]["path"] == "docker/My.Dockerfile"


def test_the_context_is_the_source_alone(flowctl, docker, docker_env, component, busybox, run_image) -> None:
    text = f"\n          dockerfile: |\n            FROM {busybox}\n            COPY . /got/\n            CMD cd /got; find . -type f\n"
    root = component(container=text, **{"Dockerfile": "FROM nonsense\n", "of git/.keep": ""})
    flowctl.ok("component", "build", "--container", cwd=root, **docker_env)
    assert set(run_image(NAME).splitlines()) == {
        "./component.yaml", "./says-amd64", "./says-arm64", "./Dockerfile", "./of git/.keep",
    }  # fmt: skip


def test_a_step_that_fails_is_shown_whole(flowctl, docker, docker_env, component, busybox) -> None:
    text = (
        f"\n          dockerfile: |\n            FROM {busybox}\n            RUN echo first; echo second >&2; exit 3\n"
    )
    root = component(container=text)
    error = flowctl.failure("component", "build", "--container", cwd=root, **docker_env)
    assert (error["code"], error["exit_code"]) == ("build", 32)
    assert error["message"].startswith(f"the Dockerfile in component.yaml cannot be built for {docker.platform}: ")
    assert "returned a non-zero code: 3" in error["message"]
    assert {"first", "second"} <= set(error["output"].splitlines()) and "Step 1/13 : FROM" in error["output"]
    assert not (root / "dist").exists()


MOUNTS = (
    "FROM {base}\nRUN --mount=type=cache,target=/kept echo kept >> /kept/x; cp /kept/x /said{more}\nCMD cat /said\n"
)


def test_what_only_buildkit_can_is_built_by_it(flowctl, docker_env, component, busybox, run_image) -> None:
    root = component(container="{dockerfile: Dockerfile}", Dockerfile=MOUNTS.format(base=busybox, more=""))
    flowctl.ok("component", "build", "--container", cwd=root, **docker_env)
    assert run_image(NAME).splitlines()[0] == "kept"
    (root / "Dockerfile").write_text(MOUNTS.format(base=busybox, more="; echo broken >&2; exit 5"))
    error = flowctl.failure("component", "build", "--container", cwd=root, **docker_env)
    assert error["code"] == "build" and "exit code: 5" in error["message"]
    assert "broken" in error["output"] and "--mount=type=cache" in error["output"]


def test_without_the_command_that_speaks_to_buildkit(flowctl, docker_env, component, busybox, tmp_path) -> None:
    root = component(container="{dockerfile: Dockerfile}", Dockerfile=MOUNTS.format(base=busybox, more=""))
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("sh", "cp", "git"):
        (tools / name).symlink_to(shutil.which(name) or "")
    error = flowctl.failure("component", "build", "--container", cwd=root, PATH=str(tools), **docker_env)
    assert error["code"] == "build" and "BuildKit" in error["message"]
    assert "docker-buildx-plugin" in error["hint"]


@pytest.mark.parametrize(
    ("text", "needed"),
    [
        ("FROM x\nRUN echo a << 2\nCOPY --from=a --chown=1:1 b c\n", False),
        ("# syntax=docker/dockerfile:1\nFROM x\n", True),
        ("FROM x\nRUN --network=none true\n", True),
        ("FROM x\nCOPY --from=a --link b c\n", True),
        ("FROM x\nRUN <<EOF\ntrue\nEOF\n", True),
        ("FROM x\nCOPY <<-'END' /a\ntrue\nEND\n", True),
        ("FROM x\n# RUN --mount=type=cache\n", False),
    ],
)
def test_what_needs_buildkit(text: str, needed: bool) -> None:
    assert needs_buildkit(text) is needed


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("FROM scratch\nFORM x\n", "unknown instruction: FORM"),
        ("FROM scratch\nCOPY absent /\n", "absent"),
    ],
)
def test_the_engine_says_what_is_wrong(flowctl, docker_env, component, text: str, says: str) -> None:
    root = component(container="{dockerfile: Dockerfile}", Dockerfile=text)
    error = flowctl.failure("component", "build", "--container", cwd=root, **docker_env)
    assert error["code"] == "build" and says in error["message"]
    assert error["message"].startswith("Dockerfile cannot be built for ")


def test_a_step_that_hangs_is_ended(flowctl, docker, docker_env, component, busybox) -> None:
    root = component(container="{dockerfile: Dockerfile}", Dockerfile=f"FROM {busybox}\nRUN echo begun; sleep 1000\n")
    error = flowctl.failure("component", "build", "--container", "--timeout", "12s", cwd=root, **docker_env)
    assert (error["code"], error["exit_code"]) == ("timeout", 36)
    assert "begun" in error["output"]
    client = docker.client()
    running = [one["Command"] for one in client.containers() if "sleep 1000" in one["Command"]]
    client.close()
    assert running == []


def test_a_platform_that_cannot_run_there_hides_no_other(flowctl, docker, docker_env, component) -> None:
    strange = bytearray(b"\x7fELF" + bytes([2, 2, 1]) + bytes(200))  # ELF for s390x, big-endian
    struct.pack_into(">HHI", strange, 16, 2, 22, 1)
    root = component(container=INLINE, **{"says-s390x": bytes(strange)})
    wanted = f"{docker.platform},linux/s390x"
    done = flowctl.run("component", "build", "--platforms", wanted, "-o", "json", cwd=root, **docker_env)
    report = json.loads(done.stdout)
    assert done.returncode == report["error"]["exit_code"] == 37
    assert [image["platform"] for image in report["images"]] == [docker.platform]
    (failure,) = report["image_failures"]
    assert failure["platform"] == "linux/s390x" and "cannot be built for linux/s390x" in failure["reason"]
    assert "cannot run programs for linux/s390x" in failure["hint"] and "qemu-user-static" in failure["hint"]


def test_an_image_for_another_platform_goes_no_further(flowctl, docker, docker_env, component, tmp_path) -> None:
    other = next(p for p in (Platform("linux/amd64"), Platform("linux/arm64")) if p != docker.platform)
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /\n")
    client = docker.client()
    list(client.build(path=str(tmp_path), tag="flowctl-test-other:1", platform=other))
    client.close()
    root = component(container="{dockerfile: Dockerfile}", Dockerfile="FROM flowctl-test-other:1\nCOPY . /\n")
    error = flowctl.failure("component", "build", "--container", cwd=root, **docker_env)
    assert error["code"] in ("image", "build") and str(docker.platform) in error["message"]
    assert not (root / "dist").exists()


@pytest.mark.parametrize(
    ("container", "says"),
    [
        ("{dockerfile: Absent}", "there is no such file"),
        ("{dockerfile: ../../outside}", "outside the component's folder"),
        ("{dockerfile: Dockerfile, context: ../..}", "outside the component's folder"),
        ("{dockerfile: Dockerfile, context: nowhere}", "no folder of the component"),
        ("{dockerfile: binary}", "not UTF-8 text"),
    ],
)
def test_a_dockerfile_that_cannot_be_read(flowctl, component, container: str, says: str) -> None:
    root = component(container=container, Dockerfile="FROM scratch\n", binary=b"\xff\xfe\x00")
    error = flowctl.failure("component", "build", "--release", "--platforms", str(Platform.host()), cwd=root)
    assert (error["code"], error["exit_code"]) == ("spec", 10) and says in error["message"]


def test_without_an_engine(flowctl, component, tmp_path) -> None:
    root = component(container="{base: scratch, dockerfile: Dockerfile}", Dockerfile="FROM scratch\nCOPY . /\n")
    nobody = {"DOCKER_HOST": f"unix://{tmp_path}/none.sock"}
    build = ("component", "build", "--platforms", str(Platform.host()))
    error = flowctl.failure(*build, cwd=root, **nobody)
    assert error["code"] == "engine" and error["message"].endswith("and Dockerfile needs one")
    assert "--no-images" in error["hint"] and "build.images.dockerfiles" in error["hint"]
    assert not (root / "dist").exists()
    flowctl.ok(*build, "--no-images", cwd=root, **nobody)
    settings = flowctl.home / ".flowctl" / "config.yaml"
    settings.parent.mkdir()
    settings.write_text("build: {images: {dockerfiles: false}}\n")
    flowctl.ok(*build, cwd=root, **nobody)
    assert _info(root)["images"]["dockerfile"] is None


def test_releases_leave_no_images_behind(flowctl, docker, docker_env, component, program_for) -> None:
    root = component(container=INLINE, name="leaver")
    client = docker.client()
    before = {image["Id"] for image in client.images(all=False)}
    for word in ("one\n", "two\n"):
        (root / f"says-{docker.platform.arch}").write_bytes(program_for(docker.platform, word))
        flowctl.ok("component", "build", "--platforms", str(docker.platform), cwd=root, **docker_env)
    new = [image["RepoTags"] for image in client.images(all=False) if image["Id"] not in before]
    client.close()
    assert new == [[f"flowctl-build/leaver:{docker.platform.replace('/', '-')}"]]
