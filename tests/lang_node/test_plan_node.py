from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from flowctl_core.errors import PlanError
from flowctl_core.models import ToolRequirement
from flowctl_core.store.source_digest import digest_source

from .conftest import Content, Tree, component

Files = dict[str, Content]
TSC = {"scripts": {"build": "tsc"}, "devDependencies": {"typescript": "5"}}


def tool(requirements: tuple[ToolRequirement, ...], name: str) -> ToolRequirement:
    return next(one for one in requirements if one.name == name)


# what, files, component name, --main, files that may be the program
ENTRIES: list[tuple[str, Files, str | None, list[str]]] = [
    ("bin as text", {"package.json": {"name": "@x/sink", "bin": "./cli.js"}, "cli.js": ""}, None, ["cli.js"]),
    (
        "the bin of the component's name",
        {"package.json": {"bin": {"a": "a.js", "sink": "b.js"}}, "b.js": ""},
        None,
        ["b.js"],
    ),
    ("the only bin", {"package.json": {"bin": {"other": "c.js"}}, "c.js": ""}, None, ["c.js"]),
    ("two names for one bin", {"package.json": {"bin": {"a": "c.js", "b": "c.js"}}, "c.js": ""}, None, ["c.js"]),
    ("the bin that --main names", {"package.json": {"bin": {"a": "a.js", "b": "b.js"}}, "a.js": ""}, "a", ["a.js"]),
    (
        "main before start",
        {"package.json": {"main": "m.js", "scripts": {"start": "node s.js"}}, "m.js": "", "s.js": ""},
        None,
        ["m.js"],
    ),
    ("main without a suffix", {"package.json": {"main": "./lib"}, "lib/index.js": ""}, None, ["lib/index.js"]),
    ("main of the folder itself", {"package.json": {"main": "."}, "index.js": ""}, None, ["index.js"]),
    ("exports as text", {"package.json": {"exports": "./e.mjs"}, "e.mjs": ""}, None, ["e.mjs"]),
    (
        "exports by condition",
        {"package.json": {"exports": {".": {"types": "./t.d.ts", "import": {"default": "./e.mjs"}}}}, "e.mjs": ""},
        None,
        ["e.mjs"],
    ),
    ("module", {"package.json": {"module": "m.mjs"}, "m.mjs": ""}, None, ["m.mjs"]),
    (
        "the start script",
        {
            "package.json": {
                "scripts": {"start": "NODE_ENV=production node --enable-source-maps ./run/app.js --port 1"}
            },
            "run/app.js": "",
        },
        None,
        ["run/app.js"],
    ),
    ("start without a suffix", {"package.json": {"scripts": {"start": "node run"}}, "run.js": ""}, None, ["run.js"]),
    ("a main that npm init made up", {"package.json": {"main": "index.js"}, "server.js": ""}, None, ["server.js"]),
    ("server.js by convention", {"package.json": {}, "server.js": ""}, None, ["server.js"]),
    ("no manifest at all", {"main.mjs": ""}, None, ["main.mjs"]),
    (
        "a file that --main names",
        {"package.json": {"bin": "a.js"}, "a.js": "", "tool/x.cjs": ""},
        "./tool/x.cjs",
        ["tool/x.cjs"],
    ),
    ("a folder that --main names", {"package.json": {}, "x/index.js": ""}, "x", ["x/index.js"]),
    (
        "a source that the build compiles",
        {
            "package.json": TSC,
            "tsconfig.json": '{"compilerOptions": {"outDir": "out"}, "include": ["src"]}',
            "src/a.ts": "",
        },
        "src/a.ts",
        ["out/a.js", "out/src/a.js"],
    ),
    (
        "a source by convention that the build compiles",
        {
            "package.json": TSC,
            "tsconfig.json": '{"compilerOptions": {"outDir": "dist", "rootDir": "."}}',
            "src/index.mts": "",
        },
        None,
        ["dist/src/index.mjs"],
    ),
    ("a bin that the build makes", {"package.json": {"bin": "dist/x.js", **TSC}}, None, ["dist/x.js"]),
]


