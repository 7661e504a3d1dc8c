"""Workers and a queue without an API: what tests of the job engine start, kill and look at."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import insert, select

from flowctl_registry.builds.queue import PRIORITIES
from flowctl_registry.database import migrate
from flowctl_registry.database.build_tables import build_steps, builds, workers
from flowctl_registry.database.engine import now, open_engine, reading, writing
from flowctl_registry.settings import load_settings
from server_process import ServerProcess

PREFIX = "FLOWCTL_REGISTRY_"
_WORKER = Path(__file__).parent / "small_worker.py"
DEADLINE_S = 120


@dataclass(frozen=True)
class Note:
    """What a step wrote in the journal."""

    at: float
    what: str
    build: str
    step: str
    platform: str
    worker: str
    pid: int
    """Of the step's process."""
    worker_pid: int


class Farm:
    """A database, and as many workers as a test wants. Settings are named as in the environment."""

    def __init__(self, folder: Path, database_url: str | None = None, **settings: Any) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        given = {"builds__retry_s": 0.2, "builds__dead_after_s": 2, "telemetry__log_format": "text", **settings}
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
        self.environment[PREFIX + "DATA"] = str(folder / "data")
        (folder / "data").mkdir(exist_ok=True)
        if database_url is not None:
            self.environment[PREFIX + "DATABASE_URL"] = database_url
        for name, value in given.items():
            self.environment[PREFIX + name.upper()] = value if isinstance(value, str) else json.dumps(value)
        self.settings = load_settings(None, self.environment)
        self.engine = open_engine(self.settings.database)
        migrate.upgrade(self.engine)
        self.workers: dict[str, ServerProcess] = {}
        self.plan()

    def plan(self, **plan: Any) -> None:
        """What the steps of this farm do: `seconds` by step, `fail` by step, `platforms`."""
        (self.folder / "plan.new").write_text(json.dumps(plan))
        (self.folder / "plan.new").replace(self.folder / "plan.json")  # workers read it at any moment

    def worker(
        self, name: str = "one", *, slots: int = 2, label: str | None = None, wait: bool = True, **environment: str
    ) -> ServerProcess:
        """A new worker that is ready."""
        command = [sys.executable, _WORKER, self.folder, "--id", name, "--slots", str(slots)]
        command += ["--label", label] if label else []
        made = ServerProcess(
            command, self.folder / f"{name}.log", lambda: True, environment={**self.environment, **environment}
        )
        made.ready = lambda: f"worker {name} is ready" in made.text()
        self.workers[name] = made
        made.launch()
        if wait:
            made.wait_ready()
        return made

    def queue(self, namespace: str = "acme", trigger: str = "manual", name: str = "greeting") -> str:
        """Ask for a build; its id."""
        build_id = uuid.uuid4().hex

        def change(connection: Any) -> None:
            connection.execute(
                insert(builds).values(
                    id=build_id, kind="component", namespace=namespace, name=name, repository="https://git.test/x",
                    subdirectory=".", trigger=trigger, priority=PRIORITIES[trigger], state="queued",
                    requested_by="tester", created_at=now(connection),
                )
            )  # fmt: skip

        writing(self.engine, change)
        return build_id

    def build(self, build_id: str) -> Any:
        with reading(self.engine) as connection:
            return connection.execute(select(builds).where(builds.c.id == build_id)).one()

    def steps(self, build_id: str) -> dict[str, Any]:
        """The timeline: rows by `step platform`."""
        with reading(self.engine) as connection:
            rows = connection.execute(select(build_steps).where(build_steps.c.build_id == build_id)).all()
        return {f"{row.step} {row.platform}".rstrip(): row for row in rows}

    def registered(self) -> dict[str, Any]:
        with reading(self.engine) as connection:
            return {row.id: row for row in connection.execute(select(workers))}

    def journal(self, **wanted: str) -> list[Note]:
        """What the steps wrote, in order."""
        file = self.folder / "journal"
        notes = [Note(*json.loads(line)) for line in file.read_text().splitlines()] if file.exists() else []
        return [note for note in notes if all(getattr(note, name) == value for name, value in wanted.items())]

    def published(self) -> list[str]:
        file = self.folder / "published"
        return file.read_text().split() if file.exists() else []

    def wait(self, what: Callable[[], Any], timeout_s: float = DEADLINE_S) -> Any:
        """Wait until it is true; its value."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            found = what()
            if found:
                return found
            time.sleep(0.05)
        logs = "\n".join(f"--- {name}\n{each.text()}" for name, each in self.workers.items())
        raise AssertionError(f"it did not come to pass\n{self.folder}\n{logs}")

    def wait_ended(self, *build_ids: str, timeout_s: float = DEADLINE_S) -> list[str]:
        """Wait until builds have ended; their states."""
        ended = ("succeeded", "failed", "cancelled")
        self.wait(lambda: all(self.build(each).state in ended for each in build_ids), timeout_s)
        return [self.build(each).state for each in build_ids]

    def wait_begun(self, build_id: str, step: str) -> Note:
        """Wait until a step's process runs."""
        found: Note = self.wait(lambda: self.journal(build=build_id, step=step, what="begin"))[-1]
        return found

    def pause(self, worker: str) -> None:
        """SIGSTOP a worker; on SQLite not while it writes, which would keep all others from writing too."""
        process = self.workers[worker].process
        assert process is not None
        while True:
            process.send_signal(signal.SIGSTOP)
            if all(_can_be_written(file) for file in (self.folder / "data").glob("*.db")):
                return
            process.send_signal(signal.SIGCONT)
            time.sleep(0.05)

    def forget_engine(self) -> None:
        """Remove what the job engine remembers; no worker runs."""
        if self.engine.dialect.name == "postgresql":
            writing(self.engine, lambda connection: connection.exec_driver_sql("DROP SCHEMA flowctl_jobs CASCADE"))
        for each in (self.folder / "data").glob("jobs.db*"):
            each.unlink()

    def close(self) -> None:
        for each in self.workers.values():
            if each.process is not None:
                if each.process.poll() is None:
                    subprocess.run(["kill", "-CONT", str(each.pid)])
                each.kill()
        self.engine.dispose()


def _can_be_written(file: Path) -> bool:
    try:
        with closing(sqlite3.connect(file, timeout=1, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError:
        return False
    return True


def runs(pid: int) -> bool:
    """Is there such a process, and no zombie?"""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
