"""Puts what a build made where people run it: `.flowctl/bin/<name>` and, if the name is free, `./<name>`."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path, PurePosixPath

from flowctl_core.errors import BuildError, PluginError
from flowctl_core.models import Artifact
from flowctl_core.store.files import LOCK_FILE, STATE_DIR, make_own_folder, remove_any, system_refusals

BIN = f"{STATE_DIR}/bin"


def new_staging(state: Path) -> Path:
    """An empty folder for a build's output; what an interrupted build left there before is removed.

    The caller holds the component's lock, so no other build can be using an older one.
    """
    sweep_staging(state)
    with system_refusals(state):
        return Path(tempfile.mkdtemp(prefix="staging-", dir=state))


def sweep_staging(state: Path, keep: Path | None = None) -> None:
    """Remove what interrupted builds left, but not the folder `keep`. The caller holds the component's lock."""
    for left in state.glob("staging-*"):
        if left != keep:
            shutil.rmtree(left, ignore_errors=True)


def require_inside(root: Path, paths: Iterable[str], builder: str) -> None:
    """Raise PluginError when a path that a builder names is not below the component's folder, also through links."""
    real_root = root.resolve()
    for path in paths:
        pure = PurePosixPath(path)
        if pure.is_absolute() or ".." in pure.parts or not (root / pure).parent.resolve().is_relative_to(real_root):
            raise PluginError(
                f"the builder {builder} names {path}, which is outside the component's folder",
                hint="Nothing there is touched. Report this to the plugin's authors.",
            )


def place(root: Path, staging: Path, artifacts: Iterable[Artifact]) -> tuple[Artifact, ...]:
    """Move staged files into `.flowctl/bin` by atomic rename and return the artifacts with their new paths.

    Raises BuildError when an artifact that the builder reported does not exist.
    """
    placed = []
    bin_dir = make_own_folder(root / STATE_DIR, "bin")
    for artifact in artifacts:
        made = root / artifact.path
        if not made.exists():
            raise BuildError(
                f"the builder reported {artifact.path}, which does not exist",
                hint="This is a fault of the builder plugin.",
            )
        if made.is_relative_to(staging):
            target = bin_dir / made.relative_to(staging)
            target.parent.mkdir(parents=True, exist_ok=True)
            if artifact.kind == "program":
                made.chmod(made.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
            made.replace(target)
            artifact = artifact.model_copy(update={"path": target.relative_to(root).as_posix()})
        placed.append(artifact)
    _remove_stale(root, bin_dir, {artifact.path for artifact in placed})
    shutil.rmtree(staging, ignore_errors=True)
    return tuple(placed)


def _remove_stale(root: Path, bin_dir: Path, current: set[str]) -> None:
    for old in bin_dir.iterdir():
        if old.relative_to(root).as_posix() not in current and old.is_file():
            old.unlink()


def link_program(root: Path, name: str) -> str | None:
    """Make `./<name>` lead to the program; return why not, when something else has that name."""
    link, target = root / name, f"{BIN}/{name}"
    if not (root / target).exists():
        return None
    if link.is_symlink() and str(link.readlink()) == target:
        return None
    if link.is_symlink() and str(link.readlink()).startswith(f"{STATE_DIR}/"):
        link.unlink()
    if link.exists() or link.is_symlink():
        what = "a folder" if link.is_dir() else "a file"
        return f"./{name} is {what} of the source, so the program is only at {target}"
    try:
        link.symlink_to(target)
    except OSError as error:
        return f"./{name} could not be linked ({error.strerror}); the program is at {target}"
    return None


def remove_links(root: Path, *, dangling: bool = True) -> list[str]:
    """Remove links `./NAME` to `.flowctl/bin/NAME` that an earlier name of the component has left; return their names.

    `dangling`: only those whose program is gone.
    """
    removed = []
    with os.scandir(root) as entries:
        links = sorted(entry.name for entry in entries if entry.is_symlink())
    for name in links:
        link = root / name
        if str(link.readlink()) == f"{BIN}/{name}" and not (dangling and link.exists()):
            link.unlink()
            removed.append(name)
    return removed


def remove_outputs(root: Path) -> list[str]:
    """Remove `.flowctl/` and the links to programs in it; return what was removed."""
    removed = remove_links(root, dangling=False)
    if _remove_state(root / STATE_DIR):
        removed.append(STATE_DIR)
    return removed


def _remove_state(state: Path) -> bool:
    """Remove `.flowctl/`, the lock that the caller holds as the last: whoever waits for it may start at once."""
    if state.is_symlink() or not state.is_dir():
        return remove_path(state)
    with system_refusals(state, "removed"):
        last = (state / ".gitignore", state / LOCK_FILE)
        for path in state.iterdir():
            if path not in last:
                remove_any(path)
        for path in last:
            remove_any(path)
        with suppress(OSError):  # not empty: the next one has started
            state.rmdir()
    return True


def remove_path(path: Path) -> bool:
    """Remove a file, link or folder; False when it is not there. StoreError when it cannot be removed."""
    if not path.is_symlink() and not path.exists():
        return False
    with system_refusals(path, "removed"):
        remove_any(path)
    return True
