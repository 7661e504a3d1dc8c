"""Releases with C in them, compiled by zig for each platform."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import lief
import pytest

from flowctl_core.models import ComponentSpec, Plan, Platform
from flowctl_core.package.binary import check_artifact
from flowctl_core.toolchains.candidates import bundled
from flowctl_core.toolchains.find import find_tools
from flowctl_lang_go.plugin import plugin

from .conftest import Bench

if TYPE_CHECKING:
    from .conftest import Proxy

MakeBench = Callable[..., Bench]
MOD = "module example.com/sample\n\ngo 1.21\n"
PURE = 'package main\n\nimport "fmt"\n\nfunc main() { fmt.Println("pure") }\n'
MAIN = """\
package main

// #include <stdlib.h>
// #include "twice.h"
import "C"

import (
	"fmt"
	"net"
	"os"
	"unsafe"
)

var version = "none"

func main() {
	text := C.CString("21")
	defer C.free(unsafe.Pointer(text))
	fmt.Println(version, int(C.twice(text)))
	if len(os.Args) > 1 {
		fmt.Println(net.LookupHost(os.Args[1]))
	}
}
"""
HEADER = "int twice(const char *text);\n"
SOURCE = '#include "twice.h"\n#include <stdlib.h>\n\nint twice(const char *text) { return 2 * atoi(text); }\n'
FILES = {"go.mod": MOD, "main.go": MAIN, "twice.h": HEADER, "twice.c": SOURCE}
THREE = ("linux/amd64", "linux/arm64", "darwin/arm64")
on_linux = pytest.mark.skipif(Platform.host().os == "darwin", reason="macOS builds for itself with its own compiler")


@pytest.fixture(scope="module")
def zig_cache(request: pytest.FixtureRequest) -> Path:
    """zig compiles a C library for each target once; where it is kept between runs that costs nothing later."""
    if shutil.which("zig") is None and bundled("ziglang:ziglang/zig").problem is not None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(
            "there is no zig, neither on PATH nor in the wheel ziglang"
        )
    return Path(os.environ.get("ZIG_GLOBAL_CACHE_DIR") or request.config.cache.mkdir("zig"))  # type: ignore[union-attr]


@pytest.fixture(scope="module")
def programs(zig_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Path]]:
    """The program for three platforms."""
    from flowctl_core.testing import write_project

    root = write_project(tmp_path_factory.mktemp("c") / "sample", FILES)
    made = Bench(root=root, environment={"ZIG_GLOBAL_CACHE_DIR": str(zig_cache)}, timeout_s=3000)
    plan = made.plan(platforms=THREE, version="1.2.3")
    assert made.limitations(plan) == ()
    outcomes = made.release(plan)
    assert {outcome.failure for outcome in outcomes.values()} == {None}, [one.output for one in outcomes.values()]
    assert all([material.name for material in one.materials] == ["zig"] for one in outcomes.values())
    yield {platform: root / one.artifacts[0].path for platform, one in outcomes.items()}


@on_linux
def test_linux_programs_are_static_and_stripped(programs: dict[str, Path]) -> None:
    for platform in ("linux/amd64", "linux/arm64"):
        facts = check_artifact(programs[platform], Platform(platform), "program")
        assert facts.static and not facts.libraries
        elf = lief.ELF.parse(str(programs[platform]))
        assert elf is not None and not [s.name for s in elf.sections if s.name.startswith((".debug", ".symtab"))]


@on_linux
def test_the_host_s_program_runs(programs: dict[str, Path]) -> None:
    if Platform.host() not in programs:
        pytest.skip("not built for this machine")
    argv = [programs[Platform.host()], "localhost"]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("1.2.3 42\n[")


@on_linux
def test_the_arm64_program_runs_under_emulation(programs: dict[str, Path]) -> None:
    qemu = shutil.which("qemu-aarch64-static") or shutil.which("qemu-aarch64")
    if qemu is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("qemu-aarch64-static is not there")
    done = subprocess.run([qemu, programs["linux/arm64"]], capture_output=True, text=True, check=True)
    assert done.stdout == "1.2.3 42\n"


@on_linux
def test_the_mac_program_is_signed_and_links_only_what_macos_has(programs: dict[str, Path]) -> None:
    """Never executed here. macOS refuses unsigned arm64 programs; the linker's own signature is what it wants."""
    facts = check_artifact(programs["darwin/arm64"], Platform("darwin/arm64"), "program")
    assert facts.minimum_os == "12.0"
    assert facts.libraries == (
        "/System/Library/Frameworks/CoreFoundation.framework/Versions/A/CoreFoundation",
        "/usr/lib/libSystem.B.dylib",
        "/usr/lib/libresolv.9.dylib",
    )
    fat = lief.MachO.parse(str(programs["darwin/arm64"]))
    program = fat.at(0) if fat is not None else None
    assert program is not None and program.has_code_signature


