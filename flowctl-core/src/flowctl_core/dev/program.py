"""What runs for a component of a pipeline: a source that is built here, a program, a command, an installed version,
an image."""

from __future__ import annotations

import json
import os
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from flowctl_core.models.platform import Platform
from flowctl_core.specfile.finding import Severity
from flowctl_core.store.files import STATE_DIR

if TYPE_CHECKING:
    from flowctl_core.models.pipeline import PipelineComponent

ProgramKind = Literal["source", "program", "command", "installed", "image", "missing"]
HOME_VARIABLE = "FLOWCTL_HOME"


@dataclass(frozen=True)
class Program:
    """What runs."""

    kind: ProgramKind
    argv: tuple[str, ...] = ()
    """Program and arguments; for a source only its arguments until it is built."""
    root: Path | None = None
    """Folder of the source or of the installed version: where component.yaml and metadata.json are."""
    file: Path | None = None
    """The program that is watched: it is started again when it changes."""
    image: str | None = None
    """Reference of the image."""
    told: str = ""
    """For people: `./processor`, `acme/greeting 1.2.0`."""

    def command(self, built: Path | None = None) -> tuple[str, ...]:
        """The argv, `built` being what a source's build made."""
        return self.argv if built is None else (str(built), *self.argv)


@dataclass(frozen=True)
class ProgramProblem:
    """What is wrong with what runs."""

    field: str
    message: str
    severity: Severity = "error"


Found = tuple[Program, ProgramProblem | None]


def find_program(entry: PipelineComponent, folder: Path, namespace: str | None) -> Found:
    """What runs for an entry of pipeline.yaml, relative paths counted from `folder`."""
    args = tuple(entry.args)
    if entry.path is not None:
        return _at_path(entry.path, folder, args)
    if entry.command is not None:
        return _command(entry.command, folder, args)
    if entry.image is not None:
        return Program("image", args, image=entry.image, told=entry.image), None
    return _installed(entry.type or "", args, namespace)


def _at_path(path: str, folder: Path, args: tuple[str, ...]) -> Found:
    place = Path(os.path.abspath(folder / Path(path).expanduser()))  # noqa: PTH100 - resolve() would follow symlinks
    if place.is_dir():
        return Program("source", args, root=place, told=path), None
    program = Program("program", (str(place), *args), file=place, told=path)
    if not place.exists():
        return program, ProgramProblem("path", f"'{path}' does not exist in {folder}")
    if not place.is_file() or not os.access(place, os.X_OK):
        return program, ProgramProblem("path", f"'{path}' is neither a folder nor a program (chmod +x makes it one)")
    return program, None


def _command(command: tuple[str, ...] | str, folder: Path, args: tuple[str, ...]) -> Found:
    if isinstance(command, str):
        line = f'{command} "$@"' if args else command
        argv = ("/bin/sh", "-c", line, *(("sh", *args) if args else ()))
        return Program("command", argv, told=command), None
    if not command:
        return Program("missing"), ProgramProblem("command", "must not be empty")
    argv, name = (*command, *args), command[0]
    program = Program("command", argv, told=" ".join(command))
    if "/" in name:
        return program, None if (folder / name).exists() else ProgramProblem(
            "command", f"'{name}' does not exist in {folder}"
        )
    if shutil.which(name) is None:
        return program, ProgramProblem("command", f"'{name}' is not on PATH")
    return program, None


def _installed(reference: str, args: tuple[str, ...], namespace: str | None) -> Found:
    """The program of an installed version, read from its installed.json (docs/users/installing.md)."""
    component, _, wanted = reference.partition("@")
    where, slash, name = component.rpartition("/")
    where = where if slash else (namespace or "")
    versions = _home() / "components" / where / name
    told = Program("missing", args, told=reference)
    version = _choose(versions, wanted.removeprefix("v")) if where else None
    if version is None:
        known = f"{where}/{name}{'@' + wanted if wanted else ''}" if where else f"NAMESPACE/{component}"
        problem = f"'{reference}' is not installed here; run `flowctl component install {known}`, or give its path"
        return told, ProgramProblem("type", problem, "warning")  # of this machine, not of the wiring
    program = _program_of(version)
    if program is None:
        return told, ProgramProblem("type", f"{reference} is installed, but has no program for {Platform.host()}")
    return Program("installed", (str(program), *args), root=version, told=f"{where}/{name} {version.name}"), None


def _choose(versions: Path, wanted: str) -> Path | None:
    """The folder of the version that was asked for, else of the newest."""
    from packaging.version import InvalidVersion, Version

    if wanted and wanted[0] not in "^~":
        return versions / wanted if (versions / wanted).is_dir() else None
    found: dict[Version, Path] = {}
    with suppress(OSError):
        for each in versions.iterdir():
            with suppress(InvalidVersion):
                found[Version(each.name)] = each
    return found[max(found)] if found else None


def _program_of(version: Path) -> Path | None:
    try:
        programs = json.loads((version / "installed.json").read_bytes())["programs"]
        return next((version / p["path"] for p in programs if p["platform"] == str(Platform.host())), None)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _home() -> Path:
    named = os.environ.get(HOME_VARIABLE)
    return Path(named) if named else Path(os.environ.get("HOME") or Path.home()) / ".flowctl"


def built_program(root: Path, component: str, paths: tuple[str, ...]) -> Path | None:
    """Which of the files that a build made is the program to start: the one called as the component, else the first."""
    own = root / STATE_DIR / "bin" / component
    if own.is_file() and os.access(own, os.X_OK):
        return own
    return next((root / path for path in paths if (root / path).is_file()), None)
