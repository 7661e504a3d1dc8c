"""Brings dependencies in without running their code, unless the source allows it by name."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from flowctl_core.errors import FetchError
from flowctl_core.models import BuildContext, CompletedCommand, FetchReport, Plan
from flowctl_lang_node import atomic
from flowctl_lang_node.toolchain import Tooling

MARKER = "fetched.json"
"""Written last, in the work folder: an install that was interrupted has none and is done again."""
RELEASE_FOLDER = ".flowctl-node"
"""Folder of an exported source with a link to each package that fetch brought for releases."""


def fetch(plan: Plan, context: BuildContext) -> FetchReport:
    """See `flowctl_fetch`. Raises FetchError when the package manager fails, with its own words."""
    details: dict[str, Any] = plan.details
    if plan.profile == "release":
        from flowctl_lang_node.release_fetch import fetch_release

        fetch_release(plan, context)
    if not details["installs"]:
        return FetchReport(fetched=0)
    tooling = Tooling(plan, context)
    marker = context.work_dir / MARKER
    root = details["manager"]["root"]
    lockfile = details["manager"]["lockfile"]
    installed = tooling.manager == "npm" and lockfile and already_installed(context.source_root, root, lockfile)
    if installed:
        context.progress.note("node_modules already holds what the lockfile names")
    else:
        marker.unlink(missing_ok=True)
        development = plan.profile != "release" or _builds(plan)
        arguments = install_arguments(tooling, lockfile=lockfile, offline=context.offline, development=development)
        context.progress.step(f"{tooling.manager} {' '.join(arguments)}")
        done = tooling.run(arguments, cwd=root, network=not context.offline)
        if not done.ok:
            raise _failure(tooling, done, context.offline)
        for path in installed_paths(plan):
            if not path.endswith(".pnp.cjs"):
                (context.source_root / path).mkdir(parents=True, exist_ok=True)
    ran = _run_allowed_scripts(tooling, root, details["allowed_scripts"], context)
    _name_the_others(tooling, root, lockfile, set(details["allowed_scripts"]), context)
    atomic.write_text(marker, json.dumps({"digest": fetch_digest(plan, context)}))
    return FetchReport(fetched=_count(context.source_root, root, tooling), ran_code=ran)


def _builds(plan: Plan) -> bool:
    """True when something of the source runs before the program is there, and may need development dependencies."""
    return bool(plan.details["build"] or plan.details["siblings"] or plan.details["postinstall"])


def install_arguments(tooling: Tooling, *, lockfile: str | None, offline: bool, development: bool = True) -> list[str]:
    """The install command: exactly what the lockfile says, no scripts."""
    if tooling.manager == "npm":
        # NODE_ENV=production in somebody's shell must not leave out the compiler.
        command = ["ci"] if lockfile else ["install", "--no-package-lock"]
        which = "--include=dev" if development else "--omit=dev"
        command += ["--ignore-scripts", which, "--no-audit", "--no-fund"]
        return [*command, "--offline"] if offline else command
    if tooling.manager == "pnpm":
        which = f"--prod={'false' if development else 'true'}"
        command = ["install", "--ignore-scripts", which, "--config.confirmModulesPurge=false"]
        command += ["--frozen-lockfile"] if lockfile else ["--no-lockfile"]
        return [*command, "--offline"] if offline else command
    if tooling.manager == "bun":
        command = ["install", "--ignore-scripts"]
        return [*command, "--frozen-lockfile"] if lockfile else [*command, "--no-save"]
    if tooling.berry:
        command = ["install", "--mode=skip-build"]
        return [*command, "--immutable"] if lockfile else command
    which = f"--production={'false' if development else 'true'}"
    command = ["install", "--ignore-scripts", "--non-interactive", which]
    command += ["--frozen-lockfile"] if lockfile else ["--no-lockfile"]
    return [*command, "--offline"] if offline else command


def _failure(tooling: Tooling, done: CompletedCommand, offline: bool) -> FetchError:
    text = done.output
    hint = "Run the same command by hand in the component's folder to look closer."
    if any(
        word in text for word in ("EUSAGE", "ERR_PNPM_OUTDATED_LOCKFILE", "needs to be updated", "YN0028", "frozen")
    ):
        hint = f"package.json and the lockfile disagree: run {tooling.manager} install and commit the lockfile."
    elif offline and any(word in text for word in ("ENOTCACHED", "OFFLINE", "offline", "only-if-cached")):
        hint = "A dependency is not on this machine yet: fetch once without --offline."
    elif any(word in text for word in ("ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ETIMEDOUT", "ENETUNREACH")):
        hint = "The package registry cannot be reached: check the network, the proxy, or .npmrc."
    elif "E404" in text or "ERR_PNPM_FETCH_404" in text:
        hint = "A dependency does not exist under that name and version in the registry."
    elif any(word in text for word in ("E401", "E403")):
        hint = "The registry wants to know who asks: check the token in .npmrc."
    elif "EBADENGINE" in text or "UNSUPPORTED_ENGINE" in text:
        hint = "A dependency does not support this version of Node.js."
    return FetchError(
        f"{tooling.manager} could not install the dependencies (exit code {done.exit_code})", hint=hint, output=text
    )


def installed_paths(plan: Plan) -> list[str]:
    """What the package manager makes, without what is fetched for releases only."""
    return [path for path in plan.fetched if not path.startswith(f"{RELEASE_FOLDER}/")]


def fetch_digest(plan: Plan, context: BuildContext) -> str:
    """Digest of the manifests and lockfiles that decide what is installed."""
    hasher = hashlib.sha256(json.dumps(plan.details["manager"], sort_keys=True).encode())
    for path in plan.inputs.fetch:
        try:
            content = (context.source_root / path).read_bytes()
        except OSError:
            content = b""
        hasher.update(f"{path}\0{len(content)}\0".encode() + content)
    return hasher.hexdigest()


def is_fetched(plan: Plan, context: BuildContext) -> bool:
    """True when the last install for these lockfiles came to its end and is still there."""
    if not plan.details["installs"]:
        return True
    try:
        marker = json.loads((context.work_dir / MARKER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    there = all((context.source_root / path).exists() for path in installed_paths(plan))
    return there and isinstance(marker, dict) and marker.get("digest") == fetch_digest(plan, context)


def _packages(path: Path) -> dict[str, dict[str, Any]]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    packages = data.get("packages") if isinstance(data, dict) else None
    if not isinstance(packages, dict):
        return {}
    return {key: value for key, value in packages.items() if key and isinstance(value, dict)}


def already_installed(source_root: Path, root: str, lockfile: str) -> bool:
    """True when npm's own record in node_modules, which it writes last, says the same as the lockfile.

    A developer's node_modules is taken over instead of being installed a second time.
    """
    wanted = _packages(source_root / lockfile)
    modules = source_root / root / "node_modules"
    found = _packages(modules / ".package-lock.json")
    if not wanted or not found or not set(found) <= set(wanted):
        return False
    for key, entry in wanted.items():
        if not key.startswith("node_modules/") and "/node_modules/" not in key:
            continue  # a workspace member: its folder is the source itself
        if key not in found:
            if entry.get("optional") or entry.get("devOptional") or entry.get("peer"):
                continue
            return False
        if any(entry.get(field) != found[key].get(field) for field in ("version", "integrity", "link")):
            return False
        if not (source_root / root / key).exists():
            return False
    return True


def _run_allowed_scripts(tooling: Tooling, root: str, allowed: list[str], context: BuildContext) -> tuple[str, ...]:
    """Run the install scripts of dependencies that the source allows (native addons need theirs)."""
    modules = context.source_root / root / "node_modules"
    present = [name for name in allowed if (modules / name).exists() or tooling.manager != "npm"]
    if not present:
        return ()
    if tooling.manager == "bun":
        arguments = ["install"]  # bun itself runs the scripts of trustedDependencies and of no others
    elif tooling.manager == "yarn" and not tooling.berry:
        arguments = ["install", "--force", "--non-interactive", "--frozen-lockfile", "--production=false"]
        context.progress.warning("yarn 1 cannot run install scripts of single packages: those of all packages run")
    elif tooling.manager == "npm":
        arguments = ["rebuild", "--ignore-scripts=false", "--foreground-scripts", *present]
    else:
        arguments = ["rebuild", *present]
    context.progress.step(f"{tooling.manager} {' '.join(arguments)}")
    done = tooling.run(arguments, cwd=root, network=not context.offline)
    if not done.ok:
        raise FetchError(
            f"the install scripts of {', '.join(present)} failed (exit code {done.exit_code})",
            hint="Native addons need a C++ compiler and Python 3 where no prebuilt file fits this machine.",
            output=done.output,
        )
    return tuple(present)


def _name_the_others(
    tooling: Tooling, root: str, lockfile: str | None, allowed: set[str], context: BuildContext
) -> None:
    """Say which install scripts did not run, and how to allow them."""
    if tooling.manager != "npm":
        return  # pnpm, yarn and bun say it themselves
    record = _packages(context.source_root / root / "node_modules/.package-lock.json")
    names = {key.rsplit("node_modules/", 1)[-1] for key, entry in record.items() if entry.get("hasInstallScript")}
    left = sorted(name for name in names - allowed if lockfile is None or name)
    if left:
        context.progress.note(
            f"install scripts did not run: {', '.join(left)}; where one is needed (native addons), "
            'list it in "trustedDependencies" of package.json'
        )


def _count(source_root: Path, root: str, tooling: Tooling) -> int | None:
    if tooling.manager != "npm":
        return None
    return len(_packages(source_root / root / "node_modules/.package-lock.json"))
