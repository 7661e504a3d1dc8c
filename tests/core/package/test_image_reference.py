"""References to images, as Docker reads them."""

from __future__ import annotations

import pytest

from flowctl_core.errors import ImageError
from flowctl_core.package.reference import parse_reference

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("text", "registry", "repository", "version"),
    [
        ("debian", "docker.io", "library/debian", "latest"),
        ("debian:12-slim", "docker.io", "library/debian", "12-slim"),
        ("org/name", "docker.io", "org/name", "latest"),
        ("docker.io/node:24", "docker.io", "library/node", "24"),
        ("index.docker.io/a/b:1", "docker.io", "a/b", "1"),
        ("gcr.io/distroless/static-debian12:nonroot", "gcr.io", "distroless/static-debian12", "nonroot"),
        ("localhost/x", "localhost", "x", "latest"),
        ("localhost:5000/x/y:1", "localhost:5000", "x/y", "1"),
        ("[::1]:5000/x", "[::1]:5000", "x", "latest"),
        (f"quay.io/a/b:1@{DIGEST}", "quay.io", "a/b", DIGEST),
        (f"a/b@{DIGEST}", "docker.io", "a/b", DIGEST),
        ("Example.org/a__b/c-d.e", "Example.org", "a__b/c-d.e", "latest"),
    ],
)
def test_references(text: str, registry: str, repository: str, version: str) -> None:
    found = parse_reference(text)
    assert (found.registry, found.repository, found.version) == (registry, repository, version)
    assert parse_reference(str(found)) == found


NONE = ["", "Debian", "a b", "a:", "a@sha256:1", "-a", "a//b", "../a", "a/../b", "https://x/y", "a:tag:tag", "é", "a\n"]
NONE += ["x" * 300, "a:" + "t" * 129, "host:port/x", "a/b?x=1", "a/b#c", "user@host/x"]


@pytest.mark.parametrize("text", NONE)
def test_texts_that_are_none(text: str) -> None:
    with pytest.raises(ImageError):
        parse_reference(text)


@pytest.mark.parametrize(
    ("text", "here"),
    [
        ("localhost/x", True),
        ("localhost:5000/x", True),
        ("registry.localhost:5000/x", True),
        ("127.0.0.1:5000/x", True),
        ("127.8.9.1/x", True),
        ("[::1]:5000/x", True),
        ("10.0.0.1:5000/x", False),
        ("localhost.example.org/x", False),
        ("debian", False),
    ],
)
def test_registries_on_this_machine(text: str, here: bool) -> None:
    assert parse_reference(text).is_loopback is here
