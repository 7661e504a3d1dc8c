"""An image of what builds need, made from this machine's own Debian packages without asking anybody."""

from __future__ import annotations

import re
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

from tests.conftest import unavailable

from flowctl_core.docker_engine.connect import DockerEngine

IMAGE = "flowctl-test-builds:1"
_WANTED = ("git", "tar", "python3", "coreutils", "bash", "dash", "sed", "grep", "findutils", "libc-bin", "libstdc++6")
_LEFT_OUT = (
    "/usr/share/doc/",
    "/usr/share/man/",
    "/usr/share/locale/",
    "/usr/share/perl/",
    "/usr/lib/x86_64-linux-gnu/perl",
)
_LINKS = ("bin", "sbin", "lib", "lib64")


def make_image(engine: DockerEngine) -> str:
    """Import an image with git, tar, Python and a shell; its name. Ends the test where there is no dpkg."""
    if shutil.which("dpkg-query") is None:
        unavailable("dpkg-query (the image is made of this machine's packages)")
    with tempfile.TemporaryFile() as file:
        with tarfile.open(fileobj=file, mode="w") as archive:
            for name in _LINKS:
                if Path("/", name).is_symlink():
                    archive.add(f"/{name}", name)
            for name in ("tmp", "home", "var/tmp", "etc", "proc", "dev"):
                folder = tarfile.TarInfo(name)
                folder.type, folder.mode = tarfile.DIRTYPE, 0o755
                archive.addfile(folder)
            for path in _files(_closure()):
                archive.add(path, path.lstrip("/"), recursive=False)
        file.seek(0)
        client = engine.client()
        try:
            name, _, tag = IMAGE.partition(":")
            client.import_image_from_data(file, repository=name, tag=tag)
        finally:
            client.close()
    return IMAGE


def _files(packages: set[str]) -> list[str]:
    said = subprocess.run(["dpkg-query", "--listfiles", *sorted(packages)], capture_output=True, text=True, check=True)
    found: dict[str, None] = {}
    for line in said.stdout.splitlines():
        first = line.split("/")[1] if line.startswith("/") and len(line) > 1 else ""
        path = f"/usr{line}" if first in _LINKS and Path("/", first).is_symlink() else line
        if first not in ("etc", "") and not path.startswith(_LEFT_OUT) and Path(path).is_file():
            found[path] = None
    return list(found)


def _closure() -> set[str]:
    """The packages and what they depend on, as far as it is installed."""
    shown = "${db:Status-Status}\t${binary:Package}\t${Depends}, ${Pre-Depends}\t${Provides}\n"
    said = subprocess.run(["dpkg-query", "--show", f"--showformat={shown}"], capture_output=True, text=True, check=True)
    own = subprocess.run(["dpkg", "--print-architecture"], capture_output=True, text=True, check=True).stdout.strip()
    needs: dict[str, list[str]] = {}
    provided: dict[str, str] = {}
    for line in said.stdout.splitlines():
        status, package, depends, provides = line.split("\t")
        name, _, architecture = package.partition(":")
        if status == "installed" and architecture in ("", own):
            needs[package] = _names(depends)
            provided |= dict.fromkeys((name, *_names(provides)), package)
    found: set[str] = set()
    waiting = list(_WANTED)
    while waiting:
        package = provided.get(waiting.pop(), "")
        if package and package not in found:
            found.add(package)
            waiting += needs[package]
    return found


def _names(text: str) -> list[str]:
    return [found[0] for part in re.split("[,|]", text) if (found := re.findall(r"[a-z0-9][a-z0-9+.-]+", part))]
