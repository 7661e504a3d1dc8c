"""A real PostgreSQL of its own in a folder of /tmp, and new databases in it."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import uuid
from pathlib import Path
from typing import Any

from tests.conftest import unavailable

from server_process import ServerProcess, free_port


def programs() -> Path:
    """The folder of `postgres` and `initdb`. Ends the test where there is none."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[4]))
    if debian:
        return debian[-1].parent
    found = shutil.which("postgres")
    if found is None:
        unavailable("PostgreSQL (Debian: postgresql)")
    return Path(str(found)).resolve().parent


class PostgresServer:
    """Listens at 127.0.0.1 and trusts everybody there. `start` and `stop` may be called again and again."""

    def __init__(self) -> None:
        self._bin = programs()
        self.folder = Path(tempfile.mkdtemp(prefix="flowctl-postgres-", dir="/tmp"))  # a socket's path must be short
        self.port = free_port()
        self._user: dict[str, Any] = {}
        if os.geteuid() == 0:  # it refuses to run as root
            account = pwd.getpwnam("postgres")
            os.chown(self.folder, account.pw_uid, account.pw_gid)
            self._user = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
        data = self.folder / "data"
        made = subprocess.run(
            [
                *(self._bin / "initdb", "--pgdata", data, "--username", "flowctl", "--auth", "trust", "--no-sync"),
                *("--encoding", "UTF8", "--locale", "C.UTF-8"),
            ],
            cwd=self.folder,
            capture_output=True,
            text=True,
            **self._user,
        )
        assert made.returncode == 0, made.stderr
        # A killed process loses nothing without fsync; only a crash of the machine would.
        settings = {"fsync": "off", "max_connections": "200", "unix_socket_directories": str(self.folder)}
        command: list[str | Path] = [self._bin / "postgres", "-D", data, "-h", "127.0.0.1", "-p", str(self.port)]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        self.server = ServerProcess(
            command, self.folder / "log", self._answers, stop_signal=signal.SIGINT, cwd=self.folder, **self._user
        )  # SIGINT: connections are cut, as when a machine goes

    def start(self) -> None:
        self.server.start()

    def stop(self) -> None:
        """Cut all connections and end."""
        self.server.stop()

    def close(self) -> None:
        """End and remove everything."""
        if self.server.process is not None and self.server.process.poll() is None:
            self.server.process.send_signal(signal.SIGQUIT)  # at once, with all its children
            self.server.process.wait(30)
        shutil.rmtree(self.folder, ignore_errors=True)

    def database(self) -> str:
        """URL of a new, empty database."""
        name = f"test_{uuid.uuid4().hex[:12]}"
        self._run(f"CREATE DATABASE {name}")
        return f"postgresql://flowctl@127.0.0.1:{self.port}/{name}"

    def drop(self, url: str) -> None:
        """Remove a database, whoever is connected."""
        self._run(f"DROP DATABASE IF EXISTS {url.rpartition('/')[2]} WITH (FORCE)")

    def _run(self, statement: str) -> None:
        import psycopg

        with psycopg.connect(self._url, autocommit=True) as connection:
            connection.execute(statement.encode())

    @property
    def _url(self) -> str:
        return f"postgresql://flowctl@127.0.0.1:{self.port}/postgres"

    def _answers(self) -> bool:
        import psycopg

        try:
            psycopg.connect(self._url, connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True
