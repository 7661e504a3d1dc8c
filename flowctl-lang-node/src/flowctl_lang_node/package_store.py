"""Single npm packages for releases (node binaries, esbuild): fetched by exact version, checked, kept for all.

`npm pack` brings the archive, so mirrors, proxies and credentials in .npmrc count; no script of a package ever runs.
"""

from __future__ import annotations

import base64
import binascii
import fcntl
import hashlib
import json
import os
import shutil
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from flowctl_core.errors import FetchError, StoreError
from flowctl_core.models import BuildContext
from flowctl_lang_node.toolchain import Tooling

_RECORD = "verified.json"


@dataclass(frozen=True)
class Wanted:
    """A package, and the files of it that are kept."""

    name: str
    version: str
    files: tuple[str, ...]
    """Paths below the package's folder."""
    integrity: str = ""
    """`sha512-<base64>` (https://www.w3.org/TR/SRI/); empty: only npm checks it, against what the registry says."""

    @property
    def purl(self) -> str:
        """Its package URL."""
        return f"pkg:npm/{self.name.replace('@', '%40')}@{self.version}"


@dataclass(frozen=True)
class StoredPackage:
    """A package in the store."""

    folder: Path
    digests: Mapping[str, str]
    """SHA-256 (hex) of the files that are kept."""

    def path(self, file: str) -> Path:
        """Absolute path of a kept file."""
        return self.folder / file


def store_folder(environment: Mapping[str, str]) -> Path:
    """Where the packages are kept: `node-packages` in flowctl's cache folder."""
    given = os.environ.get("FLOWCTL_CACHE_DIR", "")
    if Path(given).is_absolute():
        return Path(given) / "node-packages"
    base = environment.get("XDG_CACHE_HOME", "")
    caches = Path(base) if Path(base).is_absolute() else Path(environment.get("HOME") or Path.home()) / ".cache"
    return caches / "flowctl" / "node-packages"


def stored(folder: Path) -> StoredPackage | None:
    """The package in a folder of the store; None when it is not there whole."""
    try:
        record = json.loads((folder / _RECORD).read_text(encoding="utf-8"))
        digests = {str(file): str(digest) for file, digest in record["files"].items()}
    except (OSError, ValueError, KeyError, AttributeError):
        return None
    there = all((folder / file).is_file() for file in digests)
    return StoredPackage(folder, digests) if digests and there else None


def obtain(wanted: Wanted, tooling: Tooling) -> StoredPackage:
    """The package, from the store or fetched into it.

    Raises FetchError when it cannot be had or is not what its integrity says, StoreError when it cannot be written.
    """
    store = store_folder(tooling.context.environment)
    mark = hashlib.sha256(f"{wanted.integrity}\0{wanted.files}".encode()).hexdigest()[:12]
    folder = store / f"{wanted.name.replace('/', '+')}@{wanted.version}-{mark}"
    found = stored(folder)
    if found is not None:
        return found
    try:
        store.mkdir(parents=True, exist_ok=True)
        with _locked(folder), tempfile.TemporaryDirectory(prefix=".fetch-", dir=store) as temporary:
            found = stored(folder)
            if found is not None:
                return found
            archive = _pack(wanted, tooling, Path(temporary))
            staged = Path(temporary) / "staged"
            _extract(archive, wanted, staged)
            if folder.exists():
                shutil.rmtree(folder)
            staged.replace(folder)
    except OSError as error:
        raise StoreError.of(error, store) from error
    found = stored(folder)
    if found is None:
        raise FetchError(f"{folder} is not what was just written there", hint="Does another program clean that folder?")
    return found


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    with folder.with_name(f".{folder.name}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _pack(wanted: Wanted, tooling: Tooling, destination: Path) -> Path:
    context: BuildContext = tooling.context
    spec = f"{wanted.name}@{wanted.version}"
    context.progress.step(f"npm pack {spec}")
    arguments = ["pack", spec, "--ignore-scripts", "--pack-destination", str(destination)]
    if context.offline:
        arguments.append("--offline")
    done = tooling.npm(arguments, cwd=tooling.plan.root, network=not context.offline)
    archives = sorted(destination.glob("*.tgz"))
    if done.ok and len(archives) == 1:
        return archives[0]
    if context.offline:
        hint = "It is not on this machine yet: build the release once without --offline."
    elif "E404" in done.output or "ETARGET" in done.output:
        hint = "The registry that npm uses does not have it: check registry in .npmrc, or choose another version."
    else:
        hint = "The package registry cannot be reached or refuses: check the network, the proxy, or .npmrc."
    raise FetchError(f"npm could not bring {spec} (exit code {done.exit_code})", hint=hint, output=done.output)


def _extract(archive: Path, wanted: Wanted, target: Path) -> None:
    if wanted.integrity:
        _check_integrity(archive, wanted)
    target.mkdir()
    digests = {}
    try:
        with tarfile.open(archive, "r:gz") as tar:
            for member in tar:
                file = member.name.partition("/")[2]
                if file not in wanted.files or not member.isreg():
                    continue
                content = tar.extractfile(member)
                assert content is not None  # noqa: S101 - it is a regular file
                path = target / file
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("wb") as out:
                    shutil.copyfileobj(content, out, 1 << 20)
                path.chmod(0o755 if member.mode & 0o100 else 0o644)
                with path.open("rb") as written:
                    digests[file] = hashlib.file_digest(written, "sha256").hexdigest()
    except (tarfile.TarError, EOFError) as error:
        raise FetchError(f"the archive of {wanted.name}@{wanted.version} is damaged: {error}") from error
    missing = [file for file in wanted.files if file not in digests]
    if missing:
        raise FetchError(f"{wanted.name}@{wanted.version} has no {', '.join(missing)}")
    record = {"name": wanted.name, "version": wanted.version, "integrity": wanted.integrity, "files": digests}
    (target / _RECORD).write_text(json.dumps(record, indent=1), encoding="utf-8")


def _check_integrity(archive: Path, wanted: Wanted) -> None:
    algorithm, _, expected = wanted.integrity.partition("-")
    with archive.open("rb") as file:
        found = hashlib.file_digest(file, algorithm).digest()
    try:
        matches = base64.b64decode(expected, validate=True) == found
    except binascii.Error:
        matches = False
    if not matches:
        raise FetchError(
            f"{wanted.name}@{wanted.version} is not the package that this builder knows: its integrity is "
            f"{algorithm}-{base64.b64encode(found).decode()}, not {wanted.integrity}",
            hint="Does a mirror or proxy change packages? Nothing of it is used.",
        )