@pytest.mark.parametrize(("files", "main", "expected"), [c[1:] for c in ENTRIES], ids=[c[0] for c in ENTRIES])
def test_the_program(tree: Callable[..., Tree], files: Files, main: str | None, expected: list[str]) -> None:
    plan = tree(files).plan(main=main)
    assert plan.details["files"] == expected
    assert [(one.name, one.kind) for one in plan.entry_points] == [("sink", "program")]


PROBLEMS: list[tuple[str, Files, str | None, str]] = [
    ("several bins", {"package.json": {"bin": {"a": "a.js", "b": "b.js"}}}, None, "2 programs: a, b"),
    ("nothing", {"package.json": {"name": "x"}}, None, "names no program"),
    (
        "a main that nothing makes",
        {"package.json": {"main": "gone.js"}},
        None,
        '"main": "gone.js", which is not a file',
    ),
    ("a main outside", {"package.json": {"main": "../x.js"}}, None, '"main": "../x.js", which is not a file'),
    ("a bin that is not there", {"package.json": {"bin": "x.js"}}, None, "x.js does not exist"),
    ("--main that names nothing", {"package.json": {"bin": "x.js"}, "x.js": ""}, "y.js", "y.js is neither"),
    ("broken JSON", {"package.json": '{\n "bin": "x.js",\n}'}, None, "package.json, line 3, column 1"),
    ("a list", {"package.json": "[1]"}, None, "no JSON object"),
    (
        "a member of a workspace that is not here",
        {"package.json": {"bin": "x.js", "dependencies": {"core": "workspace:*"}}, "x.js": ""},
        None,
        "needs core from a workspace",
    ),
    (
        "TypeScript on a Node.js that cannot",
        {"package.json": {"main": "x.ts", "engines": {"node": "^20"}}, "x.ts": ""},
        None,
        "cannot run TypeScript",
    ),
]


@pytest.mark.parametrize(("files", "main", "message"), [c[1:] for c in PROBLEMS], ids=[c[0] for c in PROBLEMS])
def test_no_program(tree: Callable[..., Tree], files: Files, main: str | None, message: str) -> None:
    with pytest.raises(PlanError, match=message) as caught:
        tree(files).plan(main=main)
    assert caught.value.hint or "JSON" in message


def test_component_yaml_names_the_program(tree: Callable[..., Tree]) -> None:
    spec = component({"languages": [{"name": "typescript", "main": "tool.js"}]})
    plan = tree({"package.json": {"bin": "a.js"}, "a.js": "", "tool.js": ""}, component=spec).plan()
    assert plan.details["files"] == ["tool.js"]


WORKSPACE: Files = {
    "package.json": {"private": True, "workspaces": ["packages/*", "!packages/old"]},
    "package-lock.json": "{}",
    "packages/sink/package.json": {"name": "@x/sink", "bin": "s.js", "dependencies": {"@x/core": "*"}},
    "packages/sink/s.js": "",
    "packages/core/package.json": {"name": "@x/core", "scripts": {"build": "tsc"}, "dependencies": {"@x/base": "*"}},
    "packages/base/package.json": {"name": "@x/base", "scripts": {"build": "tsc"}},
    "packages/base/tsconfig.json": '{"compilerOptions": {"outDir": "lib"}}',
    "packages/old/package.json": {"name": "old", "bin": "o.js"},
}


def test_the_only_member_with_a_program(tree: Callable[..., Tree]) -> None:
    plan = tree(WORKSPACE).plan("whatever")
    assert plan.root == "packages/sink"
    assert plan.details["files"] == ["packages/sink/s.js"]
    assert plan.fetched == ("node_modules",)
    assert "package-lock.json" in plan.inputs.fetch
    assert "packages/core/package.json" in plan.inputs.fetch


def test_members_that_it_needs_are_built_first(tree: Callable[..., Tree]) -> None:
    plan = tree(WORKSPACE).plan()
    assert plan.details["siblings"] == ["packages/base", "packages/core"]
    assert "packages/base/lib" in plan.generated


