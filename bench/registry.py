"""The registry: downloads against nginx, metadata reads under load, what it takes when idle, how soon it is ready.

    python bench/registry.py [start|idle|downloads|reads-sqlite|reads-postgres]...

Downloads come over loopback, the same file from both servers, in turn, each over a connection of its own.
Reads arrive at a fixed rate whatever the answers take (no coordinated omission), anonymously, rate limits counting.
"""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(Path(__file__).parent), str(ROOT), str(ROOT / "tests" / "services")]
from interleaved import Case, environment_line, show  # noqa: E402
from processes import cpu_seconds, family, megabytes  # noqa: E402
from registry_catalog import COMMON, COMPONENTS, VERSIONS, WORDS, add_file, fill, name_of  # noqa: E402

from postgres_server import PostgresServer  # noqa: E402
from registry_instance import PREFIX, PROGRAM, Backend, Registry, run_registry  # noqa: E402
from s3_server import S3Server  # noqa: E402
from server_process import free_port  # noqa: E402

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "7"))
RATE, SECONDS = 200, int(os.environ.get("BENCH_SECONDS", "30"))
MIX: tuple[tuple[int, str, Callable[[random.Random], str]], ...] = (
    (30, "a version", lambda r: "/v1/components/{}/{}/1.{}.0".format(*_component(r), r.randrange(VERSIONS))),
    (15, "a component", lambda r: "/v1/components/{}/{}".format(*_component(r))),
    (10, "its versions", lambda r: "/v1/components/{}/{}/versions".format(*_component(r))),
    (10, "a page of the list", lambda r: f"/v1/components?sort={r.choice(['name', 'updated', 'downloads'])}&limit=20"),
    (15, "search, a term of all", lambda r: f"/v1/components/search?q={COMMON}&limit=20"),
    (10, "search, a rarer term", lambda r: f"/v1/components/search?q={r.choice(WORDS)}&limit=20"),
    (5, "search, two terms", lambda r: f"/v1/components/search?q={COMMON}+{r.choice(WORDS)[:5]}&limit=20"),
    (5, "search, filters", lambda r: f"/v1/components/search?type=sink&language=go&output=event.{r.randrange(100)}"),
)
"""Share in percent, what it is, an address."""


def _component(chance: random.Random) -> tuple[str, str]:
    while True:
        number = chance.randrange(COMPONENTS)
        if number % 50 != 7:  # those are private
            return name_of(number)


def fetch(port: int, path: str) -> int:
    """Bytes of an answer, over a connection of its own."""
    buffer, count = bytearray(1 << 20), 0
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        while read := connection.recv_into(buffer):
            count += read
    return count


