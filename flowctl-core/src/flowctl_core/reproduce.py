"""Builds a release again, in another folder, and compares every byte."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from pydantic import ValidationError

from flowctl_core.build.key import digest_text
from flowctl_core.errors import SourceError
from flowctl_core.job import Engine, Options, ReleaseOptions
from flowctl_core.models import Progress
from flowctl_core.models.build_info import BuildInfo
from flowctl_core.models.reproduction import Difference, ReproductionReport
from flowctl_core.release_record import BUILD_INFO, CHECKSUMS, SCAN
from flowctl_core.release_steps import CONTAINERS, file_digest
from flowctl_core.sign.unsigned import is_signed, unsigned_copy
from flowctl_core.store import dist
from flowctl_core.store.files import remove_any, system_refusals
from flowctl_core.workflow import run_release

NOT_COMPARED = frozenset({SCAN, CHECKSUMS, ".gitignore"})
_DIFFOSCOPE_TIMEOUT_S = 120
LEFT_OUT = f"{CONTAINERS}/: a Docker engine built the images from a Dockerfile, which promises no equal bytes"
_EXPLAINED = 3
"""How many differing files diffoscope is asked about."""


def reproduce(
    root: Path, folder: Path | None, engine: Engine, options: Options, progress: Progress
) -> ReproductionReport:
    """Build what the release in `folder` (by default the component's own) was built from, and compare.

    Raises SourceError when there is no release, or the source is no longer what it was built from.
    """
    started = time.monotonic()
    old = folder or _find_release(root)
    again = read_record(old)
    by_dockerfile = is_by_dockerfile(again)
    workspace = new_workspace(engine)
    try:
        new = build_again(root, again, engine, options, progress, workspace)
        if is_signed(old):
            old = unsigned_copy(old, workspace / "unsigned")
        expected, found = (digests(release, images=not by_dockerfile) for release in (old, new))
        differences = _differences(old, new, expected, found)
        return ReproductionReport(
            component=again.component,
            version=again.version,
            reproduced=not differences,
            compared=len(expected.keys() | found.keys()),
            differences=differences,
            left_out=(LEFT_OUT,) if by_dockerfile else (),
            made_with=made_with(again, read_record(new), engine),
            duration_s=round(time.monotonic() - started, 4),
        )
    finally:
        remove_any(workspace)


def new_workspace(engine: Engine) -> Path:
    """A private folder, to be removed by the caller. Raises StoreError."""
    workspaces = engine.config.build.local.cache_dir / "releases"
    with system_refusals(workspaces, "made"):
        workspaces.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix="again-", dir=workspaces))


def is_by_dockerfile(again: BuildInfo) -> bool:
    """True where a Docker engine built the images, which promises no equal bytes."""
    return again.images is not None and again.images.dockerfile is not None


def build_again(
    root: Path, again: BuildInfo, engine: Engine, options: Options, progress: Progress, workspace: Path
) -> Path:
    """Build what was built; the new release's folder. Raises SourceError when the source is not the same."""
    wanted = ReleaseOptions(
        platforms=again.plan.platforms,
        as_registry=again.source.commit is not None and not again.source.dirty,
        revision=again.source.commit or "HEAD",
        dist=workspace / "dist",
        images=again.images is not None and not is_by_dockerfile(again),
        workspace=workspace / "another" / "folder",
        again=again,
    )
    options = replace(options, language=again.asked_language, entry_point=again.asked_main)
    run_release(root, engine, options, wanted, progress)
    return workspace / "dist"


def _find_release(root: Path) -> Path:
    for folder in (root, root / dist.DIST, root / dist.STATE_DIR / dist.DIST):
        if dist.is_release(folder):
            return folder
    raise SourceError(
        f"{root} has no release",
        hint="Build one with `flowctl component build --release`, or name its folder with --dist.",
    )


def read_record(folder: Path) -> BuildInfo:
    """What the release in a folder was built from. Raises SourceError."""
    file = folder / BUILD_INFO
    try:
        return BuildInfo.model_validate_json(file.read_bytes())
    except OSError as error:
        raise SourceError(
            f"{file} cannot be read: {error.strerror}", hint="Is this the folder of a release?"
        ) from error
    except ValidationError as error:
        raise SourceError(f"{file} is no record of a release that this flowctl knows", output=str(error)) from error


def digests(folder: Path, *, images: bool) -> dict[str, str]:
    """What is compared, by path; without `images` the record counts without what it says of them."""
    found = {}
    for here, _, names in os.walk(folder):
        for name in names:
            path = Path(here) / name
            relative = path.relative_to(folder).as_posix()
            if relative not in NOT_COMPARED and (images or not relative.startswith(f"{CONTAINERS}/")):
                found[relative] = f"sha256:{file_digest(path)}"
    if not images:
        found[BUILD_INFO] = digest_without_images(read_record(folder))
    return found


def digest_without_images(record: BuildInfo) -> str:
    """Digest of all that a record says of everything else."""
    return digest_text(record.model_copy(update={"images": None}).model_dump_json())


def _differences(old: Path, new: Path, expected: dict[str, str], found: dict[str, str]) -> tuple[Difference, ...]:
    different = [path for path in sorted({*expected, *found}) if expected.get(path) != found.get(path)]
    explained = [path for path in different if path in expected and path in found][:_EXPLAINED]
    return tuple(
        Difference(
            path=path,
            expected=expected.get(path),
            found=found.get(path),
            detail=_diffoscope(old / path, new / path) if path in explained else None,
        )
        for path in different
    )


def _diffoscope(one: Path, other: Path) -> str | None:
    program = shutil.which("diffoscope")
    if program is None:
        return None
    argv = [program, "--text", "-", "--no-progress", "--max-text-report-size", "20000", str(one), str(other)]
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=_DIFFOSCOPE_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        return f"diffoscope did not end within {_DIFFOSCOPE_TIMEOUT_S} s"
    return done.stdout.strip() or done.stderr.strip() or None


def made_with(old: BuildInfo, new: BuildInfo, engine: Engine) -> tuple[str, ...]:
    """What was used then and is another now, for people."""
    then = {f"tool {t.name}": f"{t.version} {t.digest[:19]}" for t in old.tools}
    now = {f"tool {t.name}": f"{t.version} {t.digest[:19]}" for t in new.tools}
    then |= {f"{p.role} {p.distribution}": f"{p.version} {p.digest[:19]}" for p in old.plugins}
    now |= {f"{p.role} {p.distribution}": f"{p.version} {p.digest[:19]}" for p in new.plugins}
    then["flowctl"], now["flowctl"] = old.flowctl, new.flowctl
    said = [
        f"{name}: {then.get(name, 'none')} then, {now.get(name, 'none')} now"
        for name in sorted({*then, *now})
        if then.get(name) != now.get(name)
    ]
    for name, digest in old.environment.items():
        value = engine.environ.get(name)
        if digest.startswith("sha256:") and (value is None or digest_text(value) != digest):
            said.append(f"variable {name}: another value, or none, now")
    return tuple(said)