@pytest.mark.parametrize("main", ["beta", "@x/beta", "packages/b", "packages/b/b.js"])
def test_one_of_several_members(tree: Callable[..., Tree], main: str) -> None:
    files: Files = {
        "package.json": {"workspaces": {"packages": ["packages/**"]}},
        "packages/a/package.json": {"name": "@x/alpha", "bin": "a.js"},
        "packages/b/package.json": {"name": "@x/beta", "bin": "b.js"},
        "packages/b/b.js": "",
    }
    made = tree(files)
    with pytest.raises(PlanError, match="2 packages with a program"):
        made.plan()
    assert made.plan(main=main).details["files"] == ["packages/b/b.js"]
    assert made.plan("beta").root == "packages/b"


MANAGERS: list[tuple[str, Files, dict[str, Any]]] = [
    ("none", {}, {"name": "npm", "lockfile": None}),
    ("npm", {"package-lock.json": "{}"}, {"name": "npm", "lockfile": "package-lock.json"}),
    ("shrinkwrap", {"npm-shrinkwrap.json": "{}"}, {"name": "npm", "lockfile": "npm-shrinkwrap.json"}),
    ("pnpm", {"pnpm-lock.yaml": ""}, {"name": "pnpm", "lockfile": "pnpm-lock.yaml"}),
    ("yarn 1", {"yarn.lock": "# yarn lockfile v1\n"}, {"name": "yarn", "berry": False, "plug_and_play": False}),
    ("yarn 4", {"yarn.lock": "__metadata:\n  version: 8\n"}, {"name": "yarn", "berry": True, "plug_and_play": True}),
    (
        "yarn 4 with node_modules and its own yarn",
        {
            "yarn.lock": "",
            ".yarnrc.yml": "nodeLinker: node-modules\nyarnPath: .yarn/releases/y.cjs\n",
            ".yarn/releases/y.cjs": "",
        },
        {"berry": True, "plug_and_play": False, "yarn_path": ".yarn/releases/y.cjs"},
    ),
    ("bun", {"bun.lock": ""}, {"name": "bun", "lockfile": "bun.lock"}),
]


@pytest.mark.parametrize(("files", "expected"), [c[1:] for c in MANAGERS], ids=[c[0] for c in MANAGERS])
def test_the_lockfile_names_the_package_manager(
    tree: Callable[..., Tree], files: Files, expected: dict[str, Any]
) -> None:
    manifest = {"bin": "a.js", "dependencies": {"ms": "2"}}
    plan = tree({"package.json": manifest, "a.js": "", **files}).plan()
    manager = plan.details["manager"]
    assert isinstance(manager, dict)
    assert {key: manager[key] for key in expected} == expected
    assert plan.fetched == ((".pnp.cjs",) if manager["plug_and_play"] else ("node_modules",))


def test_the_package_manager_field_beats_the_lockfiles(tree: Callable[..., Tree]) -> None:
    manifest = {"bin": "a.js", "packageManager": "pnpm@10.24.0+sha512.abc", "dependencies": {"ms": "2"}}
    plan = tree({"package.json": manifest, "a.js": "", "package-lock.json": "{}", "pnpm-lock.yaml": ""}).plan()
    assert tool(plan.toolchain, "pnpm").version == ">=10,<11"
    assert tool(plan.toolchain, "pnpm").install_hint == "npm install -g pnpm@10"
    assert not plan.warnings


def test_two_lockfiles_are_told(tree: Callable[..., Tree]) -> None:
    plan = tree({"package.json": {"bin": "a.js"}, "a.js": "", "package-lock.json": "{}", "yarn.lock": ""}).plan()
    assert "package-lock.json" in plan.warnings[0] and "yarn is used" in plan.warnings[0]


def test_no_lockfile_is_told(tree: Callable[..., Tree]) -> None:
    plan = tree({"package.json": {"bin": "a.js", "dependencies": {"ms": "2"}}, "a.js": ""}).plan()
    assert any("no lockfile" in one for one in plan.warnings)


def test_without_dependencies_nothing_is_fetched(tree: Callable[..., Tree]) -> None:
    plan = tree({"package.json": {"bin": "a.js"}, "a.js": "", "package-lock.json": "{}"}).plan()
    assert plan.fetched == () and plan.inputs.fetch == ()


