"""A full disk: an error that says so where the program cannot be made, a warning where only the cache suffers."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

MAKE_BIG = """\
set -e
mkdir -p out
{ echo '#!/bin/sh'; echo "echo $(cat word.txt)"; echo exit; head -c "$(cat size.txt)" /dev/zero; } > out/greeter.new
chmod +x out/greeter.new
mv out/greeter.new out/greeter
"""


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path | None]:
    """A disk of 1 MiB of its own; None where none can be mounted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if sys.platform != "linux" or os.getuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        yield None
        return
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def fill(disk: Path) -> Path:
    """Leave no byte free."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (65536, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue
    return ballast


def limited(flowctl, size: int):
    """The same command where no file may be larger: a write beyond it fails as on a full disk."""
    code = "import os, resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); size = int(sys.argv[1]);"
    code += " resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)); os.execv(sys.argv[2], sys.argv[2:])"
    return replace(flowctl, before=(sys.executable, "-c", code, str(size)))


def test_the_components_disk_is_full(flowctl, greeter, disk: Path | None) -> None:
    if disk is None:
        component = greeter("small files", make__sh=MAKE_BIG, size__txt="10")
        narrow, roomy = limited(flowctl, 100), flowctl
    else:
        component = greeter("disk/component", make__sh=MAKE_BIG, size__txt="10")
        narrow = roomy = flowctl
    roomy.ok("component", "build", cwd=component.root)
    component.write("word.txt", "goodbye")
    ballast = fill(disk) if disk is not None else None
    for arguments in (["build"], ["build", "--no-cache"], ["test"]):
        error = narrow.failure("component", *arguments, cwd=component.root)
        assert error["exit_code"] in (32, 40), error
        said = error["message"] + (error["output"] or "")
        assert any(words in said for words in ("No space left on device", "File too large", "I/O error")), error
        if error["code"] == "store":
            assert "disk is full" in error["hint"] or "ulimit" in error["hint"], error
        # A script stays where the command makes it, and a small one fits under a limit on files.
        assert component.say() == "hello" or disk is None
    if ballast is not None:
        ballast.unlink()
    assert roomy.json("component", "build", cwd=component.root)["cache"] == "miss"
    assert component.say() == "goodbye"
    assert component.leftovers() == []
    assert roomy.json("component", "build", cwd=component.root)["cache"] == "fresh"


def test_the_disk_is_full_before_the_first_build(flowctl, greeter, disk: Path | None) -> None:
    if disk is None:
        component, narrow = greeter(), limited(flowctl, 1)
        ballast = None
    else:
        component, narrow = greeter("disk/component"), flowctl
        ballast = fill(disk)
    error = narrow.failure("component", "build", cwd=component.root)
    assert (error["code"], error["exit_code"]) == ("store", 40)
    assert ".flowctl" in error["message"]
    assert "disk is full" in error["hint"] or "ulimit" in error["hint"]
    assert component.runs == 0
    if ballast is not None:
        ballast.unlink()
    flowctl.ok("component", "build", cwd=component.root)
    assert component.say() == "hello"


def test_what_flowctl_writes_does_not_fit(flowctl, greeter) -> None:
    """The command succeeds and the place for its program does not: nothing that was there is lost."""
    component = greeter(make__sh=MAKE_BIG, size__txt="10")
    flowctl.ok("component", "build", cwd=component.root)
    component.write("word.txt", "goodbye")
    component.write("make.sh", "ulimit -f unlimited 2>/dev/null\n" + MAKE_BIG)
    for size in (1, 50, 300):
        error = limited(flowctl, size).failure("component", "build", cwd=component.root)
        assert error["exit_code"] in (32, 40), error
        assert "File too large" in error["message"] + (error["output"] or ""), error
        assert component.say() in ("hello", "goodbye")
    flowctl.ok("component", "build", cwd=component.root)
    assert component.say() == "goodbye"
    assert component.leftovers() == []


def test_the_caches_disk_is_full(flowctl, greeter, disk: Path | None) -> None:
    component = greeter(make__sh=MAKE_BIG, size__txt="2000000")
    if disk is None:
        narrow, cache = limited(flowctl, 2_100_000), flowctl.home / "cache"
        component.write("make.sh", MAKE_BIG.replace("head -c", "head -c 2000000 /dev/zero > out/more; head -c"))
    else:
        narrow, cache = flowctl, disk / "cache"
    done = narrow.run("component", "build", "-o", "json", cwd=component.root, FLOWCTL_CACHE_DIR=str(cache))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["cache"] == "miss"
    assert component.say() == "hello"
    if disk is not None:
        assert "warning: the build cache in" in done.stderr and "No space left on device" in done.stderr
        used = sum(path.stat().st_size for path in cache.rglob("*") if path.is_file())
        assert used < 500_000, "an unfinished copy does not stay"
        # What is small still finds room, at once and after the disk was quite full.
        component.write("size.txt", "10")
        flowctl.ok("component", "build", cwd=component.root, FLOWCTL_CACHE_DIR=str(cache))
        ballast = fill(disk)
        component.write("word.txt", "goodbye")
        done = flowctl.run("component", "build", cwd=component.root, FLOWCTL_CACHE_DIR=str(cache))
        assert done.returncode == 0 and "warning: the build cache in" in done.stderr
        assert component.say() == "goodbye"
        component.write("word.txt", "hello")
        report = flowctl.json("component", "build", cwd=component.root, FLOWCTL_CACHE_DIR=str(cache))
        assert report["cache"] in ("hit", "miss")
        assert component.say() == "hello"
        ballast.unlink()
        flowctl.ok("component", "clean", cwd=component.root, FLOWCTL_CACHE_DIR=str(cache))
        assert flowctl.json("component", "build", cwd=component.root, FLOWCTL_CACHE_DIR=str(cache))["cache"] == "hit"


def test_several_components_on_a_full_disk(flowctl, greeter, disk: Path | None) -> None:
    full, fine = greeter("disk/full"), greeter("fine")
    narrow = limited(flowctl, 1) if disk is None else flowctl
    ballast = fill(disk) if disk is not None else None
    done = narrow.run("component", "build", "disk/full", "fine", "-o", "json", cwd=fine.root.parent)
    assert done.returncode == 40
    assert "Traceback" not in done.stderr
    first, second = json.loads(done.stdout)
    assert first["error"]["code"] == "store"
    assert "disk is full" in first["error"]["hint"] or "ulimit" in first["error"]["hint"]
    if ballast is not None:
        assert second["cache"] == "miss" and fine.say() == "hello"
        ballast.unlink()
    flowctl.ok("component", "build", "disk/full", "fine", cwd=fine.root.parent)
    assert full.say() == fine.say() == "hello"
