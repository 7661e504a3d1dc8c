"""The plan of a release: which platforms can be built here, with C or without, and why not. No tool runs."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from flowctl_core.errors import PlanError
from flowctl_core.models import ComponentSpec, LanguageSettings, Plan, Platform

if TYPE_CHECKING:
    from collections.abc import Mapping

MakePlan = Callable[..., Plan]
THREE = ("linux/amd64", "linux/arm64", "darwin/amd64")
MOD = "module example.com/sample\n\ngo 1.21\n"
MAIN = "package main\n\nfunc main() {}\n"
C = 'package main\n\nimport "C"\n\nfunc main() {}\n'
on_linux = pytest.mark.skipif(Platform.host().os == "darwin", reason="macOS builds for itself with its own compiler")


def spec(**body: object) -> ComponentSpec:
    return ComponentSpec.from_data({"metadata": {"name": "sample"}, "spec": body})  # type: ignore[dict-item]


def environment(**variables: str) -> ComponentSpec:
    return spec(build={"language": "go", "native": {"environment": dict(variables)}})


def refused(plan: Plan) -> dict[str | None, str]:
    return {limitation.platform: f"{limitation.reason}; {limitation.remedy}" for limitation in plan.limitations}


def cgo(plan: Plan) -> dict[str, Any]:
    platforms: Mapping[str, Any] = plan.details["platforms"]  # type: ignore[assignment]
    return {platform: about["cgo"] for platform, about in platforms.items()}


def test_a_plain_program(plan: MakePlan) -> None:
    made = plan({"go.mod": MOD, "main.go": MAIN}, platforms=THREE)
    assert (made.profile, made.platforms, made.limitations, made.warnings) == ("release", THREE, (), ())
    assert [tool.name for tool in made.toolchain] == ["go"]
    assert made.passthrough == () and not {"GOOS", "GOARCH"} & set(made.environment)
    assert set(cgo(made).values()) == {False}


def test_a_plan_for_development_has_nothing_of_it(plan: MakePlan) -> None:
    made = plan({"go.mod": MOD, "main.go": C})
    assert not {"platforms", "libc", "certificates"} & set(made.details)
    assert "zig" not in {tool.name for tool in made.toolchain}


@pytest.mark.parametrize(
    ("files", "says"),
    [
        (
            {"main_linux.go": MAIN},
            "the program . has no Go file with a func main for darwin/amd64: build constraints or file names exclude it; "
            "Add a file for darwin/amd64, or leave the platform out: --platforms linux/amd64,linux/arm64",
        ),
        ({"main.go": "//go:build !darwin\n\n" + MAIN}, "has no Go file with a func main for darwin/amd64"),
        ({"main_linux.go": MAIN, "x.go": "package main\n"}, "has no Go file with a func main for darwin/amd64"),
        (
            {
                "main.go": MAIN.replace("func", 'import _ "example.com/sample/internal/epoll"\n\nfunc'),
                "internal/epoll/epoll_linux.go": "package epoll\n",
            },
            "build constraints exclude all Go files for darwin/amd64 in ./internal/epoll, which the program imports",
        ),
        (
            {
                "main.go": MAIN.replace("func", 'import _ "example.com/x/deep"\n\nfunc'),
                "go.mod": MOD + "require example.com/x v1.0.0\n",
                "vendor/modules.txt": "# example.com/x v1.0.0\n## explicit\nexample.com/x/deep\n",
                "vendor/example.com/x/deep/d_linux.go": "package deep\n",
            },
            "exclude all Go files for darwin/amd64 in ./vendor/example.com/x/deep",
        ),
    ],
    ids=["file name", "constraint", "only the main is missing", "package", "vendored package"],
)
def test_a_platform_without_files(plan: MakePlan, files: dict[str, str], says: str) -> None:
    found = refused(plan({"go.mod": MOD, **files}, platforms=THREE))
    assert list(found) == ["darwin/amd64"]
    assert says in found[Platform("darwin/amd64")]


def test_the_program_may_differ_from_the_host_s(plan: MakePlan) -> None:
    """Chosen among the programs of all platforms that are asked for, not of this machine."""
    files = {"go.mod": MOD, "cmd/a/main_plan9.go": MAIN, "cmd/sample/main_windows.go": MAIN}
    made = plan(files, platforms=["windows/amd64", "plan9/amd64"])
    assert made.details["package"] == "./cmd/sample"
    assert list(refused(made)) == ["plan9/amd64"]


def test_no_program_for_any_platform(plan: MakePlan) -> None:
    with pytest.raises(PlanError, match="exclude all files for linux/amd64 or darwin/arm64"):
        plan({"go.mod": MOD, "main_windows.go": MAIN}, platforms=["linux/amd64", "darwin/arm64"])


def test_tags_of_build_args_count(plan: MakePlan) -> None:
    files = {"go.mod": MOD, "main.go": "//go:build linux || everywhere\n\n" + MAIN}
    assert list(refused(plan(files, platforms=THREE))) == ["darwin/amd64"]
    made = plan(files, platforms=THREE, settings=LanguageSettings(build_args=("-tags=everywhere",)))
    assert refused(made) == {}


def test_loose_files_by_platform(plan: MakePlan) -> None:
    files = {
        "main.go": MAIN,
        "x_linux.go": "package main\n",
        "x_darwin.go": "package main\n",
        "x_test.go": "package main\n",
    }
    platforms: Any = plan(files, platforms=THREE).details["platforms"]
    assert platforms["linux/arm64"]["files"] == ["main.go", "x_linux.go"]
    assert platforms["darwin/amd64"]["files"] == ["main.go", "x_darwin.go"]


def test_unknown_variant(plan: MakePlan) -> None:
    made = plan({"go.mod": MOD, "main.go": MAIN}, platforms=["linux/amd64/v7", "linux/amd64"])
    assert "Go's variants of amd64 are v1 to v4" in refused(made)[Platform("linux/amd64/v7")]
    assert len(refused(made)) == 1


def test_what_lies_outside_is_in_no_export(plan: MakePlan) -> None:
    files = {"go.mod": MOD + "require example.com/x v0.0.0\nreplace example.com/x => ../x\n", "main.go": MAIN}
    found = refused(plan(files, platforms=THREE))
    assert set(found) == set(THREE)
    assert "go.mod replaces example.com/x by ../x, which is outside the source" in found[Platform("linux/amd64")]


def test_goos_in_component_yaml_is_not_taken(plan: MakePlan) -> None:
    made = plan({"go.mod": MOD, "main.go": MAIN}, component=environment(GOOS="linux"), platforms=THREE)
    assert made.warnings == (
        "component.yaml sets GOOS=linux, which is ignored: a release is for linux/amd64, linux/arm64, darwin/amd64",
    )


def test_certificates_for_what_may_speak_tls(plan: MakePlan) -> None:
    def certificates(source: str, mod: str = MOD) -> Any:
        return plan({"go.mod": mod, "main.go": source}, platforms=THREE, name=re.sub(r"\W", "", source)[:40]).details[
            "certificates"
        ]

    assert certificates(MAIN) is False
    assert certificates(MAIN.replace("func", 'import _ "net/http"\n\nfunc')) is True
    assert certificates(MAIN.replace("func", 'import _ "example.com/x"\n\nfunc')) is True


class TestC:
    def test_the_source_s_own(self, plan: MakePlan) -> None:
        made = plan({"go.mod": MOD, "main.go": C}, platforms=THREE)
        assert set(cgo(made).values()) == {True} and refused(made) == {}
        assert [tool.name for tool in made.toolchain] == ["go", "zig"]
        assert made.toolchain[1].optional  # missing, it is a limitation with a remedy rather than an error

    def test_only_what_the_program_imports_counts(self, plan: MakePlan) -> None:
        files = {
            "go.mod": MOD,
            "cmd/sample/main.go": MAIN,
            "cmd/other/main.go": C,
            "lib/lib.go": C.replace("main", "lib"),
        }
        assert set(cgo(plan(files, platforms=THREE)).values()) == {False}

    def test_by_platform(self, plan: MakePlan) -> None:
        files = {"go.mod": MOD, "main.go": MAIN, "x_linux.go": 'package main\n\nimport "C"\n'}
        assert cgo(plan(files, platforms=THREE)) == {"linux/amd64": True, "linux/arm64": True, "darwin/amd64": False}

    def test_component_yaml_decides(self, plan: MakePlan) -> None:
        files = {"go.mod": MOD, "main.go": C, "pure.go": "//go:build !cgo\n\n" + MAIN}
        off = plan(files, platforms=THREE, component=environment(CGO_ENABLED="0"), name="off")
        assert set(cgo(off).values()) == {False} and refused(off) == {}
        on = plan({"go.mod": MOD, "main.go": MAIN}, platforms=THREE, component=environment(CGO_ENABLED="1"), name="on")
        assert set(cgo(on).values()) == {True}

    def test_off_and_there_is_nothing_else(self, plan: MakePlan) -> None:
        made = plan({"go.mod": MOD, "main.go": C}, platforms=THREE, component=environment(CGO_ENABLED="0"))
        assert set(refused(made)) == set(THREE)
        assert "file names or CGO_ENABLED=0 exclude it" in refused(made)[Platform("linux/amd64")]

    @pytest.mark.parametrize(
        ("files", "expected"),
        [
            ({"a.go": "package x\n", "c.go": 'package x\n\nimport "C"\n'}, False),
            ({"a.go": "package x\n", "c.go": 'package x\n\nimport "C"\n', "c.c": "int x;"}, True),
            (
                {"a.go": "package x\n", "b.go": "package x\n", "c.go": 'package x\n\nimport "C"\n', "c.c": "int x;"},
                False,
            ),
            ({"c.go": 'package x\n\nimport "C"\n'}, True),
            ({"a.go": "//go:build !cgo\n\npackage x\n", "c.go": 'package x\n\nimport "C"\n'}, True),
            ({"a.go": "package x\n"}, False),
        ],
        ids=["optional", "brings C", "brings a little C", "nothing else", "nothing beside it", "none"],
    )
    def test_vendored(self, plan: MakePlan, files: dict[str, str], expected: bool) -> None:
        made = plan(
            {
                "go.mod": MOD + "require example.com/x v1.0.0\n",
                "main.go": MAIN.replace("func", 'import _ "example.com/x"\n\nfunc'),
                "vendor/modules.txt": "# example.com/x v1.0.0\n## explicit\nexample.com/x\n",
                **{f"vendor/example.com/x/{name}": text for name, text in files.items()},
            },
            platforms=THREE,
        )
        assert set(cgo(made).values()) == {expected}

    def test_modules_outside_are_left_to_go(self, plan: MakePlan) -> None:
        source = MAIN.replace("func", 'import _ "example.com/x"\n\nfunc')
        made = plan({"go.mod": MOD + "require example.com/x v1.0.0\n", "main.go": source}, platforms=THREE)
        assert set(cgo(made).values()) == {None}
        assert "zig" in {tool.name for tool in made.toolchain}

    @on_linux
    def test_apple_s_frameworks(self, plan: MakePlan) -> None:
        source = C.replace("import", "// #cgo darwin LDFLAGS: -framework Security -framework Metal\nimport")
        found = refused(plan({"go.mod": MOD, "main.go": source}, platforms=[*THREE, "darwin/arm64"]))
        assert set(found) == {"darwin/amd64", "darwin/arm64"}
        assert found[Platform("darwin/arm64")] == (
            "the program links Apple's Metal, which only macOS has; Build it on a macOS worker"
        )

    @on_linux
    def test_pkg_config(self, plan: MakePlan) -> None:
        source = C.replace("import", "// #cgo linux pkg-config: libzmq\nimport")
        found = refused(plan({"go.mod": MOD, "main.go": source}, platforms=THREE))
        assert set(found) == {"linux/amd64", "linux/arm64"}
        assert "asks for libzmq" in found[Platform("linux/amd64")]

    @on_linux
    def test_a_system_that_zig_has_no_libraries_for(self, plan: MakePlan) -> None:
        made = plan({"go.mod": MOD, "main.go": C}, platforms=["openbsd/amd64", "linux/amd64"])
        assert "C cannot be compiled for openbsd/amd64" in refused(made)[Platform("openbsd/amd64")]

    @pytest.mark.parametrize(
        ("asked", "kept"), [(None, ""), ("musl", "musl"), ("gnu", "gnu.2.17"), ("gnu.2.28", "gnu.2.28")]
    )
    def test_libc(self, plan: MakePlan, asked: str | None, kept: str) -> None:
        component = spec(build={"language": "go", **({"x-libc": asked} if asked else {})})
        assert plan({"go.mod": MOD, "main.go": C}, platforms=THREE, component=component).details["libc"] == kept

    @pytest.mark.parametrize("asked", ["glibc", "gnu.x", 2])
    def test_libc_that_is_none(self, plan: MakePlan, asked: object) -> None:
        with pytest.raises(PlanError, match=r"build\.x-libc is"):
            plan(
                {"go.mod": MOD, "main.go": C},
                platforms=THREE,
                component=spec(build={"language": "go", "x-libc": asked}),
            )
