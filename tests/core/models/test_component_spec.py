"""The one view over all spellings of component.yaml."""

import subprocess
import sys

import pytest
from pydantic import ValidationError

from flowctl_core.models import ComponentSpec, NativeBuild


def component(**spec):
    return ComponentSpec.from_data({"metadata": {"name": "x", "version": "v1.2.3"}, "spec": spec})


def test_version_loses_its_leading_v_only_before_a_digit():
    assert component().version == "1.2.3"
    assert ComponentSpec.from_data({"metadata": {"name": "x", "version": "vnext"}}).version == "vnext"
    assert ComponentSpec.from_data({"metadata": {"name": "x"}}).version is None


def test_language_list():
    spec = component(
        languages=[
            {"name": "Go", "version": "1.23", "main": "src/main.go", "build": {"container": {"dockerfile": "FROM x\n"}}},
            {"name": "typescript", "build": {"native": {"command": ["npm", "run", "build"], "binary": "dist/index.js", "runtime": "node"}}},
        ]
    )  # fmt: skip
    go, node = spec.languages
    assert (go.name, go.version, go.main, go.dockerfile, go.native) == ("go", "1.23", "src/main.go", "FROM x\n", None)
    assert node.native == NativeBuild(command=("npm", "run", "build"), binary="dist/index.js", runtime="node")
    assert spec.native_build == node.native  # the first language that has a command
    assert spec.language("node", "typescript") == node
    assert spec.language("GO") == go
    assert spec.language("rust") is None


def test_language_map_with_native_build():
    spec = component(
        languages={
            "go": {"version": "1.23", "native_build": {"enabled": True, "build_command": "go build -o p ./src", "binary_path": "./p"}},
            "rust": {"native_build": {"enabled": False, "build_command": "make", "binary_path": "x"}},
            "python": None,
        }
    )  # fmt: skip
    assert [entry.name for entry in spec.languages] == ["go", "rust", "python"]
    assert spec.languages[0].native == NativeBuild(commands=("go build -o p ./src",), binary="./p")
    assert spec.languages[1].native is None


def test_languages_as_names():
    assert [entry.name for entry in component(languages=["go", "rust"]).languages] == ["go", "rust"]


def test_spec_build_is_laid_over_its_language():
    spec = component(
        languages=[
            {"name": "python"},
            {"name": "go", "main": "cmd/x", "build": {"native": {"environment": ["A=1", "B=2"]}}},
        ],
        build={
            "language": "go",
            "native": {"commands": ["go mod download", "go build -o x ./cmd/x"], "environment": {"B": "3", "C": True}},
            "container": {"dockerfile": "FROM golang\n"},
            "dependencies": {"system": ["build-essential"], "build": ["protoc"]},
            "my-builder": {"jobs": 4},
        },
    )
    go = spec.language("go")
    assert go is not None and go.native is not None
    assert go.main == "cmd/x"
    assert go.native.commands == ("go mod download", "go build -o x ./cmd/x")
    assert go.native.environment == {"A": "1", "B": "3", "C": "true"}
    assert go.native.dependencies == ("build-essential",)
    assert go.dockerfile == "FROM golang\n"
    assert spec.language("python").native is None
    assert spec.native_build.commands == go.native.commands
    assert spec.build_extra("my-builder") == {"jobs": 4}
    assert spec.build_extra("missing") is None


def test_spec_build_alone_names_the_language():
    spec = component(build={"language": "Go", "native": {"environment": {"CC": "gcc"}}})
    assert [entry.name for entry in spec.languages] == ["go"]
    assert spec.languages[0].native == NativeBuild(environment={"CC": "gcc"})
    assert spec.native_build is None  # no command


@pytest.mark.parametrize(
    ("build", "expected"),
    [
        ({"command": ["make", "all"]}, NativeBuild(command=("make", "all"))),
        ({"command": "make all"}, NativeBuild(commands=("make all",))),
        ({"commands": ["a", ["b", "c d"]]}, NativeBuild(commands=("a", "b 'c d'"))),
        ({"native": {"command": ["m"], "commands": ["n"]}}, NativeBuild(command=("m",))),
        ({"native": {"command": ["m"], "environment": [{"name": "K", "value": 1}]}}, NativeBuild(command=("m",), environment={"K": "1"})),
        ({"native": {"command": ["m"]}, "environment": ["K=a=b"]}, NativeBuild(command=("m",), environment={"K": "a=b"})),
    ],
)  # fmt: skip
def test_spellings_of_the_command(build, expected):
    assert component(build=build).native_build == expected
    assert component(languages=[{"name": "go", "build": build}]).native_build == expected


def test_accessors_survive_shapes_that_were_never_checked():
    odd = ComponentSpec(
        name="x", data={"metadata": [], "spec": {"languages": 3, "build": "make", "config": [1], "type": {}}}
    )
    assert odd.languages == ()
    assert odd.native_build is None
    assert odd.type is None
    assert odd.config == {}
    assert ComponentSpec(name="x").languages == ()


def test_type_config_and_events():
    spec = component(
        type="consumer",
        interface={"inputEventTypes": ["a"], "config": {"k": {"type": "string"}}},
        config={"properties": {"l": {}}},
    )
    assert spec.type == "sink"
    assert spec.config == {"l": {}, "k": {"type": "string"}}
    assert spec.input_event_types == ("a",)
    assert spec.output_event_types == ()


def test_frozen_and_json():
    spec = component(languages=["go"], odd={"nested": [1, 1.5, None, True, "1.10"]})
    assert ComponentSpec.model_validate_json(spec.model_dump_json()) == spec
    with pytest.raises(ValidationError):
        spec.name = "y"


def test_import_is_cheap():
    """What a build imports: no YAML reader, none of the document models."""
    code = "import sys, flowctl_core.models; print([m for m in sys.modules if 'ruamel' in m or 'document' in m or 'bundle' in m])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
