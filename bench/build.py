"""The local way against its peers, side by side: no-op, version, changed build, restore, memory.

    nox -s bench            # medians of interleaved runs, ratios in one run

Peers are used where they are, on PATH or in BENCH_PEERS: go-task (pip: go-task-bin), Turborepo (npm: turbo). A budget
that is missed is reported with its figures, never tuned to.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from interleaved import Case, environment_line, run, show

ROOT = Path(__file__).parents[1]
BIN = Path(sys.prefix) / "bin"
FLOWCTL = str(BIN / "flowctl")
COMPONENT = ROOT / "examples" / "go-source"
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "15"))


def component(scratch: Path, name: str) -> Path:
    """A private copy of the example Go component, without outputs."""
    target = scratch / name
    shutil.copytree(COMPONENT, target, ignore=shutil.ignore_patterns(".flowctl", "transfer-source"), symlinks=True)
    subprocess.run(["git", "init", "-q"], cwd=target, check=True)
    return target


def go() -> str:
    """The Go that flowctl itself would use."""
    found = shutil.which("go")
    if found is None:
        sys.exit("go is not on PATH; the bench compares against it")
    return found


def quiet(argv: list[str], folder: Path, environment: dict[str, str]) -> None:
    """Run a command that must succeed."""
    subprocess.run(argv, cwd=folder, check=True, capture_output=True, env={**os.environ, **environment})


def main_package(folder: Path) -> str:
    """The package that by-hand builds name."""
    return "." if (folder / "main.go").exists() else "./" + next(folder.glob("cmd/*")).relative_to(folder).as_posix()


def peer(name: str) -> str | None:
    """A peer's command, from BENCH_PEERS (a search path) or PATH."""
    return shutil.which(name, path=f"{os.environ.get('BENCH_PEERS', '')}:{os.environ['PATH']}")


def bench_noop(scratch: Path) -> bool:
    """Each tool has a copy of its own, so that none sees another's files as changes."""
    environment = {"HOME": str(scratch), "GOFLAGS": "-buildvcs=false"}
    ours, theirs = component(scratch, "noop"), component(scratch, "noop-by-hand")
    package = main_package(theirs)
    cases = {
        "flowctl": Case([FLOWCTL, "component", "build"], ours, environment),
        "go build": Case([go(), "build", "-o", str(scratch / "by-hand"), package], theirs, environment),
        "bare Python": Case([sys.executable, "-c", "pass"], theirs),
    }
    task, turbo = peer("task"), peer("turbo")
    if task:
        folder = component(scratch, "noop-task")
        (folder / "Taskfile.yml").write_text(
            "version: '3'\ntasks:\n  build:\n    sources: ['**/*.go', go.mod, go.sum]\n    generates: [out-task]\n"
            f"    cmds: ['go build -o out-task {package}']\n"
        )
        cases["go-task"] = Case([task, "build"], folder, environment)
    if turbo:
        folder = component(scratch, "noop-turbo")
        script = f"go build -o out-turbo {package}"
        (folder / "package.json").write_text(
            f'{{"name":"bench","version":"1.0.0","packageManager":"npm@10.0.0","scripts":{{"build":"{script}"}}}}'
        )
        (folder / "package-lock.json").write_text(
            '{"name":"bench","version":"1.0.0","lockfileVersion":3,"packages":{"":{"name":"bench","version":"1.0.0"}}}'
        )
        (folder / "turbo.json").write_text('{"tasks":{"build":{"outputs":["out-turbo"]}}}')
        (folder / ".gitignore").write_text(".turbo\nout-turbo\n")
        private = {"TURBO_TELEMETRY_DISABLED": "1", "DO_NOT_TRACK": "1"}
        cases["Turborepo"] = Case([turbo, "run", "build"], folder, {**environment, **private})
    run(cases, rounds=ROUNDS, warmups=3)
    budgets = [("flowctl", "go build", 0.6), ("flowctl", "go-task", 1.0), ("flowctl", "Turborepo", 1.0)]
    return show("No-op build of one small Go component", cases, budgets)


