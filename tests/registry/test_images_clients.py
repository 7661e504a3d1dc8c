"""Real clients pull images, run them, and log in where they must."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.conftest import unavailable

from flowctl_core.docker_engine.connect import DockerEngine
from flowctl_core.models.signing import SigningRequest
from flowctl_core.plugins.call import InProcessCaller
from flowctl_core.plugins.manager import load_plugins
from flowctl_core.sign.key_folder import KeyFolder
from flowctl_core.sign.release import sign_release
from go_tools import go_tool
from release_project import build_go_release

from .client import Client
from .conftest import Registry

ARM64_EMULATOR = Path("/proc/sys/fs/binfmt_misc/qemu-aarch64")
PLATFORMS = ("linux/amd64", "linux/arm64")
SIGSTORE = "application/vnd.dev.sigstore.bundle.v0.3+json"


@pytest.fixture(scope="session")
def word(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A signed release whose image says for which platform it was built."""
    root = tmp_path_factory.mktemp("word")
    dist = build_go_release(root, tmp_path_factory.mktemp("home"), "word", "1.2.3", PLATFORMS)
    keys = KeyFolder(tmp_path_factory.mktemp("keys"))
    keys.generate("default", None)
    sign_release(dist, InProcessCaller(load_plugins()), SigningRequest(key=str(keys.folder / "default.key")))
    return dist


@pytest.fixture(scope="module")
def public(registry: Registry, word: Path) -> str:
    """`HOST/ns/word` that everybody may pull; the other API process, where there is one, took the upload."""
    return publish(registry, word, registry.namespace())


@pytest.fixture(scope="module")
def private(registry: Registry, word: Path) -> str:
    """`HOST/ns/word` of a private namespace."""
    return publish(registry, word, registry.namespace(private=True))


def publish(registry: Registry, release: Path, namespace: str) -> str:
    done = registry.client().publish(release, namespace, "word", "1.2.3")
    assert done.status_code == 201, done.text
    return f"{registry.urls[-1].removeprefix('http://')}/{namespace}/word"


@pytest.fixture
def reader(registry: Registry, private: str) -> str:
    """A token that may read in the private namespace, and do nothing else."""
    namespace = private.split("/")[1]
    words = ("token", "create", "--user", "rita", "--namespace", namespace, "--action", "read", "-o", "json")
    registry.command("namespace", "member", "add", namespace, "rita")
    return str(json.loads(registry.command(*words).stdout)["token"])


Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A client with a home of its own: nobody's logins."""
    (tmp_path / "docker").mkdir()
    own = {"HOME": str(tmp_path), "DOCKER_CONFIG": str(tmp_path / "docker")}
    own |= {"REGISTRY_AUTH_FILE": str(tmp_path / "docker" / "config.json")}

    def start(*command: str | Path, code: int | None = 0, stdin: str = "", **more: str):
        done = subprocess.run(
            [str(word) for word in command],
            env={**os.environ, **own, **more},
            cwd=tmp_path,
            input=stdin,
            capture_output=True,
            text=True,
        )
        assert code is None or done.returncode == code, f"{command}\n{done.stdout}\n{done.stderr}"
        return done

    return start


@pytest.fixture
def engine(docker: DockerEngine, run: Run) -> Iterator[Run]:
    """The docker command; what it pulled is removed, since the engine is shared."""
    before = set(run("docker", "images", "--quiet", DOCKER_HOST=docker.address).stdout.split())

    def command(*words: str, **more) -> subprocess.CompletedProcess[str]:
        return run("docker", *words, DOCKER_HOST=docker.address, **more)

    yield command
    new = set(command("images", "--quiet").stdout.split()) - before
    if new:
        command("rmi", "--force", *new)


@pytest.mark.requires_tool("docker")
@pytest.mark.parametrize("platform", PLATFORMS)
def test_docker_pulls_and_runs(public: str, engine: Run, platform: str) -> None:
    if platform == "linux/arm64" and not ARM64_EMULATOR.exists():
        unavailable("programs for arm64 cannot be run here (qemu-user-static, registered in binfmt_misc with flag F)")
    engine("pull", "--quiet", "--platform", platform, f"{public}:v1.2.3")
    said = engine("run", "--rm", "--network", "none", "--platform", platform, f"{public}:v1.2.3").stdout
    assert said == f"a word from {platform}\n"


@pytest.mark.requires_tool("docker")
def test_docker_pulls_by_digest_and_latest(public: str, engine: Run, word: Path) -> None:
    index = json.loads((word / "metadata" / "build-info.json").read_text())["images"]["index"]
    engine("pull", "--quiet", f"{public}@{index}")
    assert index in engine("pull", public).stdout


