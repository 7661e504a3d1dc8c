"""The modules that are linked into a release."""

from __future__ import annotations

import base64
import re
import zipfile
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from flowctl_core.errors import DependenciesMissingError
from flowctl_core.models import DependencyReport

if TYPE_CHECKING:
    from .conftest import Bench, Proxy

MakeBench = Callable[..., "Bench"]
THREE = ("linux/amd64", "linux/arm64", "darwin/amd64")
MOD = "module example.com/sample\n\ngo 1.21\n"


def main(*imports: str) -> str:
    lines = "".join(f'import _ "{name}"\n' for name in imports)
    return f"package main\n\n{lines}\nfunc main() {{}}\n"


def library(name: str, *imports: str) -> str:
    lines = "".join(f'import _ "{one}"\n' for one in imports)
    return f"package {name}\n\n{lines}"


def required(*modules: str) -> str:
    return "\nrequire (\n" + "".join(f"\t{module}\n" for module in modules) + ")\n"


def tell(report: DependencyReport) -> dict[str, tuple[bool, tuple[str, ...]]]:
    """What was found, without the standard library."""
    return {one.purl: (one.direct, one.parents) for one in report.dependencies if "/stdlib@" not in one.purl}


@pytest.fixture
def modules(proxy: Proxy) -> Proxy:
    """a imports b; b has a package that only darwin links, which imports c; d is required by a and never linked."""
    needs = required("example.com/b v1.2.0", "example.com/d v1.0.0")
    proxy.add(
        "example.com/b",
        "v1.2.0",
        {
            "b.go": library("b"),
            "b_darwin.go": library("b", "example.com/c"),
            "go.mod": "module example.com/b\n\ngo 1.21\n" + required("example.com/c v0.1.0-beta"),
        },
    )
    proxy.add("example.com/c", "v0.1.0-beta", {"c.go": library("c")})
    proxy.add("example.com/d", "v1.0.0", {"d.go": library("d")})
    proxy.add(
        "example.com/a",
        "v1.0.0",
        {
            "a.go": library("a", "example.com/b"),
            "a_test.go": library("a", "example.com/d"),
            "go.mod": "module example.com/a\n\ngo 1.21\n" + needs,
        },
    )
    return proxy


def made(bench: MakeBench, modules: Proxy, **files: str) -> Bench:
    named = {"go.mod": MOD + required("example.com/a v1.0.0"), "main.go": main("example.com/a")}
    found = bench({**named, **files}, environment=modules.environment)
    modules.tidy(found.root)
    return found


def test_what_is_linked_on_any_platform(bench: MakeBench, modules: Proxy) -> None:
    sample = made(bench, modules)
    plan = sample.plan(platforms=THREE)
    sample.fetch(plan)
    report = sample.dependencies(plan)
    assert tell(report) == {
        "pkg:golang/example.com/a@v1.0.0": (True, ()),
        "pkg:golang/example.com/b@v1.2.0": (False, ("pkg:golang/example.com/a@v1.0.0",)),
        "pkg:golang/example.com/c@v0.1.0-beta": (False, ("pkg:golang/example.com/b@v1.2.0",)),
    }
    assert report.resolved_from == ("go list -deps", "go.sum")
    assert set(tell(sample.dependencies(sample.plan(platforms=THREE[:2])))) == {
        "pkg:golang/example.com/a@v1.0.0",
        "pkg:golang/example.com/b@v1.2.0",
    }


def test_digests_are_go_sum_s(bench: MakeBench, modules: Proxy) -> None:
    sample = made(bench, modules)
    plan = sample.plan(platforms=THREE)
    sample.fetch(plan)
    sums = dict(line.rsplit(" ", 1) for line in (sample.root / "go.sum").read_text().splitlines())
    first = next(one for one in sample.dependencies(plan).dependencies if "/a@" in one.purl)
    assert first.digest == "sha256:" + base64.b64decode(sums["example.com/a v1.0.0"].removeprefix("h1:")).hex()


def test_the_standard_library_is_one(bench: MakeBench) -> None:
    sample = bench({"go.mod": MOD, "main.go": main()})
    plan = sample.plan(platforms=THREE)
    (standard,) = sample.dependencies(plan).dependencies
    version = sample.context(plan).tool("go").version
    assert (standard.purl, standard.license) == (f"pkg:golang/stdlib@{version}", "BSD-3-Clause")


