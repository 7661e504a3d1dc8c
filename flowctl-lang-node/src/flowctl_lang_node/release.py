"""Release builds: one native executable a platform, from one bundle and one content for all of them."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flowctl_core.errors import BuildError, StoreError
from flowctl_core.launcher import is_native_program
from flowctl_core.models import Artifact, BuildContext, Material, Plan, Platform, PlatformOutcome, ReleaseResult
from flowctl_lang_node import atomic, launcher, pins, release_fetch
from flowctl_lang_node.build import make_entry
from flowctl_lang_node.bundle import bundle
from flowctl_lang_node.install import RELEASE_FOLDER, fetch_digest
from flowctl_lang_node.release_plan import base_platform
from flowctl_lang_node.sea import blob as sea
from flowctl_lang_node.toolchain import Tooling

_PREPARED = "prepared.json"
_UNWATCHED = frozenset({".flowctl", "node_modules", RELEASE_FOLDER, ".git"})
_CARRIES_OPTIONS = ((22, 20, 0), (24, 21, 0))
"""Versions from which executables of a line were seen to carry options for node (`execArgv`); 22.18 and 24.6 do not."""


def build_multiplatform(plan: Plan, context: BuildContext) -> ReleaseResult:
    """See `flowctl_build_multiplatform`."""
    return ReleaseResult(outcomes=tuple(_build(plan, context, platform) for platform in plan.platforms))


def _build(plan: Plan, context: BuildContext, platform: Platform) -> PlatformOutcome:
    package = release_fetch.linked(plan, context, platform)
    host = release_fetch.linked(plan, context, "host")
    version = plan.details["release"]["node"]  # type: ignore[index,call-overload]
    if package is None or host is None:
        return PlatformOutcome(
            platform=platform,
            failure=f"Node.js {version} for {platform if package is None else 'this machine'} could not be fetched",
            hint="Build the release without --offline once; or choose a version that there is for all platforms.",
        )
    try:
        content = _content(plan, context, host.path(release_fetch.NODE))
        node = package.path(release_fetch.NODE).read_bytes()
        digest = sea.digest(node)
        if digest != package.digests[release_fetch.NODE]:
            return PlatformOutcome(
                platform=platform,
                failure=f"{package.path(release_fetch.NODE)} has been changed since it was fetched",
                hint=f"Remove {package.folder} and build again.",
            )
        name = plan.entry_points[0].name
        made = sea.executable(node, content, system=platform.os, name=name)
    except BuildError as error:
        return PlatformOutcome(platform=platform, failure=error.message, output=error.output, hint=error.hint)
    path = context.output_dir / (name if len(plan.platforms) == 1 else f"{platform.replace('/', '-')}/{name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(made)
        path.chmod(0o755)
    except OSError as error:
        raise StoreError.of(error, path) from error
    return PlatformOutcome(
        platform=platform,
        artifacts=(Artifact(path=os.path.relpath(path, context.source_root), platform=platform),),
        materials=_materials(plan, context, platform, digest),
    )


def _materials(plan: Plan, context: BuildContext, platform: Platform, digest: str) -> tuple[Material, ...]:
    node = release_fetch.wanted_node(plan, base_platform(platform))
    esbuild = pins.esbuild_version()
    return (
        Material(name="node", version=node.version, purl=node.purl, digest=f"sha256:{digest}"),
        Material(name="esbuild", version=esbuild, purl=f"pkg:npm/esbuild@{esbuild}"),
    )


def _content(plan: Plan, context: BuildContext, node: Path) -> bytes:
    """What the executables carry: made by the first platform that comes, the others wait for it and take it.

    Core exports the source anew for each release, which removes the note about what was made. Raises BuildError.
    """
    folder = context.work_dir / "release"
    folder.mkdir(parents=True, exist_ok=True)
    note = context.source_root / RELEASE_FOLDER / _PREPARED
    blob = folder / "main.blob"
    with _locked(folder / "lock"):
        key = _key(plan, context)
        known = _read_note(note)
        if known.get("key") == key and known.get("seen") == _seen(context.source_root, plan):
            if known.get("failure"):
                raise BuildError(known["failure"], hint=known.get("hint"), output=known.get("output"))
            content = blob.read_bytes() if blob.is_file() else b""
            if sea.digest(content) == known.get("content"):
                return content
        try:
            content = _make(plan, context, node, folder)
        except BuildError as error:
            _write_note(note, plan, context, {"failure": error.message, "hint": error.hint, "output": error.output})
            raise
        _write_note(note, plan, context, {"content": sea.digest(content)})
        return content


def _make(plan: Plan, context: BuildContext, node: Path, folder: Path) -> bytes:
    tooling = Tooling(plan, context, node=node)
    entry = make_entry(plan, context, tooling)
    options = _options(plan, context, entry)
    carried = bundle(plan, context, tooling, folder, entry)
    return sea.write_blob(tooling, folder, entry=entry, assets=carried, options=options).read_bytes()


def _options(plan: Plan, context: BuildContext, entry: str) -> list[str]:
    """Options for node from the script's first line. Raises BuildError when something else has to start it."""
    path = context.source_root / entry
    if is_native_program(path):
        raise BuildError(
            f"{entry} is already a native program, made by the build script for one platform",
            hint="Let the build script make JavaScript, or build the program with a command in component.yaml.",
        )
    words = launcher.shebang(path)
    starter = words[0].rsplit("/", 1)[-1] if words else "node"
    if starter not in ("node", "nodejs", "tsx", "ts-node"):
        raise BuildError(
            f"{entry} is started by {starter}, and releases carry Node.js",
            hint="Name a script for node with `main:` in component.yaml.",
        )
    options = words[1:] if starter in ("node", "nodejs") else []
    version = str(plan.details["release"]["node"])  # type: ignore[index,call-overload]
    if options and not _carries_options(pins.numbers(version)):
        context.progress.warning(
            f"{' '.join(options)} in the first line of {entry} may have no effect: older executables carry no options, "
            f"and Node.js {version} is not known to do so"
        )
    return options


