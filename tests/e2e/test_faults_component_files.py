"""component.yaml and metadata.json as nobody should write them: each a clear error, and the last program stays."""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

GOOD = """\
apiVersion: component.flowctl.io/v1
kind: ComponentSpec
metadata: {name: greeter, version: v1.2.0}
spec:
  type: source
  interface: {outputEventTypes: [greeting.v1]}
  build: {native: {command: [sh, make.sh], binary: out/greeter}}
"""

LAUGHS = (
    "lol: &l0 [ha, ha, ha, ha, ha, ha, ha, ha, ha]\n"
    + "".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]\n" for n in range(1, 12))
    + GOOD
)

TEXTS: dict[str, tuple[bytes, list[str]]] = {
    "empty": (b"", ["component.yaml", "empty"]),
    "only a comment": (b"# to do\n", ["component.yaml", "empty"]),
    "a list": (b"- a\n- b\n", ["component.yaml:1", "mapping", "list"]),
    "a word": (b"hello\n", ["component.yaml:1", "mapping"]),
    "no yaml": (b"a: [1, 2\nb: }\n", ["component.yaml:2"]),
    "tabs": (GOOD.replace("  type:", "\ttype:").encode(), ["component.yaml:5", "tab"]),
    "tabs only": (GOOD.replace("  ", "\t").encode(), ["component.yaml:5", "tab"]),
    "not utf-8": (GOOD.replace("greeting", "gr\xfcss").encode("latin-1"), ["component.yaml", "UTF-8"]),
    "binary": (bytes(range(256)) * 4, ["component.yaml"]),
    "nul": (GOOD.encode() + b"x: \0\n", ["component.yaml:8"]),
    "huge": (GOOD.encode() + b"# " + b"x" * 3 * 2**20, ["component.yaml", "1,048,576"]),
    "many nodes": (GOOD.encode() + b"x-list: [" + b"1," * 60_000 + b"1]\n", ["component.yaml", "50,000"]),
    "deep flow": (GOOD.encode() + b"x-deep: " + b"[" * 5000 + b"]" * 5000, ["component.yaml:8", "64"]),
    "deep block": (
        GOOD.encode() + b"".join(b" " * n + b"a:\n" for n in range(1, 900)),
        ["component.yaml"],
    ),
    "billion laughs": (LAUGHS.encode(), ["component.yaml", "alias"]),
    "itself": (GOOD.encode() + b"x-me: &me [*me]\n", ["component.yaml:8"]),
    "a tag that makes objects": (
        GOOD.encode() + b"x: !!python/object/apply:os.system [echo hit]\n",
        ["component.yaml:8"],
    ),
    "twice the same key": (GOOD.encode() + b"kind: ComponentSpec\n", ["component.yaml:8", "kind"]),
    "two documents": (GOOD.encode() + b"---\n" + GOOD.encode(), ["component.yaml:8", "document"]),
    "next major version": (GOOD.replace("/v1", "/v2").encode(), ["component.yaml:1", "apiVersion", "v2"]),
    "another kind": (GOOD.replace("ComponentSpec", "Deployment").encode(), ["component.yaml:2", "kind", "Deployment"]),
    "a wrong type": (GOOD.replace("type: source", "type: [source]").encode(), ["component.yaml:5", "spec.type"]),
    "a name that leads elsewhere": (
        GOOD.replace("name: greeter", "name: ../../x").encode(),
        ["component.yaml:3", "name"],
    ),
}


@pytest.mark.parametrize("case", TEXTS)
def test_a_bad_component_yaml(flowctl, greeter, case: str) -> None:
    content, words = TEXTS[case]
    component = greeter()
    (component.root / "component.yaml").write_bytes(content)
    began = time.monotonic()
    error = flowctl.failure("component", "build", cwd=component.root)
    assert time.monotonic() - began < 120
    assert (error["code"], error["exit_code"]) == ("spec", 10), error
    for word in words:
        assert word in error["message"], error["message"]
    assert len(error["message"]) < 5000, "short enough to read"
    assert error["hint"]
    assert component.runs == 0, "nothing was started"
    assert not (component.root / ".flowctl").exists(), "nothing was made"


def test_a_bad_component_yaml_loses_nothing(flowctl, greeter) -> None:
    component = greeter()
    flowctl.ok("component", "build", cwd=component.root)
    for case in ("empty", "tabs", "another kind"):
        (component.root / "component.yaml").write_bytes(TEXTS[case][0])
        flowctl.failure("component", "build", cwd=component.root)
        assert component.say() == "hello"
    component.write("component.yaml", GOOD)
    assert flowctl.json("component", "build", cwd=component.root)["cache"] in ("fresh", "hit")
    assert component.runs == 1


@pytest.mark.parametrize("case", ["billion laughs", "tabs"])
@pytest.mark.parametrize("command", ["validate", "detect", "test"])
def test_every_command_says_the_same_of_it(flowctl, greeter, case: str, command: str) -> None:
    content, words = TEXTS[case]
    component = greeter()
    (component.root / "component.yaml").write_bytes(content)
    done = flowctl.run("component", command, cwd=component.root)
    assert done.returncode == 10
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr


def a_folder(file: Path) -> None:
    file.mkdir()


def a_loop(file: Path) -> None:
    file.symlink_to("component.yaml")


def a_link_out(file: Path) -> None:
    (file.parent.parent / "secret.yaml").write_text(GOOD)
    file.symlink_to("../secret.yaml")


