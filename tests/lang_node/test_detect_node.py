from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from flowctl_core.models import Detection
from flowctl_lang_node.detect import ALIASES, detect

from .conftest import Content, Tree, component

PROGRAM = {"name": "sink", "bin": "cli.js"}
GO = "module example.com/sink\n\ngo 1.22\n"
Files = dict[str, Content]

# files, root, lowest and highest confidence, paths that must be evidence
DECLARED: list[tuple[str, Files, str, tuple[float, float], set[str]]] = [
    ("a bin", {"package.json": PROGRAM, "cli.js": ""}, ".", (0.9, 0.9), {"package.json"}),
    (
        "TypeScript with npm",
        {
            "package.json": {"main": "dist/index.js", "scripts": {"build": "tsc"}},
            "tsconfig.json": "{}",
            "package-lock.json": "{}",
        },
        ".",
        (0.9, 0.9),
        {"package.json", "tsconfig.json", "package-lock.json"},
    ),
    ("pnpm", {"package.json": PROGRAM, "pnpm-lock.yaml": ""}, ".", (0.9, 0.9), {"pnpm-lock.yaml"}),
    ("yarn", {"package.json": PROGRAM, "yarn.lock": ""}, ".", (0.9, 0.9), {"yarn.lock"}),
    ("bun", {"package.json": PROGRAM, "bun.lock": ""}, ".", (0.9, 0.9), {"bun.lock"}),
    ("binary bun lock", {"package.json": PROGRAM, "bun.lockb": b"\x00"}, ".", (0.9, 0.9), {"bun.lockb"}),
    ("a start script", {"package.json": {"scripts": {"start": "node app.mjs"}}}, ".", (0.9, 0.9), {"package.json"}),
    ("server.js by convention", {"package.json": {}, "server.js": ""}, ".", (0.9, 0.9), {"package.json"}),
    (
        "a workspace",
        {
            "package.json": {"workspaces": ["packages/*"]},
            "packages/a/package.json": PROGRAM,
            "packages/b/package.json": {"name": "b"},
        },
        ".",
        (0.9, 0.9),
        {"package.json"},
    ),
    (
        "a pnpm workspace",
        {"package.json": {}, "pnpm-workspace.yaml": "packages:\n  - 'apps/*'\n", "apps/a/package.json": PROGRAM},
        ".",
        (0.9, 0.9),
        {"package.json"},
    ),
    ("in a subfolder", {"src/package.json": PROGRAM, "README.md": ""}, "src", (0.7, 0.85), {"src/package.json"}),
    (
        "the nearest of two",
        {"app/package.json": PROGRAM, "app/lib/deep/package.json": PROGRAM},
        "app",
        (0.7, 0.85),
        {"app/package.json"},
    ),
    ("a library with dependencies", {"package.json": {"dependencies": {"ms": "2"}}}, ".", (0.5, 0.5), {"package.json"}),
    ("a broken manifest", {"package.json": "{"}, ".", (0.5, 0.5), {"package.json"}),
    ("a manifest that is a list", {"package.json": "[]"}, ".", (0.5, 0.5), {"package.json"}),
    (
        "wrong types everywhere",
        {"package.json": {"bin": 3, "scripts": [], "main": {}}},
        ".",
        (0.5, 0.5),
        {"package.json"},
    ),
    ("a byte order mark", {"package.json": '\ufeff{"bin": "a.js"}'}, ".", (0.9, 0.9), {"package.json"}),
]

SERVING: list[tuple[str, Files]] = [
    ("docs beside go.mod", {"go.mod": GO, "package.json": {"devDependencies": {"vitepress": "1"}}}),
    (
        "docs with a start script beside go.mod",
        {"go.mod": GO, "package.json": {"scripts": {"start": "docusaurus start", "build": "docusaurus build"}}},
    ),
    ("husky beside Cargo.toml", {"Cargo.toml": "[package]\n", "package.json": {"devDependencies": {"husky": "9"}}}),
    ("npm init beside pyproject", {"pyproject.toml": "", "package.json": {"main": "index.js"}}),
    ("any dependency beside go.mod", {"go.mod": GO, "package.json": {"dependencies": {"lodash": "4"}}}),
    ("a stray index.js beside go.mod", {"go.mod": GO, "package.json": {"private": True}, "index.js": ""}),
    ("linters alone", {"package.json": {"devDependencies": {"eslint": "9", "@commitlint/cli": "19"}}}),
    ("a web frontend below go.mod", {"go.mod": GO, "web/package.json": PROGRAM}),
    ("documentation in its folder", {"docs/package.json": PROGRAM}),
    ("tests in their folder", {"tests/package.json": PROGRAM}),
]


