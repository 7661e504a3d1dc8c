"""Dependencies without a ready-made wheel: built once, here, which runs their own code."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path

from packaging.pylock import Package

from flowctl_lang_python.fetch import Fetching
from flowctl_lang_python.launcher import write
from flowctl_lang_python.release import state
from flowctl_lang_python.release.normalise import normalise
from flowctl_lang_python.release.wheels import index_environment, pip

FOLDER = "built"


class NotBuiltError(Exception):
    """Building failed; the text is the tool's own output."""


def reference(package: Package, lock: Path) -> tuple[str, str] | None:
    """What pip calls the source of a package, and its digest (empty where none is listed); None without a source.

    `lock` is the pylock.toml: paths in it are relative to its folder (PEP 751).
    """
    if package.sdist is not None:
        return _located(package.sdist.url, package.sdist.path, lock), _sha256(package.sdist.hashes)
    archive, vcs, directory = package.archive, package.vcs, package.directory
    if archive is not None:
        where = _located(archive.url, archive.path, lock)
        return where + _subdirectory(archive.subdirectory), _sha256(archive.hashes)
    if vcs is not None:
        where = f"{vcs.type}+{_located(vcs.url, vcs.path, lock)}@{vcs.commit_id}"
        return where + _subdirectory(vcs.subdirectory), ""
    if directory is not None:
        where = _located(None, directory.path, lock)
        return where + _subdirectory(directory.subdirectory), ""
    return None


def build(fetching: Fetching, package: Package, lock: Path) -> tuple[Path, str] | None:
    """The wheel of a package, built for this machine's interpreter, and the digest of its source.

    None when there is no source either. Kept for the next release where the source has a digest or a commit.
    Raises NotBuiltError when its build fails.
    """
    found = reference(package, lock)
    if found is None:
        return None
    where, digest = found
    context = fetching.context
    key = hashlib.sha256("\0".join((where, digest, fetching.interpreter)).encode()).hexdigest()[:16]
    folder = state.folder(context) / FOLDER / key
    if package.directory is not None:
        shutil.rmtree(folder, ignore_errors=True)
    named = f"{package.name}=={package.version}" if package.version else package.name
    ready = sorted(folder.glob("*.whl"))
    if (ready or not context.offline) and named not in fetching.ran_code:
        fetching.ran_code.append(named)  # also for what is kept: it is what its own code once made on this machine
    if ready:
        return ready[0], digest
    if context.offline and package.directory is None:
        raise NotBuiltError("its source is not on this machine, and there is no network")
    context.progress.note(f"{named} has no wheel that fits: building it runs its own code")
    context.progress.step(f"pip wheel {named}")
    if named not in fetching.ran_code:  # without network, of a folder
        fetching.ran_code.append(named)
    draft = folder.with_name(f".{key}.new")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    lines = draft / "requirements.txt"
    write(lines, f"{package.name} @ {where}" + (f" --hash={digest}" if digest else "") + "\n")
    arguments = ["wheel", "--quiet", "--no-input", "--no-deps", "--wheel-dir", str(draft), "--requirement", str(lines)]
    done = context.run(
        pip("--python", fetching.interpreter, *arguments),
        cwd=fetching.plan.root,
        # Not the date of the project: what is built is kept for its next release.
        environment={**index_environment(context), "SOURCE_DATE_EPOCH": "315532800", "PYTHONHASHSEED": "0"},
        network=not context.offline,
    )
    lines.unlink()
    if not done.ok or not any(draft.glob("*.whl")):
        shutil.rmtree(draft, ignore_errors=True)
        raise NotBuiltError(done.output or "pip built no wheel")
    normalise(next(draft.glob("*.whl")))
    shutil.rmtree(folder, ignore_errors=True)
    draft.rename(folder)
    fetching.fetched += 1
    return sorted(folder.glob("*.whl"))[0], digest


def _located(url: str | None, path: str | None, lock: Path) -> str:
    return url if url is not None else (lock.parent / (path or ".")).resolve().as_uri()


def _subdirectory(name: str | None) -> str:
    return f"#subdirectory={name}" if name else ""


def _sha256(hashes: Mapping[str, str]) -> str:
    return f"sha256:{hashes['sha256'].lower()}" if "sha256" in hashes else ""
