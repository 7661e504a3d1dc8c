"""What validation says about a component, its tree and its metadata.json."""

import json
import shutil
import subprocess

import pytest

from flowctl_core.models import Artifact, Platform
from flowctl_core.specfile import load
from flowctl_core.specfile.check_config import value_problems
from flowctl_core.specfile.validate import validate_component

HEAD = "apiVersion: component.flowctl.io/v1\nkind: ComponentSpec\nmetadata: {name: x, version: v1.0.0}\nspec:\n"


@pytest.fixture
def validate(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def validate(body, files=(), metadata=None, artifacts=None):
        for name in files:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("")
        if metadata is not None:
            (tmp_path / "metadata.json").write_text(json.dumps(metadata) if isinstance(metadata, dict) else metadata)
        (tmp_path / "component.yaml").write_text(HEAD + body)
        loaded = load.load_component(tmp_path / "component.yaml")
        found = validate_component(tmp_path, loaded, artifacts=artifacts)
        return [f"{f.severity[0]} {f}".replace("component.yaml:", "") for f in found]

    return validate


SOURCE = "  type: source\n  interface:\n    outputEventTypes: [a]\n"


def test_nothing_to_say(validate):
    assert validate(SOURCE) == []


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("  x-a: 1\n", ["e 4: spec.type: is missing; say source, processor or sink"]),
        ("  type: source\n", ["w 4: spec.interface.outputEventTypes: is missing; a source gives events"]),
        (
            "  type: sink\n  interface: {inputEventTypes: []}\n",
            ["w 6: spec.interface.inputEventTypes: is empty; a sink takes events"],
        ),
        ("  type: sink\n  interface: {input: grpc}\n", []),
        ("  type: processor\n  interface: {upstream: {type: grpc}, downstream: {type: grpc}}\n", []),
        (
            "  type: source\n  interface:\n    inputEventTypes: [b]\n    outputEventTypes: [a, a]\n",
            [
                "e 7: spec.interface.inputEventTypes: a source takes no events; is it a processor?",
                "w 8: spec.interface.outputEventTypes[1]: 'a' is given twice",
            ],
        ),
        (
            "  type: consumer\n  interface:\n    inputEventTypes: [b]\n    outputEventTypes: [a]\n",
            ["e 8: spec.interface.outputEventTypes: a sink gives no events; is it a processor?"],
        ),
    ],
)
def test_events(validate, body, said):
    assert validate(body) == said


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ("{type: integer, default: 3, minimum: 1, maximum: 3, enum: [3], examples: [3]}", None),
        ("{type: integer, default: ten}", "default: must be a whole number, not 'ten'"),
        ("{type: integer, default: 1.5}", "default: must be a whole number, not 1.5"),
        ("{type: integer, default: true}", "default: must be a whole number, not true"),
        ("{type: number, default: 0.5, minimum: 1}", "default: 0.5 is below the minimum, 1"),
        ("{type: integer, default: 9, maximum: 5}", "default: 9 is above the maximum, 5"),
        ("{type: integer, minimum: 9, maximum: 5}", "minimum: 9 is larger than the maximum, 5"),
        ("{type: string, default: c, enum: [a, b]}", "default: 'c' is none of 'a', 'b'"),
        ("{type: string, enum: [a, 1]}", "enum[1]: must be text, not 1"),
        ("{type: boolean, default: maybe}", "default: must be true or false, not 'maybe'"),
        (
            "{type: string, default: 5s, validation: {pattern: '^[0-9]+[mh]$'}}",
            "default: '5s' does not match the pattern ^[0-9]+[mh]$",
        ),
        (
            "{type: string, validation: {pattern: '[a'}}",
            "validation.pattern: not a regular expression: unterminated character set at position 0",
        ),
        ("{type: string, default: '${HOME}', enum: [a]}", None),
        ("{type: array, items: {type: string, enum: [a]}, default: [a, b]}", "default[1]: 'b' is none of 'a'"),
        ("{type: array, items: {type: integer, default: x}}", "items.default: must be a whole number, not 'x'"),
        (
            "{type: object, properties: {p: {type: integer}}, default: {p: x}}",
            "default.p: must be a whole number, not 'x'",
        ),
        ("{type: integer, examples: [1, x]}", "examples[1]: must be a whole number, not 'x'"),
    ],
)
def test_config_schemas(validate, schema, said):
    expected = [] if said is None else [f"e 8: spec.interface.config.key.{said}"]
    assert validate(SOURCE + f"    config: {{key: {schema}}}\n") == expected


