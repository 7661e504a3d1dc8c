"""Phases of a build in a real sandbox: what comes back, and that code of the source cannot change what it should not."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import unavailable

from flowctl_core import errors
from flowctl_core.build_host.phases import Phase
from flowctl_core.build_host.states import HostRequest
from flowctl_core.models import Platform
from flowctl_registry.builds.build_host import BuildHost, HostEvent
from flowctl_registry.builds.host_answer import failure_of, read_states
from flowctl_registry.builds.host_events import EventReader
from flowctl_registry.errors import SandboxError, TransientError
from flowctl_registry.sandbox.choose import choose
from flowctl_registry.sandbox.confinement import Outcome
from flowctl_registry.settings import Settings

HOST = str(Platform.host())
NAME = f"build-{HOST.replace('/', '-')}.json"
COMPONENT = """\
apiVersion: component.flowctl.io/v1
kind: ComponentSpec
metadata: {{name: greeter, version: 2.0.1}}
spec:
  type: source
  languages:
    - name: sh
      build:
        native:
          commands: [{command}]
          binary: greeter.sh
"""
MAKE = r"printf '#!/bin/sh\necho hello\n' > greeter.sh; chmod +x greeter.sh"


@dataclass
class Site:
    """A workspace with a component, and the host that builds it."""

    host: BuildHost
    workspace: Path
    request: HostRequest
    states: dict[str, Any] = field(default_factory=dict)
    events: list[HostEvent] = field(default_factory=list)
    cancelled: threading.Event = field(default_factory=threading.Event)

    def run(self, *phases: Phase, platforms: tuple[str, ...] = ()) -> dict[str, Any]:
        found = self.host.run(
            phases, self.workspace, self.request, self.states, self.events.append, self.cancelled, platforms=platforms
        )
        self.states |= found
        return found

    def said(self) -> str:
        return "\n".join(event.text for event in self.events)


@pytest.fixture(params=["bubblewrap", "none"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def open_site(kind: str, tmp_path: Path):
    def make(command: str = MAKE, **settings: Any) -> Site:
        chosen = Settings.model_validate({"data": tmp_path / "data", "sandbox": {"kind": kind}, **settings})
        try:
            sandbox = choose(chosen.sandbox, unsandboxed=kind == "none")
        except SandboxError as error:
            unavailable(f"{kind}: {error.message}")
        repository = tmp_path / "work" / "repository"
        repository.mkdir(parents=True)
        (repository / "component.yaml").write_text(COMPONENT.format(command=json.dumps(command)))
        git = ["git", "-C", str(repository), "-c", "user.name=n", "-c", "user.email=n@example.org"]
        for arguments in (["init", "-q"], ["add", "--all"], ["commit", "-q", "-m", "first"]):
            subprocess.run([*git, *arguments], check=True)
        sha = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
        request = HostRequest(name="greeter", revision=sha, platforms=(Platform.host(),), images=False, tests=False)
        return Site(BuildHost(sandbox, chosen), tmp_path / "work", request)

    return make


def test_a_release_is_built_and_nothing_of_the_run_is_left(open_site, tmp_path: Path) -> None:
    site = open_site("echo at work; " + MAKE)
    site.run("export", "decide")
    site.run("fetch")
    site.run("build", platforms=(HOST,))
    assert HostEvent(kind="line", text="at work", phase="build", platform=HOST) in site.events
    report = site.run("assemble")["assemble.json"]["report"]
    assert (report["component"], report["version"]) == ("greeter", "2.0.1")
    release = site.workspace / "release"
    assert subprocess.run(["sha256sum", "--check", "--quiet", "metadata/checksums"], cwd=release).returncode == 0
    assert list((tmp_path / "data" / "runs").iterdir()) == []
    assert "state" not in {path.name for path in site.workspace.iterdir()}


def test_errors_are_of_the_class_that_the_command_line_tells(open_site) -> None:
    site = open_site("echo this is wrong; exit 3")
    site.run("export", "decide", "fetch")
    with pytest.raises(errors.PlatformsFailedError, match="exit code 3") as failure:
        site.run("build")
    assert "this is wrong" in (failure.value.output or "")
    site.request = site.request.model_copy(update={"revision": "0" * 40})
    with pytest.raises(errors.SourceError):
        site.run("export")


def test_what_the_source_writes_into_the_workspace_is_not_believed(open_site) -> None:
    site = open_site(
        "mkdir -p ../../state && echo '{}' > ../../state/decide.json && echo '{}' > ../../state/fetch.json && "
        'echo \'{"name":"other","revision":"x"}\' > ../../request.json && echo \'{"ok":true}\' > ../../answer.json; '
        + MAKE
    )
    site.run("export", "decide", "fetch")
    site.run("build")
    assert site.run("assemble")["assemble.json"]["report"]["component"] == "greeter"


@pytest.mark.parametrize(
    "forged",
    [
        """printf '{"ok":true,"states":{"decide.json":{}}}' > {answer}""",
        "rm -f {answer}; ln -s /etc/passwd {answer}",
        "rm -f {answer}; mkfifo {answer}",
        "head -c 70000000 /dev/zero > {answer}",
        ":",
    ],
)
def test_an_answer_that_is_forged_or_missing_is_refused(open_site, kind: str, forged: str) -> None:
    where = "/build-answer" if kind == "bubblewrap" else "$(dirname $TMPDIR)/answer"
    script = forged.replace("{answer}", f"{where}/answer.json")
    site = open_site(f"{script}; kill -9 $PPID; sleep 20")  # its parent is the build host itself
    site.run("export", "decide", "fetch")
    with pytest.raises(errors.BuildError, match="ended without an answer") as failure:
        site.run("build")
    assert "root:" not in str(failure.value.output)


@pytest.mark.parametrize("kind", ["bubblewrap"])
def test_a_build_sees_no_secret_and_no_network(open_site, monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FLOWCTL_TOKEN", "flowctl_very_secret")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "key.pem").write_text("flowctl_very_secret")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        connect = f'import socket; socket.create_connection(("127.0.0.1", {port}), 3); print("REACHED")'
        script = tmp_path / "work" / "look.sh"
        script.parent.mkdir()
        script.write_text(
            f"env; ls {tmp_path} /root; cat {tmp_path}/data/key.pem; touch /build-states/x && echo WROTE STATES\n"
            f"touch /usr/x && echo WROTE SYSTEM\n{sys.executable} -c '{connect}'\n"
        )
        site = open_site(f"sh ../../look.sh || true; {MAKE}")
        site.run("export", "decide", "fetch")
        site.run("build")
    said = [event.text for event in site.events if event.kind == "line"]
    assert any(line.startswith("TMPDIR=") for line in said) and "ConnectionRefusedError" in site.said()
    assert not [line for line in said if "very_secret" in line or line in ("WROTE STATES", "WROTE SYSTEM", "REACHED")]


def test_cancellation_ends_everything(open_site) -> None:
    site = open_site("echo begun; sleep 61.25 & sleep 61.25")
    site.run("export", "decide", "fetch")

    def cancel() -> None:
        while "begun" not in site.said():
            time.sleep(0.05)
        site.cancelled.set()

    thread = threading.Thread(target=cancel)
    thread.start()
    with pytest.raises(errors.CancelledError):
        site.run("build")
    thread.join()
    assert subprocess.run(["pgrep", "-f", "^sleep 61.25"], capture_output=True).returncode == 1


def test_a_limit_is_told_as_such(open_site, kind: str) -> None:
    site = open_site("sleep 62.5", sandbox={"kind": kind, "wall_s": 12})
    site.run("export", "decide", "fetch")
    with pytest.raises(errors.ToolTimeoutError, match=r"took longer than 1\d s"):
        site.run("build")


def test_a_build_begins_with_a_copy_of_the_seed(open_site, tmp_path: Path) -> None:
    seed = tmp_path / "seed"
    (seed / "go-mod").mkdir(parents=True)
    (seed / "go-mod" / "kept").write_text("seed")
    site = open_site("echo changed > $XDG_CACHE_HOME/go-mod/kept; " + MAKE, builds={"seed": str(seed)})
    site.run("export", "decide", "fetch")
    assert (site.workspace / "cache/go-mod/kept").read_text() == "seed"
    site.run("build")
    assert (seed / "go-mod" / "kept").read_text() == "seed"


def test_a_python_that_is_not_there_is_told(open_site) -> None:
    with pytest.raises(SandboxError, match="is no Python that can be run"):
        open_site(builds={"python": "/nowhere/bin/python"})


ENDED = Outcome(exit_code=1, reached=None, wall_s=1.0, cpu_s=1.0, peak_bytes=1)


@pytest.mark.parametrize(
    ("code", "output", "refused", "passing"),
    [
        ("fetch", "dial tcp: connection refused", [], True),
        ("fetch", "npm error code ETIMEDOUT", [], True),
        ("fetch", "GET https://proxy: 503 Service Unavailable", [], True),
        ("image", "ghcr.io cannot be reached: Name or service not known", [], True),
        ("fetch", "no matching version found for left-pad@99", [], False),
        ("fetch", "Forbidden", ["a:443: a is not on the list of hosts (sandbox.hosts)"], False),
        ("fetch", "connection refused", ["a:443: a is not on the list of hosts (sandbox.hosts)"], False),
        ("fetch", "Bad Gateway", ["a:443: a cannot be resolved: Temporary failure in name resolution"], True),
        ("fetch", "error sending request: invalid peer certificate: UnknownIssuer", [], False),
        ("fetch", "SSL certificate problem: unable to get local issuer certificate (timed out?)", [], False),
        ("fetch", "dial tcp: tls handshake: x509: certificate signed by unknown authority", [], False),
        ("fetch", "net/http: TLS handshake timeout", [], True),
        ("platforms-failed", "undefined: connection refused", [], False),
        ("spec", "connection refused", [], False),
    ],
)
def test_only_what_may_pass_is_tried_again(code: str, output: str, refused: list[str], passing: bool) -> None:
    told = {"code": code, "message": "it failed", "hint": None, "output": output}
    error = failure_of(ENDED, {"ok": False, "error": told}, "", refused)
    assert isinstance(error, TransientError) is passing
    assert passing or error.code == code
    assert not refused or refused[0] in (error.output or "")


def test_an_answer_of_another_shape_is_refused() -> None:
    for states in (None, [], {"decide.json": {}}, {"../x": {}}, {"other.json": {}}, {"build-x.json": {"outcomes": 3}}):
        with pytest.raises(errors.BuildError, match="answer is not what it should be"):
            read_states(states)


def test_output_becomes_events_whatever_it_is() -> None:
    events: list[HostEvent] = []
    reader = EventReader(events.append)
    event = json.dumps({"event": "note", "phase": "fetch", "text": "all \x1b[31mwell"}).encode()
    for piece in (
        event[:9],
        event[9:] + b"\nplain\tline\xff\n",
        b'{"event": "none"}\n',
        b"[" * 100_000 + b"\n",
        b"end",
    ):
        reader.feed(piece)
    reader.feed(b"x" * 100_000)
    reader.feed(b"y" * 100_000 + b"\nnext\n")
    reader.close()
    assert events[0] == HostEvent(kind="note", phase="fetch", text="all [31mwell")
    assert [event.text for event in events[1:3]] == ["plain\tline�", '{"event": "none"}']
    assert events[-1].text == "next" and max(len(event.text) for event in events) <= 65536
    assert len(events) == 6
