from __future__ import annotations

import json
import random

import pytest

from flowctl_core.dev.edges.lines import LineSieve, why_not_an_event


def sift(data: bytes, size: int = 10**9, **options: int) -> tuple[list[bytes], list[tuple[int, str]]]:
    sieve = LineSieve(**options)
    parts = [sieve.feed(data[start : start + size]) for start in range(0, len(data), size)]
    parts.append(sieve.close())
    assert all(part.count == part.data.count(b"\n") for part in parts)
    data = b"".join(part.data for part in parts)
    return data.split(b"\n")[:-1], [(b.number, b.reason) for part in parts for b in part.bad]


@pytest.mark.parametrize("size", [1, 2, 7, 10**9])
def test_events_come_out_as_they_went_in_whatever_the_chunks(size: int) -> None:
    lines = [b'{"n":1}', b" [1, 2]\t", '{"text":"Grüße 雪"}'.encode(), b'{"n":2}\r', b"3", b'"\\ud800"']
    good, bad = sift(b"\n".join(lines) + b"\n", size)
    assert (good, bad) == (lines, [])


@pytest.mark.parametrize("size", [1, 5, 10**9])
def test_what_is_no_event_is_told_by_its_line_and_the_rest_goes_on(size: int) -> None:
    data = b'{"n":1}\nstarting up\n\n{"n":2}\n{"n":3}{"n":4}\n{\n"n":5}\n"\xff"\nNaN\n{"n":6}\n'
    good, bad = sift(data, size)
    assert good == [b'{"n":1}', b'{"n":2}', b'{"n":6}']
    assert [number for number, _ in bad] == [2, 5, 6, 7, 8, 9]
    assert dict(bad)[8] == "not UTF-8 at byte 1"


def test_two_values_on_one_line_beside_one_value_on_two_are_not_taken_for_two_events() -> None:
    good, bad = sift(b'{"n":1}{"n":2}\n{"n":\n3}\n')
    assert good == []
    assert [number for number, _ in bad] == [1, 2, 3]


@pytest.mark.parametrize(("tail", "kept"), [(b'{"n":2}', True), (b"true", True), (b'{"n":', False), (b"12", False)])
def test_the_last_line_needs_no_line_end_if_it_is_surely_whole(tail: bytes, kept: bool) -> None:
    good, bad = sift(b'{"n":1}\n' + tail)
    assert (tail in good, len(bad)) == (kept, 0 if kept else 1)


def test_a_line_without_end_takes_no_memory_and_what_follows_it_is_read() -> None:
    sieve = LineSieve(line_limit=1000)
    for _ in range(1000):
        assert sieve.feed(b"x" * 1000).count == 0
    assert sum(map(len, sieve._rest)) <= 4096
    sifted = sieve.feed(b'x\n{"n":1}\n')
    assert sifted.data == b'{"n":1}\n'
    assert [(bad.number, bad.reason) for bad in sifted.bad] == [(1, "the line has 1,000,001 bytes, more than 1,000")]


def test_a_value_nested_too_deep_is_a_dead_letter() -> None:
    good, bad = sift(b"[" * 200_000 + b"]" * 200_000 + b'\n{"n":1}\n')
    assert (good, [number for number, _ in bad]) == ([b'{"n":1}'], [1])


def test_it_agrees_with_a_second_reader_on_damaged_lines() -> None:
    chance = random.Random(8)
    line = json.dumps({"a": [1, -2.5e3, None, True, "x\\u00e9\n"], "b": {"c": "ü"}}, ensure_ascii=False).encode()
    refused = 0
    for _ in range(5000):
        damaged = bytearray(line)
        for _ in range(chance.randint(1, 2)):
            damaged[chance.randrange(len(damaged))] = chance.choice(b'{}[]",:0e-\\ntu \x00\xff')
        try:
            json.loads(bytes(damaged).decode(), parse_constant=lambda name: 1 / 0)
            expected = True
        except (ValueError, ZeroDivisionError):
            expected = False
        assert (why_not_an_event(bytes(damaged)) is None) == expected, damaged
        refused += not expected
    assert 1000 < refused < 5000
