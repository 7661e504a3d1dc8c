"""What an image of a component must be, beyond the format: runnable, without root, labelled."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from pydantic import JsonValue

from flowctl_core.package.layer_contents import Contents, Entry

REQUIRED_LABELS = (
    "io.flowctl.component.name",
    "io.flowctl.component.version",
    "io.flowctl.component.api-version",
    "org.opencontainers.image.title",
    "org.opencontainers.image.version",
    "org.opencontainers.image.created",
)
METADATA = "/metadata.json"
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
_ROOT = frozenset(["", "0", "root"])
_LINKS = 40
"""As many as Linux follows (path_resolution(7))."""
_EXECUTABLE = 0o111
_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_OPAQUE = ".wh..wh..opq"
_WHITEOUT = ".wh."

Json = dict[str, JsonValue]


def check_config(config: Json, *, rules: bool = True) -> Iterator[str]:
    """Problems of a config (image-spec config.md); without `rules` those of the format alone."""
    for key in ("os", "architecture"):
        if not isinstance(config.get(key), str) or not config[key]:
            yield f"the config has no {key}"
    created = config.get("created")
    if not isinstance(created, str) or not _TIME.fullmatch(created):
        yield f"created is {created!r}, not a time as RFC 3339 writes it"
    run = _mapping(config.get("config"))
    if rules:
        yield from check_user(config)
        if not _strings(run.get("Entrypoint")):
            yield "it has no entry point"
    for text in _strings(run.get("Env")):
        if "=" not in text or text.startswith("="):
            yield f"Env has {text!r}, which sets no variable"
    for port in _mapping(run.get("ExposedPorts")):
        if not re.fullmatch(r"\d{1,5}(/(tcp|udp|sctp))?", port):
            yield f"ExposedPorts has {port!r}, which is no port"
    labels = _mapping(run.get("Labels"))
    for label in REQUIRED_LABELS:
        if not labels.get(label):
            yield f"the label {label} is missing"


def check_user(config: Json) -> Iterator[str]:
    """Says so when the image runs as root."""
    user = str(_mapping(config.get("config")).get("User") or "")
    if user.partition(":")[0] in _ROOT:
        yield f"it runs as root (User is {user!r})"


def check_files(config: Json, layers: Sequence[Contents], *, complete: bool) -> Iterator[str]:
    """Problems of the files in all layers together; `complete` is False when a layer's files are not known."""
    files = merge(layers)
    run = _mapping(config.get("config"))
    for program in _strings(run.get("Entrypoint"))[:1]:
        yield from _check_program(program, run, files, complete)
    if METADATA not in files and complete:
        yield f"it has no {METADATA}"


def _check_program(program: str, run: Json, files: dict[str, Entry], complete: bool) -> Iterator[str]:
    if "/" in program:
        places = [str(PurePosixPath(str(run.get("WorkingDir") or "/")) / program)]
    else:
        environment = dict(text.split("=", 1) for text in _strings(run.get("Env")) if "=" in text)
        path = environment.get("PATH", _DEFAULT_PATH)
        places = [f"{folder.rstrip('/')}/{program}" for folder in path.split(":") if folder]
    found = [entry for place in places if (entry := resolve(files, place)) is not None]
    if not found:
        if complete:
            yield f"the entry point {program} is not in it"
        return
    if found[0].kind != "file":
        yield f"the entry point {program} is a {found[0].kind}"
    elif not found[0].mode & _EXECUTABLE:
        yield f"the entry point {program} is not executable (mode {found[0].mode:o})"


def merge(layers: Sequence[Contents]) -> dict[str, Entry]:
    """The files that a container sees, whiteouts applied (layer.md)."""
    files: dict[str, Entry] = {}
    for layer in layers:
        hidden, opaque = set(), set()
        for path in layer.entries:
            folder, _, name = path.rpartition("/")
            if name == _OPAQUE:
                opaque.add(folder or "/")
            elif name.startswith(_WHITEOUT):
                hidden.add(f"{folder}/{name.removeprefix(_WHITEOUT)}")
        if hidden or opaque:
            files = {path: entry for path, entry in files.items() if not _is_hidden(path, hidden, opaque)}
        files |= {path: e for path, e in layer.entries.items() if not path.rpartition("/")[2].startswith(_WHITEOUT)}
    return files


def resolve(files: dict[str, Entry], path: str) -> Entry | None:
    """What a path leads to in the image, links followed; None when it leads to nothing."""
    left = list(reversed(PurePosixPath(path).parts[1:]))
    here = PurePosixPath("/")
    entry: Entry | None = Entry("folder", 0o755)
    links = 0
    while left:
        name = left.pop()
        if name == "..":
            here = here.parent
            continue
        place = here / name
        entry = files.get(str(place))
        if entry is not None and entry.kind == "link":
            links += 1
            if links > _LINKS:
                return None
            target = PurePosixPath(entry.text)
            left.extend(reversed(target.parts[1:] if target.is_absolute() else target.parts))
            here = PurePosixPath("/") if target.is_absolute() else here
            continue
        here = place
        if entry is None and left and not any(True for known in files if known.startswith(f"{here}/")):
            return None
    if entry is not None and entry.linked:
        return files.get(entry.linked, entry)
    return files.get(str(here))


def _is_hidden(path: str, hidden: set[str], opaque: set[str]) -> bool:
    above = [str(parent) for parent in PurePosixPath(path).parents]
    return path in hidden or any(parent in hidden or parent in opaque for parent in above)


def _mapping(value: JsonValue) -> Json:
    return value if isinstance(value, dict) else {}


def _strings(value: JsonValue) -> list[str]:
    return [text for text in value if isinstance(text, str)] if isinstance(value, list) else []
