"""Files of an image: those that an artifact brings, and those that programs expect of any system."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from flowctl_core.errors import ImageError
from flowctl_core.models.artifact import ImageFile
from flowctl_core.models.image import BaseImage, LayerEntry

CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
NONROOT = 65532
"""User and group that distroless images and ko use for programs."""


def system_files(user: str, certificates: bool) -> tuple[LayerEntry, ...]:
    """What programs expect of any system, where there is no base that has it."""
    identity, _, group = user.partition(":")
    number = int(identity) if identity.isdigit() else NONROOT
    group_number = int(group) if group.isdigit() else number
    home = "/root" if number == 0 else "/home/nonroot"
    people = [("root", 0, 0, "/root"), ("nobody", 65534, 65534, "/nonexistent")]
    groups = [("root", 0), ("nobody", 65534)]
    if number not in (0, 65534):
        people.insert(1, ("nonroot", number, group_number, home))
    if group_number not in (0, 65534):
        groups.insert(1, ("nonroot", group_number))
    passwd = "".join(f"{name}:x:{u}:{g}:{name}:{folder}:/sbin/nologin\n" for name, u, g, folder in people)
    entries = [
        LayerEntry(target="/etc", kind="folder", mode=0o755),
        LayerEntry(target="/etc/passwd", text=passwd),
        LayerEntry(target="/etc/group", text="".join(f"{name}:x:{g}:\n" for name, g in groups)),
        LayerEntry(target="/etc/nsswitch.conf", text="hosts: files dns\n"),
        LayerEntry(target="/tmp", kind="folder", mode=0o1777),  # noqa: S108 - in the image
    ]
    if home == "/home/nonroot":
        entries.append(LayerEntry(target="/home", kind="folder", mode=0o755))
        entries.append(LayerEntry(target=home, kind="folder", mode=0o700, owner=number))
    else:
        entries.append(LayerEntry(target=home, kind="folder", mode=0o700))
    if certificates:
        import certifi

        entries.append(LayerEntry(target="/etc/ssl", kind="folder", mode=0o755))
        entries.append(LayerEntry(target="/etc/ssl/certs", kind="folder", mode=0o755))
        entries.append(LayerEntry(target=CERTIFICATES, source=Path(certifi.where())))
    return tuple(entries)


def with_parents(entries: list[LayerEntry], base: BaseImage | None) -> tuple[LayerEntry, ...]:
    """With the folders above them on scratch; a base may have links there, which a folder would replace."""
    if base is not None:
        return tuple(entries)
    given = {entry.target for entry in entries}
    above = {str(folder) for target in given for folder in PurePosixPath(target).parents if str(folder) != "/"}
    made = [LayerEntry(target=folder, kind="folder", mode=0o755) for folder in sorted(above - given)]
    return (*made, *entries)


def image_files(file: ImageFile, root: Path, digests: Mapping[str, str]) -> Iterator[LayerEntry]:
    """A file, or all that a folder holds; modes are settled, so that a umask does not show."""
    source = root / file.source
    if source.is_dir():
        yield from _folder(source, PurePosixPath(file.target))
        return
    if not source.is_file():
        raise ImageError(f"{file.source}, which would be {file.target} in the image, is not there")
    digest = digests.get(file.source, "")
    yield LayerEntry(target=file.target, source=source.resolve(), mode=file.mode, digest=digest)


def _folder(folder: Path, target: PurePosixPath) -> Iterator[LayerEntry]:
    yield LayerEntry(target=str(target), kind="folder", mode=0o755)
    with os.scandir(folder) as scan:
        found = sorted(scan, key=lambda entry: entry.name)
    for entry in found:
        place = target / entry.name
        if entry.is_symlink():
            yield _link(Path(entry.path), place)
        elif entry.is_dir(follow_symlinks=False):
            yield from _folder(Path(entry.path), place)
        elif entry.is_file(follow_symlinks=False):
            runs = entry.stat(follow_symlinks=False).st_mode & stat.S_IXUSR
            yield LayerEntry(target=str(place), source=Path(entry.path).absolute(), mode=0o755 if runs else 0o644)
        else:
            raise ImageError(f"{entry.path} is neither a file nor a folder and cannot be in an image")


def _link(link: Path, place: PurePosixPath) -> LayerEntry:
    text = str(link.readlink())
    if text.startswith("/"):
        raise ImageError(f"{link} points to {text}, which is not in the image", hint="Make it a relative link.")
    return LayerEntry(target=str(place), kind="link", text=text)
