"""pytest's fixtures of registries; a conftest imports what it needs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from postgres_server import PostgresServer
from registry_instance import Backend, Registry, run_registry
from s3_server import S3Server

BACKENDS: tuple[Backend, ...] = ("sqlite", "postgres")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """One for all tests; a test that stops it makes its own."""
    server = PostgresServer()
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """One for all tests; a test that stops it makes its own."""
    server = S3Server(tmp_path_factory.mktemp("s3") / "server")
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture(scope="module", params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> Backend:
    """What the registry keeps its data in."""
    found: Backend = request.param
    return found


@pytest.fixture(scope="module")
def open_registry(
    backend: Backend, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Any]:
    """`with open_registry(limits__json_bytes=100) as registry`: one with settings of its own."""

    def run(**settings: Any) -> Any:
        servers: dict[str, Any] = {}
        if backend == "postgres":
            servers["postgres"] = request.getfixturevalue("postgres_server")
            servers["s3"] = request.getfixturevalue("s3_server")
        return run_registry(tmp_path_factory.mktemp("registry"), backend, **{**servers, **settings})

    return run


@pytest.fixture(scope="module")
def registry(open_registry: Callable[..., Any]) -> Iterator[Registry]:
    """One that the tests of a module share, on each back end; each test takes a namespace of its own."""
    with open_registry() as running:
        yield running


@pytest.fixture(scope="session")
def make_release(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Builds a component with flowctl itself; the same arguments give the same `dist/`, which stays as it is."""
    from release_project import build_release

    made: dict[tuple[Any, ...], Path] = {}
    home = tmp_path_factory.mktemp("home")

    def make(name: str = "greeting", version: str = "1.2.0", platforms: tuple[str, ...] = ("linux/amd64",)) -> Path:
        asked = (name, version, platforms)
        if asked not in made:
            made[asked] = build_release(tmp_path_factory.mktemp(name), home, name, version, platforms)
        return made[asked]

    return make


@pytest.fixture
def release(make_release: Callable[..., Path]) -> Path:
    """A real release of `greeting` 1.2.0 with a program and an image for linux/amd64."""
    return make_release()
