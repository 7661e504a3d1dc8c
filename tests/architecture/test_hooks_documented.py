"""Each hook is explained, in the reference as its docstring says, and used in a test."""

from __future__ import annotations

import importlib.util
import inspect
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from flowctl_core import hookspecs
from flowctl_core.plugins.signatures import hook_names, signature

ROOT = Path(__file__).parents[2]
HOOKS = hook_names()


def _generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_generate", ROOT / "docs" / "generate.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_contract_has_its_hooks():
    assert len(HOOKS) >= 11
    assert set(HOOKS) == {name for name in vars(hookspecs) if name.startswith("flowctl_")}


@pytest.mark.parametrize("hook", HOOKS)
def test_each_hook_has_a_docstring(hook: str):
    text = inspect.getdoc(getattr(hookspecs, hook))
    assert text and text.endswith(".") and len(text) > 30


@pytest.mark.parametrize("hook", HOOKS)
def test_each_hook_has_typed_arguments_and_an_answer(hook: str):
    found = signature(hook)
    assert set(found.arguments) == set(inspect.signature(getattr(hookspecs, hook)).parameters)
    assert found.expected


@pytest.mark.parametrize("hook", HOOKS)
def test_each_hook_is_in_the_reference(hook: str):
    assert f"| `{hook}(" in (ROOT / "docs" / "plugins" / "contract.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("hook", HOOKS)
def test_each_hook_is_named_in_a_test(hook: str):
    here = Path(__file__)
    tests = [path for path in (ROOT / "tests").rglob("*.py") if path != here and "projects" not in path.parts]
    assert any(hook in path.read_text(encoding="utf-8") for path in tests), f"no test names {hook}"


def test_generated_documentation_is_up_to_date():
    done = subprocess.run(
        [sys.executable, str(ROOT / "docs" / "generate.py"), "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{done.stdout}{done.stderr}\nRun `python docs/generate.py`."


def test_check_finds_a_page_that_is_out_of_date(tmp_path: Path):
    generator = _generator()
    page = tmp_path / "deep" / "page.md"
    page.parent.mkdir()
    page.write_text("before\n<!-- generated: hooks -->\nold\n<!-- /generated -->\nafter\n", encoding="utf-8")
    ((found, right),) = generator.stale_pages(tmp_path)
    assert found == page
    assert right.startswith("before\n") and right.endswith("after\n") and "flowctl_detect" in right
    page.write_text(right, encoding="utf-8")
    assert list(generator.stale_pages(tmp_path)) == []


def test_every_field_of_the_models_in_the_reference_is_listed():
    text = _generator().hook_models()
    for heading in ("Plan", "BuildContext", "TestReport", "ToolRequirement", "Detection", "Attestation"):
        assert f"### {heading}\n" in text
    assert re.search(r"- `generated`: `tuple\[str, \.\.\.\]`, default `\(\)`\. Paths that build creates", text)


def test_an_unknown_block_is_an_error():
    with pytest.raises(KeyError, match="no-such-block"):
        _generator().render("<!-- generated: no-such-block -->\n<!-- /generated -->")
