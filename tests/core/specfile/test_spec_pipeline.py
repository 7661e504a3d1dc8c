"""Rules of pipeline.yaml and bundle.yaml."""

import pytest

from flowctl_core.errors import SpecError
from flowctl_core.models import BundleSpec, PipelineSpec
from flowctl_core.specfile import load

PIPELINE = """\
apiVersion: {version}
kind: Pipeline
metadata: {{name: p}}
spec:
  sources:
    - id: in
      type: stellar/source@v1.0.0
  processors:
    - id: mid
      path: ./mid
      inputs: [in]
  sinks:
    - id: out
      command: [./sink, --x]
      args: [1.50]
      inputs: [mid]
      env: {{A: true}}
      ports: [{{name: http, containerPort: 80, protocol: TCP}}]
      health_check: /health
      health_port: 8088
      depends_on: [in]
      restart_policy: "no"
"""
GOOD = PIPELINE.format(version="flowctl/v1")
BUNDLE = """\
apiVersion: component.flowctl.io/v1
kind: ComponentBundle
metadata: {name: b, version: v1.0.0}
spec:
  communication: {ports: {one: 1}}
  components:
    - {name: one, path: one/, type: source, communication: {streams: [Raw]}, build: {environment: {GOFLAGS: -x}, commands: [npm ci]}}
    - {name: two, path: two/, type: sink, communication: {consumes: [Raw]}}
  templates:
    - name: t
      components: [{one: {config: {a: "${A:-1}"}}}, two: ]
  resources: {two: {limits: {cpu: 1}}}
  build: {parallel: true, cache: aggressive, dependencies: {system: [curl], build: [protoc]}, order: [one, two]}
"""


@pytest.fixture
def attempt(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def attempt(text, kind="pipeline"):
        path = tmp_path / f"{kind}.yaml"
        path.write_text(text)
        reading = load.read_pipeline(path) if kind == "pipeline" else load.read_bundle(path)
        return reading, [str(finding).removeprefix(f"{kind}.yaml:") for finding in reading.findings]

    return attempt


@pytest.mark.parametrize("version", ["flowctl/v1", "flowctl.io/v1"])
def test_both_groups_load(attempt, version):
    reading, said = attempt(PIPELINE.format(version=version))
    assert said == []
    sink = reading.loaded.spec.spec.sinks[0]
    assert (sink.command, sink.args, sink.env) == (("./sink", "--x"), ("1.50",), {"A": "true"})
    assert PipelineSpec.model_validate_json(reading.loaded.spec.model_dump_json()) == reading.loaded.spec


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("path: ./mid", "image: i\n      path: ./mid", "11: spec.processors[0].path: image and path are given together; keep exactly one"),
        ("path: ./mid", "type: t@v1\n      command: [a]", "10: spec.processors[0].type: command and type are given together; keep exactly one"),
        ("path: ./mid", "config: {}", "9: spec.processors[0]: nothing says what runs; give one of image, command, type and path"),
        ("path: ./mid", "command: []", "9: spec.processors[0]: nothing says what runs; give one of image, command, type and path"),
        ("inputs: [in]", "inputs: [inn]", "11: spec.processors[0].inputs[0]: there is no component 'inn'; did you mean 'in'?"),
        ("inputs: [in]", "inputs: [out]", "11: spec.processors[0].inputs[0]: 'out' is a sink and gives no events"),
        ("inputs: [in]", "inputs: [mid]", "11: spec.processors[0].inputs: 'mid' takes its own events, through mid"),
        ("inputs: [in]", "inputs: []", "11: spec.processors[0].inputs: is empty; say what feeds this processor"),
        ("id: mid", "id: in", "9: spec.processors[0].id: the id 'in' is given twice"),
        ("depends_on: [in]", "depends_on: [x]", "21: spec.sinks[0].depends_on[0]: there is no component 'x'"),
        ("health_port: 8088", "replicas: 1", "19: spec.sinks[0].health_check: needs a health_port"),
        ("stellar/source@v1.0.0", "a/b/c@@", "7: spec.sources[0].type: 'a/b/c@@' is not a reference; write [namespace/]name@version"),
        ("stellar/source@v1.0.0", "x\n      inputs: [mid]", "8: spec.sources[0].inputs: a source has no inputs"),
        ('"no"', "sometimes", "22: spec.sinks[0].restart_policy: 'sometimes' is not a restart_policy; use no, always, on-failure or unless-stopped"),
        ("containerPort: 80,", "", "18: spec.sinks[0].ports[0].containerPort: is missing"),
    ],
)  # fmt: skip
def test_broken_pipelines(attempt, old, new, message):
    assert old in GOOD
    reading, said = attempt(GOOD.replace(old, new, 1))
    assert reading.loaded is None
    assert message in said


