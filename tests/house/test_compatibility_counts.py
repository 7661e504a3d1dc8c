"""The figures by hand on the compatibility page are read right from what test tools print."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).resolve().parents[1] / "sweep" / "compatibility"


@pytest.fixture(scope="module")
def counts() -> ModuleType:
    spec = importlib.util.spec_from_file_location("compatibility_counts", FOLDER / "counts.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("=== RUN   TestA\n--- PASS: TestA (0.00s)\n    --- FAIL: TestA/b (0.0s)\n--- SKIP: TestC (0.0s)\nFAIL\n",
         {"passed": 1, "failed": 1, "skipped": 1}),
        ("# x [x.test]\nFAIL\tx [build failed]\n--- PASS: TestB (0.1s)\nok  \ty\t0.1s\n", {"errors": 1, "passed": 1}),
        ("?   \tx\t[no test files]\n", {}),
        ("test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s\n"
         "test result: FAILED. 0 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n",
         {"passed": 3, "failed": 2, "skipped": 1}),
        ("======= 2 failed, 72 passed, 1 xfailed, 3 errors in 5.01s (0:00:05) =======\n",
         {"failed": 2, "passed": 72, "skipped": 1, "errors": 3}),
        ("247 passed, 3 skipped in 2.40s\n", {"passed": 247, "skipped": 3}),
        ("Results (0.22s):\n        89 passed\n         1 skipped\n", {"passed": 89, "skipped": 1}),
        ("===== no tests ran in 0.01s =====\n", {}),
        ("Test Suites: 1 passed, 1 total\nTests:       2 failed, 1 skipped, 165 passed, 168 total\n"
         "Test Suites: 1 passed, 1 total\nTests:       167 passed, 167 total\n",
         {"failed": 2, "skipped": 1, "passed": 332}),
        ("\x1b[2m Test Files \x1b[22m 1 passed (1)\n\x1b[2m      Tests \x1b[22m \x1b[1m23 passed\x1b[22m (23)\n",
         {"passed": 23}),
        ("  2 passing (616ms)\n  1 pending\n  3 failing\n", {"passed": 2, "skipped": 1, "failed": 3}),
        ("  ─\n\n  5 tests passed\n  1 test failed\n", {"passed": 5, "failed": 1}),
        ("  Total:     33\n  Passed:    32\n  Skipped:   1\n", {"passed": 32, "skipped": 1}),
        ("Passed: 336\nFailed: 2\nTotal: 338\n", {"passed": 336, "failed": 2}),
        ("ℹ tests 3\nℹ pass 2\nℹ fail 1\nℹ skipped 0\n", {"passed": 2, "failed": 1}),
        ("No tests found, exiting with code 1\n", {}),
        ("sanitize test failed\n", None),
    ],
)  # fmt: skip
def test_counts_by_hand(counts: ModuleType, output: str, expected: dict[str, int] | None) -> None:
    assert counts.read(output) == expected
