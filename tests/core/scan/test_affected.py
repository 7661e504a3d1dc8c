"""Which versions an advisory concerns: OSV's evaluation, held to the real advisories' own lists of versions."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from packageurl import PackageURL

from flowctl_core.scan.advisory import Advisory, advisory_from, parse_advisory, parse_yaml_advisory
from flowctl_core.scan.affected import Doubts, is_affected, lowest_fixed
from flowctl_core.scan.ecosystems import OsvPackage, osv_package, parse_version

from .conftest import made_advisory


def package(purl: str) -> OsvPackage:
    found = osv_package(PackageURL.from_string(purl))
    assert isinstance(found, OsvPackage), found
    return found


def affects(advisory: dict[str, Any], purl: str) -> bool:
    return is_affected(advisory_from(advisory), package(purl))


def introduced(version: str) -> dict[str, str]:
    return {"introduced": version}


def fixed(version: str) -> dict[str, str]:
    return {"fixed": version}


@pytest.mark.parametrize(
    ("events", "inside", "outside"),
    [
        ([introduced("0"), fixed("1.2.3")], ["0.0.0", "0.0.0-alpha", "1.2.2", "1.2.3-rc.1"], ["1.2.3", "1.10.0"]),
        ([introduced("1.0.0"), fixed("1.2.0"), introduced("2.0.0"), fixed("2.1.0")],
         ["1.0.0", "1.1.9", "2.0.5"], ["0.9.0", "1.2.0", "1.9.0", "2.1.0", "3.0.0"]),
        # The order of events in the file means nothing.
        ([fixed("2.1.0"), introduced("2.0.0"), fixed("1.2.0"), introduced("1.0.0")],
         ["1.0.0", "1.1.9", "2.0.5"], ["0.9.0", "1.2.0", "1.9.0", "2.1.0"]),
        ([introduced("1.0.0"), {"last_affected": "1.4.0"}], ["1.0.0", "1.4.0"], ["1.4.1", "0.9.9"]),
        ([introduced("1.0.0")], ["1.0.0", "99.0.0"], ["0.1.0"]),
        ([introduced("0"), {"limit": "2.0.0"}], ["1.9.9"], ["2.0.0", "3.0.0"]),
        ([introduced("0"), {"limit": "*"}], ["1.9.9", "5.0.0"], []),
        ([introduced("1.0.0-alpha.1"), fixed("1.0.0-alpha.10")], ["1.0.0-alpha.2"], ["1.0.0-alpha.10", "1.0.0"]),
    ],
)  # fmt: skip
def test_ranges(events: list[dict[str, str]], inside: list[str], outside: list[str]) -> None:
    advisory = made_advisory("GHSA-1", "left-pad", *events)
    assert [v for v in inside if not affects(advisory, f"pkg:npm/left-pad@{v}")] == []
    assert [v for v in outside if affects(advisory, f"pkg:npm/left-pad@{v}")] == []


def test_a_listed_version_is_affected_without_a_range() -> None:
    advisory = made_advisory("MAL-1", "evil", ecosystem="PyPI")
    advisory["affected"][0] = {"package": {"ecosystem": "PyPI", "name": "evil"}, "versions": ["1.0", "1.1.post1"]}
    assert affects(advisory, "pkg:pypi/evil@1.0")
    assert affects(advisory, "pkg:pypi/evil@1.0.0")
    assert affects(advisory, "pkg:pypi/evil@1.1-1")
    assert not affects(advisory, "pkg:pypi/evil@1.2")


def test_commits_say_nothing_about_versions() -> None:
    advisory = made_advisory("GHSA-1", "left-pad")
    advisory["affected"][0]["ranges"] = [{"type": "GIT", "repo": "x", "events": [introduced("0")]}]
    assert not affects(advisory, "pkg:npm/left-pad@1.0.0")


def test_a_withdrawn_advisory_concerns_nothing() -> None:
    advisory = made_advisory("GHSA-1", "left-pad", introduced("0"), withdrawn="2024-02-01T00:00:00Z")
    assert not affects(advisory, "pkg:npm/left-pad@1.0.0")


def test_another_package_or_ecosystem_is_not_meant() -> None:
    advisory = made_advisory("GHSA-1", "left-pad", introduced("0"))
    assert not affects(advisory, "pkg:npm/right-pad@1.0.0")
    assert not affects(advisory, "pkg:pypi/left-pad@1.0.0")


@pytest.mark.parametrize(
    ("ecosystem", "name", "purl"),
    [
        ("PyPI", "Foo.Bar_baz", "pkg:pypi/foo-bar-baz@1.0"),
        ("npm", "@Types/Node", "pkg:npm/%40types/node@1.0.0"),
        ("Go", "github.com/BurntSushi/toml", "pkg:golang/github.com/burntsushi/toml@v1.0.0"),
        ("crates.io", "openssl-src", "pkg:cargo/openssl-src@1.0.0"),
        ("Maven", "org.apache.logging.log4j:log4j-core", "pkg:maven/org.apache.logging.log4j/log4j-core@1.0"),
        ("RubyGems", "rack", "pkg:gem/rack@1.0"),
        ("NuGet", "Newtonsoft.Json", "pkg:nuget/newtonsoft.json@1.0.0"),
        ("Packagist", "symfony/http-kernel", "pkg:composer/symfony/http-kernel@1.0.0"),
        ("Go", "stdlib", "pkg:golang/stdlib@1.0.0"),
    ],
)
def test_spellings_of_names(ecosystem: str, name: str, purl: str) -> None:
    advisory = made_advisory("X-1", name, introduced("0"), fixed("1.10.0"), ecosystem=ecosystem)
    assert affects(advisory, purl)
    assert not affects(advisory, purl.rpartition("@")[0] + "@1.11.0")


@pytest.mark.parametrize(
    ("written", "version"),
    [("go1.21.3", "1.21.3"), ("1.21", "1.21.0"), ("go1.21rc2", "1.21.0-rc.2"), ("go1.22.5-vendor", "1.22.5"),
     ("v1.21.3", "1.21.3"), ("go1.25.1 X:nocoverageredesign", "1.25.1")],
)  # fmt: skip
def test_go_releases_are_semantic_versions(written: str, version: str) -> None:
    assert package(f"pkg:golang/stdlib@{written}").version == version


def test_a_release_candidate_of_go_is_before_the_release() -> None:
    advisory = made_advisory("GO-1", "stdlib", introduced("1.21.0-0"), fixed("1.21.0-rc.3"), ecosystem="Go")
    assert affects(advisory, "pkg:golang/stdlib@go1.21rc2")
    assert not affects(advisory, "pkg:golang/stdlib@go1.21rc3")
    assert not affects(advisory, "pkg:golang/stdlib@go1.21")


def test_pseudo_versions_of_go() -> None:
    advisory = made_advisory(
        "GO-1", "example.org/m", introduced("0"), fixed("0.0.0-20220524220425-1d687d428aca"), ecosystem="Go"
    )
    assert affects(advisory, "pkg:golang/example.org/m@v0.0.0-20210101000000-aaaaaaaaaaaa")
    assert not affects(advisory, "pkg:golang/example.org/m@v0.0.0-20230101000000-aaaaaaaaaaaa")
    assert not affects(advisory, "pkg:golang/example.org/m@v2.0.0+incompatible")


def test_semantic_versions_compare_as_their_specification_says() -> None:
    order = "1.0.0-alpha 1.0.0-alpha.1 1.0.0-alpha.beta 1.0.0-beta 1.0.0-beta.2 1.0.0-beta.11 1.0.0-rc.1 1.0.0 2.0.0"
    for kind in ("golang", "npm", "cargo"):
        ecosystem = package(f"pkg:{kind}/x@1.0.0").ecosystem
        versions = [parse_version(ecosystem, text) for text in order.split()]
        assert versions == sorted(versions)  # type: ignore[type-var]
        assert all(one < two for one, two in pairwise(versions))  # type: ignore[operator]


@pytest.mark.parametrize("text", ["", "not a version", "1" * 5000, "1." * 200, "\0", "*"])
def test_what_is_no_version_is_none(text: str) -> None:
    for kind in ("golang", "npm", "pypi", "cargo", "maven", "nuget", "gem", "composer"):
        parse_version(package(f"pkg:{kind}/x@1.0.0").ecosystem, text)  # raises nothing
    assert parse_version(package("pkg:pypi/x@1.0").ecosystem, text) is None


def test_a_version_that_cannot_be_compared_is_noted_and_the_rest_counts() -> None:
    advisory = advisory_from(made_advisory("GHSA-1", "left-pad", introduced("0"), fixed("next tuesday")))
    doubts = Doubts()
    assert is_affected(advisory, package("pkg:npm/left-pad@1.0.0"), doubts)
    assert doubts.texts == {"GHSA-1": "next tuesday"}


def test_the_fixed_version_is_the_lowest_that_no_advisory_of_the_flaw_still_names() -> None:
    one = made_advisory("GHSA-1", "p", introduced("0"), fixed("1.4.2"), introduced("2.0.0"), fixed("2.3.0"))
    two = made_advisory("CVE-1", "p", introduced("0"), fixed("1.4.5"))
    advisories = [advisory_from(one), advisory_from(two)]
    assert lowest_fixed(advisories[:1], package("pkg:npm/p@1.0.0")) == "1.4.2"
    assert lowest_fixed(advisories, package("pkg:npm/p@1.0.0")) == "1.4.5"
    assert lowest_fixed(advisories, package("pkg:npm/p@2.1.0")) == "2.3.0"
    assert lowest_fixed([advisory_from(made_advisory("X-1", "p", introduced("0")))], package("pkg:npm/p@1.0.0")) is None


def real(folder: Path, ecosystem: str) -> list[Advisory]:
    found = []
    for path in sorted((folder / ecosystem).iterdir()):
        found.append((parse_yaml_advisory if path.suffix == ".yaml" else parse_advisory)(path.read_bytes()))
    return found


def test_ranges_of_real_python_advisories_agree_with_their_lists_of_versions(real_advisories: Path) -> None:
    advisories = real(real_advisories, "PyPI")
    known: dict[str, set[str]] = {}
    for advisory in advisories:
        for affected in advisory.affected:
            known.setdefault(affected.package.name.lower(), set()).update(affected.versions)
    disagreements, compared = [], 0
    for advisory in advisories:
        if advisory.withdrawn:
            continue
        for affected in advisory.affected:
            if not any(r.type == "ECOSYSTEM" for r in affected.ranges):
                continue
            by_range = advisory.model_copy(update={"affected": (affected.model_copy(update={"versions": ()}),)})
            for version in sorted(known[affected.package.name.lower()]):
                listed = version in affected.versions
                compared += 1
                if is_affected(by_range, package(f"pkg:pypi/{affected.package.name}@{version}")) != listed:
                    disagreements.append((advisory.id, version, listed))
    assert compared > 5000
    assert disagreements == []


@pytest.mark.parametrize(
    ("purl", "expected"),
    [
        ("pkg:golang/golang.org/x/net@v0.16.0", {"GO-2023-2102", "GO-2024-2687"}),
        ("pkg:golang/golang.org/x/net@v0.17.0", {"GO-2024-2687"}),
        ("pkg:golang/golang.org/x/net@v0.23.0", set()),
        ("pkg:golang/stdlib@go1.21.8", {"GO-2024-2687"}),
        ("pkg:golang/stdlib@go1.21.9", set()),
        ("pkg:golang/gopkg.in/yaml.v2@v2.2.7", {"GO-2020-0036"}),
        ("pkg:golang/gopkg.in/yaml.v2@v2.2.8", set()),
        ("pkg:pypi/urllib3@1.26.16", {"PYSEC-2023-192", "PYSEC-2023-212"}),
        ("pkg:pypi/urllib3@2.0.7", set()),
    ],
)
def test_known_cases(purl: str, expected: set[str], real_advisories: Path) -> None:
    """As the databases' own pages tell them."""
    ecosystem = "Go" if "golang" in purl else "PyPI"
    hits = {a.id for a in real(real_advisories, ecosystem) if is_affected(a, package(purl))}
    asked = {"GO-2023-2102", "GO-2024-2687", "GO-2020-0036", "PYSEC-2023-192", "PYSEC-2023-212"}
    assert hits & asked == expected


def test_real_advisories_survive_the_index(real_advisories: Path) -> None:
    for advisory in (*real(real_advisories, "Go"), *real(real_advisories, "PyPI")):
        kept = Advisory.model_validate_json(advisory.stored())
        assert (kept.id, kept.aliases, kept.affected, kept.severity) == (
            advisory.id,
            advisory.aliases,
            advisory.affected,
            advisory.severity,
        )
        assert kept.headline == advisory.headline != ""
        assert json.loads(advisory.stored()).get("details") is None