def test_paths_are_spelled_as_package_urls_want(bench: MakeBench, proxy: Proxy) -> None:
    """In lower case (purl-spec, golang), the major version a part of the path, `+` escaped."""
    for path, version, package in (
        ("example.com/BurntSushi/v2", "v2.0.0", "sushi"),
        ("example.com/Burnt/toml", "v3.0.0+incompatible", "toml"),
    ):
        place = proxy.folder / "proxy" / re.sub("[A-Z]", lambda upper: f"!{upper[0].lower()}", path) / "@v"
        place.mkdir(parents=True)
        (place / f"{version}.info").write_text(f'{{"Version": "{version}"}}')
        (place / f"{version}.mod").write_text(f"module {path}\n")
        with zipfile.ZipFile(place / f"{version}.zip", "w") as archive:
            archive.writestr(f"{path}@{version}/x.go", library(package))
            if "+incompatible" not in version:
                archive.writestr(f"{path}@{version}/go.mod", f"module {path}\n")
    sample = bench(
        {
            "go.mod": MOD + required("example.com/BurntSushi/v2 v2.0.0", "example.com/Burnt/toml v3.0.0+incompatible"),
            "main.go": main("example.com/BurntSushi/v2", "example.com/Burnt/toml"),
        },
        environment=proxy.environment,
    )
    proxy.tidy(sample.root)
    plan = sample.plan(platforms=THREE)
    sample.fetch(plan)
    assert list(tell(sample.dependencies(plan))) == [
        "pkg:golang/example.com/burnt/toml@v3.0.0%2Bincompatible",
        "pkg:golang/example.com/burntsushi/v2@v2.0.0",
    ]


def test_replacements(bench: MakeBench, proxy: Proxy) -> None:
    """What is really linked: the other module; a folder goes by the replaced name, without a version."""
    proxy.add("example.com/fork", "v1.1.0", {"go.mod": "module example.com/old\n\ngo 1.21\n", "x.go": library("old")})
    proxy.add("example.com/old", "v1.0.0", {"x.go": library("old")})
    sample = bench(
        {
            "go.mod": MOD
            + required("example.com/old v1.0.0", "example.com/local v1.0.0")
            + "\nreplace example.com/old => example.com/fork v1.1.0\n\nreplace example.com/local => ./third/local\n",
            "main.go": main("example.com/old", "example.com/local"),
            "third/local/go.mod": "module example.com/local\n\ngo 1.21\n",
            "third/local/l.go": library("local", "example.com/old"),
        },
        environment=proxy.environment,
    )
    proxy.tidy(sample.root)
    plan = sample.plan(platforms=THREE)
    sample.fetch(plan)
    assert tell(sample.dependencies(plan)) == {
        "pkg:golang/example.com/fork@v1.1.0": (True, ("pkg:golang/example.com/local",)),
        "pkg:golang/example.com/local": (True, ()),
    }


def test_vendored(bench: MakeBench) -> None:
    sample = bench(
        {
            "go.mod": MOD + required("example.com/x v1.4.0"),
            "go.sum": "example.com/x v1.4.0 h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\nbroken\nexample.com/x v1.4.0/go.mod h1:!!\n",
            "main.go": main("example.com/x/deep"),
            "vendor/modules.txt": "# example.com/x v1.4.0\n## explicit\nexample.com/x/deep\n",
            "vendor/example.com/x/deep/d.go": library("deep"),
        }
    )
    report = sample.dependencies(sample.plan(platforms=THREE))
    (found,) = [one for one in report.dependencies if "/stdlib@" not in one.purl]
    assert (found.purl, found.digest) == ("pkg:golang/example.com/x@v1.4.0", f"sha256:{'00' * 32}")
    assert report.resolved_from == ("go list -deps", "go.sum", "vendor/modules.txt")


def test_members_of_a_workspace_are_the_component_itself(bench: MakeBench, modules: Proxy) -> None:
    sample = bench(
        {
            "go.work": "go 1.21\n\nuse ./app\nuse ./lib\n",
            "app/go.mod": "module example.com/app\n\ngo 1.21\n",
            "app/main.go": main("example.com/lib"),
            "lib/go.mod": "module example.com/lib\n\ngo 1.21\n" + required("example.com/a v1.0.0"),
            "lib/l.go": library("lib", "example.com/a"),
        },
        environment=modules.environment,
    )
    modules.tidy(sample.root / "lib")
    plan = sample.plan(platforms=THREE[:1])
    sample.fetch(plan)
    report = sample.dependencies(plan)
    assert tell(report)["pkg:golang/example.com/a@v1.0.0"] == (True, ())
    assert not any("/app" in purl or "/lib" in purl for purl in tell(report))
    assert all(one.digest for one in report.dependencies if "/stdlib@" not in one.purl)


def test_a_refused_platform_is_not_asked(bench: MakeBench, modules: Proxy) -> None:
    sample = made(bench, modules, **{"main.go": "//go:build linux\n\n" + main("example.com/a")})
    plan = sample.plan(platforms=THREE)
    assert [limitation.platform for limitation in plan.limitations] == ["darwin/amd64"]
    sample.fetch(plan)
    assert len(tell(sample.dependencies(plan))) == 2


def test_missing_modules(bench: MakeBench, modules: Proxy) -> None:
    sample = made(bench, modules)
    with pytest.raises(DependenciesMissingError):
        sample.dependencies(sample.plan(platforms=THREE))
