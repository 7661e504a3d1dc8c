"""go.mod and go.work, read without Go."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from flowctl_core.models import SourceTree
from flowctl_lang_go.manifest import Replacement, read_module, read_workspace, statements, version_key

GO_MOD = """\
// a comment
module example.com/org/sink/v2 // trailing

go 1.24.1

toolchain go1.26.8

require (
	example.com/a v1.0.0
	example.com/b v1.2.3 // indirect
)

require example.com/c v0.0.0-20240101000000-abcdefabcdef

replace example.com/a => ../a

replace (
	example.com/b v1.2.3 => ./third/b // local
	example.com/c => example.com/fork v1.0.0
	example.com/d => "./with space"
)

exclude example.com/e v1.0.0
ignore ./node_modules
"""


def test_module_is_read(tree: Callable[..., SourceTree]) -> None:
    module = read_module(tree({"app/go.mod": GO_MOD}), "app")
    assert module is not None
    assert (module.path, module.go, module.toolchain) == ("example.com/org/sink/v2", "1.24.1", "1.26.8")
    assert module.name == "sink"
    assert module.file == "app/go.mod"
    assert module.replacements == (
        Replacement("example.com/a", "../a"),
        Replacement("example.com/b", "./third/b"),
        Replacement("example.com/d", "./with space"),
    )
    assert module.ignored == ("app/node_modules",)


@pytest.mark.parametrize(
    ("text", "path", "go", "toolchain"),
    [
        ("module m", "m", "", ""),
        ("\ufeffmodule m\r\ngo 1.21\r\n", "m", "1.21", ""),
        ('module "example.com/quoted"\ngo 1.21rc2\n', "example.com/quoted", "1.21rc2", ""),
        ("module `raw`\ntoolchain default\n", "raw", "", ""),
        ("module m\ntoolchain go1.22.3-custom\n", "m", "", "1.22.3"),
        ("module (\n\texample.com/block\n)\n", "example.com/block", "", ""),
        ("", "", "", ""),
        ("\x00\x01 nonsense ((( \n=> =>\n", "", "", ""),
        ("module\ngo\nreplace =>\nreplace a =>\n", "", "", ""),
    ],
)
def test_odd_modules(tree: Callable[..., SourceTree], text: str, path: str, go: str, toolchain: str) -> None:
    module = read_module(tree({"go.mod": text}), ".")
    assert module is not None
    assert (module.path, module.go, module.toolchain) == (path, go, toolchain)


def test_no_module(tree: Callable[..., SourceTree]) -> None:
    assert read_module(tree({"README.md": ""}), ".") is None


def test_workspace_is_read(tree: Callable[..., SourceTree]) -> None:
    text = "go 1.23\n\nuse (\n\t./a\n\t./b // here\n)\nuse ../outside\nuse ./a\nreplace x => ./c\n"
    workspace = read_workspace(tree({"go.work": text}), ".")
    assert workspace is not None
    assert workspace.uses == ("./a", "./b", "../outside")
    assert workspace.go == "1.23"
    assert workspace.replacements == (Replacement("x", "./c"),)


def test_a_comment_does_not_cut_an_address() -> None:
    assert list(statements("retract v1.0.0 // see https://example.com\nmodule a.b//c\n")) == [
        ("retract", ["v1.0.0"]),
        ("module", ["a.b//c"]),
    ]


@pytest.mark.parametrize(
    ("older", "newer"), [("1.9", "1.10"), ("1.21", "1.21.1"), ("", "1.1"), ("1.23rc1", "1.24"), ("1.26.8", "1.27")]
)
def test_versions_compare_by_number(older: str, newer: str) -> None:
    assert version_key(older) < version_key(newer)