def test_longer_loops_are_found(attempt):
    text = GOOD.replace(
        "inputs: [in]\n",
        "inputs: [in, b]\n    - {id: b, path: b, inputs: [c]}\n    - {id: c, path: c, inputs: [mid]}\n",
        1,
    )
    _, said = attempt(text)
    assert [line.split(":")[1].strip() for line in said] == [f"spec.processors[{i}].inputs" for i in range(3)]


def test_a_pipeline_of_nothing(attempt):
    assert attempt(GOOD.split("  sources:")[0] + "  driver: process\n")[1] == [
        "4: spec: has no components; add sources, processors and sinks"
    ]


def test_pipelines_as_black_boxes(attempt):
    text = GOOD + "  pipelines:\n    - {id: sub, type: pipeline, command: [run]}\n"
    assert attempt(text)[1] == []


def test_bundle_loads_and_survives_json(attempt):
    reading, said = attempt(BUNDLE, "bundle")
    assert said == []
    spec = reading.loaded.spec
    assert spec.spec.templates[0].components[1] == {"two": None}
    assert BundleSpec.model_validate_json(spec.model_dump_json()) == spec
    assert spec.model_dump(mode="json") == reading.loaded.data


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("name: two", "name: one", "8: spec.components[1].name: the name 'one' is given twice"),
        ("path: two/", "path: ../two", "8: spec.components[1].path: '../two' leads outside the bundle's folder"),
        ("path: two/", "path: /two", "8: spec.components[1].path: '/two' leads outside the bundle's folder"),
        ("order: [one, two]", "order: [one, tow]", "13: spec.build.order[1]: 'tow' is not a component of this bundle; did you mean 'two'?"),
        ("two: ]", "three: ]", "11: spec.templates[0].components[1].three: 'three' is not a component of this bundle"),
        ("{ports: {one: 1}}", "{ports: {one: x}}", "5: spec.communication.ports.one: must be a whole number, not 'x'"),
        ("resources: {two", "resources: {zwei", "12: spec.resources.zwei: 'zwei' is not a component of this bundle"),
        ("ComponentBundle", "ComponentSpec", "2: kind: must be 'ComponentBundle', not 'ComponentSpec'"),
        ("parallel: true", "paralel: true", "13: spec.build.paralel: unknown field; did you mean 'parallel'?"),
    ],
)  # fmt: skip
def test_broken_bundles(attempt, old, new, message):
    assert old in BUNDLE
    assert message in attempt(BUNDLE.replace(old, new, 1), "bundle")[1]


def test_a_bundle_of_nothing(attempt):
    text = "apiVersion: component.flowctl.io/v1\nkind: ComponentBundle\nmetadata: {name: b}\nspec: {components: []}\n"
    assert attempt(text, "bundle")[1] == ["4: spec.components: must not be empty"]


def test_all_problems_in_one_error(tmp_path):
    path = tmp_path / "pipeline.yaml"
    path.write_text(GOOD.replace("inputs: [in]", "replicas: -1").replace("path: ./mid", "image: [a]"))
    with pytest.raises(SpecError) as caught:
        load.load_pipeline(path)
    assert [line.split(": ")[1] for line in str(caught.value).splitlines()] == [
        "spec.processors[0].inputs",
        "spec.processors[0].image",
        "spec.processors[0].replicas",
    ]


def test_unknown_fields_named_like_python_attributes_survive_json(attempt):
    reading, said = attempt(BUNDLE.replace("path: one/", "path: one/, input_event_types: [z]"), "bundle")
    assert said == ["7: spec.components[0].input_event_types: unknown field; did you mean 'inputEventTypes'?"]
    spec = reading.loaded.spec
    assert spec.model_dump(mode="json") == reading.loaded.data
    assert BundleSpec.model_validate_json(spec.model_dump_json()) == spec
