"""The examples of four languages as one pipeline, as `./dev demo pipeline` runs it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

DEMO = Path(__file__).parents[2] / "examples" / "demo.py"


@pytest.mark.requires_tool("go", "cargo", "node", "npm")
def test_the_example_pipeline_runs_through():
    done = subprocess.run([sys.executable, str(DEMO), "pipeline"], capture_output=True, text=True, timeout=550)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "the pipeline ran through" in done.stdout
