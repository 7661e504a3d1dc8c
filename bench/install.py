"""Installing: against curl and sha256sum, a version that shares files, and a set that is installed already.

    python bench/install.py [download|shared|locked]...

A registry on this machine serves a component of 50 MB. `download` compares the whole command with `curl` and
`sha256sum` of the same file: over loopback, where the network takes no time and what is compared is Python's start with
TUF's and Sigstore's libraries; and over a link of 100 Mbit/s (a forwarder that sends no faster), as people have it.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(Path(__file__).parent), str(ROOT), str(ROOT / "tests" / "services")]
from interleaved import Case, environment_line, run, show  # noqa: E402

from registry_instance import Registry, run_registry  # noqa: E402
from release_project import build_release  # noqa: E402

FLOWCTL = Path(sys.prefix) / "bin" / "flowctl"
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "7"))
SIZE, COMPONENTS, LINK_BYTES_S = 50_000_000, 50, 12_500_000


def user(home: Path, url: str) -> dict[str, str]:
    """The environment of somebody who has pinned the registry's root."""
    home.mkdir(parents=True, exist_ok=True)
    environment = {"HOME": str(home), "FLOWCTL_REGISTRY_URL": url, "FLOWCTL_CACHE_DIR": str(home / "cache")}
    command = [FLOWCTL, "trust", "pin", f"{url}/v1/trust", "--yes"]
    subprocess.run(command, env={**os.environ, **environment}, check=True, capture_output=True)
    return environment


def publish(registry: Registry, folder: Path, namespace: str, name: str, version: str, more: str = "") -> None:
    """Build and upload a release; `more` ends the command that makes its program."""
    folder.mkdir(parents=True)
    dist = build_release(folder, folder.parent / "home", name, version, ("linux/amd64",), more)
    done = registry.client().publish(dist, namespace, name, version)
    assert done.status_code == 201, done.text