@on_linux
def test_no_path_of_this_machine_is_in_them(programs: dict[str, Path], zig_cache: Path) -> None:
    for path in programs.values():
        content = path.read_bytes()
        assert str(path.parents[3]).encode() not in content and str(zig_cache).encode() not in content


@on_linux
def test_the_same_bytes_elsewhere(programs: dict[str, Path], bench: MakeBench, zig_cache: Path, tmp_path: Path) -> None:
    made = bench(
        FILES,
        name="else where",
        jobs=4,
        timeout_s=3000,
        environment={
            **{"ZIG_GLOBAL_CACHE_DIR": str(zig_cache), "HOME": str(tmp_path), "GOCACHE": str(tmp_path / "cache")},
            **{
                "CGO_CFLAGS": "-g3 -DX",
                "CGO_LDFLAGS": "-lnothing",
                "CC": "/nowhere",
                "CPATH": "/x",
                "ZIG_LIB_DIR": "/x",
            },
        },
    )
    again = made.released(made.plan("sample", platforms=["linux/amd64"], version="1.2.3"))["linux/amd64"]
    assert again.read_bytes() == programs["linux/amd64"].read_bytes()


@on_linux
def test_libc_gnu_makes_a_program_for_old_and_new_glibc(bench: MakeBench, zig_cache: Path) -> None:
    component = ComponentSpec.from_data(
        {"metadata": {"name": "sample"}, "spec": {"build": {"language": "go", "x-libc": "gnu"}}}
    )
    made = bench(FILES, component=component, environment={"ZIG_GLOBAL_CACHE_DIR": str(zig_cache)}, timeout_s=3000)
    plan = made.plan(platforms=["linux/amd64"])
    outcome = made.release(plan)["linux/amd64"]
    assert outcome.failure is None, outcome.output
    facts = check_artifact(made.root / outcome.artifacts[0].path, Platform("linux/amd64"), "program")
    assert not facts.static and facts.interpreter == "/lib64/ld-linux-x86-64.so.2"
    assert facts.glibc is not None and tuple(map(int, facts.glibc.split("."))) <= (2, 17)
    image = plugin.flowctl_image(plan, outcome.artifacts[0])
    assert image.base is not None


@on_linux
def test_what_only_glibc_has_is_built_for_glibc(bench: MakeBench, zig_cache: Path) -> None:
    source = SOURCE + "\n#include <execinfo.h>\n\nint deep(void) { void *a[9]; return backtrace(a, 9); }\n"
    made = bench({**FILES, "twice.c": source}, environment={"ZIG_GLOBAL_CACHE_DIR": str(zig_cache)}, timeout_s=3000)
    outcome = made.release(made.plan(platforms=["linux/amd64"]))["linux/amd64"]
    assert outcome.failure is None, outcome.output
    facts = check_artifact(made.root / outcome.artifacts[0].path, Platform("linux/amd64"), "program")
    assert "libc.so.6" in facts.libraries
    assert any("does not build with musl" in note for note in made.progress.notes)


@on_linux
def test_what_no_libc_has(bench: MakeBench, zig_cache: Path) -> None:
    source = SOURCE + '\n#include "missing.h"\n'
    made = bench({**FILES, "twice.c": source}, environment={"ZIG_GLOBAL_CACHE_DIR": str(zig_cache)}, timeout_s=3000)
    outcome = made.release(made.plan(platforms=["linux/amd64"]))["linux/amd64"]
    assert outcome.failure == "go build . for linux/amd64 failed"
    assert "missing.h' file not found" in str(outcome.output)


def without_zig(made: Bench, plan: Plan) -> None:
    environment = made.context(plan).environment
    made.tools = {name: tool for name, tool in find_tools(plan.toolchain, environment).items() if name != "zig"}


@on_linux
def test_without_zig_the_extra_is_named(bench: MakeBench) -> None:
    made = bench(FILES)
    plan = made.plan(platforms=THREE)
    without_zig(made, plan)
    found = made.limitations(plan)
    assert [limitation.platform for limitation in found] == list(THREE)
    assert "zig, which compiles it for linux/amd64, was not found" in found[0].reason
    assert {limitation.remedy for limitation in found} == {"pip install 'flowctl-lang-go[cross]'"}
    outcome = made.release(plan)["linux/amd64"]  # core does not try; a builder that is asked all the same says it too
    assert outcome.failure and "zig is needed" in outcome.failure


