"""Addresses, refs and tags that strangers write."""

from __future__ import annotations

import pytest

from flowctl_registry.builds import git_url
from flowctl_registry.errors import BadRequestError
from flowctl_registry.settings import Sources

OPEN = Sources()


@pytest.mark.parametrize(
    ("given", "text", "key"),
    [
        ("https://GitHub.com/Octo/Greeting.git", "https://github.com/Octo/Greeting.git", "github.com/octo/greeting"),
        ("https://github.com/octo/greeting/", "https://github.com/octo/greeting", "github.com/octo/greeting"),
        ("https://git.test:443/a/~b/c.d", "https://git.test/a/~b/c.d", "git.test/a/~b/c.d"),
        ("https://git.test:80/a", "https://git.test:80/a", "git.test:80/a"),
        ("HTTPS://git.test./a", "https://git.test/a", "git.test/a"),
        ("https://[2606:4700::1]/a", "https://[2606:4700::1]/a", "[2606:4700::1]/a"),
    ],
)
def test_an_address_has_one_form(given: str, text: str, key: str) -> None:
    found = git_url.parse(given, OPEN)
    assert (found.text, found.key) == (text, key)


@pytest.mark.parametrize(
    "url",
    [
        "http://git.test/a", "git://git.test/a", "ssh://git.test/a", "file:///etc", "/etc", "../a", "git.test:a/b", "git@git.test:a/b",
        "ext::sh -c id", "ext::sh%20-c%20id", "https::ext::id/x", "fd::17", "-u./x", "--upload-pack=touch /tmp/x", "transport::address",
        "https://user:secret-word@git.test/a", "https://user@git.test/a", "https://git.test@evil.test/a", "https://@git.test/a",
        "https://git.test/a?x=1", "https://git.test/a#b", "https://git.test/a?", "https://git.test/a b", "https://git.test/a\nb",
        "https://git.test/a\\b", "https://git.test\\@evil.test/a", "https://git.test/../a", "https://git.test/a/..", "https://git.test/%2e%2e/a",
        "https://git.test/-a", "https://git.test/a//b", "https://git.test", "https://git.test/", "https:///a", "https://", "https:git.test/a",
        "https://git.test:22/a", "https://git.test:99999/a", "https://git.test:x/a", "https://2130706433/a", "https://127.1/a",
        "https://0x7f000001/a", "https://0x7f.0.0.1/a", "https://0177.0.0.1/a", "https://git_test/a", "https://-git.test/a",
        "https://gít.test/a", "https://git.test/ä", "https://git.test/a\0", "https://git.test/" + "a" * 2_000, "https://[::1/a", "https://$(id)/a", "",
    ],
)  # fmt: skip
def test_no_trick_in_an_address_is_taken(url: str) -> None:
    with pytest.raises(BadRequestError) as refused:
        git_url.parse(url, OPEN)
    assert refused.value.hint
    assert "secret-word" not in str(refused.value) + str(refused.value.hint)


def test_hosts_ports_and_schemes_are_the_operators() -> None:
    mine = Sources(hosts=("*.corp.test",), ports=(8443,), schemes=("https", "http"))
    assert git_url.parse("http://git.corp.test:8443/a", mine).port == 8443
    for refused in ("https://corp.test:8443/a", "https://git.corp.test.evil.test:8443/a", "https://git.corp.test/a"):
        with pytest.raises(BadRequestError):
            git_url.parse(refused, mine)


def test_submodules_are_relative_to_their_repository() -> None:
    base = git_url.parse("https://git.test/octo/greeting.git", OPEN)
    assert git_url.resolve(base, "../lib.git", OPEN).text == "https://git.test/octo/lib.git"
    assert git_url.resolve(base, "./lib", OPEN).text == "https://git.test/octo/greeting.git/lib"
    assert git_url.resolve(base, "https://other.test/lib", OPEN).host == "other.test"
    for trick in (
        "../../../../lib",
        "../..",
        "file:///etc",
        "/etc",
        "../$(id)",
        "..//evil.test/x",
        "-x",
        "ext::id",
        "",
    ):
        with pytest.raises(BadRequestError):
            git_url.resolve(base, trick, OPEN)


@pytest.mark.parametrize("ref", ["v1.2.3", "main", "refs/tags/v1", "feature/x", "mqtt/v1.0.0-rc.1", "a" * 40, "wörter"])
def test_refs_are_taken_as_git_takes_them(ref: str) -> None:
    assert git_url.check_ref(ref) == ref


@pytest.mark.parametrize(
    "ref",
    ["", "-x", "--upload-pack=id", "a b", "a..b", "a~1", "a^{}", "a:b", "a?", "a*", "a[b", "a\\b", "a@{1}", "@", "/a", "a/", "a//b",
     ".a", "a/.b", "a.lock", "a/b.lock/c", "a.", "a\nb", "a\0", "a" * 251, "+a", "a\x7f"],
)  # fmt: skip
def test_no_trick_in_a_ref_is_taken(ref: str) -> None:
    if ref == "+a":  # a name that git takes; it never stands where a refspec would begin
        assert git_url.check_ref(ref) == ref
        return
    with pytest.raises(BadRequestError):
        git_url.check_ref(ref)


@pytest.mark.parametrize(
    ("given", "path"), [(".", "."), ("", "."), ("a/./b/", "a/b"), ("sources/mqtt", "sources/mqtt")]
)
def test_a_folder_has_one_form(given: str, path: str) -> None:
    assert git_url.check_subdirectory(given) == path


@pytest.mark.parametrize(
    "path", ["..", "a/../b", "/a", "a\\b", "-a", "a/-b", ".git", "a/.GIT/hooks", ".git. ", "a\0", "a\n", "a" * 401]
)
def test_no_trick_in_a_folder_is_taken(path: str) -> None:
    with pytest.raises(BadRequestError):
        git_url.check_subdirectory(path)


@pytest.mark.parametrize(
    ("tag", "pattern", "version"),
    [
        ("v1.2.3", "v*", "1.2.3"),
        ("v1.2.3-rc.1", "v*", "1.2.3-rc.1"),
        ("1.2.3", "*", "1.2.3"),
        ("v1.2.3", "*", "1.2.3"),
        ("mqtt/v1.2.3", "mqtt/v*", "1.2.3"),
        ("mqtt/v1.2.3", "mqtt/*", "1.2.3"),
        ("mqtt-1.2.3-release", "mqtt-*-release", "1.2.3"),
        ("v1", "v*", None),
        ("v1.2.3", "mqtt/v*", None),
        ("kafka/v1.2.3", "mqtt/v*", None),
        ("vv1.2.3", "v*", None),
        ("v1.2.3+build", "v*", None),
        ("v01.2.3", "v*", None),
        ("release", "*-release", None),
    ],
)
def test_a_tag_names_a_version(tag: str, pattern: str, version: str | None) -> None:
    assert git_url.version_of(tag, git_url.check_pattern(pattern)) == version


@pytest.mark.parametrize("pattern", ["v1.2.3", "v**", "*-*", "v?", "-*", "", "v*\n", "(a+)*", "a" * 200 + "*"])
def test_a_pattern_has_one_star(pattern: str) -> None:
    with pytest.raises(BadRequestError):
        git_url.check_pattern(pattern)
