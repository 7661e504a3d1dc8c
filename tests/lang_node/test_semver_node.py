from __future__ import annotations

import pytest
from packaging.specifiers import SpecifierSet

from flowctl_lang_node import semver

# range → specifier, a version in it, a version not in it
RANGES = [
    (">=20", ">=20", "20.0.0", "19.9.9"),
    (">= 20.1", ">=20.1", "20.1.0", "20.0.9"),
    ("20", ">=20,<21", "20.19.1", "21.0.0"),
    ("20.x", ">=20,<21", "20.0.0", "21.0.0"),
    ("v20.11", ">=20.11,<20.12", "20.11.1", "20.12.0"),
    ("20.11.1", ">=20.11.1,<20.11.2", "20.11.1", "20.11.2"),
    ("^18.17.0", ">=18.17,<19", "18.20.0", "18.16.9"),
    ("^0.2.3", ">=0.2.3,<0.3", "0.2.9", "0.3.0"),
    ("^0.0.3", ">=0.0.3,<0.0.4", "0.0.3", "0.0.4"),
    ("~18.17", ">=18.17,<18.18", "18.17.3", "18.18.0"),
    ("~18", ">=18,<19", "18.5.0", "19.0.0"),
    ("~> 18.1.2", ">=18.1.2,<18.2", "18.1.9", "18.2.0"),
    (">18", ">=19", "19.0.0", "18.9.9"),
    (">18.1.1", ">=18.1.2", "18.1.2", "18.1.1"),
    ("<=20", "<21", "20.9.0", "21.0.0"),
    ("<22", "<22", "21.9.9", "22.0.0"),
    (">=18 <21", ">=18,<21", "20.0.0", "21.0.0"),
    (">=18.0.0,<21", ">=18,<21", "20.0.0", "21.0.0"),
    ("18 - 20", ">=18,<21", "20.5.0", "21.0.0"),
    ("18.1.0 - 20.2.3", ">=18.1,<20.2.4", "20.2.3", "20.2.4"),
]


@pytest.mark.parametrize(("text", "specifier", "inside", "outside"), RANGES)
def test_a_range_becomes_a_specifier(text: str, specifier: str, inside: str, outside: str) -> None:
    alternatives = semver.parse(text)
    assert alternatives is not None
    assert semver.specifier(alternatives) == specifier
    for version, expected in ((inside, True), (outside, False)):
        assert semver.admits(alternatives, version) is expected
        assert SpecifierSet(specifier).contains(version) is expected


@pytest.mark.parametrize("text", ["*", "x", "", "  ", "X.x", ">=0"])
def test_any_version(text: str) -> None:
    alternatives = semver.parse(text)
    assert alternatives is not None
    assert semver.specifier(alternatives) == ""
    assert semver.admits(alternatives, "0.1.0")


@pytest.mark.parametrize("text", ["lts/*", "latest", "node", ">=abc", "file:../x", "18 ||| nonsense"])
def test_what_is_no_range_is_none(text: str) -> None:
    assert semver.parse(text) is None


@pytest.mark.parametrize(
    ("text", "specifier", "gap"),
    [
        ("^18.18 || ^20.9 || >=21.1", ">=18.18", "19.0.0"),
        ("18 || 20", ">=18,<21", "19.5.0"),
        (">=22 || 18", ">=18", "20.1.0"),
    ],
)
def test_alternatives_take_the_loosest_interval_and_know_its_gaps(text: str, specifier: str, gap: str) -> None:
    alternatives = semver.parse(text)
    assert alternatives is not None
    assert semver.specifier(alternatives) == specifier
    assert SpecifierSet(specifier).contains(gap)
    assert not semver.admits(alternatives, gap)


def test_an_impossible_range_is_none() -> None:
    assert semver.parse(">=20 <18") is None


def test_narrowed_drops_what_lies_below() -> None:
    alternatives = semver.parse("^20 || >=22")
    assert alternatives is not None
    assert semver.specifier(semver.narrowed(alternatives, (22, 18, 0))) == ">=22.18"
    only_old = semver.parse("^20")
    assert only_old is not None
    assert semver.narrowed(only_old, (22, 18, 0)) == ()
