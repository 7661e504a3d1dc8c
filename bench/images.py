"""Image layouts for two platforms from ready programs, side by side with crane; and Go source to images with ko.

    nox -s bench            # medians of interleaved runs, ratios in one run

Peers are used where they are, on PATH or in BENCH_PEERS: crane and ko (Go modules
github.com/google/go-containerregistry/cmd/crane and github.com/google/ko). crane's layers are tar files that were made
before, and it writes no index; ours begins with the programs. Compression is compared by size: ours is not larger.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import shlex
import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from interleaved import Case, environment_line, run, show

ROOT = Path(__file__).parents[1]
COMPONENT = ROOT / "examples" / "go-source"
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "11"))
ARCHES = ("amd64", "arm64")
OURS = """\
import sys, time
from pathlib import Path
from flowctl_core.models import ImageFile, ImagePlan, Platform
from flowctl_core.models.release import SourceIdentity
from flowctl_core.package.describe import describe_image
from flowctl_core.package.layout import write_layout
started = time.perf_counter()
source = SourceIdentity(tree_digest="sha256:" + "0" * 64, epoch=315532800)
images = [
    describe_image(
        ImagePlan(files=(ImageFile(source=f"program-{arch}", target="/app/component"),)), Platform(f"linux/{arch}"),
        component="bench", version="1.0.0", spec=None, source_root=Path(sys.argv[1]), source=source,
    )
    for arch in ("amd64", "arm64")
]
report = write_layout(images, Path(sys.argv[2]), epoch=source.epoch)
print(time.perf_counter() - started)
"""


def peer(name: str) -> str | None:
    """A peer's command, from BENCH_PEERS (a search path) or PATH."""
    return shutil.which(name, path=f"{os.environ.get('BENCH_PEERS', '')}:{os.environ['PATH']}")


def go() -> str:
    """The Go that flowctl itself would use."""
    found = shutil.which("go")
    if found is None:
        sys.exit("go is not on PATH; the bench builds its programs with it")
    return found


def small_programs(folder: Path) -> None:
    """The example component, as a release has it."""
    for arch in ARCHES:
        environment = {**os.environ, "CGO_ENABLED": "0", "GOOS": "linux", "GOARCH": arch, "GOFLAGS": "-buildvcs=false"}
        argv = [go(), "build", "-trimpath", "-ldflags=-s -w", "-o", str(folder / f"program-{arch}"), "."]
        subprocess.run(argv, cwd=COMPONENT, env=environment, check=True, capture_output=True)


def large_programs(folder: Path) -> None:
    """A real program of 15 MB; what follows it makes two files of one."""
    for arch in ARCHES:
        target = folder / f"program-{arch}"
        shutil.copyfile(Path(go()).resolve(), target)
        with target.open("r+b") as file:
            file.write(arch.encode())


def tar_files(folder: Path) -> None:
    """The layers, for crane."""
    for arch in ARCHES:
        with tarfile.open(folder / f"{arch}.tar", "w") as archive:
            archive.add(folder / f"program-{arch}", "app/component")


def bytes_below(path: Path) -> int:
    """Bytes of all files."""
    return sum(p.stat().st_size for p in ([path] if path.is_file() else path.rglob("*")) if p.is_file())


def engine_answers() -> bool:
    """True when there is a Docker engine to compare with."""
    docker = shutil.which("docker")
    return docker is not None and subprocess.run([docker, "version"], capture_output=True, check=False).returncode == 0


def bench_layout(scratch: Path, title: str, make: object) -> bool:
    """Two images and their index, from programs that are there."""
    folder = scratch / title.replace(" ", "-")
    folder.mkdir()
    (small_programs if make == "small" else large_programs)(folder)
    tar_files(folder)
    layout = folder / "oci"
    cases = {"flowctl": Case([sys.executable, "-c", OURS, str(folder), str(layout)], scratch)}
    cases["flowctl"].prepare = lambda: shutil.rmtree(layout, ignore_errors=True)
    crane = peer("crane")
    if crane is not None:
        append = [
            f"{shlex.quote(crane)} append --oci-empty-base -f {arch}.tar -t bench:{arch} -o {arch}.image"
            for arch in ARCHES
        ]
        at_once = "".join(f"{line} & p{arch}=$!\n" for line, arch in zip(append, ARCHES, strict=True))
        at_once += "".join(f"wait $p{arch} || exit 1\n" for arch in ARCHES)
        cases["crane append"] = Case(["/bin/sh", "-c", " && ".join(append)], folder)
        cases["crane append, both at once"] = Case(["/bin/sh", "-c", at_once], folder)
    if engine_answers():
        for arch in ARCHES:
            (folder / f"{arch}.Dockerfile").write_text(f'FROM scratch\nCOPY {arch}/ /\nENTRYPOINT ["/app/component"]\n')
            with tarfile.open(folder / f"{arch}.tar") as archive:
                archive.extractall(folder / arch, filter="data")
        build = [
            f"docker build --no-cache -q --platform linux/{arch} -f {arch}.Dockerfile -t bench:{arch} ."
            for arch in ARCHES
        ]
        cases["docker build"] = Case(["/bin/sh", "-c", " && ".join(build)], folder)
    cases["import of flowctl"] = Case([sys.executable, "-c", OURS.partition("started")[0]], scratch)
    run(cases, rounds=ROUNDS, warmups=1)
    met = show(
        f"Image layout for two platforms, {title}",
        cases,
        [("flowctl", "crane append", 1.0), ("flowctl", "docker build", 1.0)],
    )
    if crane is not None:
        theirs = sum(bytes_below(folder / f"{arch}.image") for arch in ARCHES)
        print(f"- bytes: flowctl {bytes_below(layout)}, crane {theirs}")
        inside = cases["flowctl"].median_cpu_ms - cases["import of flowctl"].median_cpu_ms
        ratio = inside / cases["crane append"].median_cpu_ms
        print(
            f"- CPU in a process that is there already, as a release is: {inside:.0f} ms, {ratio:.2f} of crane append"
        )
    return met


