"""gitignore rules, exactly as git applies them, over byte paths.

Written here instead of taken from pathspec because file names are bytes (a name need not be UTF-8), because
pathspec differs from git on some patterns and refuses others (tests/core/store/test_ignore.py holds this
module to `git check-ignore` on generated patterns), and because it is quick to import.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from itertools import pairwise

_SPECIAL = frozenset(b"*?[\\")
_NEVER = b"(?!)"
_STAR = b"[^/]*"
_POSIX_CLASSES: dict[bytes, Callable[[int], bool]] = {
    b"alnum": lambda c: chr(c).isalnum() and c < 128,
    b"alpha": lambda c: chr(c).isalpha() and c < 128,
    b"blank": lambda c: c in b" \t",
    b"cntrl": lambda c: c < 32 or c == 127,
    b"digit": lambda c: c in b"0123456789",
    b"graph": lambda c: 32 < c < 127,
    b"lower": lambda c: c in b"abcdefghijklmnopqrstuvwxyz",
    b"print": lambda c: 32 <= c < 127,
    b"punct": lambda c: 32 < c < 127 and not chr(c).isalnum(),
    b"space": lambda c: c in b" \t\n\r\v\f",
    b"upper": lambda c: c in b"ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    b"xdigit": lambda c: c in b"0123456789abcdefABCDEF",
}


class IgnoreRules:
    """The rules of one .gitignore file (or of any list of such patterns), relative to that file's folder."""

    __slots__ = ("_any_name", "_any_path", "_patterns", "base")

    def __init__(self, lines: Iterable[bytes], base: bytes = b"") -> None:
        """Read patterns; `base` is the folder they are relative to: empty or ending with a slash."""
        self.base = base
        patterns = [pattern for line in lines if (pattern := _parse(line)) is not None]
        # Last match wins, so they are asked from the last to the first.
        self._patterns = patterns[::-1]
        self._any_name = _union([expression for _, _, by_name, expression in patterns if by_name])
        self._any_path = _union([expression for _, _, by_name, expression in patterns if not by_name])

    def __bool__(self) -> bool:
        """False when there is no pattern at all."""
        return bool(self._patterns)

    def verdict(self, path: bytes, name: bytes, is_dir: bool) -> bool | None:
        """True: a pattern matches; False: a negated one does; None: no pattern says anything.

        `path` starts at the same folder as `base` does, `name` is its last part. Only the path itself is
        looked at: git never enters an ignored folder, and neither may the caller.
        """
        if not path.startswith(self.base):
            return None
        path = path[len(self.base) :]
        # Nearly every path matches nothing: two searches decide that.
        if not (
            (self._any_name is not None and self._any_name.fullmatch(name))
            or (self._any_path is not None and self._any_path.fullmatch(path))
        ):
            return None
        for positive, only_dir, by_name, expression in self._patterns:
            if only_dir and not is_dir:
                continue
            if expression.fullmatch(name if by_name else path):
                return positive
        return None


def read_rules(data: bytes, base: bytes = b"") -> IgnoreRules:
    """Rules from an ignore file's content; git accepts a byte-order mark and CRLF line ends, so do we."""
    data = data.removeprefix(b"\xef\xbb\xbf")
    return IgnoreRules((line.removesuffix(b"\r") for line in data.split(b"\n")), base)


def is_ignored(rules: tuple[IgnoreRules, ...], path: bytes, name: bytes, is_dir: bool) -> bool:
    """Ask rules from the nearest file outwards; the first that says something decides."""
    for one in reversed(rules):
        verdict = one.verdict(path, name, is_dir)
        if verdict is not None:
            return verdict
    return False


_Pattern = tuple[bool, bool, bool, "re.Pattern[bytes]"]


def _parse(line: bytes) -> _Pattern | None:
    """(positive, only folders, match by name alone, expression); None for blank lines and comments."""
    if not line or line.startswith(b"#"):
        return None
    line = _trim_spaces(line)
    positive = not line.startswith(b"!")
    if not positive:
        line = line[1:]
    only_dir = line.endswith(b"/")
    if only_dir:
        line = line[:-1]
    by_name = b"/" not in line
    if line.startswith(b"/"):
        line = line[1:]
    if not line:
        return None
    return positive, only_dir, by_name, re.compile(_translate(line, in_path=not by_name), re.DOTALL)


def _trim_spaces(line: bytes) -> bytes:
    r"""Without trailing spaces, unless a backslash keeps one (`name\ `)."""
    end = len(line)
    position, last = 0, None
    while position < end:
        if line[position] == 0x20:
            last = position if last is None else last
        else:
            if line[position] == 0x5C:
                position += 1
            last = None
        position += 1
    return line if last is None else line[:last]


