"""Imports and cgo's lines, read from a file's text."""

from __future__ import annotations

import pytest

from flowctl_core.models import Platform
from flowctl_lang_go.constraints import Target
from flowctl_lang_go.imports import read_cgo_lines, read_imports


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        ("", ()),
        ('\nimport "fmt"\n', ("fmt",)),
        ('; import "fmt"; import `os`\n', ("fmt", "os")),
        (
            '\nimport (\n\t"fmt"\n\n\t// why\n\t_ "embed"\n\tx "a.b/c" // here\n\t. "math"\n)\n',
            ("fmt", "embed", "a.b/c", "math"),
        ),
        ('\nimport ("fmt"; "os")\nvar x = `import "no"`\n', ("fmt", "os")),
        ('\nimport "fmt"\nimport(\n"os"\n)\nfunc f() { import "no" }\n', ("fmt", "os")),
        ('\nvar importer = 1\nimport "no"\n', ()),
        ("\nimporter := 1\n", ()),
        # A preamble in C looks like Go to a hasty reader.
        ('\n/*\nconst char *name;\nvar x;\ntype y;\n*/\nimport "C"\nimport "fmt"\n', ("C", "fmt")),
        ('\nimport "unfinished', ()),
        ('\nimport (\n"a"\n', ("a",)),
    ],
)
def test_imports(text: str, paths: tuple[str, ...]) -> None:
    text = "package main" + text
    assert read_imports(text, len("package main")).paths == paths


PREAMBLE = """
/*
#cgo CFLAGS: -DX=1
#cgo LDFLAGS: -lm
#cgo darwin LDFLAGS: -framework CoreFoundation -framework Security
#cgo darwin,arm64 LDFLAGS: -framework Metal
#cgo !darwin pkg-config: libzmq
#cgo linux windows pkg-config: --static zlib
#cgo noescape f
*/
// #cgo freebsd LDFLAGS: -framework Never
import "C"
"""


@pytest.mark.parametrize(
    ("platform", "frameworks", "pkg_config"),
    [
        ("linux/amd64", (), ("libzmq", "zlib")),
        ("darwin/amd64", ("CoreFoundation", "Security"), ()),
        ("darwin/arm64", ("CoreFoundation", "Security", "Metal"), ()),
        ("freebsd/amd64", ("Never",), ("libzmq",)),
    ],
)
def test_cgo_lines(platform: str, frameworks: tuple[str, ...], pkg_config: tuple[str, ...]) -> None:
    comments = read_imports(PREAMBLE, 0).comments
    needs = read_cgo_lines(comments, Target.of(Platform(platform)).has)
    assert (needs.frameworks, needs.pkg_config) == (frameworks, pkg_config)