def bench_version(scratch: Path) -> bool:
    cases = {
        "flowctl --version": Case([FLOWCTL, "--version"], scratch),
        "bare Python": Case([sys.executable, "-c", "pass"], scratch),
    }
    run(cases, rounds=ROUNDS * 2)
    return show("Start", cases, [("flowctl --version", "bare Python", 3.0)])


def bench_changed(scratch: Path) -> bool:
    """One source file changes before each build; both sides compile the same change."""
    ours, theirs = component(scratch, "changed-ours"), component(scratch, "changed-by-hand")
    environment = {"HOME": str(scratch), "GOFLAGS": "-buildvcs=false", "GOPROXY": "off"}
    counter = {"n": 0}

    def edit(folder: Path) -> None:
        counter["n"] += 1
        package = next(p for p in sorted(folder.rglob("*.go")) if not p.name.endswith("_test.go"))
        base = package.read_text().split("\n// bench")[0]
        text = f"{base}\n// bench\nvar benchEdit{counter['n']} = {counter['n']}\n"
        package.write_text(text)

    cases = {
        "flowctl": Case([FLOWCTL, "component", "build"], ours, environment, lambda: edit(ours)),
        "go build": Case(
            [go(), "build", "-o", str(scratch / "by-hand"), main_package(theirs)],
            theirs,
            environment,
            lambda: edit(theirs),
        ),
    }
    run(cases, rounds=ROUNDS, warmups=2)
    return show("A changed file in one small Go component", cases, [("flowctl", "go build", 1.05)])


def bench_restore(scratch: Path) -> bool:
    """Restoring after clean, against `cp` of the artifact plus the no-op."""
    folder = component(scratch, "restore")
    environment = {"HOME": str(scratch)}
    noop = component(scratch, "restore-noop")
    for place in (folder, noop, noop):
        quiet([FLOWCTL, "component", "build"], place, environment)
    program = next((noop / ".flowctl" / "bin").iterdir())

    def clean() -> None:
        quiet([FLOWCTL, "component", "clean"], folder, environment)

    cases = {
        "restore": Case([FLOWCTL, "component", "build"], folder, environment, clean),
        "cp and no-op": Case(
            ["/bin/sh", "-c", f'cp "{program}" "{scratch}/copy" && exec "{FLOWCTL}" component build'],
            noop,
            environment,
        ),
    }
    run(cases, rounds=ROUNDS)
    return show("Restore from the cache", cases, [("restore", "cp and no-op", 1.5)])


def bench_memory(scratch: Path) -> bool:
    """Peak memory of the command itself, toolchain apart, in a build that runs everything."""
    folder = component(scratch, "memory")
    code = (
        "import resource, sys; from flowctl_core.__main__ import main\n"
        "sys.argv = ['flowctl', 'component', 'build']\n"
        "try: main()\n"
        "finally: print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)"
    )
    environment = {**os.environ, "HOME": str(scratch), "FLOWCTL_CACHE_DIR": str(scratch / "memory-cache")}
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True)
    kilobytes = int(done.stderr.strip().splitlines()[-1])
    unit = 1024 if sys.platform == "linux" else 1024 * 1024
    megabytes = kilobytes / unit
    verdict = "met" if megabytes < 80 else "MISSED"
    print(f"\n## Memory of the command itself\n\n- {megabytes:.0f} MB (budget 80): {verdict}")
    return megabytes < 80


def main() -> None:
    """Run all benches and print a page; a missed budget is shown, it does not fail the run."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    print(f"# Figures of the local way\n\n{environment_line()}; {ROUNDS} interleaved rounds")
    with tempfile.TemporaryDirectory(prefix="flowctl-bench-") as folder:
        scratch = Path(folder)
        results = [bench(scratch) for bench in (bench_version, bench_noop, bench_changed, bench_restore, bench_memory)]
    print(f"\n{sum(results)} of {len(results)} groups within budget")


if __name__ == "__main__":
    main()
