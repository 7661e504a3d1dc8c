"""A build by the registry against the same release by hand, interleaved: wall time and processor time.

    python bench/remote_build.py [ROUNDS [EXAMPLE...]]

By hand is `git clone`, `flowctl component test`, `flowctl component build --as-registry`: there is no signature then,
nothing is published, and nothing is kept for another worker. Both begin without caches. `tiny` is a program that is
copied: what a remote build costs on top of any build. Others are those of `examples/`, for their own platforms.
"""

from __future__ import annotations

import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "services"), str(ROOT / "bench")]

from interleaved import environment_line  # noqa: E402
from processes import cpu_seconds, family  # noqa: E402

from git_server import GitServer  # noqa: E402
from registry_instance import Registry, run_registry  # noqa: E402
from source_forge import Yard, busybox_source, settings_for, tool_path, tool_variables, toolchain_settings  # noqa: E402

TINY = "busybox-greeting"
CONFIG = "build:\n  images: {base: {go: scratch, node: scratch, python: scratch, rust: scratch}}\n"
Cost = tuple[float, float]
"""Seconds of wall time and of processor time."""


def source_of(case: str) -> tuple[str, str, dict[str, bytes | str]]:
    """Name and version of the component, and its files."""
    if case == "tiny":
        return TINY, "1.0.0", busybox_source(TINY)
    folder = ROOT / "examples" / case
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=folder, capture_output=True, check=True).stdout.decode()
    files: dict[str, bytes | str] = {name: (folder / name).read_bytes() for name in listed.split("\0") if name}
    lines = [line.strip() for line in str(files["component.yaml"], "utf-8").splitlines()]
    name, version = (
        next(line.split()[1] for line in lines if line.startswith(field)) for field in ("name:", "version:")
    )
    return name, version, files


def by_hand(folder: Path, url: str, config: Path) -> Cost:
    """Clone, tests and build."""
    environment = {**tool_variables(), "HOME": str(folder), "PATH": tool_path(), "LANG": "C.UTF-8"}
    flowctl = [str(Path(sys.prefix) / "bin" / "flowctl"), "--config", str(config), "component"]
    began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(["git", "clone", "-q", url, str(folder / "source")], check=True, env=environment)
    for words, check in ((["test"], False), (["build", "--as-registry"], True)):  # a tiny component has no tests
        done = subprocess.run(
            [*flowctl, *words], cwd=folder / "source", env=environment, capture_output=True, text=True
        )
        if check and done.returncode:
            raise SystemExit(done.stdout + done.stderr)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.monotonic() - began, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def by_registry(yard: Yard, case: str) -> tuple[Cost, str]:
    """From the request to the published version; also the repository's address."""
    name, version, files = source_of(case)
    namespace = yard.registry.namespace()
    files = {
        path: _without_namespace(content) if path == "component.yaml" else content for path, content in files.items()
    }
    repository = yard.server.create(namespace)
    repository.commit(files, tag=f"v{version}")
    began, before = time.monotonic(), _cpu_s(yard.registry)
    yard.wait(yard.request(namespace, name, repository, f"v{version}"))
    return (time.monotonic() - began, _cpu_s(yard.registry) - before), repository.url


def _without_namespace(content: bytes | str) -> bytes | str:
    text = content.decode() if isinstance(content, bytes) else content
    return "".join(line for line in text.splitlines(keepends=True) if not line.startswith("  namespace: "))


def _cpu_s(registry: Registry) -> float:
    return cpu_seconds(family(registry.api[0].pid), with_ended=True)


def main(rounds: int, cases: list[str]) -> None:
    """Print medians and their ratios."""
    print(environment_line())
    folder = Path(tempfile.mkdtemp())
    config = folder / "config.yaml"
    config.write_text(CONFIG)
    (folder / "git").mkdir()
    hand: dict[str, list[Cost]] = {case: [] for case in cases}
    remote: dict[str, list[Cost]] = {case: [] for case in cases}
    try:
        with GitServer(folder / "git") as server:
            settings = settings_for(server, **toolchain_settings(config))
            with run_registry(folder / "registry", **settings) as registry:
                for number in range(rounds):
                    for case in cases:
                        cost, url = by_registry(Yard(registry, server), case)
                        remote[case].append(cost)
                        own = folder / f"{number}-{case}"
                        own.mkdir()
                        hand[case].append(by_hand(own, url, config))
                        shutil.rmtree(own, ignore_errors=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    for case in cases:
        for what, index in (("wall", 0), ("cpu", 1)):
            one, other = (statistics.median(cost[index] for cost in costs[case]) for costs in (hand, remote))
            ratio = f"ratio {other / one:.2f} (medians of {rounds})"
            print(f"{case}, {what}: by hand {one:.2f} s, by the registry {other:.2f} s, {ratio}")


if __name__ == "__main__":
    asked = [*sys.argv[1:], "5"][:1]
    main(int(asked[0]), sys.argv[2:] or ["tiny", "go-source", "node-sink", "python-processor", "rust-processor"])
