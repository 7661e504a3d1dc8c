"""Releases against goreleaser: three Go platforms of the example component, equal flags, cold and warm.

    python bench/release.py            # medians of interleaved runs, ratios in one run

goreleaser is looked for in BENCH_PEERS and on PATH. A budget that is missed is reported with its figures, never tuned
to. `BENCH_ROUNDS` changes the number of rounds.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from build import FLOWCTL, component, peer
from interleaved import Case, environment_line, run, show

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "7"))
PLATFORMS = ("linux/amd64", "linux/arm64", "darwin/amd64")
BUDGET = 1.05
VERSION = "0.4.0"
"""Of the example component."""

# What flowctl gives to `go build`; goreleaser itself adds -trimpath only where it is asked to.
GORELEASER = f"""\
version: 2
project_name: transfer-source
builds:
  - main: .
    binary: transfer-source
    env: [CGO_ENABLED=0, GOAMD64=v1]
    flags: [-trimpath, -buildvcs=false]
    ldflags: ["-s -w -buildid= -X main.version={VERSION}"]
    targets: [linux_amd64_v1, linux_arm64, darwin_amd64_v1]
"""


def main() -> None:
    """Run both benches and print a page; a missed budget is shown, it does not fail the run."""
    goreleaser = peer("goreleaser")
    if goreleaser is None:
        print(
            "# Releases against goreleaser\n\nnot measured: goreleaser is not here "
            "(go install github.com/goreleaser/goreleaser/v2@latest, and its folder in BENCH_PEERS)"
        )
        return
    told = subprocess.run([goreleaser, "--version"], capture_output=True, text=True, check=True).stdout
    version = next((line.split()[-1] for line in told.splitlines() if line.startswith("GitVersion")), "")
    print(f"# Releases against goreleaser {version}\n\n{environment_line()}; {ROUNDS} interleaved rounds")
    with tempfile.TemporaryDirectory(prefix="flowctl-bench-") as folder:
        scratch = Path(folder)
        modules = fetched(scratch)
        results = [bench(scratch, goreleaser, modules, cold=cold) for cold in (False, True)]
    print(f"\n{sum(results)} of {len(results)} groups within budget")


def fetched(scratch: Path) -> Path:
    """A module cache that both use: what is measured is building, not the network."""
    cache = scratch / "modules"
    environment = {**os.environ, "GOMODCACHE": str(cache), "GOFLAGS": "-modcacherw"}
    subprocess.run(["go", "mod", "download"], cwd=component(scratch, "fetch"), env=environment, check=True)
    return cache


def bench(scratch: Path, goreleaser: str, modules: Path, *, cold: bool) -> bool:
    """Each has a copy and a build cache of its own; cold: emptied before each round, incremental state too."""
    kind = "cold" if cold else "warm"
    ours, theirs = component(scratch, f"ours-{kind}"), component(scratch, f"theirs-{kind}")
    (theirs / ".goreleaser.yaml").write_text(GORELEASER)
    for folder in (ours, theirs):
        commit(folder)
    caches = {folder: scratch / f"cache-{folder.name}" for folder in (ours, theirs)}

    def environment(folder: Path) -> dict[str, str]:
        return {
            **{"HOME": str(scratch), "GOCACHE": str(caches[folder]), "GOMODCACHE": str(modules), "GOPROXY": "off"},
            **{"FLOWCTL_CACHE_DIR": str(scratch / "flowctl-cache"), "XDG_CACHE_HOME": str(scratch / "cache")},
        }

    def prepare(folder: Path) -> None:
        shutil.rmtree(folder / "dist", ignore_errors=True)
        if cold:
            shutil.rmtree(caches[folder], ignore_errors=True)
            shutil.rmtree(folder / ".flowctl", ignore_errors=True)

    # --offline: no scan of a service that may not answer; the SBOM, the images and the record are made all the same.
    build = [FLOWCTL, "component", "build", "--offline", "--platforms", ",".join(PLATFORMS)]
    cases = {
        "flowctl": Case(build, ours, environment(ours), lambda: prepare(ours)),
        "flowctl --no-images": Case([*build, "--no-images"], ours, environment(ours), lambda: prepare(ours)),
        "goreleaser": Case(
            [goreleaser, "build", "--snapshot", "--clean"], theirs, environment(theirs), lambda: prepare(theirs)
        ),
    }
    run(cases, rounds=ROUNDS, warmups=1)
    compare(ours, theirs)
    return show(f"Three platforms, {kind}", cases, [("flowctl", "goreleaser", BUDGET)])


def commit(folder: Path) -> None:
    """goreleaser wants a repository with a commit, and nothing else in the tree."""
    (folder / ".gitignore").write_text("dist/\n.flowctl/\n")
    git = ["git", "-c", "user.name=bench", "-c", "user.email=bench@example.com"]
    subprocess.run([*git, "add", "-A"], cwd=folder, check=True)
    subprocess.run([*git, "commit", "-q", "-m", "bench"], cwd=folder, check=True)


def compare(ours: Path, theirs: Path) -> None:
    """Equal flags make equal bytes: anything else would be no comparison."""
    digests = [
        {hashlib.sha256(path.read_bytes()).hexdigest() for path in found if path.is_file()}
        for found in ((ours / "dist" / "binaries").iterdir(), (theirs / "dist").glob("*/transfer-source"))
    ]
    if digests[0] != digests[1] or len(digests[0]) != len(PLATFORMS):
        sys.exit("the two did not build the same programs")


if __name__ == "__main__":
    main()