NODE: list[tuple[str, Files, str, str | None]] = [
    ("engines", {"package.json": {"engines": {"node": ">=18 <21"}}}, ">=18,<21", "package.json engines.node"),
    (
        "engines before .nvmrc",
        {"package.json": {"engines": {"node": "22"}}, ".nvmrc": "18"},
        ">=22,<23",
        "package.json engines.node",
    ),
    (
        "devEngines",
        {"package.json": {"devEngines": {"runtime": {"name": "node", "version": "^22.1"}}}},
        ">=22.1,<23",
        "package.json devEngines.runtime",
    ),
    (".nvmrc", {"package.json": {}, ".nvmrc": "v20.11.1\n"}, ">=20.11.1", ".nvmrc"),
    (".node-version", {"package.json": {}, ".node-version": "20"}, ">=20", ".node-version"),
    ("an alias says nothing", {"package.json": {}, ".nvmrc": "lts/*"}, "", None),
    ("volta", {"package.json": {"volta": {"node": "20.1.0"}}}, ">=20.1", "package.json volta.node"),
    ("nothing", {"package.json": {}}, "", None),
    ("TypeScript as it is", {"package.json": {"main": "index.ts"}, "index.ts": ""}, ">=22.18", None),
]


@pytest.mark.parametrize(("files", "version", "where"), [c[1:] for c in NODE], ids=[c[0] for c in NODE])
def test_the_version_of_node(tree: Callable[..., Tree], files: Files, version: str, where: str | None) -> None:
    plan = tree({**({} if "index.ts" in files else {"index.js": ""}), **files}).plan()
    node = tool(plan.toolchain, "node")
    assert (node.version, node.declared_in) == (version, where)
    assert node.bundled_in and not node.optional


GENERATED: list[tuple[str, Files, tuple[str, ...]]] = [
    (
        "outDir",
        {"package.json": {"bin": "out/a.js", **TSC}, "tsconfig.json": '{"compilerOptions":{"outDir":"./out"}}'},
        ("out",),
    ),
    (
        "outDir with comments, from a base",
        {
            "package.json": {"bin": "made/a.js", **TSC},
            "tsconfig.json": '{ // base\n "extends": "./config/base.json", /* x */ }',
            "config/base.json": '{"compilerOptions": {"outDir": "../made", "paths": {"@/*": ["../src/*"]},}}',
        },
        ("made",),
    ),
    (
        "incremental state",
        {
            "package.json": {"bin": "dist/a.js", **TSC},
            "tsconfig.json": '{"compilerOptions":{"outDir":"dist","rootDir":"src","incremental":true}}',
        },
        ("dist", "tsconfig.tsbuildinfo"),
    ),
    (
        "an option of the script",
        {"package.json": {"bin": "x/a.js", "scripts": {"build": "esbuild a.ts --outdir=x"}}},
        ("x",),
    ),
    ("--outfile", {"package.json": {"scripts": {"build": "bun build --compile a.ts --outfile bin/sink"}}}, ("bin",)),
    ("dist by name", {"package.json": {"main": "dist/a.js", "scripts": {"build": "tsup"}}}, ("dist",)),
    (
        "lib that is the source",
        {"package.json": {"main": "lib/a.js", "scripts": {"build": "eslint ."}}, "lib/a.js": ""},
        (),
    ),
    (
        "lib that git ignores",
        {"package.json": {"main": "lib/a.js", "scripts": {"build": "babel src -d lib"}}, ".gitignore": "/lib\n"},
        ("lib",),
    ),
    (
        "a file that git ignores",
        {"package.json": {"main": "index.js", "scripts": {"build": "make"}}, ".gitignore": "index.js"},
        ("index.js",),
    ),
    ("without a build", {"package.json": {"main": "dist/a.js"}, "dist/a.js": ""}, ()),
    (
        "type checks only",
        {
            "package.json": {"main": "a.js", **TSC},
            "a.js": "",
            "tsconfig.json": '{"compilerOptions":{"noEmit":true,"outDir":"o"}}',
        },
        (),
    ),
    (
        "an outDir outside",
        {"package.json": {"main": "a.js", **TSC}, "a.js": "", "tsconfig.json": '{"compilerOptions":{"outDir":"../o"}}'},
        (),
    ),
    (
        "an outDir that is the source",
        {
            "package.json": {"main": "src/a.js", **TSC},
            "src/a.js": "",
            "tsconfig.json": '{"compilerOptions":{"outDir":"src"}}',
        },
        (),
    ),
]