class TestDependencies:
    """A dependency outside the source decides, and only Go knows what is in it."""

    MOD = MOD + "\nrequire example.com/x v1.0.0\n"
    USES = PURE.replace('"fmt"', '"fmt"\nimport "example.com/x"').replace('"pure"', "x.X")

    def made(self, bench: MakeBench, proxy: Proxy, files: dict[str, str], **fields: object) -> tuple[Bench, Plan]:
        proxy.add("example.com/x", "v1.0.0", files)
        made = bench({"go.mod": self.MOD, "main.go": self.USES}, environment=proxy.environment, **fields)
        proxy.tidy(made.root)
        plan = made.plan(platforms=THREE)
        made.fetch(plan)
        return made, plan

    GO = 'package x\n\nconst X = "in Go"\n'
    CGO = 'package x\n\n// #include <stdlib.h>\nimport "C"\n\nvar X = C.EXIT_FAILURE\n'

    @on_linux
    def test_that_has_nothing_but_c(self, bench: MakeBench, proxy: Proxy) -> None:
        made, plan = self.made(bench, proxy, {"x.go": self.CGO})
        without_zig(made, plan)
        found = made.limitations(plan)
        assert [limitation.platform for limitation in found] == list(THREE)
        assert found[0].reason.startswith("example.com/x needs C, and zig")

    @on_linux
    def test_that_brings_c(self, bench: MakeBench, proxy: Proxy) -> None:
        stub = "//go:build !cgo\n\n" + self.GO
        made, plan = self.made(
            bench, proxy, {"x.go": self.CGO, "stub.go": stub, "x.c": "int y;\n", "always.go": "package x\n"}
        )
        without_zig(made, plan)
        assert [limitation.platform for limitation in made.limitations(plan)] == list(THREE)

    def test_that_can_do_without(self, bench: MakeBench, proxy: Proxy) -> None:
        made, plan = self.made(bench, proxy, {"x.go": self.CGO, "stub.go": "//go:build !cgo\n\n" + self.GO})
        without_zig(made, plan)
        (warning,) = made.limitations(plan)
        assert warning.platform is None and "example.com/x" in warning.reason and "CGO_ENABLED" in warning.remedy
        programs = made.released(plan)
        if Platform.host() in programs:
            assert subprocess.run([programs[Platform.host()]], capture_output=True, text=True).stdout == "in Go\n"

    def test_that_uses_a_little_c_on_one_system(self, bench: MakeBench, proxy: Proxy) -> None:
        """Prometheus' client has one file for macOS with C beside it, among dozens without."""
        files = {
            "x.go": self.GO,
            "more.go": "package x\n",
            "c_darwin.go": 'package x\n\nimport "C"\n',
            "c_darwin.c": "int y;\n",
        }
        made, plan = self.made(bench, proxy, files)
        without_zig(made, plan)
        assert [limitation.platform for limitation in made.limitations(plan)] == [None]
        assert len(made.released(plan)) == 3

    def test_go_is_asked_once(self, bench: MakeBench, proxy: Proxy) -> None:
        from flowctl_core.testing.recording import RecordingRunner

        runner = RecordingRunner()
        made, plan = self.made(bench, proxy, {"x.go": self.GO}, runner=runner)
        made.limitations(plan)
        asked = [command.argv for command in runner.commands if "list" in command.argv]
        made.limitations(plan)
        made.released(plan)
        assert [command.argv for command in runner.commands if "list" in command.argv] == asked

    def test_a_new_import_asks_again(self, bench: MakeBench, proxy: Proxy) -> None:
        made, plan = self.made(
            bench,
            proxy,
            {
                "x.go": self.GO,
                "c/c.go": self.CGO.replace("package x", "package c"),
                "c/stub.go": "//go:build !cgo\n\npackage c\n",
            },
        )
        assert made.limitations(plan) == ()
        (made.root / "more.go").write_text('package main\n\nimport _ "example.com/x/c"\n')
        (warning,) = made.limitations(made.plan(platforms=THREE))
        assert "example.com/x/c" in warning.reason

    @on_linux
    def test_that_links_apple_s(self, bench: MakeBench, proxy: Proxy) -> None:
        cgo = 'package x\n\n// #cgo darwin LDFLAGS: -framework Metal\nimport "C"\n\nconst X = 1\n'
        made, plan = self.made(bench, proxy, {"x.go": cgo, "x.c": "int y;\n"})
        found = {limitation.platform: limitation.reason for limitation in made.limitations(plan)}
        if "zig" in made.context(plan).tools:
            assert list(found) == ["darwin/arm64"]
        assert "the program links Apple's Metal" in found[Platform("darwin/arm64")]

    def test_off_in_component_yaml(self, bench: MakeBench, proxy: Proxy) -> None:
        native = {"environment": {"CGO_ENABLED": "0"}}
        component = ComponentSpec.from_data(
            {"metadata": {"name": "sample"}, "spec": {"build": {"language": "go", "native": native}}}
        )
        made, plan = self.made(
            bench, proxy, {"x.go": self.CGO, "stub.go": "//go:build !cgo\n\n" + self.GO}, component=component
        )
        assert made.limitations(plan) == ()
