"""Folders that cannot be written, and state and cache that somebody damaged: said, and nothing is lost."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest


def freeze(folder: Path) -> None:
    """Take the right to write away, in the whole tree."""
    for path in [folder, *folder.rglob("*")]:
        if not path.is_symlink():
            path.chmod(path.stat().st_mode & ~0o222)


def thaw(folder: Path) -> None:
    for path in [folder, *folder.rglob("*")]:
        if not path.is_symlink():
            path.chmod(path.stat().st_mode | 0o200)


@pytest.mark.parametrize("command", ["build", "test"])
def test_a_component_folder_that_cannot_be_written(unprivileged, greeter, command: str) -> None:
    component = greeter()
    freeze(component.root)
    try:
        error = unprivileged.failure("component", command, cwd=component.root)
        assert (error["code"], error["exit_code"]) == ("store", 40)
        assert ".flowctl" in error["message"] and "Permission denied" in error["message"]
        assert "permission" in error["hint"]
        assert unprivileged.json("component", "detect", cwd=component.root)["builder"] == "command"
        assert unprivileged.json("component", "validate", cwd=component.root)["valid"] is True
        assert unprivileged.json("component", "clean", cwd=component.root)["removed"] == []
    finally:
        thaw(component.root)
    assert component.runs == 0
    unprivileged.ok("component", "build", cwd=component.root)
    assert component.say() == "hello"


def test_a_built_component_that_became_read_only_is_up_to_date(unprivileged, greeter) -> None:
    component = greeter()
    for _ in range(2):
        unprivileged.ok("component", "build", cwd=component.root)
    freeze(component.root)
    try:
        assert component.say() == "hello"
        error = unprivileged.failure("component", "clean", cwd=component.root)
        assert error["exit_code"] == 40 and "Permission denied" in error["message"]
        assert component.say() == "hello"
        assert unprivileged.json("component", "build", cwd=component.root)["cache"] == "fresh"
    finally:
        thaw(component.root)


def test_a_cache_that_cannot_be_written(unprivileged, greeter) -> None:
    component = greeter()
    cache = unprivileged.home / "cache"
    cache.mkdir(mode=0o500)
    done = unprivileged.run("component", "build", "-o", "json", cwd=component.root)
    assert done.returncode == 0
    assert json.loads(done.stdout)["cache"] == "miss"
    assert "build cache" in done.stderr and "Permission denied" in done.stderr
    assert component.say() == "hello"
    assert unprivileged.json("component", "build", cwd=component.root)["cache"] == "fresh"


def test_a_cache_that_became_read_only_still_gives_what_it_has(unprivileged, greeter) -> None:
    component = greeter()
    unprivileged.ok("component", "build", cwd=component.root)
    unprivileged.ok("component", "clean", cwd=component.root)
    freeze(unprivileged.home / "cache")
    try:
        report = unprivileged.json("component", "build", cwd=component.root)
    finally:
        thaw(unprivileged.home / "cache")
    assert report["cache"] in ("hit", "miss")
    assert component.say() == "hello"


def test_a_home_that_cannot_be_written(unprivileged, greeter) -> None:
    component = greeter()
    unprivileged.home.chmod(0o500)
    try:
        done = unprivileged.run("component", "build", cwd=component.root, FLOWCTL_CACHE_DIR="")
        assert done.returncode == 0, done.stderr
        assert "build cache" in done.stderr and "Traceback" not in done.stderr
        for command in (["doctor"], ["cache", "info"], ["cache", "prune"], ["config", "show"], ["plugin", "list"]):
            done = unprivileged.run(*command, FLOWCTL_CACHE_DIR="")
            assert "Traceback" not in done.stderr
            assert done.returncode in (0, 1), done.stderr
    finally:
        unprivileged.home.chmod(0o700)
    assert component.say() == "hello"


@pytest.mark.parametrize("home", ["", "/nonexistent/home", "relative"])
def test_no_home_at_all(flowctl, greeter, home: str) -> None:
    component = greeter()
    done = flowctl.run("component", "build", cwd=component.root, HOME=home, FLOWCTL_CACHE_DIR="")
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert component.say() == "hello"


@pytest.mark.parametrize(
    "what", ["a file", "a link to nothing", "a link that loops", "below a file", "/dev/null", "/proc"]
)
def test_a_cache_folder_that_is_none(flowctl, greeter, what: str) -> None:
    component = greeter()
    place = flowctl.home / "place"
    if what in ("a file", "below a file"):
        place.write_text("mine")
    elif what.startswith("a link"):
        place.symlink_to("gone/for/good" if "nothing" in what else "place")
    folder = what if what.startswith("/") else str(place / "below" if "below" in what else place)
    done = flowctl.run("component", "build", "-o", "json", cwd=component.root, FLOWCTL_CACHE_DIR=folder)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["cache"] == "miss"
    assert "Traceback" not in done.stderr
    if what != "a link to nothing":
        assert "warning: the build cache in " in done.stderr, done.stderr
    assert component.say() == "hello"
    if what == "a file":
        assert place.read_text() == "mine"
    for command in (["cache", "info"], ["cache", "prune", "--all"]):
        done = flowctl.run(*command, FLOWCTL_CACHE_DIR=folder)
        assert "Traceback" not in done.stderr
        assert done.returncode in (0, 40), done.stderr


def rubbish(path: Path) -> None:
    path.write_bytes(os.urandom(path.stat().st_size or 100))


def empty(path: Path) -> None:
    path.write_bytes(b"")


def half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "in the way").write_text("x")


def loop(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


def closed(path: Path) -> None:
    path.chmod(0)


DAMAGES: list[Callable[[Path], None]] = [rubbish, half, folder]
LESS_LIKELY = [pytest.param(damage, marks=pytest.mark.sweep) for damage in (empty, loop, closed)]


def name_of(damage: object) -> str | None:
    return getattr(damage, "__name__", None)


@pytest.mark.parametrize("damage", [*DAMAGES, *LESS_LIKELY], ids=name_of)
def test_a_damaged_cache_never_fails_a_build_nor_gives_a_wrong_one(unprivileged, greeter, damage) -> None:
    """Each kind of file in the cache in turn: index, stored content, what is remembered about tools."""
    component = greeter()
    cache = unprivileged.home / "cache"
    unprivileged.ok("component", "build", cwd=component.root)
    kinds = {}
    for path in sorted(cache.rglob("*")):
        if path.is_file():
            kind = path.relative_to(cache).parts[0] if path.parent != cache else path.name
            kinds.setdefault(kind if kind != "index" else path.name, []).append(path.relative_to(cache))
    assert len(kinds) >= 3, kinds
    pristine = unprivileged.home / "pristine"
    shutil.copytree(cache, pristine)
    for kind, paths in kinds.items():
        shutil.rmtree(cache)
        shutil.copytree(pristine, cache)
        unprivileged.run("component", "clean", cwd=component.root)
        for path in paths:
            damage(cache / path)
        done = unprivileged.run("component", "build", "-o", "json", cwd=component.root)
        assert done.returncode == 0, f"{kind}: {done.stderr}"
        assert "Traceback" not in done.stderr
        assert json.loads(done.stdout)["cache"] in ("hit", "miss")
        assert component.say() == "hello", kind
        # It heals, or goes on working without; either way a changed source gives the changed program.
        component.write("word.txt", f"goodbye {kind}")
        assert unprivileged.run("component", "build", cwd=component.root).returncode == 0
        assert component.say() == f"goodbye {kind}"
        done = unprivileged.run("cache", "prune", "--all")
        assert done.returncode in (0, 40) and "Traceback" not in done.stderr
        component.write("word.txt", "hello")
        for path in paths:
            if (cache / path).exists() and not (cache / path).is_symlink():
                (cache / path).chmod(0o600 if (cache / path).is_file() else 0o700)


@pytest.mark.parametrize("damage", [*DAMAGES, *LESS_LIKELY], ids=name_of)
@pytest.mark.parametrize("name", ["state.json", "index", "inputs.json", "lock", ".gitignore"])
def test_a_damaged_state_is_made_anew(unprivileged, greeter, name: str, damage) -> None:
    component = greeter()
    unprivileged.ok("component", "build", cwd=component.root)
    target = component.root / ".flowctl" / name
    assert target.is_file()
    damage(target)
    for word in ("hello", "goodbye"):
        component.write("word.txt", word)
        done = unprivileged.run("component", "build", "-o", "json", cwd=component.root)
        assert "Traceback" not in done.stderr
        if done.returncode:  # only what nobody but its owner can mend
            error = json.loads(done.stdout)["error"]
            assert error["exit_code"] == 40 and f".flowctl/{name}" in error["message"], error
            assert damage in (folder, loop, closed) and name in ("lock", ".gitignore"), error
            assert component.say() == "hello"
            if target.is_dir():
                shutil.rmtree(target)
            else:
                target.unlink()
            unprivileged.ok("component", "build", cwd=component.root)
        assert component.say() == word
    unprivileged.ok("component", "clean", cwd=component.root)
    assert not (component.root / ".flowctl").exists()


@pytest.mark.parametrize("what", ["a file", "a link outside", "a link to nothing", "a loop"])
def test_a_flowctl_folder_that_is_none(flowctl, greeter, what: str) -> None:
    component = greeter()
    elsewhere = component.root.parent / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "mine.txt").write_text("mine")
    place = component.root / ".flowctl"
    if what == "a file":
        place.write_text("mine")
    else:
        place.symlink_to({"a link outside": elsewhere, "a link to nothing": "gone", "a loop": ".flowctl"}[what])
    for command in ("build", "test"):
        error = flowctl.failure("component", command, cwd=component.root)
        assert (error["code"], error["exit_code"]) == ("store", 40)
        assert ".flowctl is not a folder" in error["message"]
        assert "Remove it" in error["hint"]
    done = flowctl.run("component", "clean", cwd=component.root)
    assert "Traceback" not in done.stderr
    assert [path.name for path in elsewhere.iterdir()] == ["mine.txt"], "nothing outside was written or removed"
    if place.is_file() or place.is_symlink():
        place.unlink()
    flowctl.ok("component", "build", cwd=component.root)
    assert component.say() == "hello"


@pytest.mark.parametrize("what", ["bin", "work", "bin/greeter"])
def test_a_link_in_the_state_folder_is_not_followed(flowctl, greeter, what: str) -> None:
    component = greeter()
    elsewhere = component.root.parent / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "greeter").write_text("mine")
    (component.root / ".flowctl" / "bin").mkdir(parents=True)
    place = component.root / ".flowctl" / what
    if place.is_dir():
        place.rmdir()
    place.symlink_to(elsewhere / "greeter" if what == "bin/greeter" else elsewhere)
    done = flowctl.run("component", "build", "-o", "json", cwd=component.root)
    assert "Traceback" not in done.stderr
    if done.returncode == 0:
        assert component.say() == "hello"
    else:
        error = json.loads(done.stdout)["error"]
        assert error["exit_code"] == 40 and f".flowctl/{what}" in error["message"]
    flowctl.run("component", "clean", cwd=component.root)
    assert (elsewhere / "greeter").read_text() == "mine"
    assert [path.name for path in elsewhere.iterdir()] == ["greeter"]


def test_a_damaged_program_is_built_or_restored_again(flowctl, greeter) -> None:
    component = greeter()
    flowctl.ok("component", "build", cwd=component.root)
    for damage in (rubbish, empty, Path.unlink):
        damage(component.root / "out" / "greeter")
        assert flowctl.json("component", "build", cwd=component.root)["cache"] == "hit"
        assert component.say() == "hello"
    assert component.runs == 1


@pytest.mark.parametrize("damage", [rubbish, folder, loop, closed], ids=name_of)
def test_a_damaged_configuration_is_an_error_that_names_it(unprivileged, greeter, damage) -> None:
    component = greeter()
    config = unprivileged.home / ".flowctl" / "config.yaml"
    config.parent.mkdir()
    config.write_text("build: {local: {timeout: 90s, parallel_jobs: 3}}\n")
    unprivileged.ok("component", "build", cwd=component.root)
    damage(config)
    done = unprivileged.run("component", "build", "-o", "json", cwd=component.root)
    assert "Traceback" not in done.stderr
    error = json.loads(done.stdout)["error"]
    assert (error["code"], error["exit_code"]) == ("config", 11)
    assert "config.yaml" in error["message"]
    assert component.say() == "hello"