def test_config_in_its_older_place(validate):
    body = SOURCE + "  config:\n    properties:\n      key: {type: integer, default: x}\n"
    assert validate(body) == ["e 10: spec.config.properties.key.default: must be a whole number, not 'x'"]


def test_a_pattern_that_could_take_for_ever_is_not_tried(validate):
    evil = "{type: string, pattern: '^(a+)+$', default: '" + "a" * 60 + "!'}"
    (said,) = validate(SOURCE + f"    config: {{key: {evil}}}\n")
    assert said.startswith("w 8: spec.interface.config.key.pattern: can take exponential time")
    assert list(value_problems({"pattern": "(a|b*)*c"}, "b" * 60)) == []


def test_examples(validate):
    body = SOURCE + (
        "    config:\n      a: {type: integer, required: true}\n      b: {type: string, required: true, default: x}\n"
        "  examples:\n    - config: {a: 1}\n    - name: e\n      config:\n        a: x\n        c: 1\n    - config: {b: y}\n"
    )
    assert validate(body) == [
        "e 15: spec.examples[1].config.a: must be a whole number, not 'x'",
        "w 16: spec.examples[1].config.c: is not a declared configuration key",
        "e 17: spec.examples[2].config: lacks the required key 'a'",
    ]


def test_ports(validate):
    body = SOURCE + (
        "    communication:\n      protocol: grpc\n      port: 8080\n      consumes:\n        - {name: s, port: 8080}\n"
        "    config: {health_port: {type: integer, default: 9}}\n"
        "  health:\n    readiness:\n      port: 8080\n    liveness: {http: {path: /x, port: 9}}\n"
    )
    assert validate(body) == [
        "w 12: spec.interface.communication.consumes[0].port: port 8080 is this component's own; both cannot run on one host",
        "e 16: spec.health.readiness.port: port 8080 is taken by grpc (spec.interface.communication.port)",
    ]
    assert not [line for line in validate(body.replace("grpc", "http")) if line.startswith("e")]


def test_platforms_modes_and_quantities(validate):
    body = SOURCE + (
        "  platforms:\n    - linux/x86_64\n    - macos/arm64\n    - linux/arm/v7\n    - linux/arm64\n    - linux/arm64\n    - linus/amd64\n"
        "  execution: {modes: [nativ], default: container}\n  resources: {limits: {cpu: 2, memory: lots}}\n"
    )
    assert validate(body) == [
        "e 9: spec.platforms[0]: 'x86_64' is not an architecture; did you mean 'amd64'?",
        "e 10: spec.platforms[1]: 'macos' is not an operating system; did you mean 'darwin'?",
        "w 13: spec.platforms[4]: 'linux/arm64' is given twice",
        "e 14: spec.platforms[5]: 'linus' is not an operating system; did you mean 'linux'?",
        "w 15: spec.execution.modes[0]: 'nativ' is not a mode; did you mean 'native'?",
        "e 15: spec.execution.default: 'container' is not among the modes nativ",
        "e 16: spec.resources.limits.memory: 'lots' is not a quantity; write one such as 500m, 512Mi or 2",
    ]


