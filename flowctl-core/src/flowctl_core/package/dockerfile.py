"""The Dockerfile of a component: where it is, and what goes with it to the engine."""

from __future__ import annotations

import io
import os
import re
import tarfile
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import IO

from pydantic import Field

from flowctl_core.errors import SpecError
from flowctl_core.models.base import Frozen
from flowctl_core.models.component import ContainerBuild
from flowctl_core.package.blobs import refusals

NAME = "Dockerfile"
_INLINE = ".flowctl.Dockerfile"
"""What text from component.yaml is called in the context; not seen by COPY."""
_IGNORE = ".dockerignore"
_STAGE = re.compile(r"^\s*FROM\s+(?:--\S+\s+)*\S+\s+AS\s+(?P<name>\S+)\s*$", re.IGNORECASE | re.MULTILINE)
_SIZE_LIMIT = 2**20


class Dockerfile(Frozen):
    """A Dockerfile that was read."""

    text: str
    path: str | None
    """Relative to the component's folder; None: the text stands in component.yaml."""
    context: str = "."
    """Folder that COPY sees, relative to the component's folder."""
    args: dict[str, str] = Field(default_factory=dict)
    target: str | None = None

    @property
    def shown(self) -> str:
        """For people."""
        return self.path or "the Dockerfile in component.yaml"

    @property
    def digest(self) -> str:
        """`sha256:<hex>` of the text."""
        return "sha256:" + sha256(self.text.encode()).hexdigest()

    @property
    def stages(self) -> tuple[str, ...]:
        """Names of its stages, in lower case, as Docker compares them."""
        return tuple(match["name"].lower() for match in _STAGE.finditer(self.text))


def find_dockerfile(build: ContainerBuild, root: Path) -> Dockerfile | None:
    """What component.yaml names or holds; None when it speaks of none.

    Raises SpecError when the file or the context folder is not there, or leads outside the component.
    """
    if build.dockerfile is None:
        return None
    context = _inside(root, build.context, "context")
    if not context.is_dir():
        raise SpecError(f"build.container.context is {build.context}, which is no folder of the component")
    about = {"context": context.relative_to(root.resolve()).as_posix(), "args": build.args, "target": build.target}
    if build.has_text:
        return Dockerfile(text=build.dockerfile, path=None, **about)
    file = _inside(root, build.dockerfile, "dockerfile")
    if not file.is_file() and (context / build.dockerfile).is_file():
        file = _inside(root, f"{build.context}/{build.dockerfile}", "dockerfile")
    return Dockerfile(text=_read(file, build.dockerfile), path=file.relative_to(root.resolve()).as_posix(), **about)


def default_dockerfile(root: Path) -> Dockerfile | None:
    """The file called Dockerfile in the component's folder, where there is one."""
    file = root / NAME
    return Dockerfile(text=_read(file, NAME), path=NAME) if file.is_file() else None


def _inside(root: Path, path: str, what: str) -> Path:
    found = (root / path).resolve()
    if not found.is_relative_to(root.resolve()):
        raise SpecError(
            f"build.container.{what} is {path}, which is outside the component's folder",
            hint="An image is built from the component's own source: put what it needs into this folder.",
        )
    return found


def _read(file: Path, name: str) -> str:
    if not file.is_file():
        raise SpecError(
            f"build.container.dockerfile names {name}, and there is no such file",
            hint="Write its path relative to component.yaml, or the text of the Dockerfile itself.",
        )
    with refusals(file):
        data = file.read_bytes()
    try:
        if len(data) > _SIZE_LIMIT:
            raise SpecError(f"{name} is larger than {_SIZE_LIMIT} bytes; is it a Dockerfile?")
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SpecError(f"{name} is not a Dockerfile: it is not UTF-8 text") from error


def pack_context(dockerfile: Dockerfile, root: Path, files: Sequence[str], target: IO[bytes], *, epoch: int) -> str:
    """Write the build context as a tar archive and return what the Dockerfile is called in it.

    `files` are the source's, relative to `root`; those that .dockerignore names are left out. All times are `epoch`.
    Raises StoreError.
    """
    from docker.utils.build import PatternMatcher

    folder = "" if dockerfile.context == "." else f"{dockerfile.context}/"
    inside = {path.removeprefix(folder): root / path for path in files if path.startswith(folder)}
    name, ignored = _name_in_context(dockerfile, folder, inside), _ignored(dockerfile, root / folder)
    matcher = PatternMatcher([line for line in ignored.splitlines() if line.strip() and not line.startswith("#")])
    extra = {name: dockerfile.text}
    if name == _INLINE:
        extra[_IGNORE] = f"{ignored}\n{_INLINE}\n{_IGNORE if not ignored else ''}\n"
    elif ignored:
        extra[_IGNORE] = ignored
    with tarfile.open(fileobj=target, mode="w", format=tarfile.PAX_FORMAT, encoding="utf-8") as archive:
        for path in sorted(inside):
            if path in extra or matcher.matches(path):
                continue
            with refusals(inside[path]):
                _add(archive, path, inside[path], epoch)
        for path, text in sorted(extra.items()):
            data = text.encode()
            archive.addfile(_plain(tarfile.TarInfo(path), epoch, len(data)), io.BytesIO(data))
    target.seek(0)
    return name


def _name_in_context(dockerfile: Dockerfile, folder: str, inside: dict[str, Path]) -> str:
    if dockerfile.path is not None and dockerfile.path.startswith(folder):
        name = dockerfile.path.removeprefix(folder)
        if name in inside:
            return name
    return _INLINE


def _ignored(dockerfile: Dockerfile, context: Path) -> str:
    """Text of the ignore file: one beside the Dockerfile with its name goes first, as in BuildKit."""
    own = f"{PurePosixPath(dockerfile.path).name}{_IGNORE}" if dockerfile.path is not None else None
    for name in (own, _IGNORE):
        if name is not None and (context / name).is_file():
            with refusals(context / name):
                return (context / name).read_text(encoding="utf-8-sig", errors="replace")
    return ""


def _add(archive: tarfile.TarFile, name: str, path: Path, epoch: int) -> None:
    info = tarfile.TarInfo(name)
    if path.is_symlink():
        info.type, info.linkname = tarfile.SYMTYPE, os.fspath(path.readlink())
        archive.addfile(_plain(info, epoch, 0))
        return
    with path.open("rb") as file:
        status = os.fstat(file.fileno())
        info.mode = 0o755 if status.st_mode & 0o100 else 0o644
        archive.addfile(_plain(info, epoch, status.st_size), file)


def _plain(info: tarfile.TarInfo, epoch: int, size: int) -> tarfile.TarInfo:
    """Without owner, and with the source's time: what is copied into an image is the same every day."""
    info.mtime, info.size = epoch, size
    return info
