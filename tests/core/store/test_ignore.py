"""Ignore rules against git itself: whatever `git check-ignore` says is right."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from pathlib import Path

import pytest

from flowctl_core.store.ignore import is_ignored, read_rules

SEED = int(os.environ.get("FLOWCTL_FUZZ_SEED", "20260801"))
ROUNDS = int(os.environ.get("FLOWCTL_FUZZ_ROUNDS", "60"))

PARTS = [
    *rb"a b foo bar * ** ? [ab] [!a] [^b] [a-c] []a] [[:digit:] [ \ \* \a . *** f*o *.o [a-] [b/a]".split(b" "),
    b"[[:alpha:]]",
    b"x y",
    b"\xc3\xa9",
    b"\xff",
]
NAMES = [*b"a b ab foo foobar bar x.o ] - * 1 fxo".split(b" "), b"x y", b"\xc3\xa9", b"\xff", b"foo "]


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    if shutil.which("git") is None:
        if os.environ.get("CI"):
            pytest.fail("git is needed")
        pytest.skip("git is needed")
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    return tmp_path


def git_says(repository: Path, paths: list[bytes]) -> set[bytes]:
    """Paths (of files) that git ignores."""
    done = subprocess.run(
        ["git", "-c", "core.excludesFile=/dev/null", "check-ignore", "-z", "--stdin", "--no-index"],
        cwd=repository,
        input=b"\0".join(paths) + b"\0",
        capture_output=True,
        check=False,
    )
    assert done.returncode in (0, 1), done.stderr
    return set(done.stdout.split(b"\0")) - {b""}


def we_say(files: dict[bytes, bytes], path: bytes) -> bool:
    """Walk down as a listing does: an ignored folder is never entered."""
    is_dir = path.endswith(b"/")
    parts = path.rstrip(b"/").split(b"/")
    rules = ()
    for level in range(len(parts)):
        folder = b"".join(p + b"/" for p in parts[:level])
        if folder in files:
            rules = (*rules, read_rules(files[folder], folder))
        last = level == len(parts) - 1
        if is_ignored(rules, b"/".join(parts[: level + 1]), parts[level], is_dir or not last):
            return True
    return False


def pattern(rng: random.Random) -> bytes:
    segments = [b"".join(rng.choices(PARTS, k=rng.choice((1, 1, 1, 2, 3)))) for _ in range(rng.choice((1, 1, 2, 3)))]
    text = b"/".join(segments)
    return (
        rng.choice((b"", b"", b"", b"!", b"\\!", b"#", b"\\#"))
        + rng.choice((b"", b"", b"/", b"**/"))
        + text
        + rng.choice((b"", b"", b"", b"/", b"/**", b" ", b"\\ ", b"  ", b"\r", b"/*"))
    )


def test_generated_patterns_agree_with_git(repository: Path) -> None:
    """Random patterns in the root and in a nested file, each asked about random paths."""
    rng = random.Random(SEED)
    asked = ignored = 0
    for round_ in range(ROUNDS):
        files = {b"": b"\n".join(pattern(rng) for _ in range(rng.randint(1, 4)))}
        (repository / ".gitignore").write_bytes(files[b""])
        (repository / "foo").mkdir(exist_ok=True)
        nested = repository / "foo" / ".gitignore"
        nested.unlink(missing_ok=True)
        if round_ % 2:
            files[b"foo/"] = b"\n".join(pattern(rng) for _ in range(rng.randint(1, 3)))
            nested.write_bytes(files[b"foo/"])
        paths = {b"/".join(rng.choice(NAMES) for _ in range(rng.choice((1, 2, 2, 3, 4)))) for _ in range(200)}
        paths.discard(b"foo")  # exists, and as a folder
        expected = git_says(repository, sorted(paths))
        for path in sorted(paths):
            assert we_say(files, path) == (path in expected), (files, path, path in expected)
        asked += len(paths)
        ignored += len(expected)
    assert asked > 1000 and ignored > asked // 50, "the generator must make patterns that match"


@pytest.mark.parametrize(
    ("rules", "path", "expected"),
    [
        (b"*.o\n!keep.o", b"keep.o", False),
        (b"*.o\n!keep.o", b"lib/other.o", True),
        (b"build/\n!build/keep", b"build/keep", True),  # nothing comes back out of an ignored folder
        (b"/dist", b"dist", True),
        (b"/dist", b"sub/dist", False),
        (b"logs/", b"logs", False),  # a file called logs is no folder
        (b"logs/", b"logs/", True),
        (b"a/**/z", b"a/z", True),
        (b"a/**/z", b"a/b/c/z", True),
        (b"**/foo", b"x/y/foo", True),
        (b"foo/*", b"foo/a/b", True),
        (b"\xef\xbb\xbf*.log\r\n", b"x.log", True),
        (b"\\#notes", b"#notes", True),
        (b"trailing   ", b"trailing", True),
        (b"caf\xc3\xa9", b"caf\xc3\xa9", True),
        (b"\xff*", b"\xff\xfe", True),
        (b"!*\n", b"a", False),
    ],
)
def test_rule(rules: bytes, path: bytes, expected: bool) -> None:
    assert we_say({b"": rules}, path) is expected


def test_hostile_pattern_ends_soon() -> None:
    """Many stars in one name must not take exponential time."""
    rules = read_rules(b"*a" * 12 + b"b")
    assert not is_ignored((rules,), b"a" * 60, b"a" * 60, False)