@pytest.mark.requires_tool("docker")
def test_docker_logs_in_for_a_private_image(private: str, engine: Run, reader: str) -> None:
    host = private.split("/")[0]
    refused = engine("pull", f"{private}:v1.2.3", code=1).stderr
    assert "denied" in refused or "unauthorized" in refused
    wrong = engine("login", "--username", "rita", "--password-stdin", host, stdin=reader[:-1] + "x", code=1)
    assert "unauthorized" in wrong.stderr
    engine("login", "--username", "rita", "--password-stdin", host, stdin=reader)
    engine("pull", "--quiet", f"{private}:v1.2.3")
    engine("logout", host)
    engine("pull", f"{private}:latest", code=1)


@pytest.mark.requires_tool("docker")
def test_docker_cannot_push(public: str, engine: Run, registry: Registry) -> None:
    host = public.split("/")[0]
    engine("pull", "--quiet", f"{public}:v1.2.3")
    engine("tag", f"{public}:v1.2.3", f"{public}:mine")
    engine("login", "--username", "admin", "--password-stdin", host, stdin=str(registry.token))
    engine("push", f"{public}:mine", code=1)
    engine("logout", host)
    assert "mine" not in Client(registry.urls).get(f"/v2/{public.partition('/')[2]}/tags/list").json()["tags"]


@pytest.mark.requires_tool("skopeo")
def test_skopeo_copies_all_platforms(public: str, run: Run, tmp_path: Path, word: Path) -> None:
    run("skopeo", "copy", "--all", "--src-tls-verify=false", f"docker://{public}:v1.2.3", "oci:copy:it")
    ours = {path.name for path in (word / "containers" / "oci" / "blobs" / "sha256").iterdir()}
    theirs = {path.name for path in (tmp_path / "copy" / "blobs" / "sha256").iterdir()}
    referrers = 3 * 2 * 3  # of the index and both images: three attestations of a manifest and a bundle each
    assert theirs <= ours and len(ours - theirs) <= referrers + 1
    tags = json.loads(run("skopeo", "list-tags", "--tls-verify=false", f"docker://{public}").stdout)["Tags"]
    assert tags == ["1.2.3", "latest", "v1.2.3"]


@pytest.mark.requires_tool("skopeo")
def test_skopeo_reads_a_private_image_with_a_token(private: str, run: Run, reader: str) -> None:
    command = ("skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{private}:v1.2.3")
    run(*command, code=1)
    assert json.loads(run(*command, "--creds", f"whoever:{reader}").stdout)["manifests"]
    run(*command, "--creds", "rita:flowctl_0_wrong", code=1)


def test_crane_validates_pulls_and_lists(public: str, run: Run, tmp_path: Path, word: Path) -> None:
    crane = go_tool("crane")
    index = json.loads((word / "metadata" / "build-info.json").read_text())["images"]["index"]
    assert run(crane, "digest", f"{public}:v1.2.3").stdout.strip() == index
    assert "PASS" in run(crane, "validate", "--remote", f"{public}@{index}").stdout
    assert run(crane, "ls", public).stdout.split() == ["1.2.3", "latest", "v1.2.3"]
    for platform in PLATFORMS:
        run(crane, "pull", "--platform", platform, f"{public}:v1.2.3", f"{platform[6:]}.tar")
        assert "PASS" in run(crane, "validate", "--tarball", tmp_path / f"{platform[6:]}.tar").stdout


def test_crane_logs_in_for_a_private_image(private: str, run: Run, reader: str) -> None:
    crane, host = go_tool("crane"), private.split("/")[0]
    run(crane, "digest", f"{private}:v1.2.3", code=1)
    run(crane, "auth", "login", host, "--username", "rita", "--password", reader)
    assert run(crane, "digest", f"{private}:v1.2.3").stdout.startswith("sha256:")


def test_attestations_of_the_release_are_referrers(public: str, registry: Registry, word: Path) -> None:
    info = json.loads((word / "metadata" / "build-info.json").read_text())["images"]
    client, repository = Client(registry.urls), public.partition("/")[2]
    for subject in (info["index"], *(each["digest"] for each in info["images"])):
        listed = client.get(f"/v2/{repository}/referrers/{subject}", params={"artifactType": SIGSTORE}).json()
        assert listed["manifests"], subject
        for each in listed["manifests"]:
            manifest = client.get(f"/v2/{repository}/manifests/{each['digest']}").json()
            assert manifest["subject"]["digest"] == subject and each["artifactType"] == SIGSTORE
            (bundle,) = manifest["layers"]
            content = client.get(f"/v2/{repository}/blobs/{bundle['digest']}").json()
            assert content["mediaType"] == SIGSTORE
