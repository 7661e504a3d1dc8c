"""Runs the executable for linux/arm64 under qemu, with Debian's arm64 interpreter, and compares with this machine's."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from flowctl_core.models import Platform

from .conftest import Release, write_files

SHORT = f"python{sys.version_info[0]}.{sys.version_info[1]}"

FILES = {
    "requirements.txt": "markupsafe==3.0.2\n",
    "main.py": "import platform, sys\nfrom markupsafe import _speedups, escape\n"
    "print(escape('<grüße>'), *sys.argv[1:], sep='|')\nprint(platform.machine(), file=sys.stderr)\nsys.exit(3)\n",
}
APT = """\
APT::Architecture "arm64";
APT::Architectures "arm64";
Dir::State "{root}";
Dir::State::lists "{root}/lists";
Dir::State::status "{root}/status";
Dir::Cache "{root}/cache";
Debug::NoLocking "1";
"""
WRAPPER = """\
#!/bin/sh
exec qemu-aarch64-static -L '{system}' -0 '{system}/usr/bin/{name}' '{system}/usr/bin/{name}.arm64' "$@"
"""


def apt_get(folder: Path, *arguments: str) -> None:
    """apt-get for arm64, with lists and packages in a folder of its own: the machine's own are not touched."""
    environment = {**os.environ, "APT_CONFIG": str(folder / "apt.conf"), "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(["apt-get", "-qq", *arguments], env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        from tests.conftest import unavailable

        unavailable(f"apt-get {' '.join(arguments)}: {done.stderr.strip()}")


@pytest.fixture(scope="module")
def interpreters(request: pytest.FixtureRequest) -> Path:
    """A folder for PATH in which python3.X is arm64's; made once for this checkout."""
    cache = request.config.cache
    assert cache is not None
    folder = Path(cache.mkdir(f"{SHORT}-arm64"))
    system = folder / "system"
    program = system / "usr" / "bin" / SHORT
    if not (folder / "bin" / SHORT).exists():
        for name in ("lists/partial", "cache/archives/partial", "bin"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / "status").touch()
        (folder / "apt.conf").write_text(APT.format(root=folder))
        apt_get(folder, "update")
        apt_get(folder, "install", "--yes", "--no-install-recommends", "--download-only", SHORT)
        for package in (folder / "cache" / "archives").glob("*.deb"):
            subprocess.run(["dpkg", "-x", str(package), str(system)], check=True)
        # pex starts the interpreter again: a script in its place does that under qemu, without asking the kernel.
        program.rename(program.with_name(f"{SHORT}.arm64"))
        program.write_text(WRAPPER.format(system=system, name=SHORT))
        program.chmod(0o755)
        (folder / "bin" / SHORT).symlink_to(program)
    return folder / "bin"


@pytest.mark.requires_tool("qemu-aarch64-static", "apt-get", "dpkg")
def test_the_arm64_program_prints_what_the_other_prints(interpreters: Path, tmp_path: Path) -> None:
    root = write_files(tmp_path / "project", FILES)
    release = Release(root=root, platforms=(Platform.host(), "linux/arm64"))
    found = release.release()
    native = Path(sys.base_prefix) / "bin"
    printed = []
    for platform, folder in ((Platform.host(), native), ("linux/arm64", interpreters)):
        environment = {"PATH": f"{folder}:/usr/bin:/bin", "HOME": str(tmp_path / folder.name), "LC_ALL": "C.UTF-8"}
        environment["PEX_ROOT"] = str(tmp_path / platform.replace("/", "-"))
        done = subprocess.run(
            [str(release.program(found[platform])), "a b", "ü"],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        printed.append((done.stdout, done.returncode, done.stderr))
    assert printed[0][:2] == printed[1][:2] == ("&lt;grüße&gt;|a b|ü\n", 3)
    assert printed[1][2] == "aarch64\n"
