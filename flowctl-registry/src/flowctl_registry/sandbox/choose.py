"""Takes the best sandbox that really works on this machine."""

from __future__ import annotations

import threading
from collections.abc import Callable

from flowctl_core.errors import FlowctlError
from flowctl_registry.errors import SandboxError
from flowctl_registry.sandbox import confinement
from flowctl_registry.sandbox.bubblewrap import Bubblewrap
from flowctl_registry.sandbox.confinement import Confinement
from flowctl_registry.sandbox.docker import DockerSandbox
from flowctl_registry.sandbox.run import run
from flowctl_registry.sandbox.unconfined import Unconfined
from flowctl_registry.settings import Sandbox as SandboxSettings

_HINT = (
    "Run `apt-get install bubblewrap` (0.8 or newer), or set sandbox.image to an image for builds where a Docker "
    "engine runs. Only on a machine that holds nothing of worth: `--unsandboxed`."
)
_PROBE_S = 60


def choose(settings: SandboxSettings, *, unsandboxed: bool = False) -> confinement.Sandbox:
    """The sandbox that settings ask for, after it has run a command; its `report()` says what it lacks.

    Raises SandboxError when none works, or when builds without one are asked for without `unsandboxed`.
    """
    makers: dict[str, Callable[[], confinement.Sandbox]] = {
        "bubblewrap": lambda: Bubblewrap(settings.user, settings.cgroup),
        "docker": lambda: DockerSandbox(settings.image, settings.user),
    }
    if settings.kind in makers:
        makers = {settings.kind: makers[settings.kind]}
    elif settings.kind == "none":
        makers = {}
        if not unsandboxed:
            raise SandboxError("builds without a sandbox are refused (sandbox.kind is none)", hint=_HINT)
    reasons = []
    for name, make in makers.items():
        try:
            return _probed(make())
        except FlowctlError as error:
            reasons.append(f"{name}: {error}")
    if unsandboxed:
        return Unconfined(settings.cgroup)
    raise SandboxError("no sandbox for builds works here: " + "; ".join(reasons), hint=_HINT)


def limits_of(settings: SandboxSettings) -> confinement.Limits:
    """The limits that settings state."""
    return confinement.Limits(
        cpu_s=settings.cpu_s, wall_s=settings.wall_s, memory_bytes=settings.memory_bytes,
        processes=settings.processes, file_bytes=settings.file_bytes, disk_bytes=settings.disk_bytes,
        output_bytes=settings.output_bytes,
    )  # fmt: skip


def _probed(sandbox: confinement.Sandbox) -> confinement.Sandbox:
    said = bytearray()
    limits = confinement.Limits(wall_s=_PROBE_S)
    outcome = run(
        sandbox, Confinement(environment={"PATH": "/usr/bin:/bin"}, limits=limits), ["true"], said.extend,
        threading.Event(),
    )  # fmt: skip
    if outcome.exit_code != 0:
        told = said.decode(errors="replace").strip() or outcome.reached or f"exit code {outcome.exit_code}"
        raise SandboxError(f"`true` does not run in it: {told}", hint=_HINT)
    return sandbox
