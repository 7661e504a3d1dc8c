"""Builds and tests the example components with flowctl, runs each shortly, releases one, and shows what came of it.

The last one goes the whole way: published on a registry of its own, built there, installed under another home, run.

./dev demo              # all of examples/
./dev demo rust-processor
./dev demo pipeline     # the four of them as one pipeline, with `flowctl dev`
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

import story
from ruamel.yaml import YAML

EXAMPLES = Path(__file__).parent
FLOWCTL = str(Path(sys.executable).with_name("flowctl"))
RUN_S = 10.0
"""Seconds after which a program that runs on and on (a source) has shown enough."""

NO_TOOLCHAIN = "no toolchain"
TOOLCHAIN_EXIT_CODE = 30

LINES = 4
"""Lines of output shown."""

ARGUMENTS = {
    "transfer-window": ["--window", "10", "--emit", "totals"],
    "event-archive": ["--sum-field", "amount"],
}
"""What a program is started with; the others need nothing."""

RELEASED = "go-source"
"""The example that a release is made of; any machine can build Go for every platform."""
PLATFORMS = "linux/amd64,linux/arm64,darwin/amd64"

PIPELINE = EXAMPLES / "pipeline"
LEDGERS = 20
"""That the pipeline works off in the demo."""

TRANSFERS = "".join(
    json.dumps({"type": "transfer", "ledger": 100 + n, "asset": "USDC", "from": "A", "to": "B", "amount": amount})
    + "\n"
    for n, amount in enumerate(("10.5", "4.5", "0.0000001", "7"))
)
"""What processors and sinks read."""


@dataclass(frozen=True)
class Result:
    """One row of the closing table."""

    folder: str
    language: str = "?"
    build: str = "failed"
    tests: str = "not run"
    program: str = "not run"

    @property
    def ok(self) -> bool:
        """True when all three went well, or this machine has no toolchain for it (Rust comes in no Python wheel)."""
        return self.build == NO_TOOLCHAIN or (
            self.build != "failed" and self.tests.endswith("passed") and self.program.startswith("ran")
        )


def say(text: str = "") -> None:
    """Print at once, also into a pipe."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def flowctl(folder: Path, *arguments: str) -> tuple[int, dict[str, object]]:
    """Run flowctl in a folder with `-o json`; its progress is shown, its answer returned."""
    say(f"\n$ cd examples/{folder.name} && flowctl {' '.join(arguments)}")
    done = subprocess.run(
        [FLOWCTL, *arguments, "-o", "json"], cwd=folder, stdout=subprocess.PIPE, text=True, check=False
    )
    try:
        answer: dict[str, object] = json.loads(done.stdout)
    except ValueError:
        say(done.stdout)
        answer = {}
    error = answer.get("error")
    if isinstance(error, dict):
        say("\n".join(str(error[key]) for key in ("message", "output", "hint") if error.get(key)))
    return done.returncode, answer


def show(folder: Path) -> Result:
    """Build, test, run one component."""
    spec = YAML(typ="safe", pure=True).load(folder / "component.yaml")
    code, report = flowctl(folder, "component", "build")
    if lacks_toolchain(code):
        return Result(folder.name, build=NO_TOOLCHAIN)
    if code:
        return Result(folder.name)
    language, name = str(report.get("language")), str(report.get("component"))
    build = f"{report.get('cache')}, {float(str(report.get('duration_s', 0))):.2f} s"
    say(f"{name}: {build}")
    code, answer = flowctl(folder, "component", "test")
    if lacks_toolchain(code):
        return Result(folder.name, language, build=NO_TOOLCHAIN)
    tests = count(answer, code)
    say(tests)
    program = run_program(folder, name, str((spec.get("spec") or {}).get("type", "")))
    return Result(folder.name, language, build, tests, program)


def lacks_toolchain(code: int) -> bool:
    """True when flowctl ended for want of a toolchain; in CI that is a failure like any other."""
    return code == TOOLCHAIN_EXIT_CODE and not os.environ.get("CI")


def count(answer: dict[str, object], code: int) -> str:
    """The tests in words: `12 passed`."""
    report = answer.get("tests", answer)
    counts = report if isinstance(report, dict) else {}
    words = [f"{counts[key]} {key}" for key in ("failed", "errors", "skipped", "passed") if counts.get(key)]
    return ", ".join(words) or f"exit code {code}" if code or words else "passed"


