"""The best sandbox that works is taken; without one, nothing is built."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from flowctl_registry.errors import SandboxError
from flowctl_registry.sandbox.bubblewrap import Bubblewrap
from flowctl_registry.sandbox.choose import choose, limits_of
from flowctl_registry.settings import Sandbox
from sandbox_box import Box


def test_auto_takes_bubblewrap_where_it_works(bubble: Box) -> None:
    assert choose(Sandbox()).name == "bubblewrap"
    assert choose(Sandbox(), unsandboxed=True).name == "bubblewrap"  # the flag allows, it does not ask


def test_docker_when_it_is_asked_for(box: Box, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if box.sandbox.name != "docker":
        with pytest.raises(SandboxError, match="docker: no image for builds is set"):
            choose(Sandbox(kind="docker"))
        return
    monkeypatch.setenv("DOCKER_HOST", request.getfixturevalue("docker").address)
    with pytest.raises(SandboxError, match="No such image"):
        choose(Sandbox(kind="docker", image="flowctl-no-such-image:0"))


def test_without_any_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SandboxError, match=r"bwrap is not on PATH; docker: no image") as caught:
        choose(Sandbox())
    assert "apt-get install bubblewrap" in str(caught.value.hint)
    assert "--unsandboxed" in str(caught.value.hint)


def test_a_bwrap_that_does_not_work_is_not_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "bwrap").write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2; exit 1\n")
    (tmp_path / "bwrap").chmod(0o755)
    tmp_path.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SandboxError, match="bubblewrap: the sandbox cannot be made: "):
        choose(Sandbox())


def test_none_needs_the_flag(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(SandboxError, match="builds without a sandbox are refused"):
        choose(Sandbox(kind="none"))
    sandbox = choose(Sandbox(kind="none"), unsandboxed=True)
    assert sandbox.report()[0].startswith("builds are NOT confined")


def test_without_a_sandbox_limits_and_ends_hold(tmp_path: Path) -> None:
    import threading

    from flowctl_registry.sandbox import Confinement, Limits
    from flowctl_registry.sandbox.run import run
    from sandbox_box import wait_gone

    sandbox = choose(Sandbox(kind="none"), unsandboxed=True)
    said = bytearray()

    def attempt(script: str, **limits: float) -> tuple[int | None, str | None]:
        given = Confinement(
            writable={str(tmp_path): tmp_path}, folder=str(tmp_path), environment={"PATH": "/usr/bin:/bin"},
            limits=Limits(**limits),  # type: ignore[arg-type]
        )  # fmt: skip
        outcome = run(sandbox, given, ["sh", "-c", script], said.extend, threading.Event())
        return outcome.exit_code, outcome.reached

    assert attempt("env; exit 4") == (4, None)
    assert said.decode().splitlines() == ["PATH=/usr/bin:/bin", f"PWD={tmp_path}"]
    assert attempt("sleep 3600.66 & sleep 3600.66", wall_s=0.5) == (None, "wall")
    assert attempt("sleep 3600.66 & exit 0") == (0, None)
    assert wait_gone("3600.66")
    assert attempt("yes", output_bytes=1_000) == (None, "output")


def test_root_never_runs_builds() -> None:
    import os

    if os.geteuid() != 0:
        pytest.skip("only where the service is root can it choose")
    for user in ("root", "0"):
        with pytest.raises(SandboxError, match="builds never run as root"):
            Bubblewrap(user)
    with pytest.raises(SandboxError, match="there is no user no-such-user"):
        Bubblewrap("no-such-user")


def test_settings_become_limits() -> None:
    limits = limits_of(Sandbox(memory_bytes=100_000_000, processes=20, wall_s=5))
    assert (limits.memory_bytes, limits.processes, limits.wall_s) == (100_000_000, 20, 5)
    with pytest.raises(ValidationError):
        Sandbox(processes=0)
