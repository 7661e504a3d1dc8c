"""What the Go builder says about source trees of all sorts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from flowctl_core.models import ComponentSpec, Detection, SourceTree
from flowctl_lang_go.plugin import plugin

MAIN = "package main\n\nfunc main() {}\n"
LIBRARY = "package lib\n"
MOD = "module example.com/sample\n\ngo 1.23\n"
Detect = Callable[..., Detection | None]


@pytest.mark.parametrize(
    ("files", "basis", "confidence", "root"),
    [
        pytest.param({"go.mod": MOD, "main.go": MAIN}, "manifest", 0.9, ".", id="root module"),
        pytest.param({"src/go.mod": MOD, "src/main.go": MAIN}, "manifest", 0.8, "src", id="module in a subfolder"),
        pytest.param({"a/b/go.mod": MOD, "a/b/main.go": MAIN}, "manifest", 0.7, "a/b", id="module two folders down"),
        pytest.param(
            {"go.mod": MOD, "cmd/a/main.go": MAIN, "cmd/b/main.go": MAIN}, "manifest", 0.9, ".", id="several mains"
        ),
        pytest.param(
            {"go.mod": MOD, "main.go": MAIN, "vendor/modules.txt": "# x v1\n", "vendor/x/x.go": LIBRARY},
            *("manifest", 0.9, "."),
            id="vendored",
        ),
        pytest.param(
            {"go.work": "go 1.23\nuse ./a\n", "a/go.mod": MOD, "a/main.go": MAIN, "b/go.mod": MOD},
            *("manifest", 0.9, "."),
            id="workspace",
        ),
        pytest.param({"go.mod": MOD, "lib.go": LIBRARY}, "manifest", 0.5, ".", id="library"),
        pytest.param(
            {"go.mod": MOD, "lib.go": LIBRARY, "examples/x/main.go": MAIN}, "manifest", 0.6, ".", id="example programs"
        ),
        pytest.param(
            {"examples/go.mod": MOD, "examples/main.go": MAIN},
            "manifest",
            0.2,
            "examples",
            id="module in examples only",
        ),
        pytest.param({"tools/go.mod": MOD, "tools/tools.go": LIBRARY}, "manifest", 0.2, "tools", id="tools only"),
        pytest.param({"main.go": MAIN, "util.go": "package main\n"}, "files", 0.6, ".", id="loose program"),
        pytest.param({"lib.go": LIBRARY}, "files", 0.4, ".", id="loose library"),
        pytest.param(
            {"app/go.mod": MOD, "app/main.go": MAIN, "lib/go.mod": "module lib\n", "lib/lib.go": LIBRARY},
            *("manifest", 0.8, "app"),
            id="one program among modules",
        ),
        pytest.param(
            {"a/go.mod": MOD, "a/main.go": MAIN, "b/go.mod": MOD, "b/main.go": MAIN},
            *("manifest", 0.5, "."),
            id="a collection of modules",
        ),
        pytest.param(
            {"go.mod": MOD, "main.go": MAIN, "package.json": '{"devDependencies": {"vitepress": "1"}}'},
            *("manifest", 0.9, "."),
            id="package.json for documentation beside it",
        ),
    ],
)
def test_detects(detect: Detect, files: dict[str, str], basis: str, confidence: float, root: str) -> None:
    found = detect(files)
    assert found is not None
    assert (found.language, found.basis, found.confidence, found.root) == ("go", basis, confidence, root)
    assert found.evidence
    assert all(evidence.path in files and evidence.reason for evidence in found.evidence)


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"README.md": "go go go\n", "go.sum": "", "main.rs": "fn main() {}\n"},
        {"vendor/x/go.mod": MOD, "vendor/x/main.go": MAIN},
        {"testdata/go.mod": MOD, "node_modules/x/main.go": MAIN},
        {"main_test.go": "package main\n"},
        {"examples/snippet.go": MAIN, "package.json": "{}"},
    ],
)
def test_is_silent(detect: Detect, files: dict[str, str]) -> None:
    assert detect(files) is None


@pytest.mark.parametrize("language", ["go", "golang"])
def test_language_asked_for(detect: Detect, language: str) -> None:
    found = detect({"README.md": ""}, language=language)
    assert found is not None and found.basis == "files"
    raised = detect({"tools/go.mod": MOD, "tools/main.go": MAIN}, language=language)
    assert raised is not None and raised.confidence >= 0.5
    assert "golang" in found.aliases


@pytest.mark.parametrize("languages", [[{"name": "go"}], [{"name": "Golang"}], {"go": {"version": "1.23"}}])
def test_component_names_the_language(tree: Callable[..., SourceTree], languages: object) -> None:
    data = {"metadata": {"name": "sample"}, "spec": {"languages": languages}}
    component = ComponentSpec.from_data(data)  # type: ignore[arg-type]
    source = tree({"component.yaml": "", "main.go": MAIN}, component=component)
    found = plugin.flowctl_detect(source)
    assert found is not None
    assert found.confidence >= 0.95
    assert [evidence.path for evidence in found.evidence] == ["component.yaml", "main.go"]


def test_a_broken_symlink_and_a_loop_do_no_harm(tree: Callable[..., SourceTree]) -> None:
    source = tree({"go.mod": MOD, "main.go": MAIN})
    (source.root / "loop").symlink_to(source.root)
    (source.root / "gone.go").symlink_to("nowhere.go")
    (source.root / "self.go").symlink_to("self.go")
    found = plugin.flowctl_detect(source)
    assert found is not None and found.confidence == 0.9


def test_a_manifest_that_leads_outside_is_not_read(tree: Callable[..., SourceTree], tmp_path: Path) -> None:
    (tmp_path / "elsewhere.mod").write_text(MOD)
    source = tree({"README.md": ""})
    (source.root / "go.mod").symlink_to(tmp_path / "elsewhere.mod")
    assert plugin.flowctl_detect(source) is None


def test_a_huge_vendor_folder_does_not_hide_the_rest(tree: Callable[..., SourceTree]) -> None:
    source = tree({"go.mod": MOD, "web/main.go": MAIN})
    many = source.root / "vendor" / "x"
    many.mkdir(parents=True)
    for number in range(3000):
        (many / f"{number}.go").touch()
    found = plugin.flowctl_detect(source)
    assert found is not None and found.confidence == 0.9
