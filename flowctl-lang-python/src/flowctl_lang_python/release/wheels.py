"""Brings wheels into `release/wheels`: ready-made ones as they are, checked against their digest."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from packaging.pylock import Package, PackageWheel
from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from flowctl_core.errors import FetchError
from flowctl_core.models import BuildContext, CompletedCommand
from flowctl_lang_python.fetch import Fetching
from flowctl_lang_python.launcher import write
from flowctl_lang_python.release import state
from flowctl_lang_python.release.target import Target

FOLDER = "wheels"


def candidates(package: Package) -> Iterator[PackageWheel]:
    """The wheels of a locked package; one that is named by its URL alone is among them."""
    yield from package.wheels or ()
    archive = package.archive
    name = (archive.url or archive.path or "").split("#")[0].split("?")[0].rpartition("/")[2] if archive else ""
    if archive and name.endswith(".whl"):
        yield PackageWheel(name=name, url=archive.url, path=archive.path, hashes=archive.hashes)


def best(package: Package, target: Target) -> PackageWheel | None:
    """The wheel that fits a target best, the one with the highest build number among equals; None when none fits."""
    ranked = []
    for wheel in candidates(package):
        rank = target.rank(wheel.filename)
        if rank is not None:
            build = parse_wheel_filename(wheel.filename)[2]
            ranked.append((-rank, build, wheel.filename, wheel))
    return max(ranked, key=lambda entry: entry[:3])[3] if ranked else None


def digest(wheel: PackageWheel) -> str:
    """`sha256:<hex>`; FetchError for an index that lists no such digest."""
    if "sha256" not in wheel.hashes:
        raise FetchError(f"{wheel.filename} is listed without a sha256 digest", hint="Use an index that lists them.")
    return f"sha256:{wheel.hashes['sha256'].lower()}"


def path(context: BuildContext, wheel: PackageWheel) -> Path:
    """Where a wheel lies once it is fetched; its digest keeps wheels of one name from two indexes apart."""
    return state.folder(context) / FOLDER / digest(wheel)[7:23] / wheel.filename


def download(fetching: Fetching, wheels: Iterable[tuple[Package, PackageWheel]], target: Target, lock: Path) -> None:
    """Bring in those wheels that are not there yet. Raises FetchError."""
    context = fetching.context
    wanted = []
    for package, wheel in wheels:
        place = path(context, wheel)
        if place.is_file() and state.file_digest(place) == digest(wheel):
            continue
        if wheel.path is not None:
            _place(context, wheel, (lock.parent / wheel.path).resolve())
            fetching.fetched += 1
        else:
            wanted.append((package, wheel))
    if not wanted:
        return
    if context.offline:
        names = ", ".join(wheel.filename for _, wheel in wanted)
        raise FetchError(
            f"wheels for {target.platform} are not on this machine, and there is no network: {names}",
            hint="Run once with network and without --offline: they are kept from then on.",
        )
    context.progress.step(f"pip download ({len(wanted)} wheels for {target.platform})")
    with TemporaryDirectory(dir=state.folder(context)) as scratch:
        done = _pip_download(fetching, wanted, target, Path(scratch))
        if not done.ok:
            raise FetchError(
                f"wheels for {target.platform} could not be brought in",
                hint="pip's own words above name the file; check the network and the index.",
                output=done.output,
            )
        for _, wheel in wanted:
            _place(context, wheel, Path(scratch) / wheel.filename)
    fetching.fetched += len(wanted)


def pip(*arguments: str) -> list[str]:
    """The command line of the pip that came with this package."""
    return [sys.executable, "-I", "-m", "pip", *arguments]


def index_environment(context: BuildContext) -> dict[str, str]:
    """pip takes the credentials for a host from its index URLs: it is told those that uv was given."""
    given = context.environment
    index = given.get("UV_DEFAULT_INDEX") or given.get("UV_INDEX_URL")
    extra = given.get("UV_EXTRA_INDEX_URL") or given.get("UV_INDEX")
    found = {}
    if index and "PIP_INDEX_URL" not in given:
        found["PIP_INDEX_URL"] = index
    if extra and "PIP_EXTRA_INDEX_URL" not in given:
        found["PIP_EXTRA_INDEX_URL"] = " ".join(text.rpartition("=")[2] for text in extra.split())
    return found


def _pip_download(
    fetching: Fetching, wanted: list[tuple[Package, PackageWheel]], target: Target, scratch: Path
) -> CompletedCommand:
    lines = scratch / "requirements.txt"
    write(lines, "".join(f"{p.name} @ {wheel.url} --hash={digest(wheel)}\n" for p, wheel in wanted))
    # pip compares tags too. They are known to fit the target, so it is told those that the wheels have.
    tags = [tag for _, wheel in wanted for tag in sorted(parse_wheel_filename(wheel.filename)[3], key=str)]
    platforms = dict.fromkeys(tag.platform for tag in tags if tag.platform != "any")
    abis = dict.fromkeys((f"cp{target.python[0]}{target.python[1]}", "abi3", "none"))
    argv = pip("download", "--quiet", "--no-input", "--no-deps", "--only-binary", ":all:", "--require-hashes")
    argv += ["--implementation", "cp", "--python-version", f"{target.python[0]}.{target.python[1]}"]
    argv += [part for name in abis for part in ("--abi", name)]
    argv += [part for name in platforms for part in ("--platform", name)]
    argv += ["--dest", str(scratch), "--requirement", str(lines)]
    context = fetching.context
    return context.run(argv, cwd=fetching.plan.root, environment=index_environment(context), network=True)


def _place(context: BuildContext, wheel: PackageWheel, source: Path) -> None:
    try:
        found = state.file_digest(source)
    except OSError as error:
        raise FetchError(f"{wheel.filename} is not there: {error.strerror}") from error
    if found != digest(wheel):
        raise FetchError(
            f"{wheel.filename} is not what was locked: {found} instead of {digest(wheel)}",
            hint="Do not use it. Find out who changed it, or lock again.",
        )
    target = path(context, wheel)
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".{target.name}.new")
    shutil.copyfile(source, draft)
    draft.replace(target)


def is_wheel(filename: str) -> bool:
    """True for a name that a wheel can have."""
    try:
        parse_wheel_filename(filename)
    except InvalidWheelFilename:
        return False
    return True