def a_link_to_nothing(file: Path) -> None:
    file.symlink_to("nothing.yaml")


def a_pipe(file: Path) -> None:
    os.mkfifo(file)


def a_device(file: Path) -> None:
    file.symlink_to("/dev/zero")


SHAPES: list[tuple[Callable[[Path], None], str]] = [
    (a_folder, "folder"),
    (a_loop, "link"),
    (a_link_out, "link"),
    (a_link_to_nothing, "link"),
    (a_pipe, "file"),
    (a_device, "link"),
]


@pytest.mark.parametrize(("make", "word"), SHAPES, ids=[shape[0].__name__ for shape in SHAPES])
def test_a_component_yaml_that_is_no_file(flowctl, greeter, make: Callable[[Path], None], word: str) -> None:
    component = greeter()
    flowctl.ok("component", "build", cwd=component.root)
    file = component.root / "component.yaml"
    file.unlink()
    make(file)
    error = flowctl.failure("component", "build", cwd=component.root)
    assert (error["code"], error["exit_code"]) == ("spec", 10)
    assert "component.yaml" in error["message"] and word in error["message"], error["message"]
    assert component.say() == "hello"


def test_a_component_yaml_that_may_not_be_read(unprivileged, greeter) -> None:
    component = greeter()
    unprivileged.ok("component", "build", cwd=component.root)
    (component.root / "component.yaml").chmod(0)
    error = unprivileged.failure("component", "build", cwd=component.root)
    assert (error["code"], error["exit_code"]) == ("spec", 10)
    assert "component.yaml" in error["message"] and "Permission denied" in error["message"]
    assert component.say() == "hello"


def test_all_problems_are_told_at_once_with_their_lines(flowctl, greeter) -> None:
    bad = GOOD.replace("v1.2.0", "[1]").replace("type: source", "type: 7").replace("[greeting.v1]", "5")
    error = flowctl.failure("component", "build", cwd=greeter(component__yaml=bad).root)
    for line in (3, 5, 6):
        assert f"component.yaml:{line}" in error["message"], error["message"]


METADATA: dict[str, bytes] = {
    "empty": b"",
    "no json": b"{not json",
    "a list": b"[]",
    "deep": b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "huge": b'{"a": "' + b"x" * 3 * 2**20 + b'"}',
    "not utf-8": b'{"name": "gr\xfc\xdf"}',
    "wrong types": b'{"name": [], "version": {}}',
}


@pytest.mark.parametrize("case", METADATA)
def test_a_bad_metadata_json(flowctl, greeter, case: str) -> None:
    component = greeter()
    (component.root / "metadata.json").write_bytes(METADATA[case])
    flowctl.ok("component", "build", cwd=component.root)  # it describes, and is not needed to build
    done = flowctl.run("component", "validate", cwd=component.root)
    assert done.returncode == 10, done.stdout
    assert "Traceback" not in done.stderr
    assert "metadata.json" in done.stderr


@pytest.mark.parametrize("field", ["binary", "x-outputs"])
@pytest.mark.parametrize("way", ["up", "absolute", "through a link"])
def test_outputs_outside_the_component_are_refused_and_never_removed(flowctl, greeter, field: str, way: str) -> None:
    component = greeter()
    precious = component.root.parent / "precious"
    precious.mkdir()
    (precious / "program").write_text("#!/bin/sh\necho mine\n")
    (precious / "program").chmod(0o755)
    (component.root / "link").symlink_to("../precious")
    path = {"up": "../precious/program", "absolute": str(precious / "program"), "through a link": "link/program"}[way]
    native = f"binary: '{path}'}}" if field == "binary" else f"binary: out/greeter}}, x-outputs: ['{path}']"
    component.write("component.yaml", GOOD.replace("binary: out/greeter}", native))
    error = flowctl.failure("component", "build", cwd=component.root)
    assert error["exit_code"] == (12 if way == "through a link" else 23)
    assert path in error["message"] and "outside" in error["message"]
    flowctl.ok("component", "clean", cwd=component.root)
    assert (precious / "program").exists()


def test_a_folder_that_becomes_a_link_is_not_followed_by_clean(flowctl, greeter) -> None:
    component = greeter()
    flowctl.ok("component", "build", cwd=component.root)
    elsewhere = component.root.parent / "elsewhere"
    (component.root / "out").rename(elsewhere)
    (component.root / "out").symlink_to(elsewhere)
    assert set(flowctl.json("component", "clean", cwd=component.root)["removed"]) == {"greeter", ".flowctl"}
    assert (elsewhere / "greeter").exists()


@pytest.mark.parametrize("path", ["../precious", "out/..", "/tmp/precious", "link/precious"])
def test_a_record_that_a_stranger_wrote_removes_nothing_elsewhere(flowctl, greeter, path: str) -> None:
    component = greeter()
    flowctl.ok("component", "build", cwd=component.root)
    precious = component.root.parent / "precious"
    precious.mkdir()
    (component.root / "link").symlink_to("..")
    state = component.root / ".flowctl" / "state.json"
    text = state.read_text()
    assert '"out/greeter"' in text
    state.write_text(text.replace('"out/greeter"', json.dumps(path)))
    for made in (component.root / ".flowctl" / "work").rglob("made"):
        made.write_text(path)
    done = flowctl.run("component", "clean", cwd=component.root)
    assert done.returncode == 0, done.stderr
    assert "outside the component's folder" in done.stderr
    assert precious.is_dir() and (component.root / "make.sh").exists()
