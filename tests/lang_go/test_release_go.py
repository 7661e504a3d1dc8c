"""Releases without C, by the real go: what is made, with which flags, and that it is the same everywhere."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import lief
import pytest

from flowctl_core.models import ComponentSpec, LanguageSettings, Platform
from flowctl_core.package.binary import check_artifact
from flowctl_core.testing import write_project
from flowctl_core.testing.recording import RecordingRunner
from flowctl_core.toolchains.find import find_tools
from flowctl_lang_go.plugin import plugin

if TYPE_CHECKING:
    from .conftest import Bench, Proxy

MakeBench = Callable[..., "Bench"]
MOD = "module example.com/sample\n\ngo 1.21\n"
GREET = "\nrequire example.com/greet v1.0.0\n"
THREE = ("linux/amd64", "linux/arm64", "darwin/amd64")
HERE = (Platform.host(),)
THREE_AND_HERE = tuple(dict.fromkeys((*THREE, *HERE)))
VERSION = 'package main\n\nimport "fmt"\n\nvar version = "none"\n\nfunc main() { fmt.Println(version) }\n'


def prints(text: str) -> str:
    return f'package main\n\nimport "fmt"\n\nfunc main() {{ fmt.Println("{text}") }}\n'


def run(program: Path) -> str:
    return subprocess.run([program], capture_output=True, text=True, check=True).stdout.strip()


def built_with(bench: Bench, program: Path) -> str:
    go = find_tools(bench.plan().toolchain, os.environ)["go"].path
    return subprocess.run([go, "version", "-m", program], capture_output=True, text=True, check=True).stdout


def digest(program: Path) -> str:
    return sha256(program.read_bytes()).hexdigest()


def test_three_platforms(bench: MakeBench) -> None:
    made = bench({"go.mod": MOD, "main.go": prints("hello")})
    programs = made.released(made.plan(platforms=THREE))
    facts = {platform: check_artifact(path, Platform(platform), "program") for platform, path in programs.items()}
    assert {platform: (one.arch, one.static) for platform, one in facts.items()} == {
        "linux/amd64": ("amd64", True),
        "linux/arm64": ("arm64", True),
        "darwin/amd64": ("amd64", False),  # on macOS the system's library is the only way to call the system
    }
    for platform in ("linux/amd64", "linux/arm64"):
        elf = lief.ELF.parse(str(programs[platform]))
        assert elf is not None and not [
            s.name for s in elf.sections if s.name.startswith((".debug", ".zdebug", ".symtab"))
        ]
    assert [path.name for path in programs.values()] == ["sample"] * 3
    if Platform.host() in programs:
        assert run(programs[Platform.host()]) == "hello"


def test_the_arm64_program_runs_under_emulation(bench: MakeBench) -> None:
    qemu = shutil.which("qemu-aarch64-static") or shutil.which("qemu-aarch64")
    if qemu is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("qemu-aarch64-static is not there")
    made = bench({"go.mod": MOD, "main.go": prints("hello from afar")})
    programs = made.released(made.plan(platforms=["linux/arm64"]))
    done = subprocess.run([qemu, programs["linux/arm64"]], capture_output=True, text=True, check=True)
    assert done.stdout == "hello from afar\n"


def test_both_platforms_in_one_call(bench: MakeBench) -> None:
    made = bench({"go.mod": MOD, "main.go": prints("x")})
    plan = made.plan(platforms=THREE[:2])
    result = plugin.flowctl_build_multiplatform(plan, made.context(plan))
    assert [outcome.platform for outcome in result.outcomes] == list(plan.platforms)
    assert [a.path for outcome in result.outcomes for a in outcome.artifacts] == [
        ".flowctl/staging/linux-amd64/sample",
        ".flowctl/staging/linux-arm64/sample",
    ]
    assert all(outcome.duration_s > 0 for outcome in result.outcomes)


def test_a_variant_of_the_cpu(bench: MakeBench) -> None:
    made = bench({"go.mod": MOD, "main.go": prints("x")}, environment={"GOAMD64": "v4"})
    programs = made.released(made.plan(platforms=["linux/amd64", "linux/amd64/v2"]))
    assert "GOAMD64=v1" in built_with(made, programs["linux/amd64"])
    assert "GOAMD64=v2" in built_with(made, programs["linux/amd64/v2"])


class TestVersion:
    def test_is_stamped(self, bench: MakeBench) -> None:
        made = bench({"go.mod": MOD, "main.go": VERSION})
        assert run(made.released(made.plan(platforms=HERE, version="1.2.3"))[Platform.host()]) == "1.2.3"

    @pytest.mark.parametrize("version", ["1.0 beta", "it's", ""])
    def test_however_it_is_spelled(self, bench: MakeBench, version: str) -> None:
        made = bench({"go.mod": MOD, "main.go": VERSION})
        assert run(made.released(made.plan(platforms=HERE, version=version))[Platform.host()]) == version

    def test_beside_the_user_s_own_flags(self, bench: MakeBench) -> None:
        source = VERSION.replace('var version = "none"', 'var version, commit = "none", "none"').replace(
            "(version)", "(version, commit)"
        )
        made = bench(
            {"go.mod": MOD, "main.go": source},
            settings=LanguageSettings(
                build_args=("-ldflags", "-X main.commit=abc", "-buildvcs=true", "-trimpath=false")
            ),
        )
        program = made.released(made.plan(platforms=HERE, version="1.2.3"))[Platform.host()]
        assert run(program) == "1.2.3 abc"
        assert str(made.root).encode() not in program.read_bytes()

    def test_the_user_s_stamp_wins(self, bench: MakeBench) -> None:
        made = bench(
            {"go.mod": MOD, "main.go": VERSION},
            settings=LanguageSettings(build_args=("-ldflags=-X main.version=mine",)),
        )
        assert run(made.released(made.plan(platforms=HERE, version="1.2.3"))[Platform.host()]) == "mine"

    def test_flags_that_component_yaml_gives_in_goflags(self, bench: MakeBench) -> None:
        source = VERSION.replace('var version = "none"', 'var version, commit = "none", "none"').replace(
            "(version)", "(version, commit)"
        )
        native = {"environment": {"GOFLAGS": "'-ldflags=-X main.commit=abc'"}}
        component = ComponentSpec.from_data(
            {"metadata": {"name": "sample"}, "spec": {"build": {"language": "go", "native": native}}}
        )
        made = bench({"go.mod": MOD, "main.go": source}, component=component)
        assert run(made.released(made.plan(platforms=HERE, version="1.2.3"))[Platform.host()]) == "1.2.3 abc"

    def test_a_variable_that_is_no_text(self, bench: MakeBench) -> None:
        made = bench({"go.mod": MOD, "main.go": VERSION.replace('"none"', "7")})
        assert run(made.released(made.plan(platforms=HERE, version="1.2.3"))[Platform.host()]) == "7"
        assert any("main.version is no text" in note for note in made.progress.notes)

    def test_no_commit_is(self, bench: MakeBench) -> None:
        """It stands in build-info.json and in provenance: in the program it would make equal trees differ."""
        from flowctl_core.testing.projects import commit_all

        made = bench({"go.mod": MOD, "main.go": VERSION})
        commit_all(made.root)
        program = made.released(made.plan(platforms=HERE))[Platform.host()]
        assert "path\texample.com/sample" in built_with(made, program) and "vcs." not in built_with(made, program)


class TestReproducible:
    FILES = {  # noqa: RUF012 - files, not state
        "go.mod": MOD,
        "main.go": prints("x")
        .replace('"fmt"', '"fmt"\nimport "runtime/debug"')
        .replace("fmt.Println", "debug.PrintStack(); fmt.Println"),
        "internal/a/a.go": "package a\n",
    }

    def test_wherever_whenever_and_by_whomever(self, bench: MakeBench, tmp_path: Path) -> None:
        first = bench(self.FILES, name="here", jobs=1)
        other = bench(
            self.FILES,
            name="else where/sämple",
            jobs=4,
            environment={
                **{
                    "HOME": str(tmp_path / "home"),
                    "GOCACHE": str(tmp_path / "cache"),
                    "TZ": "Asia/Tokyo",
                    "USER": "eve",
                },
                **{
                    "GOFLAGS": "-tags=other -ldflags=-X=main.x=y",
                    "GOAMD64": "v3",
                    "GOEXPERIMENT": "fieldtrack",
                },
                **{
                    "CGO_ENABLED": "1",
                    "CC": "/nowhere/cc",
                    "CGO_CFLAGS": "-g3",
                    "GODEBUG": "gctrace=0",
                },
            },
        )
        settings = tmp_path / "home" / ".config" / "go" / "env"  # what `go env -w` writes
        write_project(settings.parent, {"env": "GOAMD64=v2\nGOFLAGS=-gcflags=-N\nCGO_ENABLED=1\n"})
        before = os.umask(0o077)
        try:
            program = other.released(other.plan("here", platforms=["linux/arm64"]))["linux/arm64"]
        finally:
            os.umask(before)
        assert digest(program) == digest(first.released(first.plan(platforms=THREE))["linux/arm64"])

    def test_without_a_path_of_this_machine(self, bench: MakeBench) -> None:
        made = bench(self.FILES, name="telltale")
        for path in made.released(made.plan("x", platforms=THREE)).values():
            content = path.read_bytes()
            assert b"telltale" not in content and str(Path.home()).encode() + b"/" not in content


def test_a_failure_is_an_outcome_with_go_s_words(bench: MakeBench) -> None:
    files = {"go.mod": MOD, "main.go": prints("x"), "x_darwin.go": "package main\n\nvar x int = nothing\n"}
    made = bench(files)
    outcomes = made.release(made.plan(platforms=THREE))
    assert [bool(outcome.failure) for outcome in outcomes.values()] == [False, False, True]
    failed = outcomes["darwin/amd64"]
    assert failed.failure == "go build . for darwin/amd64 failed" and not failed.artifacts
    assert "x_darwin.go:3:13: undefined: nothing" in str(failed.output)


def test_one_program_of_several(bench: MakeBench) -> None:
    made = bench({"go.mod": MOD, "cmd/a/main.go": prints("a"), "cmd/b/main.go": prints("b")}, main="cmd/b")
    assert run(made.released(made.plan(platforms=HERE))[Platform.host()]) == "b"


def test_loose_files(bench: MakeBench) -> None:
    files = {
        "main.go": prints("x").replace('"x"', "system"),
        **{f"{name}_{name}.go": f'package main\n\nconst system = "{name}"\n' for name in ("linux", "darwin")},
    }
    made = bench(files)
    assert run(made.released(made.plan(platforms=THREE_AND_HERE))[Platform.host()]) == Platform.host().os


def test_a_workspace(bench: MakeBench) -> None:
    made = bench(
        {
            "go.work": "go 1.21\n\nuse ./app\nuse ./lib\n",
            "app/go.mod": "module example.com/app\n\ngo 1.21\n",
            "app/main.go": prints("x").replace('"fmt"', '"fmt"\nimport "example.com/lib"').replace('"x"', "lib.X"),
            "lib/go.mod": "module example.com/lib\n\ngo 1.21\n",
            "lib/lib.go": 'package lib\n\nconst X = "from lib"\n',
        }
    )
    plan = made.plan(platforms=HERE)
    made.fetch(plan)
    program = made.released(plan)[Platform.host()]
    assert run(program) == "from lib"
    assert str(made.root).encode() not in program.read_bytes()
    assert not (made.root / "go.work.sum").exists()


def test_modules_from_a_proxy(bench: MakeBench, proxy: Proxy) -> None:
    """Fetched once, for all platforms; what only another system imports too; the build itself asks nobody."""
    proxy.add("example.com/mac", "v1.0.0", {"mac.go": "package mac\n\nconst X = 1\n"})
    source = prints("x").replace('"fmt"', '"fmt"\nimport "example.com/greet"').replace('"x"', 'greet.Greet("Ada")')
    files = {
        "go.mod": MOD + "\nrequire (\n\texample.com/greet v1.0.0\n\texample.com/mac v1.0.0\n)\n",
        "main.go": source,
        "x_darwin.go": 'package main\n\nimport _ "example.com/mac"\n',
    }
    made = bench(files, environment=proxy.environment)
    proxy.tidy(made.root)
    plan = made.plan(platforms=THREE_AND_HERE)
    assert made.fetch(plan).fetched == 2
    made.environment = {**made.environment, "GOPROXY": "off"}
    programs = made.released(plan)
    assert run(programs[Platform.host()]) == "hello Ada"
    assert "example.com/mac" in built_with(made, programs["darwin/amd64"])
    assert "example.com/mac" not in built_with(made, programs["linux/amd64"])


def test_modules_that_were_not_fetched(bench: MakeBench, proxy: Proxy) -> None:
    source = prints("x").replace('"fmt"', '"fmt"\nimport "example.com/greet"').replace('"x"', 'greet.Greet("Ada")')
    made = bench({"go.mod": MOD + GREET, "main.go": source}, environment=proxy.environment)
    proxy.tidy(made.root)
    plan = made.plan(platforms=["linux/amd64"])
    assert made.limitations(plan) == ()
    outcome = made.release(plan)["linux/amd64"]
    assert outcome.failure and outcome.failure.endswith("dependencies are not on this machine: see below")
    assert "module lookup disabled" in str(outcome.output)


def test_a_checksum_that_only_another_platform_needs_is_missed_in_fetch(bench: MakeBench, proxy: Proxy) -> None:
    from flowctl_core.errors import FetchError

    files = {
        "go.mod": MOD + GREET,
        "main.go": prints("x"),
        "x_darwin.go": 'package main\n\nimport _ "example.com/greet"\n',
    }
    made = bench(files, environment=proxy.environment)
    with pytest.raises(FetchError) as caught:
        made.fetch(made.plan(platforms=THREE))
    assert caught.value.hint and "go mod tidy" in caught.value.hint


def test_caches_that_go_env_w_moved_are_used(bench: MakeBench, tmp_path: Path) -> None:
    home = tmp_path / "home"
    write_project(home / ".config" / "go", {"env": f"GOCACHE={tmp_path}/moved\n"})
    made = bench({"go.mod": MOD, "main.go": prints("x")}, environment={"HOME": str(home), "XDG_CONFIG_HOME": ""})
    plan = made.plan(platforms=HERE)
    context = made.context(plan)
    environment = {
        name: value for name, value in context.environment.items() if name not in ("GOCACHE", "XDG_CONFIG_HOME")
    }
    result = plugin.flowctl_build_multiplatform(plan, context.model_copy(update={"environment": environment}))
    assert result.outcomes[0].failure is None
    assert (tmp_path / "moved").is_dir()


def test_jobs_are_limited_to_the_share(bench: MakeBench) -> None:
    made = bench({"go.mod": MOD, "main.go": prints("x")}, jobs=3, runner=RecordingRunner())
    made.released(made.plan(platforms=HERE))
    (argv,) = [command.argv for command in made.runner.commands if "build" in command.argv]  # type: ignore[attr-defined]
    assert argv[argv.index("-p") + 1] == "3"


def test_a_refused_platform_is_an_outcome_for_who_asks_all_the_same(bench: MakeBench) -> None:
    made = bench({"go.mod": MOD, "main.go": prints("x")})
    outcome = made.release(made.plan(platforms=["linux/amd64/v7"]))[Platform("linux/amd64/v7")]
    assert outcome.failure and "Go's variants of amd64" in outcome.failure and outcome.hint


def test_a_platform_that_go_does_not_have(bench: MakeBench) -> None:
    made = bench({"go.mod": MOD, "main.go": prints("x")})
    (limitation,) = made.limitations(made.plan(platforms=["linux/amd64", "linux/sparc"]))
    assert limitation.platform == "linux/sparc" and "does not build for linux/sparc" in limitation.reason
    assert "go tool dist list" in limitation.remedy


def test_a_program_that_is_not_made(bench: MakeBench) -> None:
    made = bench({"go.mod": MOD, "main.go": prints("x")}, settings=LanguageSettings(build_args=("-n",)))
    outcome = made.release(made.plan(platforms=HERE))[Platform.host()]
    assert outcome.failure and outcome.failure.endswith("ended well and made no program")
