"""Evaluates `cfg(…)`, the keys of `[target.'cfg(…)']` in cargo's configuration.

The grammar is that of the Rust Reference, «Conditional compilation»: a name, `name = "value"`, `all(…)`, `any(…)`,
`not(…)`, `true`, `false`. There is no library for it in Python, and cargo tells the answer only on nightly.
"""

from __future__ import annotations

import re
from collections.abc import Set

_TOKEN = re.compile(r'\s*(?:(?P<name>r?[A-Za-z_][A-Za-z0-9_]*)|"(?P<text>[^"]*)"|(?P<sign>[(),=]))')


def matches(key: str, triple: str, cfg: Set[str]) -> bool:
    """True when a key of `[target.…]` (a triple, or a `cfg(…)`) speaks about a target.

    `cfg` is what `rustc --print cfg` prints for it. A key that is neither is false, as in cargo.
    """
    if key == triple:
        return True
    inner = re.fullmatch(r"\s*cfg\s*\((.*)\)\s*", key, re.DOTALL)
    if inner is None:
        return False
    try:
        tokens = _tokens(inner.group(1))
        value = _predicate(tokens, cfg)
    except (ValueError, IndexError, RecursionError):
        return False
    return value and not tokens


def _tokens(text: str) -> list[tuple[str, str]]:
    """(kind, text) pairs, the last one first."""
    found = []
    at = 0
    text = text.rstrip()
    while at < len(text):
        token = _TOKEN.match(text, at)
        if token is None or token.lastgroup is None:
            raise ValueError(text[at:])
        found.append((token.lastgroup, token.group(token.lastgroup)))
        at = token.end()
    return found[::-1]


def _predicate(tokens: list[tuple[str, str]], cfg: Set[str]) -> bool:
    kind, name = tokens.pop()
    if kind != "name":
        raise ValueError(name)
    following = tokens[-1] if tokens else ("", "")
    if following == ("sign", "("):
        tokens.pop()
        return _combine(name, _list(tokens, cfg))
    if following == ("sign", "="):
        tokens.pop()
        kind, value = tokens.pop()
        if kind != "text":
            raise ValueError(value)
        return f'{name}="{value}"' in cfg
    return name == "true" or name in cfg


def _list(tokens: list[tuple[str, str]], cfg: Set[str]) -> list[bool]:
    values = []
    while tokens[-1] != ("sign", ")"):
        values.append(_predicate(tokens, cfg))
        if tokens[-1] == ("sign", ","):
            tokens.pop()
    tokens.pop()
    return values


def _combine(name: str, values: list[bool]) -> bool:
    if name == "all":
        return all(values)
    if name == "any":
        return any(values)
    if name == "not" and len(values) == 1:
        return not values[0]
    raise ValueError(name)