def download(port: int, path: str, size: int, clients: int, each: int) -> float:
    """Seconds for `clients` at once to fetch the file `each` times."""

    def work() -> None:
        for _ in range(each):
            assert fetch(port, path) > size

    threads = [threading.Thread(target=work) for _ in range(clients)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - began


@contextmanager
def nginx(folder: Path, root: Path) -> Iterator[int]:
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin") or sys.exit("nginx is not here")
    port, settings = free_port(), folder / "nginx.conf"
    settings.write_text(
        f"daemon off; pid {folder}/nginx.pid; error_log {folder}/nginx.log; worker_processes 1;\n"
        "user root; events {}\n"
        f"http {{ access_log off; sendfile on; tcp_nopush on; server {{ listen 127.0.0.1:{port}; root {root}; }} }}\n"
    )
    process = subprocess.Popen([program, "-c", settings, "-p", folder], stderr=subprocess.DEVNULL)
    try:
        while subprocess.run(["curl", "-s", f"http://127.0.0.1:{port}/"], capture_output=True).returncode:
            time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait()


def bench_downloads(folder: Path) -> bool:
    met = True
    with run_registry(made(folder / "downloads")) as registry:
        database = f"sqlite:///{registry.data}/registry.db"
        with nginx(folder, registry.data / "blobs") as server:
            for megabytes, clients, each in ((2, 1, 40), (2, 8, 20), (200, 1, 2), (200, 8, 1)):
                if clients == 1:
                    path, file = add_file(database, registry.data, megabytes)
                    static = "/" + str(file.relative_to(registry.data / "blobs"))
                ports = {"registry": (port_of(registry), path), "nginx": (server, static)}
                cases = {name: Case((), folder) for name in ports}
                for number in range(ROUNDS + 1):
                    for name, (port, address) in ports.items():
                        took = download(port, address, megabytes * 1_000_000, clients, each)
                        if number:
                            cases[name].seconds.append(took)
                # The figure is of throughput: at least 0.6 of nginx's is at most 1/0.6 of its time.
                what = f"Download {megabytes} MB, {clients} at once, {each} times each"
                met &= show(what, cases, [("registry", "nginx", 1 / 0.6)])
                throughput = cases["nginx"].median_ms / cases["registry"].median_ms
                print(f"- throughput of the registry / of nginx = {throughput:.2f} (at least 0.60)")
    return met


def made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def port_of(registry: Registry, number: int = 0) -> int:
    return int(registry.urls[number].rpartition(":")[2])


async def load(ports: list[int], rate: int, seconds: float) -> dict[str, list[float]]:
    """Milliseconds from when each request was due until its answer was there, by kind."""
    chance, took = random.Random(2), {what: [] for _, what, _ in MIX}
    idle: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
    for number in range(32):
        idle.put_nowait(await asyncio.open_connection("127.0.0.1", ports[number % len(ports)]))

    async def ask(what: str, path: str, due: float) -> None:
        reader, writer = await idle.get()
        writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        if not head.startswith("http/1.1 200"):
            sys.exit(f"{path}: {head}")
        await reader.readexactly(int(head.partition("content-length:")[2].split()[0]))
        idle.put_nowait((reader, writer))
        took[what].append((time.perf_counter() - due) * 1000)

    began, running = time.perf_counter(), set()
    for number in range(int(rate * seconds)):
        due = began + number / rate
        if (wait := due - time.perf_counter()) > 0:
            await asyncio.sleep(wait)
        (_, what, address), *_ = chance.choices(MIX, [share for share, _, _ in MIX])
        task = asyncio.create_task(ask(what, address(chance), due))
        running.add(task)
        task.add_done_callback(running.discard)
    await asyncio.gather(*running)
    while not idle.empty():
        idle.get_nowait()[1].close()
    return took


def bench_reads(folder: Path, backend: Backend) -> bool:
    with ExitStack() as stack:
        servers: dict[str, Any] = {}
        if backend == "postgres":
            servers = {"postgres": PostgresServer(), "s3": S3Server(made(folder / "s3"))}
            for server in servers.values():
                stack.callback(server.close)
                server.start()
        settings = {"limits__requests_per_minute": 1_000_000}
        registry = stack.enter_context(run_registry(made(folder / backend), backend, **servers, **settings))
        fill(registry.environment.get(PREFIX + "DATABASE_URL", f"sqlite:///{registry.data}/registry.db"))
        ports = [port_of(registry, number) for number in range(len(registry.urls))]
        asyncio.run(load(ports, 50, 3))
        took = asyncio.run(load(ports, RATE, SECONDS))
    every = sorted(value for values in took.values() for value in values)
    p99 = every[int(len(every) * 0.99)]
    where = f"{backend}, {len(ports)} API processes"
    print(f"\n## {COMPONENTS * VERSIONS:,} versions, {RATE} reads/s for {SECONDS} s, {where}\n")
    print("| Read | Share | Median ms | p99 | Max |\n|---|---|---|---|---|")
    for share, what, _ in MIX:
        values = sorted(took[what])
        middle, high = statistics.median(values), values[int(len(values) * 0.99)]
        print(f"| {what} | {share} % | {middle:.1f} | {high:.1f} | {values[-1]:.1f} |")
    print(f"\n- p99 of all = {p99:.1f} ms (budget 50): {'met' if p99 < 50 else 'MISSED'}")
    return p99 < 50


def bench_idle(folder: Path) -> bool:
    # As it comes: with a build worker, which is gone when it has had nothing to do for `builds.idle_s`.
    with run_registry(made(folder / "idle"), builds__embedded_slots=2, builds__idle_s=1) as registry:
        while len(family(registry.api[0].pid)) < 4:
            time.sleep(0.1)
        while len(family(registry.api[0].pid)) > 3:
            time.sleep(0.1)
        time.sleep(2)
        processes = family(registry.api[0].pid)
        before = cpu_seconds(processes)
        time.sleep(20)
        used = cpu_seconds(processes) - before
        rss = [megabytes(each, "Rss") for each in processes]
        pss = sum(megabytes(each, "Pss") for each in processes)
    share = used / 20 * 100
    print(f"\n## Idle, embedded: {len(processes)} processes\n")
    print(f"- CPU = {share:.2f} % of a core (budget 3): {'met' if share < 3 else 'MISSED'}")
    told = " + ".join(f"{each:.0f}" for each in rss)
    print(f"- memory = {pss:.0f} MB, shared pages once (budget 200): {'met' if pss < 200 else 'MISSED'}; RSS {told} MB")
    return share < 3 and pss < 200


def bench_start(folder: Path) -> bool:
    results = {}
    for what, kept in (("a new folder", False), ("a folder that is there", True)):
        seconds = []
        for number in range(ROUNDS):
            data, port = folder / f"start-{0 if kept else number}", free_port()
            environment = {**os.environ, PREFIX + "DATA": str(data), PREFIX + "SERVER__PORT": str(port)}
            began = time.perf_counter()
            process = subprocess.Popen(
                [PROGRAM, "serve"], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            while not _ready(port):
                time.sleep(0.01)
            seconds.append(time.perf_counter() - began)
            process.terminate()
            process.wait()
        results[what] = statistics.median(seconds)
    print("\n## From start to ready (`/readyz` answers 200)\n")
    for what, median in results.items():
        print(f"- {what} = {median:.2f} s (budget 1.5): {'met' if median < 1.5 else 'MISSED'}")
    return max(results.values()) < 1.5


def _ready(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            return connection.recv(100).startswith(b"HTTP/1.1 200")
    except OSError:
        return False


def main() -> None:
    """Run those that are named, or all."""
    groups: dict[str, Callable[[Path], bool]] = {
        "start": bench_start,
        "idle": bench_idle,
        "downloads": bench_downloads,
        "reads-sqlite": lambda folder: bench_reads(folder, "sqlite"),
        "reads-postgres": lambda folder: bench_reads(folder, "postgres"),
    }
    asked = sys.argv[1:] or list(groups)
    print(f"# The registry\n\n{environment_line()}; {ROUNDS} interleaved rounds")
    with tempfile.TemporaryDirectory() as name:
        results = [groups[each](Path(name)) for each in asked]
    print(f"\n{sum(results)} of {len(results)} groups within budget")


if __name__ == "__main__":
    main()