@pytest.mark.parametrize(
    ("files", "root", "confidence", "evidence"), [c[1:] for c in DECLARED], ids=[c[0] for c in DECLARED]
)
def test_a_manifest_is_recognised(
    tree: Callable[..., Tree], files: Files, root: str, confidence: tuple[float, float], evidence: set[str]
) -> None:
    found = detect(tree(files).source)
    assert isinstance(found, Detection)
    assert (found.language, found.aliases, found.basis, found.root) == ("node", ALIASES, "manifest", root)
    assert confidence[0] <= found.confidence <= confidence[1]
    assert evidence <= {one.path for one in found.evidence}
    assert all(one.reason for one in found.evidence)


@pytest.mark.parametrize("files", [case[1] for case in SERVING], ids=[case[0] for case in SERVING])
def test_a_manifest_that_serves_something_else_has_little_confidence(tree: Callable[..., Tree], files: Files) -> None:
    found = detect(tree(files).source)
    assert found is not None
    assert found.confidence <= 0.3


def test_a_program_beside_another_language_is_a_claim(tree: Callable[..., Tree]) -> None:
    found = detect(tree({"Cargo.toml": "[package]\n", "package.json": PROGRAM, "cli.js": ""}).source)
    assert found is not None and found.confidence == 0.9


@pytest.mark.parametrize(
    ("files", "low", "high"),
    [
        ({"index.js": ""}, 0.6, 0.6),
        ({"src/main.ts": ""}, 0.6, 0.6),
        ({"convert.mjs": ""}, 0.4, 0.4),
        ({"index.js": "", "go.mod": GO}, 0.0, 0.2),
        ({"index.js": "", "requirements.txt": ""}, 0.0, 0.2),
    ],
)
def test_scripts_without_a_manifest(tree: Callable[..., Tree], files: Files, low: float, high: float) -> None:
    found = detect(tree(files).source)
    assert found is not None
    assert found.basis == "files"
    assert low <= found.confidence <= high


@pytest.mark.parametrize(
    "files",
    [
        {"README.md": "# x"},
        {"types.d.ts": ""},
        {"eslint.config.js": ""},
        {"node_modules/x/package.json": PROGRAM},
        {"docs/snippet.js": ""},
    ],
)
def test_nothing_is_recognised(tree: Callable[..., Tree], files: Files) -> None:
    assert detect(tree(files).source) is None


@pytest.mark.parametrize(
    "spec",
    [
        {"languages": [{"name": "typescript"}]},
        {"languages": {"node": {"version": "20"}}},
        {"languages": [{"name": "javascript", "main": "x.js"}]},
        {"build": {"language": "nodejs"}},
        {"build": {"native": {"runtime": "node"}}},
        {"languages": [{"name": "wasm", "build": {"native": {"runtime": "node"}}}]},
        {"build": {"runtime": "node"}},
    ],
)
def test_component_yaml_names_it(tree: Callable[..., Tree], spec: dict[str, Any]) -> None:
    found = detect(tree({"component.yaml": "x", "run.js": "", "go.mod": GO}, component=component(spec)).source)
    assert found is not None
    assert found.confidence >= 0.95
    assert found.evidence[0].path == "component.yaml"


def test_component_yaml_of_another_language_is_no_evidence(tree: Callable[..., Tree]) -> None:
    source = tree({"index.js": ""}, component=component({"languages": ["go"]})).source
    found = detect(source)
    assert found is not None and found.evidence[0].path == "index.js"


@pytest.mark.parametrize("name", ["node", "typescript", "js"])
def test_asked_for_by_name_raises_a_low_claim(tree: Callable[..., Tree], name: str) -> None:
    found = detect(tree({"go.mod": GO, "package.json": {"devDependencies": {"husky": "9"}}}, language=name).source)
    assert found is not None and found.confidence >= 0.5


def test_a_manifest_that_leads_outside_is_not_read(tree: Callable[..., Tree], tmp_path: Any) -> None:
    (tmp_path / "outside.json").write_text('{"bin": "cli.js"}')
    made = tree({"README.md": ""})
    (made.root / "package.json").symlink_to(tmp_path / "outside.json")
    assert detect(made.source) is None


def test_a_deeply_nested_manifest_does_not_crash(tree: Callable[..., Tree]) -> None:
    found = detect(tree({"package.json": "[" * 100_000}).source)
    assert found is not None and "cannot be read" in found.evidence[0].reason