def _union(expressions: list[re.Pattern[bytes]]) -> re.Pattern[bytes] | None:
    if not expressions:
        return None
    return re.compile(b"|".join(b"(?:" + e.pattern + b")" for e in expressions), re.DOTALL)


def _translate(pattern: bytes, *, in_path: bool) -> bytes:
    """git's wildmatch as a regular expression; in a path `*`, `?` and classes do not match a slash."""
    out: list[bytes] = []
    part: list[bytes] = []  # what has been read since the last slash
    size = len(pattern)
    # git compares the text before the first special character by itself, and `**` right after it counts as
    # if it stood at the start; we keep to what git does, not to what its manual says.
    first_special = next((i for i, c in enumerate(pattern) if c in _SPECIAL), size)
    at = 0
    while at < size:
        char = pattern[at : at + 1]
        if char == b"*":
            end = at
            while pattern[end : end + 1] == b"*":
                end += 1
            starts = at == first_special or pattern[at - 1 : at] == b"/"
            rest = pattern[end : end + 2]
            if in_path and end - at > 1 and starts and (rest[:1] in (b"", b"/") or rest == b"\\/"):
                out += (_without_backtracking(part), b"(?:.*/)?" if rest[:1] == b"/" else b".*")
                part = []
                end += rest[:1] == b"/"
            else:
                part.append(_STAR)
            at = end
            continue
        if char == b"?":
            part.append(b"[^/]")
        elif char == b"[":
            members, at = _character_class(pattern, at)
            if not members:
                return _NEVER
            part.append(b"[" + b"".join(b"\\x%02x" % c for c in sorted(members - {0x2F})) + b"]")
            continue
        elif char == b"\\":
            at += 1
            if at == size:
                return _NEVER
            char = pattern[at : at + 1]
            part.append(re.escape(char))
        else:
            part.append(re.escape(char))
        if char == b"/":
            out.append(_without_backtracking(part))
            part = []
        at += 1
    return b"".join(out) + _without_backtracking(part)


def _without_backtracking(part: list[bytes]) -> bytes:
    """One path part as an expression.

    The text after a star may be taken at its first occurrence as long as another star follows, so those stars
    are atomic: `*a*a*a*a*b` in somebody's .gitignore costs linear and not exponential time.
    """
    pieces: list[bytes] = []
    stars = [i for i, token in enumerate(part) if token is _STAR]
    if not stars:
        return b"".join(part)
    pieces.append(b"".join(part[: stars[0]]))
    for start, end in pairwise(stars):
        pieces.append(b"(?>[^/]*?" + b"".join(part[start + 1 : end]) + b")")
    pieces.append(b"[^/]*" + b"".join(part[stars[-1] + 1 :]))
    return b"".join(pieces)


def _character_class(pattern: bytes, at: int) -> tuple[frozenset[int], int]:
    """Bytes that the class at `at` matches and the position after it; no bytes when it is malformed."""
    nothing: tuple[frozenset[int], int] = (frozenset(), len(pattern))
    at += 1
    negated = pattern[at : at + 1] in (b"!", b"^")
    at += negated
    members: set[int] = set()
    previous = 0
    first = True
    while True:
        if at >= len(pattern):
            return nothing
        char = pattern[at]
        if char == 0x5D and not first:
            break
        first = False
        if char == 0x5C:
            at += 1
            if at >= len(pattern):
                return nothing
            char = pattern[at]
            members.add(char)
        elif char == 0x2D and previous and pattern[at + 1 : at + 2] not in (b"", b"]"):
            at += 1
            char = pattern[at]
            if char == 0x5C:
                at += 1
                if at >= len(pattern):
                    return nothing
                char = pattern[at]
            members.update(range(previous, char + 1))
            char = 0
        elif char == 0x5B and pattern[at + 1 : at + 2] == b":":
            close = pattern.find(b"]", at + 2)
            if close < 0:
                return nothing
            if close > at + 2 and pattern[close - 1] == 0x3A:
                test = _POSIX_CLASSES.get(pattern[at + 2 : close - 1])
                if test is None:
                    return nothing
                members.update(c for c in range(256) if test(c))
                at, char = close, 0
            else:
                members.add(char)
        else:
            members.add(char)
        previous = char
        at += 1
    found = frozenset(range(256)) - members if negated else frozenset(members)
    return found, at + 1
