"""Takes one tree through both ways, by hand and by flowctl, in copies of its own, and compares what came out."""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import counts
from export import export, git_dir, missing_files, status
from neutral import neutral
from trees import Tree

FLOWCTL = Path(sys.prefix) / "bin" / "flowctl"
DROPPED = ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME", "CI", "CARGO_TARGET_DIR", "UV_PROJECT_ENVIRONMENT")
ENOUGH_S = 45.0
"""A build that takes longer than this by hand is timed once; others up to three times."""


@dataclass
class Result:
    """What the page says about one tree."""

    tree: str
    repository: str
    commit: str
    language: str
    traits: str
    detected: str = ""
    missing: str = ""
    """Why it could not be tried at all."""
    hand_s: list[float] = field(default_factory=list)
    flowctl_s: list[float] = field(default_factory=list)
    fresh_s: float | None = None
    hand_tests: str = ""
    flowctl_tests: str = ""
    differences: list[str] = field(default_factory=list)
    """Where flowctl does not do what hands do; empty is the aim."""
    failures: list[str] = field(default_factory=list)
    """What fails both ways."""
    left_out: int = 0
    """Files that the snapshot of the repository lacks."""
    flowctl: str = ""
    """flowctl's commit when it was measured, and the day."""

    def to_json(self) -> str:
        """One line."""
        return json.dumps(asdict(self), ensure_ascii=False)

    @property
    def hand_median(self) -> float | None:
        return statistics.median(self.hand_s) if self.hand_s else None

    @property
    def flowctl_median(self) -> float | None:
        return statistics.median(self.flowctl_s) if self.flowctl_s else None


class Way:
    """One copy of the tree, with the caches of its toolchain's results for itself; downloads are shared."""

    def __init__(self, tree: Tree, trees: Path, folder: Path) -> None:
        self.tree = tree
        self.top = folder / tree.repository.partition("/")[2]
        export(git_dir(trees, tree.repository), tree.commit, self.top, tree.files)
        self.root = self.top / tree.folder
        self.written_by_program: set[str] = set()
        self.environment = {key: value for key, value in os.environ.items() if key not in DROPPED}
        config = folder / "config.yaml"
        config.write_text(tree.settings or "{}\n", encoding="utf-8")
        self.environment |= {
            "GOCACHE": str(folder / "go-build"),
            "FLOWCTL_CACHE_DIR": str(folder / "flowctl-cache"),
            "FLOWCTL_CONFIG": str(config),
            "GIT_CEILING_DIRECTORIES": str(folder),
        }
        if "pnpm" in tree.tools:
            self.environment["XDG_CONFIG_HOME"] = str(pnpm_settings(folder, self.environment))

    def shell(self, line: str, timeout_s: float = 1800) -> subprocess.CompletedProcess[str]:
        """Run a line as a person would; standard error joins standard output."""
        return subprocess.run(
            ["sh", "-ec", line],
            cwd=self.root,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            timeout=timeout_s,
        )

    def flowctl(self, *arguments: str) -> tuple[int, Any, str]:
        """Run flowctl with -o json; its exit code, its document and what it said beside that."""
        done = subprocess.run(
            [str(FLOWCTL), "component", *arguments, "-o", "json"],
            cwd=self.root,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=3600,
        )
        try:
            document = json.loads(done.stdout)
        except ValueError:
            # component test prints its report, then its error.
            document, _ = json.JSONDecoder().raw_decode(done.stdout) if done.stdout[:1] in ("{", "[") else (None, 0)
        return done.returncode, document, done.stderr


