"""npm's version ranges (https://github.com/npm/node-semver#ranges), as far as engines.node needs them."""

from __future__ import annotations

import re
from dataclasses import dataclass

Version = tuple[int, int, int]

_PART = r"(\d+|[xX*])"
_COMPARATOR = re.compile(rf"(\^|~>?|>=|<=|>|<|=)?\s*v?{_PART}(?:\.{_PART})?(?:\.{_PART})?(?:[-+][0-9A-Za-z.+-]+)?")
_HYPHEN = re.compile(r"(\S+)\s+-\s+(\S+)")


@dataclass(frozen=True)
class Interval:
    """Versions from `low` (included) up to `high` (excluded; None: no end)."""

    low: Version = (0, 0, 0)
    high: Version | None = None

    def meets(self, other: Interval) -> Interval:
        """The versions in both."""
        highs = [high for high in (self.high, other.high) if high is not None]
        return Interval(max(self.low, other.low), min(highs) if highs else None)

    @property
    def empty(self) -> bool:
        """True when no version is in it."""
        return self.high is not None and self.high <= self.low

    def __contains__(self, version: Version) -> bool:
        return self.low <= version and (self.high is None or version < self.high)


def parse(text: str) -> tuple[Interval, ...] | None:
    """The alternatives of a range, None when it is not one that can be understood (a tag, `lts/*`)."""
    alternatives = []
    for alternative in text.split("||"):
        interval = Interval()
        rest = alternative.strip()
        hyphen = _HYPHEN.fullmatch(rest)
        if hyphen:
            rest = f">={hyphen.group(1)} <={hyphen.group(2)}"
        position = 0
        while position < len(rest):
            if rest[position] in " ,\t":
                position += 1
                continue
            match = _COMPARATOR.match(rest, position)
            if match is None:
                return None
            interval = interval.meets(_interval(match))
            position = match.end()
        if not interval.empty:
            alternatives.append(interval)
    return tuple(sorted(alternatives, key=lambda one: one.low)) or None


def _interval(match: re.Match[str]) -> Interval:
    operator = match.group(1) or "="
    numbers = [int(part) for part in _until_wildcard(match.groups()[1:])]
    if not numbers:
        return Interval()
    low = _version(numbers)
    after = _next(numbers)
    if operator == ">=":
        return Interval(low)
    if operator == ">":
        return Interval(after)
    if operator == "<":
        return Interval(high=low)
    if operator == "<=":
        return Interval(high=after)
    if operator == "^":
        # The first number that is not zero stays; a range such as ^0.2 may not reach 0.3.
        keep = next((i for i, number in enumerate(numbers) if number), len(numbers) - 1)
        return Interval(low, _next(numbers[: keep + 1]))
    if operator.startswith("~"):
        return Interval(low, _next(numbers[:2]))
    return Interval(low, after)


def _until_wildcard(parts: tuple[str | None, ...]) -> list[str]:
    kept = []
    for part in parts:
        if part is None or not part.isdigit():
            break
        kept.append(part)
    return kept


def _version(numbers: list[int]) -> Version:
    padded = [*numbers, 0, 0, 0]
    return padded[0], padded[1], padded[2]


def _next(numbers: list[int]) -> Version:
    return _version([*numbers[:-1], numbers[-1] + 1])


def specifier(alternatives: tuple[Interval, ...]) -> str:
    """One PEP 440 specifier that admits every version of the range.

    `18 || >=20` cannot be said exactly: the loosest interval that holds all of it is taken (`>=18`), and
    `admits` tells whether a chosen version is really meant.
    """
    low = min(one.low for one in alternatives)
    highs = [one.high for one in alternatives if one.high is not None]
    parts = [] if low == (0, 0, 0) else [f">={_dotted(low)}"]
    if len(highs) == len(alternatives):
        parts.append(f"<{_dotted(max(highs))}")
    return ",".join(parts)


def _dotted(version: Version) -> str:
    numbers = list(version)
    while len(numbers) > 1 and numbers[-1] == 0:
        numbers.pop()
    return ".".join(map(str, numbers))


def admits(alternatives: tuple[Interval, ...], version: str) -> bool:
    """True when a version such as `20.11.1` is in the range."""
    numbers = [int(part) for part in re.findall(r"\d+", version)[:3]]
    return any(_version(numbers) in one for one in alternatives)


def narrowed(alternatives: tuple[Interval, ...], low: Version) -> tuple[Interval, ...]:
    """The part of a range from `low` upwards; empty when nothing is left."""
    parts = (one.meets(Interval(low)) for one in alternatives)
    return tuple(part for part in parts if not part.empty)
