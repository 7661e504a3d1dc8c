"""Our linker flags beside the user's."""

from __future__ import annotations

import pytest

from flowctl_lang_go.linkflags import go_fields, joined, split, stamp

OURS = ["-s", "-w"]


@pytest.mark.parametrize(
    ("arguments", "inherited", "result"),
    [
        ([], "", ["-ldflags=-s -w"]),
        (["-tags", "x"], "-mod=vendor", ["-tags", "x", "-ldflags=-s -w"]),
        (["-ldflags=-X a.b=c"], "", ["-ldflags=-s -w -X a.b=c"]),
        (["--ldflags", "-X a.b=c", "-v"], "", ["-v", "-ldflags=-s -w -X a.b=c"]),
        (["-ldflags", ""], "", ["-ldflags=-s -w"]),
        (["-ldflags=-a", "-ldflags=-b"], "", ["-ldflags=-s -w -a", "-ldflags=-s -w -b"]),
        (["-ldflags=all=-X a.b=c"], "", ["-ldflags=-s -w", "-ldflags=all=-s -w -X a.b=c"]),
        (["-ldflags=./cmd/x="], "", ["-ldflags=-s -w", "-ldflags=./cmd/x=-s -w"]),
        ([], "-trimpath '-ldflags=-X a.b=c d'", ["-ldflags=-s -w -X a.b=c d"]),
        (["-ldflags=-b"], "-ldflags=-a", ["-ldflags=-s -w -a", "-ldflags=-s -w -b"]),
        ([], "'unfinished", ["-ldflags=-s -w"]),
    ],
)
def test_join(arguments: list[str], inherited: str, result: list[str]) -> None:
    assert joined(arguments, inherited, OURS) == result


def test_words_are_quoted_as_go_splits_them() -> None:
    assert joined([], "", ["-X", "main.version=1.0 beta"]) == ["-ldflags=-X 'main.version=1.0 beta'"]
    assert joined([], "", ["-X", "main.version=it's"]) == ['-ldflags=-X "main.version=it\'s"']


@pytest.mark.parametrize("version", ["1.0", "1.0 beta", "it's", 'say "x"', ""])
def test_stamp(version: str) -> None:
    assert stamp(version) == ["-X", f"main.version={version}"]


@pytest.mark.parametrize("version", ["both ' and \"", "two\nlines"])
def test_what_no_quoting_carries_is_left_out(version: str) -> None:
    assert stamp(version) == []


def test_split() -> None:
    assert split(["-a", "-ldflags", "x", "--ldflags=y", "-ldflags"]) == (["-a"], ["x", "y", ""])
    assert go_fields("-a  '-b=c d'") == ["-a", "-b=c d"]
