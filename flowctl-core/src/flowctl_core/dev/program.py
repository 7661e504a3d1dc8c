"""What runs for a component of a pipeline: a source that is built here, a program, a command, an installed version,
an image."""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from flowctl_core.errors import FlowctlError
from flowctl_core.models.platform import Platform
from flowctl_core.specfile.finding import Severity
from flowctl_core.store.files import STATE_DIR

if TYPE_CHECKING:
    from flowctl_core.models.pipeline import PipelineComponent

ProgramKind = Literal["source", "program", "command", "installed", "image", "missing"]


@dataclass(frozen=True)
class Program:
    """What runs."""

    kind: ProgramKind
    argv: tuple[str, ...] = ()
    """Program and arguments; for a source only its arguments until it is built."""
    root: Path | None = None
    """Where component.yaml and metadata.json are: the source, or the installed version's `metadata`."""
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
    """The program of an installed version (docs/users/installing.md): the newest in the range that was asked for."""
    from flowctl_core.install.places import Home
    from flowctl_core.install.ranges import in_range
    from flowctl_core.install.request import parse_request
    from flowctl_core.install.shelf import damaged, installed

    told = Program("missing", args, told=reference)
    home = Home.of_user()
    try:
        request = parse_request(reference, namespace)
        wanted = re.sub(r"^([\^~<>=]*)[vV](?=\d)", r"\1", request.wanted)
        fitting = (
            each
            for each in installed(home)
            if (each.namespace, each.name) == (request.namespace, request.name) and in_range(each.version, wanted)
        )
        record = next(fitting, None)
    except FlowctlError as error:
        return told, ProgramProblem("type", error.message, "warning")
    if record is None:
        problem = f"'{reference}' is not installed here; run `flowctl component install {request}`, or give its path"
        return told, ProgramProblem("type", problem, "warning")  # of this machine, not of the wiring
    folder = home.version(record.namespace, record.name, record.version)
    program = next((each for each in record.programs if each.platform == Platform.host()), None)
    if program is None:
        return told, ProgramProblem("type", f"{record.reference} has no program for {Platform.host()}", "warning")
    broken = damaged(folder, record)
    if broken:
        problem = f"{record.reference} is not what was verified: {broken[0]}; install it again"
        return told, ProgramProblem("type", problem)
    argv = (str(folder / program.path), *args)
    return Program("installed", argv, root=folder / "metadata", told=record.reference), None


def built_program(root: Path, component: str, paths: tuple[str, ...]) -> Path | None:
    """Which of the files that a build made is the program to start: the one called as the component, else the first."""
    own = root / STATE_DIR / "bin" / component
    if own.is_file() and os.access(own, os.X_OK):
        return own
    return next((root / path for path in paths if (root / path).is_file()), None)
