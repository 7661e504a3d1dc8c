"""A registry as its operator runs it: embedded, or API processes and a signer on PostgreSQL and S3."""

from __future__ import annotations

import os
import subprocess
import sys
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import Connection, insert
from tests.registry.client import Client

from postgres_server import PostgresServer
from s3_server import S3Server
from server_process import ServerProcess, free_port

PROGRAM = Path(sys.prefix) / "bin" / "flowctl-registry"
PREFIX = "FLOWCTL_REGISTRY_"
Backend = Literal["sqlite", "postgres"]
_RATES = ("requests", "token_requests", "failed_logins")


@dataclass
class Registry:
    """A running registry."""

    urls: tuple[str, ...]
    data: Path
    environment: dict[str, str]
    """Settings for `flowctl-registry` commands."""
    token: str | None = None
    """Of an administrator."""
    backend: Backend = "sqlite"
    api: list[ServerProcess] = field(default_factory=list)
    """The API processes, in the order of `urls`; an embedded one has the signer as its child."""
    signer: ServerProcess | None = None
    """Where it is a process of its own."""

    def client(self, token: str | None = None) -> Client:
        """One that asks all API processes in turn; without a token it is the administrator."""
        return Client(self.urls, token or self.token)

    def command(self, *words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        """`flowctl-registry` with this registry's settings."""
        done = subprocess.run([PROGRAM, *words], env=self.environment, capture_output=True, text=True)
        assert done.returncode == code, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def change(self, change: Callable[[Connection], Any]) -> Any:
        """One transaction in the registry's database, past the registry."""
        from flowctl_registry.database.engine import open_engine, writing
        from flowctl_registry.settings import load_settings

        engine = open_engine(load_settings(None, self.environment).database)
        try:
            return writing(engine, change)
        finally:
            engine.dispose()

    def namespace(self, *, private: bool = False) -> str:
        """A new one, so that tests which share a registry do not meet."""
        from flowctl_registry.database.engine import now
        from flowctl_registry.database.tables import namespaces

        name = f"ns{uuid.uuid4().hex[:10]}"
        self.change(lambda c: c.execute(insert(namespaces).values(name=name, private=private, created_at=now(c))))
        return name

    def start(self) -> None:
        """Start whatever does not run, and wait until all answer."""
        stopped = [each for each in self.processes if each.process is None or each.process.poll() is not None]
        for each in stopped:
            each.launch()
        for each in stopped:
            each.wait_ready()

    def stop(self) -> None:
        """End everything in order: what is asked before what answers."""
        for each in self.processes:
            each.stop()

    def kill(self) -> None:
        """kill -9 everything."""
        for each in self.processes:
            each.kill()

    @property
    def processes(self) -> list[ServerProcess]:
        return [*self.api, *([self.signer] if self.signer is not None else [])]


@contextmanager
def run_registry(
    folder: Path,
    backend: Backend = "sqlite",
    *,
    postgres: PostgresServer | None = None,
    s3: S3Server | None = None,
    s3_endpoint: str | None = None,
    apis: int | None = None,
    database_url: str | None = None,
    restored_from: Path | None = None,
    **settings: str | int | float | bool,
) -> Iterator[Registry]:
    """Run one until the block ends. `settings` are named as in the environment: `limits__json_bytes=10`.

    "sqlite" is one `serve` with everything in a folder; "postgres" is `apis` (two) of them that share nothing but
    a new database of `postgres`, a new bucket of `s3` (`s3_endpoint`: a proxy before it) and the signer's socket.
    `restored_from` is a backup's folder.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    data = folder / "data"
    folder.mkdir(parents=True, exist_ok=True)
    environment |= {PREFIX + "DATA": str(data)}
    limits: dict[str, Any] = {f"limits__{what}_per_minute": 0 for what in _RATES}  # tests ask faster than clients do
    limits["builds__embedded_slots"] = 0  # tests that build say so
    for name, value in (limits | settings).items():
        environment[PREFIX + name.upper()] = str(value).lower() if isinstance(value, bool) else str(value)
    made: str | None = None
    signer: ServerProcess | None = None
    if backend == "postgres":
        assert postgres is not None and s3 is not None
        made = database_url or postgres.database()
        environment |= {PREFIX + "DATABASE_URL": made, PREFIX + "BLOB_URL": f"s3://{s3.bucket()}"}
        for name, value in s3.options(s3_endpoint).items():
            environment[f"{PREFIX}BLOB_OPTIONS__{name.upper()}"] = value
        environment[PREFIX + "SIGNER_SOCKET"] = str(data / "signer.sock")
        data.mkdir(parents=True, exist_ok=True)
        if restored_from is None:
            _migrate(environment)
        signer = ServerProcess([PROGRAM, "signer"], folder / "signer.log", lambda: True, environment=environment)
        signer.ready = (data / "signer.sock").exists
    if restored_from is not None:
        subprocess.run([PROGRAM, "restore", str(restored_from)], env=environment, check=True, capture_output=True)
    api, urls = [], []
    for number in range(apis or (1 if backend == "sqlite" else 2)):
        port = free_port()
        own = {**environment, PREFIX + "SERVER__PORT": str(port)}
        if backend == "postgres":
            own[PREFIX + "DATA"] = str(folder / f"api-{number}")
        urls.append(f"http://127.0.0.1:{port}")
        alive = _alive(urls[-1], data / "signer.sock" if backend == "sqlite" else None)
        api.append(ServerProcess([PROGRAM, "serve"], folder / f"api-{number}.log", alive, environment=own))
    registry = Registry(tuple(urls), data, environment, None, backend, api, signer)
    try:
        registry.start()
        registry.token = registry.change(_admin_token)
        yield registry
    finally:
        with ExitStack() as ending:  # one that does not end keeps nobody from ending the others
            for each in reversed(registry.processes):
                if each.process is not None:
                    ending.callback(each.stop)
        if made is not None and postgres is not None and database_url is None:
            postgres.drop(made)


# As the commands do it, without starting Python anew for each registry of a test.


def _migrate(environment: dict[str, str]) -> None:
    from flowctl_registry.database import migrate
    from flowctl_registry.database.engine import open_engine
    from flowctl_registry.settings import load_settings

    engine = open_engine(load_settings(None, environment).database)
    migrate.upgrade(engine)
    engine.dispose()


def _admin_token(connection: Connection) -> str:
    from flowctl_registry.access import tokens
    from flowctl_registry.access.principal import ACTIONS

    made = tokens.create(connection, name="tests", user="admin", actions=ACTIONS, lifetime=None, created_by="operator")
    return made.token


def _alive(url: str, socket: Path | None = None) -> Callable[[], bool]:
    """Does it answer? `socket`: of the signer that it starts, which is a moment later."""

    def ask() -> bool:
        try:
            with urllib.request.urlopen(url + "/healthz", timeout=5) as answer:
                return bool(answer.status == 200) and (socket is None or socket.exists())
        except OSError:
            return False

    return ask