def _carries_options(version: tuple[int, int, int]) -> bool:
    return any(first <= version and (first[0] == version[0] or first[0] == 24) for first in _CARRIES_OPTIONS)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _key(plan: Plan, context: BuildContext) -> str:
    """What the content depends on beside the source: never the platforms."""
    same = plan.model_copy(update={"platforms": (), "limitations": (), "fetched": (), "warnings": ()})
    details: dict[str, Any] = dict(same.details)
    details["release"] = {name: value for name, value in details["release"].items() if name != "integrity"}
    text = same.model_copy(update={"details": details}).model_dump_json()
    return hashlib.sha256(f"{text}\0{fetch_digest(plan, context)}".encode()).hexdigest()


def _seen(root: Path, plan: Plan) -> str:
    """What the source looks like: time, size and name of each file."""
    lines = []
    for folder, folders, files in os.walk(root, followlinks=False):
        folders[:] = sorted(name for name in folders if name not in _UNWATCHED)
        for name in files:
            info = (Path(folder) / name).lstat()
            lines.append(f"{os.path.relpath(folder, root)}/{name} {info.st_mtime_ns} {info.st_size}")
    return hashlib.sha256("\n".join(sorted(lines)).encode("utf-8", "surrogateescape")).hexdigest()


def _read_note(path: Path) -> dict[str, Any]:
    try:
        note = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return note if isinstance(note, dict) else {}


def _write_note(path: Path, plan: Plan, context: BuildContext, said: dict[str, Any]) -> None:
    path.parent.mkdir(exist_ok=True)
    note = {"key": _key(plan, context), "seen": _seen(context.source_root, plan), **said}
    atomic.write_text(path, json.dumps(note))
