"""Trees with links that loop or lead outside, with things that are no files, with names and paths of every kind."""

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest


def test_links_that_loop_or_lead_outside_are_inputs_by_their_target(flowctl, greeter) -> None:
    component = greeter()
    outside = component.root.parent / "outside"
    outside.mkdir()
    (outside / "big.txt").write_text("not an input")
    links = {
        "itself": "itself",
        "a": "b",
        "b": "a",
        "here": ".",
        "up": "..",
        "root": "/",
        "outside": "../outside",
        "nothing": "gone",
    }
    for name, target in links.items():
        (component.root / name).symlink_to(target)
    assert flowctl.json("component", "build", cwd=component.root)["cache"] == "miss"
    assert component.say() == "hello"
    (outside / "big.txt").write_text("changed")
    assert flowctl.json("component", "build", ".", cwd=component.root)["cache"] == "fresh"
    (component.root / "nothing").unlink()
    (component.root / "nothing").symlink_to("elsewhere")
    assert flowctl.json("component", "build", cwd=component.root)["cache"] == "miss"
    flowctl.ok("component", "clean", cwd=component.root)
    assert (outside / "big.txt").read_text() == "changed"
    assert {name for name in links if (component.root / name).is_symlink()} == set(links)


def test_a_pipe_and_a_socket_are_named_and_left_alone(flowctl, greeter) -> None:
    component = greeter()
    os.mkfifo(component.root / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        here = os.getcwd()
        os.chdir(component.root)  # the name of a socket may not be long
        try:
            server.bind("socket")
        finally:
            os.chdir(here)
        report = flowctl.json("component", "build", "--timeout", "20s", cwd=component.root)
        for name in ("pipe", "socket"):
            assert f"{name} is neither a file nor a folder and is no input" in report["warnings"]
        assert flowctl.json("component", "build", cwd=component.root)["cache"] == "fresh"
        flowctl.ok("component", "clean", cwd=component.root)
        assert (component.root / "pipe").is_fifo() and (component.root / "socket").is_socket()


MANIFESTS = {"go": "go.mod", "rust": "Cargo.toml", "node": "package.json", "python": "pyproject.toml"}


def a_pipe(file: Path) -> None:
    os.mkfifo(file)


def a_loop(file: Path) -> None:
    file.symlink_to(file.name)


def a_device(file: Path) -> None:
    file.symlink_to("/dev/zero")


def a_folder(file: Path) -> None:
    file.mkdir()


def rubbish(file: Path) -> None:
    file.write_bytes(bytes(range(256)) * 100)


def deep(file: Path) -> None:
    file.write_text('{"a":' * 100_000)


@pytest.mark.parametrize("language", MANIFESTS)
@pytest.mark.parametrize("make", [a_pipe, a_loop, a_device, a_folder, rubbish, deep], ids=lambda make: make.__name__)
def test_a_manifest_that_is_none_neither_hangs_nor_crashes_detection(flowctl, tmp_path, language: str, make) -> None:
    make(tmp_path / MANIFESTS[language])
    (tmp_path / "readme.md").write_text("x")
    done = flowctl.run("component", "build", "-o", "json", cwd=tmp_path)
    error = json.loads(done.stdout)["error"]
    assert error["code"] not in ("detector-crashed", "internal"), error
    assert done.returncode in (10, 12, 20, 23, 30), error
    assert "Traceback" not in done.stderr + (error["output"] or "")


def test_a_file_that_may_not_be_read(unprivileged, greeter) -> None:
    component = greeter()
    unprivileged.ok("component", "build", cwd=component.root)
    component.write("secret.txt", "x")
    (component.root / "secret.txt").chmod(0)
    error = unprivileged.failure("component", "build", cwd=component.root)
    assert (error["code"], error["exit_code"]) == ("source", 12)
    assert "secret.txt cannot be read: Permission denied" in error["message"]
    assert ".gitignore" in error["hint"]
    assert component.say() == "hello"
    component.write(".gitignore", "out/\nsecret.txt\n")
    unprivileged.ok("component", "build", cwd=component.root)


def test_a_folder_that_may_not_be_read(unprivileged, greeter) -> None:
    component = greeter()
    component.write("closed/file.txt", "x")
    (component.root / "closed").chmod(0)
    error = unprivileged.failure("component", "build", cwd=component.root)
    (component.root / "closed").chmod(0o755)
    assert (error["code"], error["exit_code"]) == ("source", 12)
    assert "closed cannot be read: Permission denied" in error["message"]


def test_the_components_own_folder_may_not_be_read(unprivileged, greeter) -> None:
    component = greeter()
    component.root.chmod(0)
    error = unprivileged.failure("component", "build", str(component.root))
    component.root.chmod(0o755)
    assert error["exit_code"] == 2
    assert "is not readable" in error["message"]


NAMES = [
    b"new\nline",
    b"quo'te\"s",
    b"-rf",
    b"caf\xe9",
    b"\xff\xfe",
    "naïve 日本 😀".encode(),
    b"a" * 255,
    b"back\\slash",
    b"\x1b[31mred",
    b" ",
]


@pytest.mark.skipif(sys.platform == "darwin", reason="its file systems take UTF-8 names only")
def test_files_of_every_name_are_inputs(flowctl, greeter) -> None:
    component = greeter()
    root = os.fsencode(component.root)
    for name in NAMES:
        with open(root + b"/" + name, "w") as file:
            file.write("1")
    assert flowctl.json("component", "build", cwd=component.root)["cache"] == "miss"
    assert flowctl.json("component", "build", cwd=component.root)["cache"] == "fresh"
    for name in NAMES:
        with open(root + b"/" + name, "w") as file:
            file.write("2")
    report = flowctl.json("component", "build", "--explain", cwd=component.root)
    assert sorted(report["explanation"]) == sorted(f"changed {os.fsdecode(name)}" for name in NAMES)
    done = flowctl.run("component", "build", "--explain", "--no-cache", cwd=component.root)
    assert done.returncode == 0
    flowctl.ok("component", "clean", cwd=component.root)
    assert flowctl.json("component", "build", cwd=component.root)["cache"] == "hit"


@pytest.mark.parametrize(
    "name", ["with space", "quo'te\"s $(touch hit)`touch hit`", "naïve 日本 😀", "-o", "new\nline;a&b|c %s {x}, y:z"]
)
def test_every_command_in_a_folder_of_any_name(flowctl, greeter, name: str) -> None:
    config = flowctl.home / ".flowctl" / "config.yaml"
    config.parent.mkdir()
    config.write_text("build: {local: {languages: {command: {test_command: [sh, check.sh]}}}}")
    component = greeter(name, check__sh="./greeter | grep hello")
    report = flowctl.json("component", "build", cwd=component.root)
    assert report["cache"] == "miss"
    assert component.say() == "hello"
    assert flowctl.json("component", "test", cwd=component.root)["ok"] is True
    assert flowctl.json("component", "validate", cwd=component.root)["valid"] is True
    assert flowctl.json("component", "detect", cwd=component.root)["builder"] == "command"
    above = component.root.parent
    assert flowctl.json("component", "build", f"./{name}", cwd=above)["cache"] == "fresh"
    text = flowctl.ok("component", "build", f"./{name}", cwd=above)
    [command] = [line.removeprefix("  run it:  ") for line in text.split("\n  run it:  ")[1:]] or [None]
    said = subprocess.run(["sh", "-c", text.split("  run it:  ")[1]], cwd=above, capture_output=True, text=True)
    assert said.stdout == "hello\n", f"what the report tells to run does not run: {command}, {said.stderr}"
    flowctl.ok("component", "clean", f"./{name}", cwd=above)
    assert not (above / "hit").exists() and not (component.root / "hit").exists()


@pytest.mark.skipif(sys.platform == "darwin", reason="its file systems take UTF-8 names only")
def test_a_component_in_a_folder_whose_name_is_no_text(flowctl, greeter) -> None:
    component = greeter()
    root = os.fsencode(component.root.parent) + b"/caf\xe9\xff"
    os.rename(component.root, root)
    folder = Path(os.fsdecode(root))
    for command in ("build", "build", "detect", "validate", "clean", "build"):
        done = flowctl.run("component", command, cwd=folder)
        assert done.returncode == 0, f"{command}: {done.stderr}"
    assert subprocess.run([root + b"/greeter"], capture_output=True, cwd="/").stdout == b"hello\n"


def test_a_path_that_is_too_long_for_the_system(flowctl, greeter) -> None:
    component = greeter()
    deep = component.root / "/".join(["d" * 200] * 15)
    deep.mkdir(parents=True)
    shutil.copytree(component.root, component.root.parent / "copy", symlinks=True)
    (deep / "file.txt").write_text("x")
    assert flowctl.json("component", "build", cwd=component.root)["cache"] == "miss"
    error = flowctl.failure("component", "build", "x" * 5000)
    assert error["exit_code"] == 12
    assert "name too long" in error["message"].lower()


def test_a_component_that_is_a_link_to_a_folder(flowctl, greeter) -> None:
    component = greeter()
    link = component.root.parent / "link"
    link.symlink_to(component.root.name)
    assert flowctl.json("component", "build", str(link))["cache"] == "miss"
    assert flowctl.json("component", "build", cwd=component.root)["cache"] == "fresh"
    assert component.say() == "hello"


@pytest.mark.parametrize("what", ["a file", "a link to nothing", "missing", "empty"])
def test_a_component_that_is_no_folder(flowctl, tmp_path, what: str) -> None:
    place = tmp_path / "place"
    if what == "a file":
        place.write_text("x")
    elif what == "a link to nothing":
        place.symlink_to("gone")
    elif what == "empty":
        place.mkdir()
    error = flowctl.failure("component", "build", str(place))
    assert error["exit_code"] == (20 if what == "empty" else 12)
    assert str(place) in error["message"]
    assert not (place / ".flowctl").exists(), "what fails before anything is built leaves nothing behind"
