"""Reading spec files: positions, messages, unknown fields, versions."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from flowctl_core.errors import SpecError
from flowctl_core.specfile import load

HEAD = "apiVersion: component.flowctl.io/v1\nkind: ComponentSpec\nmetadata:\n  name: x\n  version: 1.2.3\n"
BODY = HEAD + "spec:\n  type: source\n"


@pytest.fixture
def write(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def write(text, name="component.yaml"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def problems(path, loader=load.load_component):
    with pytest.raises(SpecError) as caught:
        loader(path)
    return str(caught.value).splitlines()


def test_every_problem_is_listed_with_file_line_and_field(write):
    text = HEAD.replace("name: x", "name: X/y") + (
        "spec:\n  type: sorce\n  interface:\n    config:\n      port:\n        type: integr\n"
        "    communication: {port: 99999}\n  platforms: [linux]\n  tags:\n  execution: fast\n"
        "  build: {native: {command: {a: b}, environment: [novalue]}}\n"
    )
    lines = problems(write(text))
    assert lines[0].startswith("component.yaml:4: metadata.name: 'X/y' is not a name;") and lines[0].endswith("'x-y'")
    assert lines[1] == "component.yaml:7: spec.type: 'sorce' is not a type; did you mean 'source'?"
    assert (
        lines[2]
        == "component.yaml:11: spec.interface.config.port.type: 'integr' is not a type; did you mean 'integer'?"
    )
    assert lines[3] == "component.yaml:12: spec.interface.communication.port: must be at most 65535, not 99999"
    assert lines[4].startswith("component.yaml:13: spec.platforms[0]: 'linux' is not a platform; write os/arch")
    assert lines[5] == "component.yaml:15: spec.execution: must be a mapping, not 'fast'"
    assert (
        lines[6]
        == "component.yaml:16: spec.build.native.command: must be a list of arguments or a command line, not a mapping"
    )
    assert (
        lines[7]
        == "component.yaml:16: spec.build.native.environment[0]: 'novalue' does not set a variable; write NAME=value"
    )
    assert len(lines) == 8


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "component.yaml: the file is empty"),
        ("# only a comment\n", "component.yaml: the file is empty"),
        ("---\n", "component.yaml: the file is empty"),
        ("- a\n", "component.yaml:1: must be a mapping at the top, not a list"),
        ("just words\n", "component.yaml:1: must be a mapping at the top, not a single value"),
        (b"a: \xff\n", "component.yaml:1: not UTF-8: byte 0xff; save the file as UTF-8"),
        (b"\xff\xfea\x00", "component.yaml:1: the file is UTF-16; save it as UTF-8"),
        ("a: 1\nb: \0\n", "component.yaml:2: the file contains a NUL byte; is it a binary?"),
        ("a: 1\nb: \x07\n", "component.yaml:2: a control character is not allowed here"),
        ("a:\n\tb: 1\n", "component.yaml:2: a tab is used for indentation; YAML allows only spaces"),
        ("a: 1\n---\nb: 2\n", "component.yaml:2: a second document starts here; only one is allowed in a file"),
        ("a: !!python/object:os.system x\n", "component.yaml:1: the tag tag:yaml.org,2002:python/object:os.system is not allowed"),
        ("a: !Foo {}\n", "component.yaml:1: the tag !Foo is not allowed"),
        ("? {a: b}\n: c\n", "component.yaml:1: a mapping cannot be a key; put quotes around the text"),
        ("? [a]\n: c\n", "component.yaml:1: a list or mapping cannot be a key"),
        ("a: *b\n", "component.yaml:1: the alias *b has no anchor &b before it"),
        ("a: &a [*a]\n", "component.yaml:1: the alias *a stands inside what it names"),
        ('a: "\\UFFFFFFFF"\n', "component.yaml"),
    ],
)  # fmt: skip
def test_texts_that_are_no_spec(write, text, message):
    assert problems(write(text))[0].startswith(message)


def test_syntax_errors_name_the_line(write):
    assert problems(write("a: b: c\n"))[0].startswith(
        "component.yaml:1: not valid YAML: mapping values are not allowed here"
    )
    assert problems(write("a: [1,\nb: 2\n"))[0].startswith("component.yaml:")
    assert problems(write("a: 'x\n"))[0].startswith("component.yaml:2: not valid YAML: ")


def test_duplicate_keys_are_errors_beside_others(write):
    lines = problems(write(BODY + "  type: sink\n  platforms: 1\n"))
    assert lines == [
        "component.yaml:8: the key 'type' is given twice, first on line 7",
        "component.yaml:9: spec.platforms: must be a list, not 1",
    ]


@pytest.mark.parametrize(
    ("version", "message"),
    [
        ("component.flowctl.io/v2", "major version v2 is not known, only v1; is there a newer flowctl?"),
        ("component.flowctl.io/v10", "major version v10 is not known, only v1; is there a newer flowctl?"),
        ("backstage.io/v1alpha1", "'backstage.io/v1alpha1' is not a version this reads; write component.flowctl.io/v1"),
        ("v1", "'v1' is not a version this reads; write component.flowctl.io/v1"),
    ],
)
def test_other_versions_are_one_clear_error(write, version, message):
    """A file of another program, or of another time: nothing else is said about it."""
    text = f"apiVersion: {version}\nkind: Component\nspec: 3\n"
    assert problems(write(text))[0] == f"component.yaml:1: apiVersion: {message}"


def test_missing_envelope(write):
    assert problems(write("spec: {type: source}\n")) == [
        "component.yaml:1: apiVersion: is missing; write `apiVersion: component.flowctl.io/v1`",
        "component.yaml:1: kind: is missing; write `kind: ComponentSpec`",
        "component.yaml:1: metadata: is missing",
    ]


def test_unknown_minor_version_is_a_warning(write):
    loaded = load.load_component(write(BODY.replace("/v1\n", "/v1beta2\n")))
    assert [str(w) for w in loaded.warnings] == [
        "component.yaml:1: apiVersion: minor version v1beta2 is not known; read as v1"
    ]


def test_unknown_fields_are_named_with_what_was_meant(write):
    text = BODY + (
        "  platfroms: [linux/amd64]\n  x-mine: 1\n  interface:\n    output_event_types: [a]\n"
        "  languages:\n    - name: go\n      mian: cmd/x\n      build: {native: {comand: [a]}}\n  volumes: [{name: d, sizes: 1}]\n"
    )
    loaded = load.load_component(write(text))
    assert [str(w) for w in loaded.warnings] == [
        "component.yaml:8: spec.platfroms: unknown field; did you mean 'platforms'?",
        "component.yaml:11: spec.interface.output_event_types: unknown field; did you mean 'outputEventTypes'?",
        "component.yaml:14: spec.languages[0].mian: unknown field; did you mean 'main'?",
        "component.yaml:15: spec.languages[0].build.native.comand: unknown field; did you mean 'command'?",
        "component.yaml:16: spec.volumes[0].sizes: unknown field; did you mean 'size'?",
    ]
    assert loaded.data["spec"]["platfroms"] == ["linux/amd64"]  # kept


def test_text_keeps_its_spelling(write):
    text = BODY.replace("1.2.3", "1.10") + (
        "  languages:\n    - {name: go, version: 1.20}\n    - {name: rust, version: 0x10}\n"
        "  build: {language: go, native: {command: [make, 1.50, 007], environment: {A: 1.0, B: true, C: , D: yes}}}\n"
        "  other: 1.10\n  environment: [{name: P, default: 8816}]\n"
    )
    loaded = load.load_component(write(text))
    assert loaded.spec.version == "1.10"
    assert loaded.data["metadata"]["version"] == "1.10"
    assert [entry.version for entry in loaded.spec.languages] == ["1.20", "0x10"]
    native = loaded.spec.native_build
    assert native.command == ("make", "1.50", "007")
    assert native.environment == {"A": "1.0", "B": "true", "C": "", "D": "yes"}
    assert loaded.data["spec"]["other"] == 1.1  # unknown: nobody says it is text
    assert loaded.data["spec"]["environment"][0]["default"] == "8816"


@pytest.mark.parametrize("version", ["v1.2.3", "1.2.3", "0.0.1-rc.1+build.5"])
def test_semantic_versions(write, version):
    assert load.load_component(write(BODY.replace("1.2.3", version))).warnings == ()


@pytest.mark.parametrize("version", ["latest", "1.2", "v1", "2024.01.05"])
def test_other_versions_are_warnings(write, version):
    (warning,) = load.load_component(write(BODY.replace("1.2.3", version))).warnings
    assert (
        str(warning)
        == f"component.yaml:5: metadata.version: '{version}' is not a semantic version; write one such as 1.2.3"
    )


@pytest.mark.parametrize("version", ["../../etc", "1/2", "'1 2'", "..", "true"])
def test_versions_that_are_no_file_names_are_errors(write, version):
    assert problems(write(BODY.replace("1.2.3", version)))[0].startswith("component.yaml:5: metadata.version: ")


@pytest.mark.parametrize("name", ["X", "a/b", "..", "a..b", "-a", ".a", "_a", "a b", "ä", "", "a" * 129])
def test_bad_names(write, name):
    assert "is not a name" in problems(write(BODY.replace("name: x", f'name: "{name}"')))[0]


@pytest.mark.parametrize("name", ["a", "0a", "a.b_c-d", "9", "a" * 128])
def test_good_names(write, name):
    assert load.load_component(write(BODY.replace("name: x", f"name: {name}"))).spec.name == name


def test_variants_of_lists_and_maps(write):
    text = BODY + (
        "  interface:\n    inputSchemas: [a, {name: b, version: 1.0}]\n    upstream: {type: grpc, port: 1, protocol: p}\n    input: grpc\n"
        "    communication: {consumes: [s, {name: t, port: 8}], streams: [RawLedger]}\n"
        "  health: {readiness: {http: {path: /ready, port: 8088}, period: 5}}\n"
        "  environment: [A=1, {name: B, default: true}]\n  languages: [go, {name: rust}]\n"
        "  config: {properties: {network: {type: string, enum: [testnet], required: true}}}\n  tags:\n  volumes:\n"
    )
    loaded = load.load_component(write(text.replace("  tags:\n", "")))
    assert loaded.warnings == ()
    assert list(loaded.spec.config) == ["network"]
    mapped = load.load_component(write(BODY + "  environment: {A: 1}\n  languages: {go: , rust: {main: x}}\n"))
    assert [entry.name for entry in mapped.spec.languages] == ["go", "rust"]


def test_anchors_and_merges(write):
    text = BODY + (
        "  resources:\n    requests: &r {cpu: 1, memory: 1Gi}\n    limits:\n      <<: *r\n      cpu: 2\n  x-b: *r\n"
    )
    spec = load.load_component(write(text)).data["spec"]
    assert spec["resources"]["limits"] == {"cpu": "2", "memory": "1Gi"}


def test_crlf_and_byte_order_mark(write):
    loaded = load.load_component(write(b"\xef\xbb\xbf" + BODY.replace("\n", "\r\n").encode()))
    assert loaded.spec.name == "x" and loaded.line_of("spec", "type") == 7


def test_missing_file_says_how_to_make_one(tmp_path):
    with pytest.raises(SpecError) as caught:
        load.load_component(tmp_path / "component.yaml")
    assert str(caught.value).endswith("component.yaml does not exist")
    assert "flowctl component init" in caught.value.hint


def test_what_is_no_file_in_the_folder_is_refused(tmp_path):
    folder = tmp_path / "c"
    folder.mkdir()
    path = folder / "component.yaml"
    (tmp_path / "outside.yaml").write_text(BODY)
    path.symlink_to("../outside.yaml")
    assert "leads outside its folder" in problems(path)[0]
    path.unlink()
    path.symlink_to("component.yaml")
    assert "component.yaml" in problems(path)[0]  # a loop
    path.unlink()
    path.mkdir()
    assert problems(path)[0].endswith("not a file")
    path.rmdir()
    os.mkfifo(path)  # reading it would wait for ever
    assert problems(path)[0].endswith("not a file")


def test_links_inside_the_folder_are_fine(tmp_path):
    (tmp_path / "real.yaml").write_text(BODY)
    (tmp_path / "component.yaml").symlink_to("real.yaml")
    assert load.load_component(tmp_path / "component.yaml").spec.name == "x"


def test_unreadable_file(write):
    path = write(BODY)
    path.chmod(0)
    code = f"from flowctl_core.specfile import load; load.load_component(__import__('pathlib').Path({str(path)!r}))"
    argv = [sys.executable, "-c", code]
    if os.access(path, os.R_OK):  # root, who reads everything until it lays its capabilities down
        argv = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", *argv]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, cwd=path.parent)
    assert "component.yaml cannot be read: Permission denied" in done.stderr


def test_read_component_gives_findings(write):
    reading = load.read_component(write(BODY + "  type: sink\n"))
    assert reading.loaded is None
    (finding,) = reading.findings
    assert (finding.severity, finding.line, finding.file) == ("error", 8, "component.yaml")


def test_parse_component_from_bytes():
    loaded = load.parse_component(BODY.encode(), "upload/component.yaml")
    assert (loaded.spec.name, loaded.file) == ("x", "upload/component.yaml")
    with pytest.raises(SpecError, match=r"upload/component\.yaml:1: "):
        load.parse_component(b"- 1", "upload/component.yaml")


def test_paths_are_shown_relative_to_the_working_directory(tmp_path, monkeypatch):
    (tmp_path / "a b").mkdir()
    path = tmp_path / "a b" / "component.yaml"
    path.write_text("[]")
    monkeypatch.chdir(tmp_path)
    assert problems(path)[0].startswith(f"{Path('a b', 'component.yaml')}:1: ")
    monkeypatch.chdir("/")
    assert "component.yaml:1: " in problems(path)[0]


def test_missing_type_is_a_warning_so_that_building_needs_none(write):
    loaded = load.load_component(write(HEAD + "spec:\n  build: {command: [make]}\n"))
    assert [str(w) for w in loaded.warnings] == [
        "component.yaml:6: spec.type: is missing; say source, processor or sink"
    ]
