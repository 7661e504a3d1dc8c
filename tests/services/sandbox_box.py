"""Runs attacks in each sandbox of this machine."""

from __future__ import annotations

import io
import os
import shutil
import sys
import tarfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from flowctl_core.docker_engine.connect import DockerEngine
from flowctl_registry.sandbox import Confinement, Limits, Outcome, Sandbox
from flowctl_registry.sandbox.run import run

PYTHON = os.path.realpath(sys.executable)
PREFIX = Path(sys.base_prefix).resolve()
SMALL = Limits(cpu_s=30, wall_s=60, memory_bytes=500_000_000, processes=64, output_bytes=1_000_000)
IMAGE = "flowctl-test-sandbox:1"


@dataclass
class Ran:
    """What came of a command."""

    outcome: Outcome
    output: str


@dataclass
class Box:
    """A sandbox with one writable folder, mounted at /work."""

    sandbox: Sandbox
    work: Path
    counts: bool
    """Whether control groups count, so that every limit is named."""
    read_only: dict[str, Path] = field(default_factory=dict)
    limits: Limits = field(default_factory=lambda: SMALL)

    def run(
        self,
        *argv: str,
        cancelled: threading.Event | None = None,
        output: Callable[[bytes], None] | None = None,
        read_only: Mapping[str, Path] | None = None,
        environment: Mapping[str, str] | None = None,
        proxy: Path | None = None,
        **limits: float,
    ) -> Ran:
        """Run it and say how it ended."""
        said = bytearray()
        confinement = Confinement(
            read_only=self.read_only | dict(read_only or {}), writable={"/work": self.work}, folder="/work",
            environment={"PATH": f"/usr/bin:/bin:{PREFIX}/bin", "HOME": "/home"} | dict(environment or {}),
            proxy=proxy, limits=replace(self.limits, **limits),
        )  # fmt: skip
        outcome = run(self.sandbox, confinement, list(argv), output or said.extend, cancelled or threading.Event())
        return Ran(outcome, said.decode(errors="replace"))

    def python(self, code: str, *arguments: str, **given: object) -> Ran:
        """Run a program of Python."""
        return self.run(PYTHON, "-I", "-S", "-c", code, *arguments, **given)  # type: ignore[arg-type]


def system_image(engine: DockerEngine) -> dict[str, Path]:
    """Make an image that holds nothing but links into /usr, which comes from this machine; what to mount for it."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name in ("bin", "sbin", "lib", "lib64"):
            if Path("/", name).is_symlink():
                link = tarfile.TarInfo(name)
                link.type, link.linkname = tarfile.SYMTYPE, str(Path("/", name).readlink())
                archive.addfile(link)
        for name in ("tmp", "home", "work", "var", "var/tmp"):
            folder = tarfile.TarInfo(name)
            folder.type, folder.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(folder)
    client = engine.client()
    try:
        client.import_image_from_data(buffer.getvalue(), repository="flowctl-test-sandbox", tag="1")
    finally:
        client.close()
    wanted = [Path("/usr"), *(p for n in ("lib", "lib64") if (p := Path("/", n)).is_dir() and not p.is_symlink())]
    if not PREFIX.is_relative_to("/usr"):
        wanted.append(PREFIX)
    return {str(path): path for path in wanted}


def running(marker: str) -> list[int]:
    """Processes of this machine whose command line has the marker."""
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and int(process.name) != os.getpid():
            try:
                if marker.encode() in (process / "cmdline").read_bytes():
                    found.append(int(process.name))
            except OSError:
                continue
    return found


def wait_gone(marker: str, within_s: float = 30) -> bool:
    """Whether no such process is left, at last."""
    deadline = time.monotonic() + within_s
    while running(marker) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not running(marker)


def has_bwrap() -> bool:
    """Whether bubblewrap is installed."""
    return shutil.which("bwrap") is not None
