"""Files made to hurt the reader are refused, and quickly."""

import random
import time

import pytest

from flowctl_core.errors import SpecError
from flowctl_core.specfile import load
from flowctl_core.specfile.limits import MAX_BYTES, MAX_PROBLEMS

LAUGHS = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 12)
)
DEEP_ALIASES = "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}]\n" for i in range(1, 100))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\n" * 1_000_000, "are not read"),
        (LAUGHS, "aliases expand to more than 50,000 values"),
        (DEEP_ALIASES, "aliases nest deeper than 64 levels"),
        ("a: &a x\nb: [" + "*a, " * 2000 + "]\n", "more than 1,000 aliases"),
        ("[" * 100_000, "nested deeper than 64 levels"),
        ("a: " + "{a: " * 10_000, "nested deeper than 64 levels"),
        ("- " * 10_000 + "x\n", "nested deeper than 64 levels"),
        ("".join(f"k{i}: 1\n" for i in range(60_000)), "more than 50,000 values"),
        ("? " * 5_000, "key"),
        ("a: !<" + "x" * 900_000 + "> b", "a tag is too long"),
    ],
    ids=["lines", "laughs", "deep-aliases", "aliases", "lists", "maps", "block", "wide", "keys", "tag"],
)
def test_refused_in_time(tmp_path, text, message):
    path = tmp_path / "component.yaml"
    path.write_text(text)
    start = time.monotonic()
    with pytest.raises(SpecError, match=message):
        load.load_component(path)
    assert time.monotonic() - start < (1 if len(text) > MAX_BYTES else 30)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 100_000, "nested deeper than 64 levels"),
        ("[" + "1," * 60_000 + "1]", "more than 50,000 values"),
        ('{"name": "a", "name": "b"}', "metadata.json:1: the key 'name' is given twice"),
        ("{", "metadata.json:1: not valid JSON: a key in double quotes is wanted, here the file ends"),
        ('{\n"name": }', "metadata.json:2: not valid JSON: here stands '}'"),
        ('{"name": "a"} x', "not valid JSON: more text after the end"),
        ('{"name": "a",}', "a key in double quotes is wanted"),
        ('{"name" "a"}', "':' or a value is wanted"),
        ('{"name": NaN}', "not valid JSON"),
        ('{"name": "a\n"}', "not valid JSON: Invalid control character"),
        ("", "the file is empty"),
        ("[]", "must be a mapping at the top"),
        ("{\n}", "metadata.json:1: name: is missing"),
    ],
)
def test_json(tmp_path, monkeypatch, text, message):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "metadata.json"
    path.write_text(text)
    with pytest.raises(SpecError) as caught:
        load.load_metadata(path)
    assert message in str(caught.value)


def test_json_with_tabs_and_escapes(tmp_path):
    path = tmp_path / "metadata.json"
    path.write_text('{\n\t"name":\t"\\u00e9\\ud83d\\ude00", "port": 8080,\n\t"default": [1.50, -1e3, true, null]\n}\n')
    loaded = load.load_metadata(path)
    assert loaded.spec.name == "é😀"
    assert loaded.data["default"] == [1.5, -1000.0, True, None]
    assert [f"{w.line} {w.field}" for w in loaded.warnings] == ["3 default"]


def test_a_flood_of_problems_is_counted(tmp_path):
    path = tmp_path / "component.yaml"
    items = "".join(f"    - bad{i}\n" for i in range(1000))
    path.write_text(
        f"apiVersion: component.flowctl.io/v1\nkind: ComponentSpec\nmetadata: {{name: x}}\nspec:\n  type: source\n  platforms:\n{items}"
    )
    with pytest.raises(SpecError) as caught:
        load.load_component(path)
    lines = str(caught.value).splitlines()
    assert len(lines) == MAX_PROBLEMS + 1 and lines[-1] == "… and 800 more problems"


@pytest.mark.parametrize("seed", range(4))
def test_mangled_files_give_spec_errors_only(tmp_path, seed):
    """Bytes deleted, doubled, swapped: a model or a SpecError, never another exception."""
    rng = random.Random(seed)
    good = (
        b"apiVersion: component.flowctl.io/v1\nkind: ComponentSpec\nmetadata: {name: x, version: 1.10, tags: [a, b]}\n"
        b"spec:\n  type: source\n  languages: &l\n    - name: go\n      build: {native: {command: [go, build], environment: {A: 1}}}\n"
        b"  other: *l\n  interface:\n    config:\n      k: {type: integer, default: 3, enum: [1, 3]}\n  text: |\n    a\n    b\n"
    )
    path = tmp_path / "component.yaml"
    refused = 0
    for _ in range(250):
        content = bytearray(good)
        for _ in range(rng.randint(1, 6)):
            at = rng.randrange(len(content))
            match rng.randrange(4):
                case 0:
                    del content[at : at + rng.randint(1, 8)]
                case 1:
                    content[at:at] = rng.choice(
                        [b"\t", b"\0", b"&a ", b"*l", b"!!int ", b"{", b"[", b"\n", b"'", b"\xff", b"? ", b"- "]
                    )
                case 2:
                    content[at] = rng.randrange(256)
                case 3:
                    content[at:at] = content[: rng.randint(1, 40)]
        path.write_bytes(content)
        try:
            load.load_component(path)
        except SpecError as error:
            refused += 1
            assert str(error)
    assert refused > 50