def run_program(folder: Path, name: str, kind: str) -> str:
    """Start `./name`; sources until they have shown some lines, the others on the sample transfers."""
    program = folder / name if (folder / name).exists() else folder / ".flowctl" / "bin" / name
    argv = [str(program), *ARGUMENTS.get(name, [])]
    say(f"\n$ ./{name} {' '.join(argv[1:])}{'' if kind == 'source' else ' < transfers.ndjson'}")
    process = subprocess.Popen(argv, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    stopped = threading.Event()

    def stop() -> None:
        stopped.set()
        process.terminate()

    timer = threading.Timer(RUN_S, stop)
    timer.start()
    try:
        if kind != "source":
            process.stdin.write(TRANSFERS)
        process.stdin.close()
    except BrokenPipeError:
        pass  # it ended without reading; its exit code tells why
    shown = 0
    for line in process.stdout:
        if shown < LINES:
            say("  " + line.rstrip()[: max(shutil.get_terminal_size().columns, 200)])
        shown += 1
        if kind == "source" and shown == LINES:
            stop()
    code = process.wait()
    timer.cancel()
    # A source is stopped once it has shown enough; everything else must end by itself and say something.
    good = shown > 0 and (code == 0 or (kind == "source" and stopped.is_set()))
    return f"ran, {shown} line{'' if shown == 1 else 's'}" if good else f"exit code {code}, {shown} lines"


def release(folder: Path) -> bool:
    """Build a release for three platforms with images, then build it again and compare; True when all went well."""
    code, report = flowctl(folder, "component", "build", "--platforms", PLATFORMS)
    platforms = report.get("platforms")
    for platform in platforms if isinstance(platforms, list) else ():
        for artifact in platform["artifacts"]:
            say(f"  {artifact['path']}  {artifact['size'] / 1e6:.1f} MB  {artifact['digest'][:19]}…")
    for image in report.get("images") or ():  # type: ignore[attr-defined]
        say(f"  image for {image['platform']}  {image['size'] / 1e6:.1f} MB  {image['digest'][:19]}…")
    if code:
        return False
    code, report = flowctl(folder, "component", "reproduce")
    if not code:
        say(f"  built again: {report['compared']} files have the same bytes")
    return not code


def pipeline(folder: Path) -> int:
    """Run the pipeline of all four languages until it has worked off 20 ledgers; 1 when the sink has not kept them."""
    archive = folder / "archive"
    shutil.rmtree(archive, ignore_errors=True)
    say(f"$ LEDGERS={LEDGERS} RATE=0 flowctl dev --once examples/{folder.name}")
    ledgers = {"LEDGERS": str(LEDGERS), "RATE": "0"}
    code = subprocess.run(
        [FLOWCTL, "dev", "--once", str(folder)], env={**os.environ, **ledgers}, check=False
    ).returncode
    kept = {file.name: file.read_text().count("\n") for file in sorted(archive.glob("*.ndjson"))}
    say()
    for name, events in kept.items():
        say(f"examples/{folder.name}/archive/{name}: {events} events")
    good = code == 0 and len(kept) == 2 and all(kept.values())
    say("the pipeline ran through" if good else f"the pipeline did not do its work; exit code {code}")
    return 0 if good else 1


def publish(folder: Path) -> bool:
    """From a repository to a verified program on another machine, by a registry; True when all went well."""
    lacking = story.missing()
    if lacking is not None and not os.environ.get("CI"):
        say(f"\nthe registry is left out: its builds need {lacking}")
        return True
    try:
        told = story.tell(folder, ["--ledgers", "2"], say)
    except story.StoryError as error:
        say(str(error))
        return False
    say(f"\n{told}")
    return True


def main() -> int:
    """Show the examples named on the command line, or all; 1 when something failed."""
    folders = sorted(file.parent for file in EXAMPLES.glob("*/component.yaml"))
    wanted = sys.argv[1:]
    if wanted == [PIPELINE.name]:
        return pipeline(PIPELINE)
    unknown = set(wanted) - {folder.name for folder in folders}
    if unknown:
        say(f"no example {', '.join(sorted(unknown))}; there are {', '.join(folder.name for folder in folders)}")
        return 2
    os.environ.pop("FLOWCTL_CONFIG", None)
    results = [show(folder) for folder in folders if not wanted or folder.name in wanted]
    rows = [("component", "language", "build", "tests", "program")]
    rows += [(r.folder, r.language, r.build, r.tests, r.program) for r in results]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    say()
    for row in rows:
        say("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    failed = [result.folder for result in results if not result.ok]
    if any(r.folder == RELEASED and r.ok and r.build != NO_TOOLCHAIN for r in results):
        failed += [] if release(EXAMPLES / RELEASED) else [f"the release of {RELEASED}"]
        failed += [] if publish(EXAMPLES / RELEASED) else [f"the publication of {RELEASED}"]
    left_out = [result.folder for result in results if result.build == NO_TOOLCHAIN]
    done = len(results) - len(failed) - len(left_out)
    say(f"\n{done} of {len(results)} components built, tested and run")
    if left_out:
        say(f"left out, as their toolchain is not here (see above what to install): {', '.join(left_out)}")
    return 1 if failed or not done else 0


if __name__ == "__main__":
    sys.exit(main())