@pytest.mark.parametrize(("files", "expected"), [c[1:] for c in GENERATED], ids=[c[0] for c in GENERATED])
def test_what_the_build_generates(tree: Callable[..., Tree], files: Files, expected: tuple[str, ...]) -> None:
    plan = tree(files).plan()
    assert plan.generated == expected
    assert all(f"/{path}" in plan.inputs.exclude for path in expected)


def test_a_source_folder_that_is_named_like_a_report_is_an_input(tree: Callable[..., Tree]) -> None:
    report, code = "packages/sink/coverage/lcov.info", "packages/sink/src/coverage/a.js"
    made = tree(
        {
            "package.json": {"workspaces": ["packages/*"]},
            "packages/sink/package.json": {"bin": "src/coverage/a.js"},
            **dict.fromkeys((report, code, "coverage/index.html"), "1"),
        }
    )
    listed = digest_source(made.root, made.plan().inputs).manifest()
    assert code in listed
    assert not {report, "coverage/index.html"} & set(listed)


def test_the_plan_is_the_same_after_a_build(tree: Callable[..., Tree]) -> None:
    files: Files = {
        "package.json": {"bin": "dist/a.js", **TSC},
        "tsconfig.json": '{"compilerOptions":{"outDir":"dist"}}',
    }
    made = tree(files)
    before = made.plan()
    (made.root / "dist").mkdir()
    (made.root / "dist/a.js").write_text("")
    (made.root / "node_modules/typescript").mkdir(parents=True)
    assert made.plan() == before


def test_the_compiler_runs_where_no_script_calls_it(tree: Callable[..., Tree]) -> None:
    manifest = {"main": "dist/index.js", "devDependencies": {"typescript": "5"}}
    config = '{"compilerOptions":{"outDir":"dist","rootDir":"src"}}'
    plan = tree({"package.json": manifest, "tsconfig.json": config, "src/index.ts": ""}).plan()
    assert plan.details["build"] == "tsc"
    assert plan.generated == ("dist",)


@pytest.mark.parametrize(
    ("manifest", "extra", "expected"),
    [
        ({"trustedDependencies": ["b", "@s/a@1.2.3"]}, {}, ["@s/a", "b"]),
        ({"pnpm": {"onlyBuiltDependencies": ["a"]}}, {}, ["a"]),
        ({"allowScripts": {"a": True, "b": False}}, {}, ["a"]),
        ({"dependenciesMeta": {"a": {"built": True}, "b": {"built": False}}}, {}, ["a"]),
        ({}, {"pnpm-workspace.yaml": "packages: []\nonlyBuiltDependencies:\n  - a\n"}, ["a"]),
        ({"trustedDependencies": ["--flag", "../x", 3]}, {}, []),
    ],
)
def test_install_scripts_that_the_source_allows(
    tree: Callable[..., Tree], manifest: dict[str, Any], extra: Files, expected: list[str]
) -> None:
    package = {"bin": "a.js", "dependencies": {"a": "1"}, **manifest}
    plan = tree({"package.json": package, "a.js": "", **extra}).plan()
    assert plan.details["allowed_scripts"] == expected
    assert plan.fetch_runs_code is bool(expected)


@pytest.mark.parametrize(
    ("script", "runs"),
    [
        ("patch-package", True),
        ("husky install", False),
        ("npx lefthook install", False),
        ("npx only-allow pnpm", False),
    ],
)
def test_a_postinstall_that_the_build_needs(tree: Callable[..., Tree], script: str, runs: bool) -> None:
    plan = tree({"package.json": {"bin": "a.js", "scripts": {"postinstall": script}}, "a.js": ""}).plan()
    assert plan.details["postinstall"] is runs
