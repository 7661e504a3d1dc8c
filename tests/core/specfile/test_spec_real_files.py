"""Files of the public ecosystem, as they are: loaded, dumped, checked against the schemas."""

import json
import os
from pathlib import Path

import jsonschema
import pytest
from ruamel.yaml import YAML

from flowctl_core.errors import SpecError
from flowctl_core.models import ComponentSpec
from flowctl_core.specfile import load
from flowctl_core.specfile.dump import dump, dump_json, dump_yaml
from flowctl_core.specfile.schema import json_schema
from flowctl_core.specfile.validate import validate_component

DATA = Path(__file__).parents[4] / "shared" / "data" / "specs"
BROKEN = "schemas__cue__invalid-pipeline.yaml"
COMPONENT = "components__ttp-arrow-processor__component.yaml"


def _kind(path):
    if path.suffix == ".json":
        return "metadata"
    return next((kind for kind in ("component", "bundle") if path.name.endswith(f"{kind}.yaml")), "pipeline")


FILES = sorted(path for path in DATA.rglob("*") if path.suffix in (".yaml", ".json") and path.name != BROKEN)
EACH = pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")


@pytest.fixture(autouse=True)
def data():
    if not FILES:
        if os.environ.get("CI"):
            pytest.fail(f"the real spec files are not there: {DATA}")
        pytest.skip("the real spec files are not there")
    return DATA


def test_the_files_are_there():
    assert {_kind(path) for path in FILES} == {"component", "bundle", "pipeline", "metadata"}


@EACH
def test_loads_without_a_warning_and_loses_nothing(path):
    loaded = getattr(load, f"load_{_kind(path)}")(path)
    assert loaded.warnings == ()
    with path.open() as file:
        plain = json.load(file) if path.suffix == ".json" else YAML(typ="safe", pure=True).load(file)
    assert loaded.data == plain
    assert dump(loaded) == path.read_text()
    again = type(loaded.spec).model_validate_json(loaded.spec.model_dump_json())
    assert again == loaded.spec
    inside = again.data if isinstance(again, ComponentSpec) else json.loads(again.model_dump_json())
    assert inside == plain


@EACH
def test_survives_being_written_anew(path, tmp_path):
    kind = _kind(path)
    loaded = getattr(load, f"load_{kind}")(path)
    copy = tmp_path / path.name
    copy.write_text(dump_json(loaded.data) if path.suffix == ".json" else dump_yaml(loaded.data))
    assert getattr(load, f"load_{kind}")(copy).data == loaded.data


@EACH
def test_a_new_version_changes_one_line(path):
    loaded = getattr(load, f"load_{_kind(path)}")(path)
    metadata = loaded.data.get("metadata", loaded.data)
    changed = {**metadata, "name": "another-name"}
    text = dump(loaded, {**loaded.data, "metadata": changed} if "metadata" in loaded.data else changed)
    before, after = path.read_text().splitlines(), text.splitlines()
    assert len(before) == len(after)
    assert sum(old != new for old, new in zip(before, after, strict=True)) == 1


@EACH
def test_is_valid_under_the_schema_for_editors(path):
    if _kind(path) == "metadata":
        return
    check = jsonschema.Draft202012Validator(json_schema(_kind(path)))
    assert [error.message for error in check.iter_errors(YAML(typ="safe", pure=True).load(path))] == []


def test_the_broken_pipeline_is_refused_with_all_its_faults():
    path = next(DATA.rglob(BROKEN))
    with pytest.raises(SpecError) as caught:
        load.load_pipeline(path)
    fields = [line.split(": ")[1] for line in str(caught.value).splitlines()]
    assert fields == [
        "spec.driver",
        "spec.sources[0].health_check",
        "spec.processors[0].inputs",
        "spec.processors[0].replicas",
        "spec.sinks[0].inputs",
    ]
    check = jsonschema.Draft202012Validator(json_schema("pipeline"))
    assert list(check.iter_errors(YAML(typ="safe", pure=True).load(path)))


def test_the_real_component():
    spec = load.load_component(next(DATA.rglob(COMPONENT))).spec
    assert (spec.name, spec.version, spec.namespace, spec.type) == (
        "ttp-arrow-processor",
        "1.0.0",
        "obsrvr",
        "processor",
    )
    go = spec.language("go")
    assert go.version == "1.23" and go.main == "src/main.go"
    assert go.native.command == ("go", "build", "-o", "ttp-arrow-processor", "./src")
    assert go.native.environment == {"CGO_ENABLED": "1", "GOOS": "linux"}
    assert go.dockerfile.startswith("FROM golang:1.23-alpine")
    assert len(spec.config) == 11


def test_the_traps_of_the_real_component_are_named(tmp_path):
    """Its go.mod sits in src/, and it claims darwin while forcing linux."""
    (tmp_path / "component.yaml").write_text(next(DATA.rglob(COMPONENT)).read_text())
    (tmp_path / "src").mkdir()
    (tmp_path / "src/main.go").write_text("package main\n")
    (tmp_path / "src/go.mod").write_text("module x\n")
    loaded = load.load_component(tmp_path / "component.yaml")
    native = "spec.languages[0].build.native"
    assert [(f.severity, f.line, f.field) for f in validate_component(tmp_path, loaded)] == [
        ("error", 37, f"{native}.command"),
        ("warning", 39, f"{native}.environment"),
        ("warning", 39, f"{native}.environment"),
    ]
