"""From saving a file to the new process running: `flowctl dev` beside by hand, air and watchexec, on one Go component.

    python bench/dev_reload.py    # medians of interleaved rounds; BENCH_ROUNDS changes their number

air (github.com/air-verse/air) and watchexec (watchexec-cli) come from PATH or are left out. Each tool watches a copy of
its own; in each round each copy is edited once, in turn, and the time is taken until the new process left its mark.
By hand: build and start, with nobody watching. air waits a second by default; "no delay" sets 0. Budgets: at most
1.15 × by hand, and below air and watchexec.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from interleaved import Case, environment_line, show

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "10"))
PATIENCE_S = 120.0
GO_FILES = ("go.mod", "go.sum", "main.go", "internal", "metadata.json")
EXAMPLE = Path(__file__).resolve().parent.parent / "examples/go-source"
MARK = """
package main

import "os"

const version = "VERSION"

func init() {
	if err := os.WriteFile(os.Getenv("MARK"), []byte(version), 0o600); err != nil {
		panic(err)
	}
}
"""
PIPELINE = """\
apiVersion: flowctl/v1
kind: Pipeline
metadata: {name: reload}
spec:
  sources: [{id: transfers, path: component, config: {rate: 1}}]
  sinks: [{id: archive, command: [cat], inputs: [transfers]}]
"""
AIR = '[build]\ncmd = "go build -o ./tmp/main ."\nbin = "./tmp/main"\nargs_bin = ["--rate=1"]\n'


class Contender:
    """A copy of the component and what watches it."""

    def __init__(self, folder: Path, command: list[str] | None) -> None:
        self.root = folder / "component"
        self.root.mkdir(parents=True)
        for name in GO_FILES:
            source = EXAMPLE / name
            (shutil.copytree if source.is_dir() else shutil.copyfile)(source, self.root / name)
        shutil.copyfile(EXAMPLE / "component.yaml", self.root / "component.yaml")
        self.mark = folder / "mark"
        self.environment = {**os.environ, "MARK": str(self.mark)}
        self.command = command
        self.log = folder / "log"
        self.write("0")
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, cwd: Path) -> None:
        """Start the watching tool and wait for the component's first start."""
        assert self.command is not None
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                self.command,
                cwd=cwd,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.wait("0")
        time.sleep(2)

    def write(self, version: str) -> None:
        """Save the file, as editors do: a new one in its place."""
        file = self.root / "mark.go"
        file.with_suffix(".new").write_text(MARK.replace("VERSION", version))
        file.with_suffix(".new").rename(file)

    def wait(self, version: str) -> None:
        """Until the process of that version has started."""
        deadline = time.monotonic() + PATIENCE_S
        while not (self.mark.exists() and self.mark.read_text() == version):
            if time.monotonic() > deadline:
                sys.exit(f"no new process came: {self.log.read_text() if self.log.exists() else ''}")
            time.sleep(0.001)

    def stop(self) -> None:
        """End the tool."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(30)


def by_hand(contender: Contender) -> Callable[[str], None]:
    def run(version: str) -> None:
        contender.write(version)
        # Sessions of their own, as the tools' builds have: Linux shares a busy machine out by session.
        subprocess.run(["go", "build", "-o", "program", "."], cwd=contender.root, check=True, start_new_session=True)
        child = subprocess.Popen(
            ["./program", "--rate=1"], cwd=contender.root, env=contender.environment,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        contender.wait(version)
        child.kill()
        child.wait()

    return run


def watched(contender: Contender) -> Callable[[str], None]:
    def run(version: str) -> None:
        contender.write(version)
        contender.wait(version)

    return run


def main() -> int:
    """Measure, print, and say by the exit code whether the budgets hold."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        hand = Contender(folder / "hand", None)
        ours = Contender(folder / "flowctl", [sys.executable, "-m", "flowctl_core", "dev", "--plain"])
        (folder / "flowctl/pipeline.yaml").write_text(PIPELINE)
        contenders = {"flowctl dev": (ours, folder / "flowctl")}
        if shutil.which("air") is not None:
            for name, delay in (("air", ""), ("air, no delay", "delay = 0\n")):
                air = Contender(folder / name.replace(" ", "-"), ["air", "-c", ".air.toml"])
                (air.root / ".air.toml").write_text(AIR + delay)
                contenders[name] = (air, air.root)
        if shutil.which("watchexec") is not None:
            line = "go build -o program . && exec ./program --rate=1"
            command = ["watchexec", "--restart", "--exts", "go", "--", line]
            contenders["watchexec"] = (other := Contender(folder / "watchexec", command), other.root)
        cases = {"by hand": Case([], folder), **{name: Case([], folder) for name in contenders}}
        runs = {"by hand": by_hand(hand), **{name: watched(one) for name, (one, _) in contenders.items()}}
        try:
            for one, cwd in contenders.values():
                one.start(cwd)
            for number in range(1, ROUNDS + 2):
                for name, run in runs.items():
                    began = time.perf_counter()
                    run(f"{began}")  # never built before, or it would come out of a cache
                    if number > 1:
                        cases[name].seconds.append(time.perf_counter() - began)
                    time.sleep(1)  # what was replaced ends
        finally:
            for one, _ in contenders.values():
                one.stop()
    print(environment_line())
    met = show(
        "Save to new process, a Go component",
        cases,
        [
            ("flowctl dev", "by hand", 1.15),
            ("flowctl dev", "air", 1.0),
            ("flowctl dev", "air, no delay", 1.0),
            ("flowctl dev", "watchexec", 1.0),
        ],
    )
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
