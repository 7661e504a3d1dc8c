"""What a release was made of, as a recall compares it."""

from __future__ import annotations

import pytest

from flowctl_registry.builds.recall import Criterion
from flowctl_registry.catalog.materials import listed, plugin_name, split_purl
from flowctl_registry.errors import BadRequestError


@pytest.mark.parametrize(
    ("purl", "name", "version"),
    [
        ("pkg:npm/left-pad@1.3.0", "pkg:npm/left-pad", "1.3.0"),
        ("pkg:npm/%40scope/name@1.0.0?arch=x#sub/path", "pkg:npm/@scope/name", "1.0.0"),
        ("pkg:npm/@scope/name", "pkg:npm/@scope/name", ""),
        ("pkg:golang/golang.org/x/net@v0.1.0", "pkg:golang/golang.org/x/net", "v0.1.0"),
        ("PKG:PyPI/Typing_Extensions@4.0%2B1", "pkg:pypi/typing-extensions", "4.0+1"),
        ("pkg:cargo/serde", "pkg:cargo/serde", ""),
    ],
)
def test_package_urls_are_compared_in_one_spelling(purl: str, name: str, version: str) -> None:
    assert split_purl(purl) == (name, version)


def test_distributions_are_compared_in_one_spelling() -> None:
    assert plugin_name("Flowctl_Lang.rust") == "flowctl-lang-rust"
    assert Criterion.parse("plugin", "flowctl_lang_rust == 1.4.1") == Criterion("plugin", "flowctl-lang-rust", "1.4.1")


@pytest.mark.parametrize(
    ("kind", "text"),
    [("plugin", ""), ("plugin", "=="), ("plugin", "x=="), ("dependency", "left-pad"), ("dependency", "pkg:npm")],
)
def test_what_says_nothing_is_refused(kind: str, text: str) -> None:
    with pytest.raises(BadRequestError):
        Criterion.parse(kind, text)  # type: ignore[arg-type]


def test_a_digest_is_taken_for_anything() -> None:
    digest = "sha256:" + "0" * 64
    assert Criterion.parse("tool", digest) == Criterion("tool", digest=digest)
    assert Criterion.parse("base-image", f"alpine@{digest}") == Criterion("base-image", "alpine", digest=digest)


@pytest.mark.parametrize(
    "sbom", [b"", b"[]", b"[" * 100_000, b'{"components": [1, {}, {"purl": 3}, {"purl": "x"}]}', b"\xff"]
)
def test_a_strange_sbom_lists_nothing(sbom: bytes) -> None:
    assert list(listed(sbom)) == []


def test_an_sbom_lists_dependencies() -> None:
    sbom = b'{"components": [{"purl": "pkg:npm/b@2"}, {"purl": "pkg:npm/a@1?x=y"}]}'
    assert [(each.name, each.version) for each in listed(sbom)] == [("pkg:npm/b", "2"), ("pkg:npm/a", "1")]
