"""A build by the registry against the same one by hand (`flowctl component build --as-registry`), interleaved.

    python bench/remote_build.py [ROUNDS]

Both begin without caches. By hand there is no clone, no signature and nothing to keep for another worker.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "services")]

from git_server import GitServer  # noqa: E402
from registry_instance import run_registry  # noqa: E402
from source_forge import Yard, busybox_source, settings_for  # noqa: E402

NAME = "busybox-greeting"


def by_hand(folder: Path, url: str) -> float:
    """Seconds of clone, tests and build."""
    environment = {**os.environ, "HOME": str(folder), "FLOWCTL_CACHE_DIR": str(folder / "cache")}
    began = time.monotonic()
    subprocess.run(["git", "clone", "-q", url, str(folder / "source")], check=True, env=environment)
    command = [str(Path(sys.prefix) / "bin" / "flowctl"), "component", "build", "--as-registry"]
    subprocess.run(command, cwd=folder / "source", check=True, env=environment, capture_output=True)
    return time.monotonic() - began


def by_registry(yard: Yard, version: str, files: dict[str, bytes | str]) -> tuple[float, str]:
    """Seconds from the request to the published version, and the repository's address."""
    namespace = yard.registry.namespace()
    repository = yard.server.create(namespace)
    repository.commit(files, tag=f"v{version}")
    began = time.monotonic()
    yard.wait(yard.request(namespace, NAME, repository, f"v{version}"))
    return time.monotonic() - began, repository.url


def main(rounds: int) -> None:
    """Print medians and their ratio."""
    folder = Path(tempfile.mkdtemp())
    (folder / "git").mkdir()
    hand, remote = [], []
    try:
        with (
            GitServer(folder / "git") as server,
            run_registry(folder / "registry", **settings_for(server)) as registry,
        ):
            for number in range(rounds):
                seconds, url = by_registry(Yard(registry, server), "1.0.0", busybox_source(NAME))
                remote.append(seconds)
                (folder / str(number)).mkdir()
                hand.append(by_hand(folder / str(number), url))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    one, other = statistics.median(hand), statistics.median(remote)
    print(f"by hand {one:.2f} s, by the registry {other:.2f} s, ratio {other / one:.2f} (medians of {rounds})")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
