"""A registry and workers as processes of their own, which build real components: for faults in the real workflow."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from git_server import GitServer
from postgres_server import PostgresServer
from registry_instance import PREFIX, PROGRAM, Registry, run_registry
from s3_server import S3Server
from server_process import ServerProcess
from source_forge import Yard, busybox_source, settings_for

DEADLINE_S = 300
_SETTINGS = {"builds__embedded_slots": 0, "builds__dead_after_s": 2, "builds__retry_s": 1, "builds__tries": 8}


class RealFarm(Yard):
    """`worker` starts one; on SQLite all share the data folder, else they share nothing but database and store."""

    def __init__(self, registry: Registry, server: GitServer, folder: Path) -> None:
        super().__init__(registry, server)
        self.folder = folder
        self.workers: dict[str, ServerProcess] = {}

    def worker(self, name: str, environment: Mapping[str, str] | None = None) -> ServerProcess:
        """One that is ready; one of that name that has ended is started again."""
        made = self.workers.get(name)
        if made is None:
            own = {**self.registry.environment, **(environment or {})}
            if self.registry.backend == "postgres":
                own[PREFIX + "DATA"] = str(self.folder / name)
            words: list[str | Path] = [PROGRAM, "worker", "--id", name, "--slots", "2"]
            made = ServerProcess(words, self.folder / f"{name}.log", lambda: True, environment=own)
            self.workers[name] = made
        elif made.process is not None and made.process.poll() is None:
            return made
        before = made.text().count("is ready") if made.log.exists() else 0
        made.ready = lambda: made.text().count("is ready") > before
        made.start()
        return made

    def begin(self, step: str) -> tuple[str, str, str]:
        """A build that is in the middle of a step: its namespace, its id, and the worker's name."""
        namespace = self.registry.namespace()
        repository = self.server.create(namespace)
        files = busybox_source(platforms="linux/amd64, linux/arm64")
        # It is met where it builds, and other steps are not kept waiting; `test` runs it as well.
        files["make.sh"] = "sleep 1.5\n" + str(files["make.sh"])
        repository.commit(files, tag="v1.0.0")
        build_id = self.request(namespace, "greeting", repository)
        self.until(lambda: [s for s in self.steps(build_id) if s.step == step])
        return namespace, build_id, str(self.row(build_id).worker)

    def until(self, what: Callable[[], Any]) -> Any:
        """Wait until it is true; its value."""
        deadline = time.monotonic() + DEADLINE_S
        while not (found := what()):
            assert time.monotonic() < deadline, "\n".join(f"--- {n}\n{w.text()}" for n, w in self.workers.items())
            time.sleep(0.02)
        return found

    def check(self, namespace: str, build_id: str, step: str) -> None:
        """It succeeded, was published once, no step that had been completed was done again, and nothing is left."""
        from flowctl_registry.database.tables import components, versions

        self.until(lambda: self.row(build_id).state not in ("queued", "running"))
        row, steps = self.row(build_id), self.steps(build_id)
        assert row.state == "succeeded", row.problem
        assert {each.state for each in steps} == {"succeeded"}
        order = [each.step for each in steps]
        again = {each.step for each in steps if each.attempt > 1}
        assert not again & set(order[: order.index(step)]), again
        query = select(func.count()).select_from(versions).join(components, components.c.id == versions.c.component_id)
        mine = query.where(components.c.namespace == namespace)
        assert self.registry.change(lambda c: c.execute(mine).scalar_one()) == 1
        self.until(lambda: not self.left())

    def left(self) -> list[str]:
        """Processes of builds: sandboxes name the folders that they were given."""
        said = subprocess.run(["pgrep", "-af", f"{self.folder}/.*(work|runs)/"], capture_output=True, text=True).stdout
        return [line for line in said.splitlines() if "pgrep" not in line]

    def close(self) -> None:
        for each in self.workers.values():
            if each.process is not None:
                each.process.send_signal(signal.SIGCONT)
                each.kill()


@contextmanager
def real_farm(
    folder: Path, postgres: PostgresServer | None = None, s3: S3Server | None = None, **settings: Any
) -> Iterator[RealFarm]:
    """On PostgreSQL and S3 where they are given, else embedded; without workers."""
    (folder / "git").mkdir(parents=True)
    with GitServer(folder / "git") as server:
        given = {**settings_for(server), **_SETTINGS, **settings}
        backend = "sqlite" if postgres is None else "postgres"
        with run_registry(folder / "registry", backend, postgres=postgres, s3=s3, **given) as registry:
            farm = RealFarm(registry, server, folder)
            try:
                yield farm
            finally:
                farm.close()