@contextmanager
def slow_link(target: str) -> Iterator[str]:
    """An address that forwards to the registry, at 100 Mbit/s towards the client."""
    port = int(target.rpartition(":")[2])
    listening = socket.create_server(("127.0.0.1", 0), backlog=32)

    def pump(source: socket.socket, sink: socket.socket, limit: int | None) -> None:
        began, sent = time.perf_counter(), 0
        try:
            while piece := source.recv(1 << 16):
                sink.sendall(piece)
                sent += len(piece)
                if limit is not None and (ahead := sent / limit - (time.perf_counter() - began)) > 0:
                    time.sleep(ahead)
                elif limit is not None and ahead < -0.05:
                    began, sent = time.perf_counter(), 0  # idle in between earns nothing
        except OSError:
            pass  # either side has gone
        finally:
            for each in (source, sink):
                with_shutdown(each)

    def accept() -> None:
        while True:
            try:
                client, _ = listening.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", port))
            threading.Thread(target=pump, args=(client, server, None), daemon=True).start()
            threading.Thread(target=pump, args=(server, client, LINK_BYTES_S), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        listening.close()


def with_shutdown(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def bench_download(registry: Registry, folder: Path) -> bool:
    """A component of 50 MB, from nothing."""
    namespace = registry.namespace()
    publish(registry, folder / "big", namespace, "big", "1.0.0", f" && head -c {SIZE} /dev/urandom >> bin/big")
    good = True
    with slow_link(registry.urls[0]) as slow:
        for title, url in (("over loopback", registry.urls[0]), ("over a link of 100 Mbit/s", slow)):
            home = folder / f"home-{url.rpartition(':')[2]}"
            environment = user(home, url)
            file = f"{url}/v1/components/{namespace}/big/1.0.0/download?target=binary&platform=linux/amd64"

            def forget(home: Path = home) -> None:
                for name in ("components", "bin", "store"):
                    shutil.rmtree(home / ".flowctl" / name, ignore_errors=True)

            cases = {
                "flowctl component install": Case(
                    [str(FLOWCTL), "component", "install", f"{namespace}/big"], folder, environment, forget
                ),
                "curl and sha256sum": Case(
                    ["sh", "-c", f"curl -sS -o {home}/got '{file}' && sha256sum {home}/got"], folder
                ),
            }
            run(cases, rounds=ROUNDS)
            budget = ("flowctl component install", "curl and sha256sum", 1.2)
            good &= show(f"Install of {SIZE // 10**6} MB {title}", cases, [budget])
    return good


def bench_shared(registry: Registry, folder: Path) -> bool:
    """A second version with the same program: what is downloaded of it."""
    namespace, name = registry.namespace(), "twice"
    # The same random bytes in both: made once, outside of the sources.
    same = folder / "same"
    same.write_bytes(os.urandom(SIZE // 5))
    for version in ("1.0.0", "1.1.0"):
        publish(registry, folder / f"twice-{version}", namespace, name, version, f" && cat {same} >> bin/{name}")
    environment = {**os.environ, **user(folder / "home-shared", registry.urls[0])}
    received = []
    for version in ("1.0.0", "1.1.0"):
        command = [FLOWCTL, "component", "install", f"{namespace}/{name}@{version}", "-o", "json"]
        done = subprocess.run(command, env=environment, check=True, capture_output=True, cwd=folder)
        received.append(json.loads(done.stdout)["components"][0]["received"])
    print(f"\n## A second version that shares its program\n\nreceived: {received[0]} bytes, then {received[1]}\n")
    return received[1] < 200_000 < received[0]


def bench_locked(registry: Registry, folder: Path) -> bool:
    """`install --locked` where all is installed: one real component, and copies of it under other names."""
    namespace = registry.namespace()
    publish(registry, folder / "part0", namespace, "part0", "1.0.0")
    environment = user(folder / "home-locked", registry.urls[0])
    work = folder / "work"
    work.mkdir()
    command = [str(FLOWCTL), "component", "install"]
    first = [*command, f"{namespace}/part0", "--lock", "flowctl.lock"]
    subprocess.run(first, env={**os.environ, **environment}, cwd=work, check=True, capture_output=True)
    for number in range(1, COMPONENTS):
        copy_installed(Path(environment["HOME"]) / ".flowctl", work / "flowctl.lock", namespace, f"part{number}")
    cases = {"flowctl component install --locked": Case([*command, "--locked"], work, environment)}
    run(cases, rounds=ROUNDS * 3)
    show(f"install --locked, {COMPONENTS} installed components", cases, [])
    done = subprocess.run(
        [*command, "--locked"], env={**os.environ, **environment}, cwd=work, check=True, capture_output=True
    )
    assert f"{COMPONENTS} components are installed already" in done.stdout.decode()
    return cases["flowctl component install --locked"].median_ms < 300


def copy_installed(own: Path, lockfile: Path, namespace: str, name: str) -> None:
    """The installed `part0` again as another component, with all that its record and the lockfile say of it."""
    source, target = (own / "components" / namespace / each / "1.0.0" for each in ("part0", name))
    shutil.copytree(source, target)
    record = json.loads((source / "installed.json").read_text().replace("part0", name))
    files = {}
    for old, path in [(each.relative_to(source), each) for each in sorted(source.rglob("*")) if each.is_file()]:
        new = target / str(old).replace("part0", name)
        (target / old).rename(new)
        if path.name != "installed.json":
            info, relative = new.lstat(), str(new.relative_to(target))
            state = [info.st_mode, info.st_size, info.st_mtime_ns, info.st_ino]
            files[relative] = {**record["files"][relative], "state": state}
    (target / "installed.json").write_text(json.dumps({**record, "files": files}))
    (own / "bin" / name).symlink_to(f"../components/{namespace}/{name}/1.0.0/binaries/{name}-linux-amd64")
    lock = json.loads(lockfile.read_text())
    entry = json.dumps(lock["components"][f"{namespace}/part0"]).replace("part0", name)
    lock["components"][f"{namespace}/{name}"] = json.loads(entry)
    lockfile.write_text(json.dumps(lock, indent=2))


BENCHES = {"download": bench_download, "shared": bench_shared, "locked": bench_locked}


def main() -> int:
    """Run what was named, or all."""
    print(environment_line())
    good = True
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        (folder / "home").mkdir()
        with run_registry(folder / "registry") as registry:
            for name in sys.argv[1:] or list(BENCHES):
                (folder / name).mkdir()
                (folder / name / "home").mkdir()
                good &= BENCHES[name](registry, folder / name)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
