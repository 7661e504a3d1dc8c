"""Which folders hold programs."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from flowctl_core.models import SourceTree
from flowctl_lang_go.constraints import Target
from flowctl_lang_go.manifest import read_module
from flowctl_lang_go.targets import Tree

MAIN = "package main\n\nfunc main() {}\n"
LIBRARY = "package lib\n"
LINUX = Target("linux", "amd64")


@pytest.mark.parametrize(
    ("files", "folders"),
    [
        ({"main.go": MAIN}, ["."]),
        ({"cmd/a/main.go": MAIN, "cmd/b/b.go": MAIN, "lib/x.go": LIBRARY}, ["cmd/a", "cmd/b"]),
        ({"main.go": "// licence\n\n/* package lib */\n" + MAIN}, ["."]),
        ({"main.go": "\ufeff" + MAIN}, ["."]),
        ({"main.go": MAIN.replace("\n", "\r\n")}, ["."]),
        ({"main_test.go": MAIN}, []),
        ({"testdata/main.go": MAIN, "vendor/x/main.go": MAIN, ".hidden/main.go": MAIN, "_old/main.go": MAIN}, []),
        ({"sub/go.mod": "module sub\n", "sub/main.go": MAIN, "main.go": MAIN}, ["."]),
        ({"gen.go": "//go:build ignore\n\n" + MAIN, "lib.go": LIBRARY}, []),
        ({"gen.go": "//go:build ignore\n\n" + MAIN}, []),
        ({"main_windows.go": MAIN}, []),
        ({"main_windows.go": MAIN, "main_linux.go": MAIN}, ["."]),
        ({"a.go": "package main\n", "b.go": "package main\n\nfunc main() {}\n"}, ["."]),
        ({"a.go": "package main\n\nfunc helper() {}\n"}, []),
        ({"doc.go": "// Package main_thing does.\npackage main_thing\n\nfunc main() {}\n"}, []),
        ({"tmpl.go": "package gen\n\nconst t = `package main\n\nfunc main() {}\n`\n"}, []),
        ({"main.go": "package main\n\nfunc (t T) main() {}\nfunc mainly() {}\n"}, []),
        ({"node_modules/x/main.go": MAIN, "skipped/main.go": MAIN}, []),
        ({"broken.go": "pack age main", "empty/empty.go": ""}, []),
    ],
)
def test_programs(tree: Callable[..., SourceTree], files: dict[str, str], folders: list[str]) -> None:
    source = tree({"go.mod": "module m\nignore ./skipped\n", **files})
    found = Tree(source).programs(read_module(source, "."), LINUX)
    assert [program.folder for program in found] == folders


def test_tags_bring_programs_in(tree: Callable[..., SourceTree]) -> None:
    source = tree({"go.mod": "module m\n", "cmd/x/main.go": "//go:build extra\n\n" + MAIN})
    module = read_module(source, ".")
    assert Tree(source).programs(module, LINUX) == []
    tagged = Target("linux", "amd64", frozenset({"extra"}))
    assert [p.folder for p in Tree(source).programs(module, tagged)] == ["cmd/x"]


@pytest.mark.parametrize(
    ("text", "cgo", "embeds"),
    [
        (MAIN, False, False),
        ('package main\n\n// #include <math.h>\nimport "C"\n', True, False),
        ('package main\n\nimport (\n\t"fmt"\n\t"C"\n)\n', True, False),
        ('package main\n\nconst x = `\nimport "C"\n`\n', False, False),
        ('package main\n\nimport "CC"\n', False, False),
        ('//go:build windows\n\npackage main\n\nimport "C"\n', False, False),
        ('package main\n\nimport _ "embed"\n\n//go:embed data\nvar d string\n', False, True),
        ("package main\n\n// about //go:embed data\nvar d string\n", False, False),
    ],
)
def test_traits(tree: Callable[..., SourceTree], text: str, cgo: bool, embeds: bool) -> None:
    source = tree({"go.mod": "module m\n", "x.go": text, "y_test.go": 'package main\n\nimport "C"\n\n//go:embed x\n'})
    traits = Tree(source).traits([read_module(source, ".")], LINUX)
    assert (traits.cgo, traits.embeds) == (cgo, embeds)


def test_a_symlink_out_of_the_tree_is_not_read(tree: Callable[..., SourceTree]) -> None:
    source = tree({"go.mod": "module m\n", "lib.go": LIBRARY})
    outside = source.root.parent / "outside.go"
    outside.write_text(MAIN)
    (source.root / "cmd").mkdir()
    (source.root / "cmd" / "main.go").symlink_to(outside)
    assert Tree(source).programs(read_module(source, "."), LINUX) == []
