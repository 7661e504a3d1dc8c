"""Fetching with the real go, from a module proxy in a folder."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from flowctl_core.errors import DependenciesMissingError, FetchError, StoreError, ToolchainError
from flowctl_core.testing.projects import Snapshot
from flowctl_core.testing.recording import RecordingRunner

if TYPE_CHECKING:
    from .conftest import Bench, Proxy

MAIN = """\
package main

import (
	"fmt"

	"example.com/greet"
)

func main() { fmt.Println(greet.Greet("world")) }
"""
MOD = "module example.com/sample\n\ngo 1.21\n\nrequire example.com/greet v1.0.0\n"
MakeBench = Callable[..., "Bench"]


@pytest.fixture
def sample(bench: MakeBench, proxy: Proxy) -> Bench:
    """A module with a dependency that is not on this machine."""
    made = bench({"go.mod": MOD, "main.go": MAIN}, environment=proxy.environment)
    proxy.tidy(made.root)
    return made


def run(program: Path) -> str:
    return subprocess.run([program], capture_output=True, text=True, check=True).stdout


def test_fetch_then_build_offline(sample: Bench) -> None:
    before = Snapshot.take(sample.root)
    with pytest.raises(DependenciesMissingError) as missing:
        sample.build()
    assert "module lookup disabled by GOPROXY=off" in str(missing.value.output)
    report = sample.fetch()
    assert report.fetched == 1 and report.ran_code == ()
    assert run(sample.program(sample.build())) == "hello world\n"
    assert before.changes_to(Snapshot.take(sample.root, without=[".flowctl"])) == []


def test_only_fetch_asks_for_the_network(sample: Bench) -> None:
    sample.runner = recorded = RecordingRunner()
    sample.fetch()
    assert [c.network for c in recorded.commands if "download" in c.argv] == [True]
    sample.build()
    sample.test()
    rest = [command for command in recorded.commands if "download" not in command.argv]
    assert rest and not any(command.network for command in rest)
    assert all(c.environment["GOPROXY"] == "off" and c.environment["GONOPROXY"] == "none" for c in rest)
    assert all(command.environment["GOTOOLCHAIN"] == "local" for command in recorded.commands)


def test_offline_names_what_is_missing(sample: Bench) -> None:
    sample.offline = True
    with pytest.raises(FetchError, match=r"offline, .*example\.com/greet@v1\.0\.0") as caught:
        sample.fetch()
    assert "GOPROXY=off" in str(caught.value.output)
    sample.offline = False
    sample.fetch()
    sample.offline = True
    assert sample.fetch().fetched == 1
    assert run(sample.program(sample.build())) == "hello world\n"


def test_a_missing_checksum_is_an_error_and_not_added(sample: Bench) -> None:
    (sample.root / "go.sum").write_text("")
    with pytest.raises(FetchError, match=r"go\.sum lacks entries") as caught:
        sample.fetch()
    assert caught.value.hint and "go mod tidy" in caught.value.hint
    assert "missing go.sum entry" in str(caught.value.output)
    assert (sample.root / "go.sum").read_text() == ""


def test_an_import_that_go_mod_does_not_require(bench: MakeBench, proxy: Proxy) -> None:
    made = bench({"go.mod": "module example.com/sample\n\ngo 1.21\n", "main.go": MAIN}, environment=proxy.environment)
    with pytest.raises(FetchError, match=r"go\.mod or go\.sum lacks entries") as caught:
        made.fetch()
    assert "module providing package example.com/greet" in str(caught.value.output)
    assert not (made.root / "go.sum").exists()


def test_a_changed_module_is_refused(sample: Bench, proxy: Proxy) -> None:
    proxy.add("example.com/greet", "v1.0.0", {"greet.go": "package greet\n\n// Evil twin.\n"})
    with pytest.raises(FetchError, match="does not match its checksum") as caught:
        sample.fetch()
    assert "SECURITY ERROR" in str(caught.value.output)
    assert "go mod tidy" not in str(caught.value.hint)


def test_a_version_that_is_not_there(bench: MakeBench, proxy: Proxy) -> None:
    made = bench({"go.mod": MOD.replace("v1.0.0", "v1.9.9"), "main.go": MAIN}, environment=proxy.environment)
    with pytest.raises(FetchError) as caught:
        made.fetch()
    assert "example.com/greet@v1.9.9" in str(caught.value.output)
    assert "{" not in str(caught.value.output)


def test_a_go_mod_that_cannot_be_parsed_is_called_by_its_name(bench: MakeBench, proxy: Proxy) -> None:
    made = bench({"go.mod": MOD.replace("v1.0.0", "v9.9.9"), "main.go": MAIN}, environment=proxy.environment)
    with pytest.raises(FetchError) as caught:
        made.fetch()
    assert 'go.mod:5: require example.com/greet: version "v9.9.9" invalid' in str(caught.value.output)
    assert ".flowctl" not in str(caught.value.output)


def test_a_proxy_that_cannot_be_reached(sample: Bench) -> None:
    sample.environment = {**sample.environment, "GOPROXY": "http://127.0.0.1:9"}
    with pytest.raises(FetchError, match="proxy cannot be reached") as caught:
        sample.fetch()
    assert "connection refused" in str(caught.value.output)


def test_a_dependency_that_wants_a_newer_go(bench: MakeBench, proxy: Proxy) -> None:
    proxy.add("example.com/greet", "v2.0.0+incompatible", {"greet.go": "package greet\n"})
    proxy.add("example.com/new", "v1.0.0", {"new.go": "package new\n", "go.mod": "module example.com/new\n\ngo 1.99\n"})
    files = {
        "go.mod": "module example.com/sample\n\ngo 1.21\n\nrequire example.com/new v1.0.0\n",
        "main.go": 'package main\n\nimport _ "example.com/new"\n\nfunc main() {}\n',
    }
    with pytest.raises(ToolchainError, match=r"Go 1\.99 or newer is needed") as caught:
        bench(files, environment=proxy.environment).fetch()
    assert caught.value.hint and "flowctl-lang-go[toolchain]" in caught.value.hint


def test_a_full_disk_is_said(sample: Bench) -> None:
    sample.runner = RecordingRunner().script("go", "mod", exit_code=1, stderr="go: write /x: no space left on device")
    with pytest.raises(StoreError, match="the disk is full"):
        sample.fetch()


def test_vendored_modules_are_not_fetched(bench: MakeBench, proxy: Proxy) -> None:
    made = bench(
        {
            "go.mod": MOD,
            "main.go": MAIN,
            "vendor/modules.txt": "# example.com/greet v1.0.0\n## explicit; go 1.21\nexample.com/greet\n",
            "vendor/example.com/greet/greet.go": 'package greet\n\nfunc Greet(n string) string { return "vendored " + n }\n',
        },
        environment=proxy.environment,
    )
    made.runner = recorded = RecordingRunner()
    assert made.fetch().fetched == 0 and recorded.commands == []
    assert run(made.program(made.build())) == "vendored world\n"
    assert "-mod=vendor" in recorded.commands[-1].argv


def test_goflags_can_turn_vendoring_off(bench: MakeBench, proxy: Proxy) -> None:
    files = {"go.mod": MOD, "main.go": MAIN, "vendor/modules.txt": "# example.com/greet v1.0.0\n## explicit\n"}
    flags = {**proxy.environment, "GOFLAGS": "-modcacherw -mod=mod"}
    made = bench(files, environment=flags)
    proxy.tidy(made.root)
    before = Snapshot.take(made.root)
    assert made.fetch().fetched == 1
    assert run(made.program(made.build())) == "hello world\n"
    assert before.changes_to(Snapshot.take(made.root, without=[".flowctl"])) == []


def test_workspace_is_fetched_without_writing_into_it(bench: MakeBench, proxy: Proxy) -> None:
    proxy.add(
        "example.com/greet",
        "v1.1.0",
        {"greet.go": 'package greet\n\nfunc Greet(n string) string { return "hi " + n }\n'},
    )
    made = bench(
        {
            "go.work": "go 1.21\n\nuse (\n\t./app\n\t./lib\n)\n",
            "app/go.mod": MOD.replace("sample", "app"),
            "app/main.go": MAIN,
            "lib/go.mod": MOD.replace("sample", "lib").replace("v1.0.0", "v1.1.0"),
            "lib/lib.go": 'package lib\n\nimport _ "example.com/greet"\n',
        },
        environment=proxy.environment,
    )
    for member in ("app", "lib"):
        proxy.tidy(made.root / member)
    before = Snapshot.take(made.root)
    assert made.fetch().fetched == 1
    assert run(made.program(made.build())) == "hi world\n"  # the workspace takes the newest
    made.test()
    assert before.changes_to(Snapshot.take(made.root, without=[".flowctl"])) == []


def test_loose_files_have_nothing_to_fetch(bench: MakeBench) -> None:
    made = bench({"main.go": 'package main\n\nfunc main() { print("x") }\n'})
    made.runner = recorded = RecordingRunner()
    assert made.fetch().fetched == 0 and recorded.commands == []


def test_a_manifest_that_is_no_text_is_told_by_go_itself(bench: MakeBench) -> None:
    made = bench({"go.mod": b"\xff\xfe\x00m", "main.go": "package main\n\nfunc main() {}\n"})
    with pytest.raises(FetchError) as raised:
        made.fetch()
    assert "go.mod:1" in str(raised.value.output)
