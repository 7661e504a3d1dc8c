"""Projects' own tests, run with the real tools."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from flowctl_core.models import LanguageSettings, TestReport
from flowctl_core.testing import Driver

from .conftest import Content, Tree

pytestmark = pytest.mark.requires_tool("node", "npm")

NODE_TEST = """\
const {test, describe, it} = require('node:test');
test('one', () => {});
test('bad # 1', () => { throw new Error('broken pipe') });
test('later', {skip: true}, () => {});
test('maybe', {todo: true}, () => {});
describe('group', () => { it('two', () => {}); });
"""


def run(tree: Tree, **options: Any) -> TestReport:
    driver = Driver(tree.root, "node", **options)
    plan = driver.plan()
    driver.fetch(plan)
    driver.build(plan)
    report = driver.test(plan)
    assert report is not None
    return report


def project(scripts: dict[str, str], files: dict[str, Content], **manifest: Any) -> dict[str, Content]:
    return {"package.json": {"name": "sink", "bin": "a.js", "scripts": scripts, **manifest}, "a.js": "", **files}


@pytest.mark.parametrize(
    "scripts", [{"test": "node --test"}, {}, {"test": 'echo "Error: no test specified" && exit 1'}]
)
@pytest.mark.parametrize("where", ["a.test.js", "test/deep/x.js", "x_test.cjs"])
def test_node_test(tree: Callable[..., Tree], scripts: dict[str, str], where: str) -> None:
    report = run(tree(project(scripts, {where: NODE_TEST})))
    assert (report.passed, report.failed, report.skipped, report.errors) == (2, 1, 2, 0)
    assert report.counted and not report.ok and report.exit_code == 1
    (failed,) = [case for case in report.cases if case.outcome == "failed"]
    assert failed.name == "bad # 1"
    assert "broken pipe" in failed.output and "broken pipe" in report.output
    assert len(report.cases) == report.total


def test_a_test_file_that_does_not_load_fails(tree: Callable[..., Tree]) -> None:
    report = run(
        tree(project({}, {"a.test.js": "require('node:test').test('x', () => {});", "b.test.js": "syntax error"}))
    )
    assert (report.passed, report.failed) == (1, 1)
    assert not report.ok


@pytest.mark.parametrize(
    "files", [{}, {"src/x.js": ""}, {"node_modules/x/test/a.js": NODE_TEST}, {".flowctl/work/a.test.js": NODE_TEST}]
)
def test_no_tests_are_none(tree: Callable[..., Tree], files: dict[str, Content]) -> None:
    report = run(tree(project({}, files)))
    assert report.total == 0 and report.counted and report.exit_code == 0


def test_a_script_that_counts_nothing(tree: Callable[..., Tree]) -> None:
    for code, script in ((0, "echo fine"), (4, "echo odd; exit 4")):
        report = run(tree(project({"test": script}, {}), name=f"p{code}"))
        assert (report.counted, report.exit_code, report.total) == (False, code, 0)
        assert report.ok is (code == 0)


def test_a_script_that_fails_after_its_tests(tree: Callable[..., Tree]) -> None:
    report = run(
        tree(
            project(
                {"test": "node --test ok.test.js && exit 5"}, {"ok.test.js": "require('node:test').test('x',()=>{})"}
            )
        )
    )
    assert (report.passed, report.exit_code, report.ok) == (1, 5, False)


def test_a_configured_command_finds_the_dependencies_programs(tree: Callable[..., Tree]) -> None:
    files = project({"test": "exit 1"}, {"a.test.js": NODE_TEST}, devDependencies={"semver": "7.7.2"})
    settings = LanguageSettings(test_command=("sh", "-c", "semver 1.2.3 && node --test a.test.js"))
    report = run(tree(files), settings=settings)
    assert (report.tool, report.passed, report.failed) == ("sh -c", 2, 1)


@pytest.mark.parametrize(
    ("dependency", "script", "test"),
    [
        ({"mocha": "11"}, "mocha", "const g = {describe, it};"),
        ({"jest": "29"}, "jest", "const g = {describe, it: test};"),
        ({"vitest": "3"}, "vitest", "import * as v from 'vitest'; const g = {describe: v.describe, it: v.test};"),
    ],
    ids=["mocha", "jest", "vitest"],
)
def test_other_tools(tree: Callable[..., Tree], dependency: dict[str, str], script: str, test: str) -> None:
    body = test + (
        "g.describe('group', () => { g.it('one', () => {}); g.it('two', () => {});"
        "g.it('bad', () => { throw new Error('broken pipe') }); g.it.skip('later', () => {}); });"
    )
    files = project({"test": script}, {"test/a.test.js": body}, devDependencies=dependency)
    report = run(tree(files))
    assert (report.passed, report.failed, report.skipped, report.errors) == (2, 1, 1, 0), report.output
    (failed,) = report.cases
    assert "bad" in failed.name and "broken pipe" in failed.output


@pytest.mark.parametrize(
    ("dependency", "script"), [({"jest": "29"}, "jest"), ({"vitest": "3"}, "vitest")], ids=["jest", "vitest"]
)
def test_a_tool_that_finds_no_tests(tree: Callable[..., Tree], dependency: dict[str, str], script: str) -> None:
    report = run(tree(project({"test": script}, {}, devDependencies=dependency)))
    assert report.total == 0 and report.counted and report.exit_code == 0