@contextlib.contextmanager
def base_on_loopback(scratch: Path, server: str) -> Iterator[str]:
    """A base for ko, which takes none but from a registry: the files that our own images from scratch have."""
    from flowctl_core.models import ImagePlan, Platform
    from flowctl_core.models.release import SourceIdentity
    from flowctl_core.package.describe import describe_image
    from flowctl_core.package.layout import write_layout
    from flowctl_core.package.push import push_layout

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{probe.getsockname()[1]}"
    folder = scratch / "registry"
    folder.mkdir()
    settings = {"version": "0.1", "storage": {"filesystem": {"rootdirectory": str(folder)}}, "http": {"addr": host}}
    (scratch / "registry.yml").write_text(json.dumps(settings))
    process = subprocess.Popen([server, "serve", scratch / "registry.yml"], stdout=-3, stderr=-3)
    try:
        source = SourceIdentity(tree_digest="sha256:" + "0" * 64, epoch=315532800)
        images = [
            describe_image(
                ImagePlan(), Platform(f"linux/{arch}"), component="base", version="1", spec=None, source_root=scratch,
                source=source,
            )
            for arch in ARCHES
        ]  # fmt: skip
        write_layout(images, scratch / "base", epoch=source.epoch)
        push_layout(scratch / "base", f"{host}/base:1")  # tries until the registry listens
        yield f"{host}/base:1"
    finally:
        process.terminate()
        process.wait()


def bench_source(scratch: Path) -> bool:
    """Go source to an image layout for two platforms, all caches warm and the source changed before each build."""
    counter = {"n": 0}

    def copy(name: str) -> Path:
        target = scratch / name
        shutil.copytree(COMPONENT, target, ignore=shutil.ignore_patterns(".flowctl", "dist", "transfer-source"))
        subprocess.run(["git", "init", "-q"], cwd=target, check=True)
        return target

    def edit(folder: Path) -> None:
        counter["n"] += 1
        base = (folder / "main.go").read_text().split("\n// bench")[0]
        (folder / "main.go").write_text(f"{base}\n// bench\nvar benchEdit{counter['n']} = {counter['n']}\n")
        shutil.rmtree(folder / "dist", ignore_errors=True)

    ours, theirs = copy("ours"), copy("theirs")
    flowctl = str(Path(sys.prefix) / "bin" / "flowctl")
    environment = {"HOME": str(scratch), "FLOWCTL_CACHE_DIR": str(scratch / "cache"), "GOFLAGS": "-buildvcs=false"}
    release = [flowctl, "component", "build", "--platforms", "linux/amd64,linux/arm64"]
    cases = {"flowctl": Case(release, ours, environment, lambda: edit(ours))}
    ko, server = peer("ko"), shutil.which("docker-registry")
    with contextlib.ExitStack() as stack:
        if ko is not None and server is not None:
            base = stack.enter_context(base_on_loopback(scratch, server))
            argv = [ko, "build", "--platform=linux/amd64,linux/arm64", "--push=false", "--oci-layout-path=dist", "."]
            bare = {**environment, "KO_DOCKER_REPO": "registry.invalid/bench", "KO_DEFAULTBASEIMAGE": base}
            cases["ko build"] = Case(argv, theirs, bare, lambda: edit(theirs))
        run(cases, rounds=ROUNDS, warmups=1)
    return show("Go source to images for two platforms", cases, [("flowctl", "ko build", 1.0)])


def main() -> None:
    """Run all benches and print a page; a missed budget is shown, it does not fail the run."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    print(f"# Figures of container images\n\n{environment_line()}; {ROUNDS} interleaved rounds")
    with tempfile.TemporaryDirectory(prefix="flowctl-bench-") as folder:
        scratch = Path(folder)
        results = [
            bench_layout(scratch, "a program of 3 MB", "small"),
            bench_layout(scratch, "a program of 15 MB", "large"),
            bench_source(scratch),
        ]
    print(f"\n{sum(results)} of {len(results)} groups within budget")


if __name__ == "__main__":
    main()
