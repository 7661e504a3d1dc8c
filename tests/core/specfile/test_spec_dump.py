"""Load, change, dump: nothing that was not changed is lost."""

import copy
import json

import pytest

from flowctl_core.specfile import load
from flowctl_core.specfile.dump import dump, dump_json, dump_yaml

TEXT = """\
# head
apiVersion: component.flowctl.io/v1
kind: ComponentSpec
metadata:
  name: x   # the name
  version: "1.10"
  tags: [a,   b]
spec:
  type: source

  # before build
  build:
    native:
      command: ["make",  'all']
      environment: {FLAG: yes, NUM: 1.50}
  odd:
    - 1
    - "1"   # text
"""


def parse(text):
    return load.parse_component(text.encode())


def changed(loaded, change):
    data = copy.deepcopy(loaded.data)
    change(data)
    text = dump(loaded, data)
    assert parse(text).data == data
    return text


def test_unchanged_is_byte_for_byte_the_same():
    loaded = parse(TEXT)
    assert dump(loaded) == TEXT
    assert dump(loaded, copy.deepcopy(loaded.data)) == TEXT


def test_a_changed_scalar_changes_one_line():
    text = changed(parse(TEXT), lambda data: data["metadata"].update(version="1.20"))
    assert text == TEXT.replace('"1.10"', '"1.20"')
    assert changed(parse(TEXT), lambda data: data["spec"]["odd"].__setitem__(0, "2")) == TEXT.replace(
        "- 1\n", '- "2"\n'
    )
    assert changed(parse(TEXT), lambda data: data["metadata"].update(name="yy")) == TEXT.replace(
        "name: x ", "name: yy "
    )


def test_new_and_removed_fields_keep_comments():
    def change(data):
        data["metadata"]["license"] = "Apache-2.0"
        data["metadata"]["tags"].append("on")
        del data["spec"]["odd"]
        data["spec"]["platforms"] = ["linux/amd64"]

    text = changed(parse(TEXT), change)
    assert "# head" in text and "# the name" in text and "# before build" in text
    assert "[\"make\", 'all']" in text
    assert 'version: "1.10"' in text


def test_changing_an_anchored_value_changes_only_that_place():
    text = TEXT.replace("type: source", "type: source\n  x-a: &v one\n  x-b: *v")
    result = changed(parse(text), lambda data: data["spec"].update({"x-b": "two"}))
    assert parse(result).data["spec"]["x-a"] == "one"


def test_changing_a_merged_value():
    text = TEXT.replace("  odd:\n", "  x-base: &b {cpu: 1}\n  resources:\n    limits: {<<: *b}\n  odd:\n")
    changed(parse(text), lambda data: data["spec"]["resources"]["limits"].update(cpu="7"))


def test_multi_line_text_and_its_replacement():
    text = TEXT + "  x-text: |\n    a\n\n    b\n"
    result = changed(parse(text), lambda data: data["spec"].update({"x-text": "c\nd\n"}))
    assert "# text" in result


@pytest.mark.parametrize(
    "value",
    ["1.10", "yes", "on", "n", "null", "", "~", "2024-01-05", "1e3", "0o7", "012", "1_000", "12:30:45", "<<", "=", ".inf", " x", "x ",
     "# no", "a: b", "- a", "*a", "&a", "!a", "a\nb", "a\n", "\na", "a\tb\n", "tab\there", "ü😀", "'", '"', "\\", "a \nb\n", "\x85", "\u2028"],
)  # fmt: skip
def test_dumped_text_stays_text(value):
    loaded = parse(TEXT)
    data = copy.deepcopy(loaded.data)
    data["spec"]["odd"] = {"key": value, "list": [value]}
    data["metadata"]["author"] = value or "a"
    assert parse(dump_yaml(data)).data == data
    assert parse(dump(loaded, data)).data == data
    scalar = copy.deepcopy(loaded.data)
    scalar["spec"]["odd"][1] = value
    assert parse(dump(loaded, scalar)).data == scalar


def test_words_that_old_readers_misread_are_quoted():
    text = dump_yaml({"a": "yes", "b": "1.10", "c": "2024-01-05", "d": "012", "e": "word", "f": 1.5, "g": True})
    assert text == 'a: "yes"\nb: "1.10"\nc: "2024-01-05"\nd: "012"\ne: word\nf: 1.5\ng: true\n'


def test_json_keeps_its_layout(tmp_path):
    path = tmp_path / "metadata.json"
    path.write_text('{ "name": "a",\n  "version": "0.1.0", "extra": {"x": [1, 2]} }\n')
    loaded = load.load_metadata(path)
    data = copy.deepcopy(loaded.data)
    data["version"] = "0.2.0"
    assert dump(loaded, data) == path.read_text().replace("0.1.0", "0.2.0")
    data["extra"]["y"] = "z"
    assert json.loads(dump(loaded, data)) == data
    assert dump_json(data).endswith("}\n")
