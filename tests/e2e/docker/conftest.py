"""A real Docker engine: the one that runs, else a private one; tiny programs for both architectures; components."""

from __future__ import annotations

import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from flowctl_core.docker_engine.connect import DockerEngine
from flowctl_core.models import Platform

ARM64_EMULATOR = Path("/proc/sys/fs/binfmt_misc/qemu-aarch64")
COMPONENT = """\
apiVersion: component.flowctl.io/v1
kind: ComponentSpec
metadata: {{name: {name}, version: 1.2.3+build.7, namespace: examples, description: Says a word, license: Apache-2.0}}
spec:
  type: processor
  languages:
    - name: c
      build:
        native: {{commands: [{command}], binary: made}}
        container: {container}
"""


@pytest.fixture
def docker_env(docker: DockerEngine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, str]:
    """Variables that lead flowctl, skopeo and the test itself to the engine, without anybody's logins."""
    found = {"DOCKER_HOST": docker.address, "DOCKER_CONFIG": str(tmp_path / "docker")}
    for name, value in found.items():
        monkeypatch.setenv(name, value)
    return found


@pytest.fixture(scope="session")
def both(docker: DockerEngine, give_up: Callable[[str], None]) -> tuple[Platform, ...]:
    """Platforms whose programs the engine can run, the engine's own first."""
    if docker.platform != "linux/amd64":
        return (docker.platform,)
    if not ARM64_EMULATOR.exists():
        give_up("programs for arm64 cannot be run here (qemu-user-static, registered in binfmt_misc with flag F)")
    return (docker.platform, Platform("linux/arm64"))


def program(platform: str, text: str) -> bytes:
    """A static ELF program of two system calls: it writes the text and ends."""
    said = text.encode()
    if platform.endswith("amd64"):
        code = b"\xb8\x01\0\0\0\xbf\x01\0\0\0" + b"\x48\x8d\x35" + struct.pack("<i", 16)  # write, stdout, the text
        code += b"\xba" + struct.pack("<I", len(said)) + b"\x0f\x05" + b"\xb8\x3c\0\0\0\x31\xff\x0f\x05"  # exit
        machine = 62
    else:
        words = (0xD2800020, 0x100000E1, 0xD2800002 | len(said) << 5, 0xD2800808, 0xD4000001)
        code = struct.pack("<8I", *words, 0xD2800000, 0xD2800BA8, 0xD4000001)
        machine = 183
    start, size = 0x400000, 120 + len(code) + len(said)
    header = b"\x7fELF" + bytes([2, 1, 1]) + bytes(9)
    header += struct.pack("<HHIQQQIHHHHHH", 2, machine, 1, start + 120, 64, 0, 0, 64, 56, 1, 64, 0, 0)
    header += struct.pack("<IIQQQQQQ", 1, 5, 0, start, start, size, size, 0x1000)
    return header + code + said


@pytest.fixture(scope="session")
def program_for() -> Callable[[str, str], bytes]:
    return program


@pytest.fixture
def component(tmp_path: Path) -> Callable[..., Path]:
    """Makes a component that is built by copying a program that stands in its source."""

    def make(
        *, container: str = "{base: scratch}", name: str = "word", command: str | None = None, **files: str | bytes
    ) -> Path:
        root = tmp_path / "mein Gerät" / name
        root.mkdir(parents=True)
        for platform in ("linux/amd64", "linux/arm64"):
            file = root / f"says-{platform.rpartition('/')[2]}"
            file.write_bytes(program(platform, f"a word from {platform}\n"))
            file.chmod(0o755)
        command = command or f"cp says-{Platform.host().arch} made"
        (root / "component.yaml").write_text(COMPONENT.format(name=name, command=command, container=container))
        for path, content in files.items():
            data = content.encode() if isinstance(content, str) else content
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(data)
            (root / path).chmod(0o755)
        return root

    return make


@pytest.fixture
def run_image(docker: DockerEngine) -> Callable[..., str]:
    """Runs an image and returns what it prints."""

    def run(image: str, *arguments: str, platform: Platform | None = None) -> str:
        client = docker.client()
        try:
            container = client.create_container(
                image, command=list(arguments) or None, host_config=client.create_host_config(network_mode="none"),
                platform=platform,
            )["Id"]  # fmt: skip
            try:
                client.start(container)
                status = client.wait(container)["StatusCode"]
                said = client.logs(container).decode()
            finally:
                client.remove_container(container, force=True)
        finally:
            client.close()
        assert status == 0, said
        return str(said)

    return run


@pytest.fixture(scope="session")
def busybox(docker: DockerEngine, give_up: Callable[[str], None], tmp_path_factory: pytest.TempPathFactory) -> str:
    """An image with a shell and little else, as a base: no registry can be asked for one."""
    found = shutil.which("busybox")
    if found is None:
        give_up("no busybox to make a base image from")
    folder = tmp_path_factory.mktemp("busybox")
    shutil.copyfile(str(found), folder / "busybox")
    (folder / "busybox").chmod(0o755)
    (folder / "Dockerfile").write_text(
        "FROM scratch\nCOPY busybox /bin/busybox\n"
        'RUN ["/bin/busybox", "sh", "-c", "/bin/busybox --install -s /bin && mkdir -m 1777 /tmp"]\n'
        'ENV PATH=/bin\nCMD ["sh"]\n'
    )
    name = "flowctl-test-busybox:1"
    client = docker.client(None)
    try:
        said = list(client.build(path=str(folder), tag=name, rm=True, decode=True))
    finally:
        client.close()
    assert not any("error" in line for line in said), said
    return name