@pytest.mark.parametrize(
    ("language", "main", "files", "said"),
    [
        ("go", "cmd/x", ["cmd/x/main.go"], None),
        (
            "go",
            "cmd/y",
            ["cmd/x/main.go"],
            "e 9: spec.languages[0].main: there is no 'cmd/y' in the component's folder",
        ),
        ("go", "main.go", [], "e 9: spec.languages[0].main: there is no 'main.go' in the component's folder"),
        ("go", "../x", [], "e 9: spec.languages[0].main: '../x' leads outside the component's folder"),
        ("go", "/etc/passwd", [], "e 9: spec.languages[0].main: '/etc/passwd' leads outside the component's folder"),
        ("python", "pkg.mod:main", ["src/pkg/mod.py"], None),
        ("python", "pkg", ["pkg/__init__.py"], None),
        (
            "python",
            "pkg.mod:main",
            ["pkg/other.py"],
            "e 9: spec.languages[0].main: there is no 'pkg.mod:main' in the component's folder",
        ),
        (
            "rust",
            "my-bin",
            [],
            "w 9: spec.languages[0].main: there is no file or folder 'my-bin', and no manifest names a program so",
        ),
    ],
)
def test_entry_points(validate, language, main, files, said):
    assert validate(SOURCE + f"  languages:\n    - {{name: {language}, main: '{main}'}}\n", files) == (
        [] if said is None else [said]
    )


def test_entry_point_behind_a_link_out_of_the_tree(validate, tmp_path):
    (tmp_path.parent / "outside.go").write_text("")
    (tmp_path / "main.go").symlink_to("../outside.go")
    (said,) = validate(SOURCE + "  languages: {go: {main: main.go}}\n")
    assert said == "e 8: spec.languages.go.main: there is no 'main.go' in the component's folder"


def test_declared_binary(validate):
    def artifact(path):
        return Artifact(path=path, platform=Platform("linux/amd64"))

    body = SOURCE + "  build:\n    native:\n      command: [make]\n      binary: out/prog\n"
    assert validate(body) == []
    assert validate(body, artifacts=()) == []  # not built yet
    other = (artifact(".flowctl/bin/other"),)
    assert validate(body, artifacts=other) == ["e 11: spec.build.native.binary: 'out/prog' was not made by the build"]
    assert validate(body, artifacts=(artifact(".flowctl/bin/prog"),)) == []
    assert validate(body, artifacts=(artifact(".flowctl/bin/x"),)) == []  # named after the component
    assert validate(body, files=["out/prog"], artifacts=other) == []
    outside = "e 11: spec.build.native.binary: '../prog' leads outside the component's folder"
    assert validate(body.replace("out/prog", "../prog")) == [outside]


def test_entry_point_that_a_manifest_names(validate, tmp_path):
    (tmp_path / "crates").mkdir()
    (tmp_path / "crates/Cargo.toml").write_text('[[bin]]\nname = "my-bin"\n')
    assert validate(SOURCE + "  languages: [{name: rust, main: my-bin}]\n") == []


TRAP = SOURCE + "  languages:\n    - name: go\n      build:\n        native:\n          command: {}\n"


