"""What the commands print under `-o json` is what docs/reference/json-output.md says: no field more, no field less."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import jsonschema
import pytest
from pydantic import TypeAdapter

from flowctl_core.cli import documents

ROOT = Path(__file__).parents[2]
FLOWCTL = Path(sys.prefix) / "bin" / "flowctl"
SPEC = """\
apiVersion: component.flowctl.io/v1
kind: ComponentSpec
metadata: {name: greeting, version: 1.2.0}
spec:
  type: processor
  build:
    native: {command: [sh, make.sh], binary: bin/greeting}
"""
MAKE = "mkdir -p bin && printf '#!/bin/sh\\necho hello\\n' >bin/greeting && chmod +x bin/greeting\n"


def load_generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_generate_json", ROOT / "docs" / "generate.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    from generator import json_output

    return json_output


DOCUMENTS = load_generator().DOCUMENTS


def strict(schema: dict[str, Any], optional: tuple[str, ...] = ()) -> dict[str, Any]:
    """The schema with every known field required and every other one refused."""
    for one in (schema, *schema.get("$defs", {}).values()):
        if "properties" in one:
            one["additionalProperties"] = False
            one["required"] = [name for name in one["properties"] if name not in optional]
    return schema


def conforms(document: object, kind: Any, optional: tuple[str, ...] = ()) -> None:
    jsonschema.validate(document, strict(TypeAdapter(kind).json_schema(mode="serialization"), optional))


def model(heading: str) -> Any:
    return DOCUMENTS[heading][1]


class Component:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(root.parent), "LC_ALL": "C.UTF-8"}

    def answer(self, *arguments: str, exit_code: int = 0) -> Any:
        done = subprocess.run(
            [FLOWCTL, *arguments, "-o", "json"], cwd=self.root, env=self.environment, capture_output=True, text=True
        )
        assert done.returncode == exit_code, done.stdout + done.stderr
        return json.loads(done.stdout)


@pytest.fixture
def component(tmp_path: Path) -> Component:
    root = tmp_path / "greeting"
    root.mkdir()
    (root / "component.yaml").write_text(SPEC)
    (root / "make.sh").write_text(MAKE)
    return Component(root)


def test_build(component: Component) -> None:
    for outcome in ("miss", "fresh"):
        built = component.answer("component", "build")
        assert built["cache"] == outcome
        conforms(built, model("flowctl component build"), optional=("explanation",))
    conforms(component.answer("component", "build", "--no-cache", "--explain"), model("flowctl component build"))
    component.answer("component", "clean")
    assert component.answer("component", "build")["cache"] == "hit"


def test_build_of_several(component: Component) -> None:
    (component.root / "nothing").mkdir()
    built, failed = component.answer("component", "build", ".", "nothing", exit_code=20)
    conforms(built, model("flowctl component build A B"), optional=("explanation",))
    assert "explanation" not in built and built["path"] == "."
    conforms(failed, documents.FailedComponent)


def test_test_counted_and_not(component: Component, tmp_path: Path) -> None:
    conforms(
        component.answer("component", "test", exit_code=34), model("Any command that fails")
    )  # before any test ran
    config = tmp_path / ".flowctl" / "config.yaml"
    config.parent.mkdir()
    config.write_text("build: {local: {languages: {command: {test_command: [sh, -c, exit 0]}}}}\n")
    tested = component.answer("component", "test")
    conforms(tested, model("flowctl component test"))
    assert tested["tests"]["counted"] is False and tested["tests"]["total"] == 0
    python = tmp_path / "py"
    (python / "tests").mkdir(parents=True)
    (python / "main.py").write_text("print('hello')\n")
    (python / "tests" / "test_it.py").write_text(
        "import unittest\nclass T(unittest.TestCase):\n    def test_a(self): pass\n    def test_b(self): self.fail('b')\n"
    )
    failed = component.answer("component", "test", str(python), exit_code=33)
    conforms(failed, model("flowctl component test"))
    assert failed["error"]["code"] == "tests-failed"
    counted = failed["tests"]
    assert (counted["passed"], counted["failed"], counted["total"]) == (1, 1, 2)


def test_describing_commands(component: Component) -> None:
    conforms(component.answer("component", "detect"), model("flowctl component detect"))
    conforms(component.answer("component", "validate"), model("flowctl component validate"))
    component.answer("component", "build")
    conforms(component.answer("component", "clean"), model("flowctl component clean"))
    (component.root / "component.yaml").write_text(SPEC.replace("type: processor", "type: proces"))
    conforms(component.answer("component", "validate", exit_code=10), model("Any command that fails"))
    (component.root / "component.yaml").write_text(SPEC + "  unheard: 1\n")
    warned = component.answer("component", "validate")
    assert warned["valid"] and warned["findings"]
    conforms(warned, model("flowctl component validate"))
    (component.root / "component.yaml").unlink()
    (component.root / "package.json").write_text('{"name": "greeting", "main": "main.js"}')
    (component.root / "main.js").write_text("console.log('hello')\n")
    (component.root / "Cargo.toml").write_text('[package]\nname = "greeting"\nversion = "0.1.0"\n')
    (component.root / "go.mod").write_text("module greeting\n")
    detected = component.answer("component", "detect")
    assert detected["lost"] and detected["language"] == "node"
    conforms(detected, model("flowctl component detect"))
    conforms(component.answer("component", "init"), model("flowctl component init"))


def test_commands_about_bundles(component: Component, tmp_path: Path) -> None:
    suite = Component(tmp_path)
    conforms(suite.answer("bundle", "init", "--name", "suite"), model("flowctl bundle init"))
    conforms(suite.answer("bundle", "validate"), model("flowctl bundle validate"))
    conforms(suite.answer("bundle", "info"), model("flowctl bundle info"))
    conforms(suite.answer("bundle", "build"), model("flowctl bundle build"))
    conforms(suite.answer("bundle", "test", exit_code=34), model("flowctl bundle test"))
    (component.root / "make.sh").write_text("exit 3\n")
    conforms(suite.answer("bundle", "build", exit_code=32), model("flowctl bundle build"))
    conforms(suite.answer("bundle", "list"), model("flowctl bundle list"))
    conforms(suite.answer("bundle", "install", exit_code=2), model("Any command that fails"))


def test_commands_about_the_machine(component: Component) -> None:
    records = component.answer("plugin", "list")
    assert len(records) >= 5
    conforms(records, list[model("flowctl plugin list")])
    component.answer("component", "build")
    conforms(component.answer("cache", "info"), model("flowctl cache info"))
    conforms(component.answer("cache", "prune", "--all"), model("flowctl cache prune"))
    conforms(component.answer("config", "show"), model("flowctl config show"))
    done = subprocess.run([FLOWCTL, "doctor", "-o", "json"], env=component.environment, capture_output=True, text=True)
    assert done.returncode in (0, 1)
    conforms(json.loads(done.stdout), model("flowctl doctor"))


def test_failures(component: Component) -> None:
    conforms(component.answer("component", "biuld", exit_code=2), model("Any command that fails"))
    (component.root / "make.sh").write_text("echo no compiler; exit 3\n")
    failure = component.answer("component", "build", exit_code=32)
    conforms(failure, model("Any command that fails"))
    assert "no compiler" in failure["error"]["output"]


def test_every_field_has_a_meaning() -> None:
    json_output = load_generator()
    for heading, (_, kind) in json_output.DOCUMENTS.items():
        lacking = [path for path, _, meaning in json_output.fields(kind, "") if not meaning]
        assert lacking == [], heading
