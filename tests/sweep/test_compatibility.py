"""flowctl against hands on public component trees; docs/compatibility.md is written anew."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "tests" / "sweep" / "compatibility" / "run.py"


@pytest.mark.sweep
@pytest.mark.timeout(3 * 3600)
def test_public_trees_are_built_and_tested_as_by_hand() -> None:
    if "FLOWCTL_TREES" not in os.environ:
        pytest.skip("FLOWCTL_TREES names no folder of bare git directories")
    argv = [sys.executable, str(PROGRAM), "--page", str(ROOT / "docs" / "compatibility.md")]
    done = subprocess.run(argv, capture_output=True, text=True)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