def test_module_below_the_root_is_a_trap_that_go_confirms(validate, tmp_path):
    (said,) = validate(TRAP.format('[go, build, -o, x, "./src"]'), ["src/go.mod", "src/main.go"])
    assert said.startswith(
        "e 12: spec.languages[0].build.native.command: builds './src' from the component's folder, but go.mod is in src/"
    )
    go = shutil.which("go")
    if go is None:
        return
    (tmp_path / "src/go.mod").write_text("module example.org/x\n")
    (tmp_path / "src/main.go").write_text("package main\n\nfunc main() {}\n")
    done = subprocess.run([go, "build", "-o", "x", "./src"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode != 0 and "module" in done.stderr
    advice = subprocess.run([go, "build", "-C", "src", "-o", "../x", "."], cwd=tmp_path, capture_output=True, text=True)
    assert advice.returncode == 0, advice.stderr


@pytest.mark.parametrize(
    ("command", "files"),
    [
        ('[go, build, "./src"]', ["go.mod", "src/main.go"]),
        ('[go, build, "./src"]', ["go.work", "src/go.mod", "src/main.go"]),
        ("[go, build, -C, src, .]", ["src/go.mod", "src/main.go"]),
        ('"cd src && go build ./cmd"', ["src/go.mod"]),
        ("[make, ./src]", ["src/go.mod"]),
    ],
)
def test_commands_without_the_trap(validate, command, files):
    assert validate(TRAP.format(command), files) == []


def test_trap_in_the_older_spelling(validate):
    body = (
        SOURCE
        + "  languages:\n    go:\n      native_build:\n        build_command: CGO_ENABLED=0 go build -o p ./src\n        binary_path: ./p\n"
    )
    (said,) = validate(body, ["src/go.mod"])
    assert said.startswith("e 11: spec.languages.go.native_build.build_command: builds './src'")


def test_forced_platform(validate):
    body = SOURCE + (
        "  platforms: [linux/amd64, darwin/arm64]\n  build:\n    language: go\n    native:\n"
        "      commands: [make]\n      environment: [GOOS=linux, CGO_ENABLED=1]\n"
    )
    assert validate(body) == [
        "w 13: spec.build.native.environment: GOOS=linux is forced, but spec.platforms claims darwin/arm64",
        "w 13: spec.build.native.environment: CGO_ENABLED=1 needs a C compiler for each platform; "
        "darwin cannot be built on a Linux host then",
    ]
    assert validate(body.replace(", darwin/arm64", "")) == []


PAIR = """\
  type: sink
  interface:
    inputEventTypes: [a, b]
    communication: {protocol: grpc, port: 50052}
    config:
      path: {type: string, default: out}
  health: {readiness: {port: 8089}}
"""
METADATA = {
    "name": "x",
    "version": "1.0.0",
    "type": "consumer",
    "input_types": ["b", "a"],
    "output_types": [],
    "config_schema": {"path": {"type": "string", "default": "out", "env": "P"}, "health_port": {"env": "HEALTH_PORT"}},
    "env_mapping": {"path": "P"},
    "port": 50052,
    "health_port": 8089,
}


def test_metadata_that_agrees(validate):
    assert validate(PAIR, metadata=METADATA) == []
    other = {key: value for key, value in METADATA.items() if key not in ("input_types", "output_types")}
    assert validate(PAIR, metadata={**other, "consumes": ["a", "b"]}) == []


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("name", "y", "e metadata.json:1: name: 'y', but metadata.name in component.yaml is 'x'"),
        ("version", "1.0.1", "e metadata.json:1: version: '1.0.1', but metadata.version in component.yaml is '1.0.0'"),
        ("type", "source", "e metadata.json:1: type: 'source', but spec.type in component.yaml is 'sink'"),
        (
            "input_types",
            ["a"],
            "e metadata.json:1: input_types: [a], but spec.interface.inputEventTypes in component.yaml is [a, b]",
        ),
        (
            "output_types",
            ["c"],
            "e metadata.json:1: output_types: [c], but spec.interface.outputEventTypes in component.yaml is []",
        ),
        ("port", 1, "e metadata.json:1: port: 1, but spec.interface.communication.port in component.yaml is 50052"),
        ("health_port", 1, "e metadata.json:1: health_port: 1, but spec.health in component.yaml asks port 8089"),
        ("config_schema", {}, "e metadata.json:1: config_schema: lacks the key 'path' of component.yaml"),
        ("env_mapping", {"pth": "P"}, "w metadata.json:1: env_mapping.pth: is not a configuration key"),
    ],
)
def test_metadata_that_differs(validate, field, value, said):
    assert validate(PAIR, metadata={**METADATA, field: value}) == [said]


def test_metadata_config_that_differs(validate):
    schema = {"path": {"type": "integer", "default": "in"}, "more": {}}
    assert validate(PAIR, metadata={**METADATA, "config_schema": schema}) == [
        "e metadata.json:1: config_schema.path.type: 'integer', but 'string' in component.yaml",
        "w metadata.json:1: config_schema.path.default: 'in', but 'out' in component.yaml",
        "e metadata.json:1: config_schema.more: is not a configuration key of component.yaml",
    ]


def test_metadata_of_another_program_and_broken_metadata(validate):
    assert validate(PAIR, metadata={"name": "dataset", "license": "MIT"}) == [
        "w metadata.json:1: license: unknown field"
    ]
    assert validate(PAIR, metadata="{") == [
        "e metadata.json:1: not valid JSON: a key in double quotes is wanted, here the file ends"
    ]
