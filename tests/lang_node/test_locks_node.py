"""Lockfiles of all package managers, written by the real ones, say the same about the same project."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flowctl_core.errors import BuildError
from flowctl_core.testing import Driver, write_project
from flowctl_lang_node.dependencies import digest_of, purl_of
from flowctl_lang_node.locks import bun, npm, pnpm, yarn
from flowctl_lang_node.locks.graph import LockedPackage, UnreadableLockError

from .conftest import as_files

ROOT = {"name": "root", "version": "1.0.0", "private": True, "workspaces": ["packages/*"]}
SINK = {
    "name": "sink",
    "version": "1.0.0",
    "main": "index.js",
    "dependencies": {"@lukeed/ms": "2.0.2", "debug": "4.3.4", "inner": "1.0.0", "two": "npm:ms@2.0.0"},
    "devDependencies": {"once": "1.4.0"},
}
INNER = {"name": "inner", "version": "1.0.0", "main": "index.js", "dependencies": {"wrappy": "1.0.2"}}
FILES: dict[str, Any] = {
    "package.json": ROOT,
    "packages/sink/package.json": SINK,
    "packages/sink/index.js": "",
    "packages/inner/package.json": INNER,
    "packages/inner/index.js": "",
}
EXPECTED = {
    "pkg:npm/%40lukeed/ms@2.0.2": ("runtime", True, ()),
    "pkg:npm/debug@4.3.4": ("runtime", True, ()),
    "pkg:npm/ms@2.0.0": ("runtime", True, ()),
    "pkg:npm/ms@2.1.2": ("runtime", False, ("pkg:npm/debug@4.3.4",)),
    # The member that the component needs brings it in; once, of the development dependencies, does too.
    "pkg:npm/wrappy@1.0.2": ("runtime", True, ()),
    "pkg:npm/once@1.4.0": ("build", True, ()),
}
MANAGERS = {
    "npm": ("npm", "npm install --package-lock-only --ignore-scripts", "package-lock.json"),
    "pnpm": ("pnpm@10", "pnpm install --lockfile-only --ignore-scripts", "pnpm-lock.yaml"),
    "yarn": ("yarn@1", "yarn install --ignore-scripts --non-interactive", "yarn.lock"),
    "berry": ("@yarnpkg/cli-dist@4", "yarn install --mode=update-lockfile", "yarn.lock"),
    "bun": ("bun@1", "bun install --lockfile-only --ignore-scripts", "bun.lock"),
}


@pytest.mark.requires_tool("node", "npm")
@pytest.mark.parametrize("name", MANAGERS)
def test_dependencies_are_the_same_in_every_lockfile(
    name: str, tmp_path: Path, managers: Callable[..., dict[str, str]]
) -> None:
    package, command, lockfile = MANAGERS[name]
    environ = managers(package) if name != "npm" else None
    files = {**FILES}
    if name == "pnpm":
        files["pnpm-workspace.yaml"] = "packages:\n  - packages/*\nlinkWorkspacePackages: true\n"
    if name == "berry":
        files[".yarnrc.yml"] = "nodeLinker: node-modules\nenableGlobalCache: false\n"
        files["yarn.lock"] = ""
    root = write_project(tmp_path / "project", as_files(files))
    done = subprocess.run(
        command.split(),
        cwd=root,
        env={**(environ or os.environ), "YARN_ENABLE_IMMUTABLE_INSTALLS": "false"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (root / lockfile).is_file()

    driver = Driver(root, "node", entry_point="sink", environ=environ)
    plan = driver.plan()
    report = driver.caller.dependencies("node", plan, driver.context(plan))
    assert report is not None
    assert report.resolved_from == (lockfile,)
    found = {one.purl: (one.scope, one.direct, one.parents) for one in report.dependencies}
    assert {purl: said[:2] for purl, said in found.items()} == {purl: said[:2] for purl, said in EXPECTED.items()}
    assert found["pkg:npm/ms@2.1.2"][2] == ("pkg:npm/debug@4.3.4",)
    digests = {one.purl: one.digest for one in report.dependencies}
    if name == "berry":
        assert not any(digests.values())  # its checksums are of other archives
    else:
        assert all(digest.startswith("sha512:") and len(digest) == 135 for digest in digests.values()), digests
        expected = npm_digest("debug@4.3.4")
        assert digests["pkg:npm/debug@4.3.4"] == expected


def npm_digest(spec: str) -> str:
    done = subprocess.run(["npm", "view", spec, "dist.integrity"], capture_output=True, text=True, check=True)
    return digest_of(done.stdout.strip())


@pytest.mark.requires_tool("node", "npm")
def test_without_a_lockfile_the_installed_packages_count(tmp_path: Path) -> None:
    files = {"package.json": {"name": "sink", "main": "index.js", "dependencies": {"debug": "4.3.4"}}, "index.js": ""}
    driver = Driver(write_project(tmp_path / "project", as_files(files)), "node")
    plan = driver.plan()
    with pytest.raises(BuildError, match="no lockfile"):
        driver.caller.dependencies("node", plan, driver.context(plan))
    driver.fetch(plan)
    report = driver.caller.dependencies("node", plan, driver.context(plan))
    assert report is not None
    assert [(one.purl, one.direct) for one in report.dependencies] == [
        ("pkg:npm/debug@4.3.4", True),
        ("pkg:npm/ms@2.1.2", False),
    ]


def test_nearest_package_is_the_one_that_is_needed() -> None:
    lock = {
        "packages": {
            "": {"dependencies": {"a": "1", "b": "2"}},
            "node_modules/a": {"version": "1.0.0", "dependencies": {"b": "^1"}},
            "node_modules/a/node_modules/b": {"version": "1.9.0"},
            "node_modules/b": {"version": "2.0.0", "hasInstallScript": True},
        }
    }
    graph = npm.read(json.dumps(lock))
    assert graph.packages["node_modules/a"].needs == ("node_modules/a/node_modules/b",)
    assert graph.importers["."].runtime == ("node_modules/a", "node_modules/b")
    assert graph.packages["node_modules/b"].installs


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (npm.read, "{"),
        (npm.read, '{"lockfileVersion": 1, "dependencies": {}}'),
        (npm.read, "[" * 100_000),
        (pnpm.read, "a: [1"),
        (pnpm.read, "- 1\n"),
        (pnpm.read, "lockfileVersion: 5.4\n"),
        (lambda text: yarn.read(text, {}), "what is\n  this: {\n"),
        (lambda text: yarn.read(text, {}), "__metadata:\n  version: [\n"),
        (bun.read, "nothing"),
        (bun.read, '{"packages": []}'),
    ],
)
def test_damaged_lockfiles_are_told(read: Callable[[str], Any], text: str) -> None:
    with pytest.raises(UnreadableLockError):
        read(text)


def test_older_pnpm_lockfiles_are_read() -> None:
    text = """\
