"""What people may ask for, and which version a range means."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from flowctl_core.errors import NotFoundError, UsageError
from flowctl_core.install.ranges import choose, in_range
from flowctl_core.install.request import parse_request
from flowctl_core.models.trust import ComponentIndex, IndexedVersion, Yank

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def index(*versions: str) -> ComponentIndex:
    """`!` before a version: it is yanked."""
    return ComponentIndex(
        namespace="acme",
        component="greeting",
        versions={
            version.removeprefix("!"): IndexedVersion(
                digests={}, published=NOW, yanked=Yank(at=NOW, reason="it eats socks") if version[0] == "!" else None
            )
            for version in versions
        },
    )


SOME = index("1.2.0", "1.10.0", "!1.11.0", "1.9.3", "2.0.0-rc.1", "2.0.0-rc.2", "0.4.1")


@pytest.mark.parametrize(
    ("wanted", "prereleases", "version"),
    [
        ("*", False, "1.10.0"),
        ("1.2.0", False, "1.2.0"),
        ("v1.2.0", False, "1.2.0"),
        ("~1.2", False, "1.2.0"),
        ("^1.2.0", False, "1.10.0"),
        ("^0.4", False, "0.4.1"),
        ("1", False, "1.10.0"),
        ("1.x", False, "1.10.0"),
        (">=1.2 <1.10", False, "1.9.3"),
        ("0.4.x || 1.2.x", False, "1.2.0"),
        ("1.2.0 - 1.9.9", False, "1.9.3"),
        ("2.0.0-rc.1", False, "2.0.0-rc.1"),
        ("^2.0.0-rc.1", False, "2.0.0-rc.2"),
        (">=1.0.0-rc.1", False, "1.10.0"),
        ("*", True, "2.0.0-rc.2"),
        ("^2", True, "2.0.0-rc.2"),
        ("^1", True, "1.10.0"),
    ],
)
def test_the_version_that_a_range_means(wanted: str, prereleases: bool, version: str) -> None:
    assert choose(SOME, wanted, prereleases=prereleases) == version


@pytest.mark.parametrize(
    ("there", "wanted", "told", "hint"),
    [
        (SOME, "1.11.0", "1.11.0 was yanked: it eats socks", "--locked"),
        (SOME, "^2", "has no version in ^2", "--prerelease"),
        (SOME, "^7", "has no version in ^7", "There is 2.0.0-rc.2, 2.0.0-rc.1, 1.10.0, 1.9.3, 1.2.0 and 1 older"),
        (index("!1.0.0", "!1.1.0"), "*", "like all 2 versions in this range", "Choose another"),
        (index("1.0.0-rc.1"), "*", "has no release", "--prerelease"),
        (index(), "*", "has no release", "none"),
    ],
)
def test_where_no_version_will_do(there: ComponentIndex, wanted: str, told: str, hint: str) -> None:
    with pytest.raises(NotFoundError) as caught:
        choose(there, wanted)
    assert told in caught.value.message and hint in (caught.value.hint or "")


@pytest.mark.parametrize("wanted", ["nonsense", "1.2.3.4", "^", ">=", "1.2.0 <", "\N{SNOWMAN}", "1" * 5000, "../.."])
def test_what_is_no_range(wanted: str) -> None:
    with pytest.raises(UsageError, match="is no range"):
        choose(SOME, wanted)


def test_versions_that_are_none_are_left_out() -> None:
    assert choose(index("1.0.0", "2024.1", "latest"), "*") == "1.0.0"
    assert not in_range("2024.1", "*")


@pytest.mark.parametrize(
    ("text", "namespace", "parsed"),
    [
        ("acme/greeting", None, ("acme", "greeting", "*")),
        ("acme/greeting@latest", None, ("acme", "greeting", "*")),
        ("acme/greeting@^1.2", None, ("acme", "greeting", "^1.2")),
        ("greeting@1.x || 2.x", "acme", ("acme", "greeting", "1.x || 2.x")),
        ("other/greeting", "acme", ("other", "greeting", "*")),
    ],
)
def test_what_is_asked_for(text: str, namespace: str | None, parsed: tuple[str, str, str]) -> None:
    request = parse_request(text, namespace)
    assert (request.namespace, request.name, request.wanted) == parsed


@pytest.mark.parametrize(
    "text",
    ["", "greeting", "acme/", "/greeting", "acme/greeting@", "UPPER/greeting", "../../etc/passwd", "a/b/c", "acme/" + "b" * 200,
     "acme/\N{SNOWMAN}", "acme/x\0y", "acme/.hidden", "acme/a..b", "-rf/x"],
)  # fmt: skip
def test_what_names_nothing(text: str) -> None:
    with pytest.raises(UsageError):
        parse_request(text)