def pnpm_settings(folder: Path, environment: Mapping[str, str]) -> Path:
    """A folder of settings, for both ways, in which pnpm stays the machine's: it would download another one when called.

    A file, as pnpm takes variables (npm_config_*) away from the scripts that it runs, and those call pnpm again.
    """
    usual = Path(environment.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "pnpm" / "rc"
    own = folder / "settings" / "pnpm" / "rc"
    own.parent.mkdir(parents=True)
    kept = usual.read_text(encoding="utf-8") if usual.is_file() else ""
    own.write_text(f"{kept}\nmanage-package-manager-versions=false\n", encoding="utf-8")
    return folder / "settings"


def timed(call: Any, *arguments: Any) -> tuple[float, Any]:
    """Seconds and result of a call."""
    started = time.perf_counter()
    result = call(*arguments)
    return time.perf_counter() - started, result


def short(path: str, commit: str) -> str:
    """The commit in full, from git."""
    return subprocess.run(
        ["git", "-C", path, "rev-parse", commit], capture_output=True, text=True, check=True
    ).stdout.strip()


def measure(tree: Tree, trees: Path, work: Path, *, number: int) -> Result:
    """Detect, build, run, build again, clean, restore and test one tree, both ways."""
    result = Result(tree.name, tree.repository, tree.commit, tree.language, tree.traits)
    repository = git_dir(trees, tree.repository)
    absent = [tool for tool in tree.tools if shutil.which(tool) is None]
    if not repository.is_dir():
        result.missing = "its git directory is not here"
    elif absent:
        result.missing = f"{', '.join(absent)} not on PATH"
    if result.missing:
        return result
    result.commit = short(str(repository), tree.commit)
    result.left_out = len(missing_files(repository, tree.commit))
    folder = work / f"{number:02}"
    shutil.rmtree(folder, ignore_errors=True)
    rounds = 0
    try:
        warm = Way(tree, trees, folder / "warm")
        warm.shell(tree.hand_build)  # fills the download caches for both; its time counts for nothing
        while True:
            ways = {name: Way(tree, trees, folder / f"{name}-{rounds}") for name in ("hand", "flowctl")}
            spent, built = {}, {}
            for name in sorted(ways, reverse=(rounds + number) % 2 == 0):
                call = (ways[name].shell, tree.hand_build) if name == "hand" else (
                    ways[name].flowctl, "build", *tree.options)  # fmt: skip
                spent[name], built[name] = timed(*call)
            result.hand_s.append(spent["hand"])
            result.flowctl_s.append(spent["flowctl"])
            rounds += 1
            if rounds == 3 or sum(result.hand_s) > ENOUGH_S or built["hand"].returncode or built["flowctl"][0]:
                break
            for way in ways.values():
                shutil.rmtree(way.top.parent, ignore_errors=True)
        shutil.rmtree(folder / "warm", ignore_errors=True)
        compare(tree, ways["hand"], ways["flowctl"], built, result)
    except (subprocess.SubprocessError, OSError) as error:
        result.differences.append(f"the comparison itself broke off: {error}")
    shutil.rmtree(folder, ignore_errors=True)
    return result


def compare(tree: Tree, hand: Way, flow: Way, built: dict[str, Any], result: Result) -> None:
    """All checks after the timed builds; fills in the result."""
    code, document, _ = flow.flowctl("detect")
    result.detected = document["language"] if not code else "nothing"
    if result.detected != tree.language:
        result.differences.append(f"detected as {result.detected}")
    by_hand, (exit_code, document, said) = built["hand"], built["flowctl"]
    if by_hand.returncode or exit_code:
        result.hand_s, result.flowctl_s = [], []
        if by_hand.returncode and exit_code:
            result.failures.append(f"does not build: {_error(document)}")
        elif exit_code:
            result.differences.append(f"does not build: {_error(document)} {said[-400:]}")
        else:
            result.differences.append(f"builds with flowctl, not by hand: {by_hand.stdout[-400:]}")
        return
    run_program(tree, hand, flow, result)
    result.fresh_s, (exit_code, document, _) = timed(flow.flowctl, "build", *tree.options)
    if exit_code or document["cache"] != "fresh":
        result.differences.append(f"a second build is {document.get('cache', 'an error')}, not fresh")
    clean(tree, flow, result)
    test(tree, hand, flow, result)


def run_program(tree: Tree, hand: Way, flow: Way, result: Result) -> None:
    """Both programs, same arguments: same exit code, same output."""
    if tree.program is None:
        return
    printed = []
    before = set(status(flow.top))
    programs = [line.split()[0] for line in tree.program]
    for way, line in zip((hand, flow), tree.program, strict=True):
        try:
            done = way.shell(line, 60)
            printed.append((done.returncode, neutral(done.stdout, programs, root=way.root, top=way.top)))
        except subprocess.TimeoutExpired:
            printed.append((None, "still runs after 60 s"))
    flow.written_by_program = set(status(flow.top)) - before
    if printed[0] != printed[1]:
        result.differences.append(f"the programs differ: by hand {printed[0]}, flowctl {printed[1]}")
    elif printed[0][0]:
        result.failures.append(f"the program ends with exit code {printed[0][0]}: {printed[0][1][-200:]}")


def clean(tree: Tree, flow: Way, result: Result) -> None:
    """After clean the tree is as published; after that, build restores from the cache."""
    exit_code, _, said = flow.flowctl("clean")
    if exit_code:
        result.differences.append(f"clean fails: {said[-300:]}")
    left = [
        line
        for line in status(flow.top)
        if not line.endswith("node_modules/")
        and line not in flow.written_by_program  # dependencies; the program's logs
    ]
    if left:
        result.differences.append(f"clean leaves {', '.join(left[:6])}{' …' if len(left) > 6 else ''}")
    exit_code, document, said = flow.flowctl("build", *tree.options)
    if exit_code:
        result.differences.append(f"does not build after clean: {_error(document)} {said[-300:]}")
    elif document["cache"] != "hit":
        result.differences.append(f"a build after clean is {document['cache']}, not restored from the cache")


def test(tree: Tree, hand: Way, flow: Way, result: Result) -> None:
    """The project's own tests: same counts, and success or failure alike."""
    by_hand = hand.shell(tree.hand_test)
    exit_code, document, said = flow.flowctl("test", *tree.options)
    report = document.get("tests") if document else None
    if report is None and exit_code not in (0, 34):
        result.differences.append(f"tests do not run: {_error(document)} {said[-400:]}")
        return
    expected, actual = counts.read(by_hand.stdout), counts.of_report(report)
    result.hand_tests = counts.text(expected, by_hand.returncode)
    result.flowctl_tests = counts.text(actual, exit_code)
    if expected != actual:
        tail = by_hand.stdout[-300:] if expected is None else ""
        result.differences.append(f"{result.hand_tests} by hand, {result.flowctl_tests} with flowctl {tail}".strip())
    elif expected and (by_hand.returncode == 0) != (exit_code == 0):
        result.differences.append(f"tests end with {by_hand.returncode} by hand and {exit_code} with flowctl")


def _error(document: Any) -> str:
    if isinstance(document, dict) and "error" in document:
        error = document["error"]
        last = [line.strip() for line in str(error.get("output") or "").splitlines() if line.strip()]
        return f"{error['message']} ({last[-1]})" if last else str(error["message"])
    return "no report"