lockfileVersion: '6.0'
dependencies:
  debug:
    specifier: 4.3.4
    version: 4.3.4(supports-color@8.1.1)
packages:
  /debug@4.3.4(supports-color@8.1.1):
    resolution: {integrity: sha512-AA==}
    dependencies:
      ms: 2.1.2
    dev: false
  /ms@2.1.2:
    resolution: {integrity: sha512-AA==}
    requiresBuild: true
"""
    graph = pnpm.read(text)
    (key,) = graph.importers["."].runtime
    assert (graph.packages[key].name, graph.packages[key].version) == ("debug", "4.3.4")
    assert graph.packages["ms@2.1.2"].installs
    assert set(graph.reached([key])) == {key, "ms@2.1.2"}


def test_package_urls_are_spelled_as_the_specification_says() -> None:
    assert purl_of(LockedPackage("@scope/na.me", "1.0.0-rc.1+b2")) == "pkg:npm/%40scope/na.me@1.0.0-rc.1%2Bb2"
    git = LockedPackage("fork", "1.0.0", source="git+ssh://git@example.com/fork.git#abc")
    assert purl_of(git).startswith("pkg:npm/fork@1.0.0?vcs_url=git%2Bssh://git%40example.com/fork.git%23abc")


def test_digests_are_hexadecimal() -> None:
    assert digest_of("sha1-2jmj7l5rSw0yVb/vlWAYkK/YBwk= sha512-AAEC") == "sha512:000102"
    assert digest_of("") == ""
    assert digest_of("sha512-%%%") == ""
