"""Reads what `cargo test` prints: the text of libtest, one block a test binary.

Counts come from each block's own `test result:` line; a block that ends without one (the process aborted)
counts what it showed, and an error. A failing test's captured output may itself contain lines of a test run;
a `test result:` line only ends a block when its numbers add up to the `running N tests` that began it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from flowctl_core.models import Outcome, TestCase

_RUNNING = re.compile(r"^running (\d+) tests?$")
_CASE = re.compile(r"^test (.+?) \.\.\. (ok|FAILED|ignored)(?:, .*)?(?: <[\d.]+s>)?$")
_RESULT = re.compile(
    r"^test result: (?:ok|FAILED)\. (\d+) passed; (\d+) failed; (\d+) ignored; (\d+) measured; \d+ filtered"
)
_SECTION = re.compile(r"^---- (.+) (?:stdout|stderr) ----$")
_NAME = re.compile(r"^ {4}(\S.*)$")
_DOCTEST = re.compile(r"^\S+\.\w+ - .*\(line \d+\)")
_UNIT = re.compile(r"^ +Running (?:unittests )?(.+?) \(.+\)$")
_DOC = re.compile(r"^ +Doc-tests (\S+)$")
_TARGET = re.compile(r"^error: (?:test|doctest) failed, to rerun pass `(.+)`$")
_HOW = re.compile(r"^\s*process didn't exit successfully: .*\((.*)\)$")
_NOTES = re.compile(r" - (?:should panic|compile fail|compile)$")
_OUTCOMES: dict[str, Outcome] = {"ok": "passed", "FAILED": "failed", "ignored": "skipped"}


@dataclass
class Block:
    """What one test binary printed."""

    declared: int
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    outputs: dict[str, list[str]] = field(default_factory=dict)
    counts: tuple[int, int, int] | None = None
    """Passed, failed, skipped of the result line; None when the binary ended without one."""

    @property
    def doctests(self) -> bool:
        """True when the names are those of documentation examples."""
        return any(_DOCTEST.match(name) for name in self.outcomes)

    @property
    def bad(self) -> bool:
        """True when a test failed or the binary did not finish."""
        return self.counts is None or self.counts[1] > 0


@dataclass
class Run:
    """A process that cargo started for a test target."""

    label: str
    """Source file of the binary, or `doc`."""
    doc: bool
    failed: bool = False
    target: str = ""
    """How cargo selects it: `--lib`, `--test it`."""
    how: str = ""
    """How it ended, where cargo says more than that it failed."""


@dataclass(frozen=True)
class Suite:
    """All blocks of one `cargo test`."""

    passed: int
    failed: int
    skipped: int
    errors: int
    cases: tuple[TestCase, ...]
    blocks: int


def read_suite(stdout: str, stderr: str) -> Suite:
    """Count and name the tests in the two streams of a `cargo test`."""
    blocks = _blocks(stdout)
    runs = _runs(stderr)
    cases: list[TestCase] = []
    passed = failed = skipped = errors = 0
    for block, run in zip(blocks, _match(blocks, runs), strict=True):
        shown = list(block.outcomes.values())
        counts = block.counts or (shown.count("passed"), shown.count("failed"), shown.count("skipped"))
        passed, failed, skipped = passed + counts[0], failed + counts[1], skipped + counts[2]
        label = run.label if run else "doc" if block.doctests else ""
        cases += _cases(block, label)
        if block.counts is None:
            errors += 1
            text = f"the process ended after {len(shown)} of {block.declared} tests"
            cases.append(TestCase(name=label or "test binary", outcome="error", output=_how(text, run, runs)))
    for doc in (False, True):
        # A target with a harness of its own prints no block: only that it failed is known.
        lost = [run for run in runs if run.doc is doc and run.failed]
        silent = len(lost) - sum(1 for block in blocks if block.bad and block.doctests is doc)
        errors += max(silent, 0)
        for run in lost[:silent] if 0 < silent < len(lost) else lost if silent > 0 else ():
            cases.append(TestCase(name=run.target, outcome="error", output=_how("the target failed", run, runs)))
    return Suite(passed, failed, skipped, errors, tuple(cases), len(blocks))


def _runs(stderr: str) -> list[Run]:
    """The processes that cargo started, in order."""
    runs: list[Run] = []
    for line in stderr.splitlines():
        unit, doc, target, how = (form.match(line) for form in (_UNIT, _DOC, _TARGET, _HOW))
        if unit:
            runs.append(Run(label=unit.group(1), doc=False))
        elif doc:
            runs.append(Run(label="doc", doc=True))
        elif target and runs:
            runs[-1].failed, runs[-1].target = True, target.group(1)
        elif how and runs and runs[-1].failed:
            runs[-1].how = how.group(1)
    return runs


def _blocks(stdout: str) -> list[Block]:
    blocks: list[Block] = []
    block: Block | None = None
    section: list[str] | None = None
    failures = False
    for line in stdout.splitlines():
        started = _RUNNING.match(line)
        if block is None or (started and not failures):
            if started:
                block, section, failures = Block(declared=int(started.group(1))), None, False
                blocks.append(block)
            continue
        result = _RESULT.match(line)
        if result:
            passed, failed, ignored, measured = (int(number) for number in result.groups())
            if passed + failed + ignored + measured == block.declared:
                block.counts = (passed + measured, failed, ignored)
                block, section, failures = None, None, False
                continue
        opened = _SECTION.match(line)
        case = None if failures else _CASE.match(line)
        name = _NAME.match(line)
        if failures and opened and (section is None or _plain(opened.group(1)) in block.outcomes):
            section = block.outputs.setdefault(_plain(opened.group(1)), [])
        elif line == "failures:":
            # Said twice: before the captured output and before the list of names.
            failures = True
            if section is not None:
                section.append(line)
        elif section is not None:
            section.append(line)
        elif case:
            block.outcomes[_plain(case.group(1))] = _OUTCOMES[case.group(2)]
        elif failures and name:
            block.outcomes.setdefault(_plain(name.group(1)), "failed")
    for one in blocks:
        _finish(one)
    return blocks


def _finish(block: Block) -> None:
    """Take the closing list of names off the last captured output, and learn names whose line was torn."""
    for lines in block.outputs.values():
        if "failures:" in lines:
            last = len(lines) - 1 - lines[::-1].index("failures:")
            names = [match.group(1) for match in map(_NAME.match, lines[last + 1 :]) if match]
            if names and all(_plain(name) in block.outputs or block.counts for name in names):
                for name in names:
                    block.outcomes[_plain(name)] = "failed"
                del lines[last:]
    for name in block.outputs:
        block.outcomes.setdefault(name, "failed")


def _plain(name: str) -> str:
    return _NOTES.sub("", name)


def _cases(block: Block, label: str) -> list[TestCase]:
    prefix = f"{label}: " if label else ""
    return [
        TestCase(
            name=prefix + name,
            outcome=outcome,
            output="\n".join(block.outputs.get(name, [])).strip("\n") if outcome == "failed" else "",
        )
        for name, outcome in block.outcomes.items()
    ]


def _match(blocks: list[Block], runs: list[Run]) -> list[Run | None]:
    """The process behind each block, by order; None where a target without libtest makes that unsure."""
    units = [run for run in runs if not run.doc]
    if len(blocks) < len(units) or any(block.doctests for block in blocks[: len(units)]):
        return [None] * len(blocks)
    return [*units, *[None] * (len(blocks) - len(units))]


def _how(text: str, run: Run | None, runs: list[Run]) -> str:
    hows = [run.how] if run else [other.how for other in runs]
    return "; ".join([text, *(how for how in hows if how)])
