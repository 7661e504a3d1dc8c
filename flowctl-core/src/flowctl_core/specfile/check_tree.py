"""component.yaml against the files beside it: entry points, the declared binary, traps of real files."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path as FilePath
from pathlib import PurePosixPath
from typing import Any

from flowctl_core.models.artifact import Artifact
from flowctl_core.models.component import ComponentSpec, LanguageSpec, NativeBuild
from flowctl_core.specfile.check_config import RuleProblem
from flowctl_core.specfile.limits import MAX_BYTES
from flowctl_core.specfile.problems import Path

_PYTHON_OBJECT = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*(:[A-Za-z_][\w.]*)?")


def check_tree(root: FilePath, spec: ComponentSpec, artifacts: Sequence[Artifact] | None) -> Iterator[RuleProblem]:
    """Entry points exist, the declared binary is inside the tree (and was built), commands can work here."""
    for path, language in _entries(spec):
        yield from _main(root, (*path, "main"), language)
        if language.native is not None:
            yield from _native(root, _native_path(spec, path, language), language.native, spec, artifacts)
    if not spec.languages and spec.native_build is not None:
        native = _mapping(_mapping(spec.data.get("spec")).get("build")).get("native")
        here: Path = ("spec", "build") if native is None else ("spec", "build", "native")
        yield from _native(root, here, spec.native_build, spec, artifacts)


def _entries(spec: ComponentSpec) -> Iterator[tuple[Path, LanguageSpec]]:
    written = _mapping(spec.data.get("spec")).get("languages")
    for language in spec.languages:
        here: Path = ("spec", "build")
        if isinstance(written, dict):
            key = next((name for name in written if name.lower() == language.name), None)
            here = ("spec", "languages", key) if key is not None else here
        elif isinstance(written, list):
            names = [str(item.get("name") if isinstance(item, dict) else item).lower() for item in written]
            here = ("spec", "languages", names.index(language.name)) if language.name in names else here
        yield here, language


def _native_path(spec: ComponentSpec, path: Path, language: LanguageSpec) -> Path:
    """Where the native build stands: in spec.build when that is laid over this language, else in its entry."""
    body = _mapping(spec.data.get("spec"))
    entry: Any = body
    for key in path[1:]:
        entry = entry[key]
    own = _mapping(_mapping(entry).get("build")) or _mapping(_mapping(entry).get("native_build"))
    if "build" in body and not own:
        path = ("spec",)
        entry = body
    if _mapping(entry).get("native_build"):
        return (*path, "native_build")
    if path == ("spec", "build"):
        return (*path, "native") if "native" in _mapping(entry) else path
    return (*path, "build", "native") if "native" in _mapping(_mapping(entry).get("build")) else (*path, "build")


def _main(root: FilePath, path: Path, language: LanguageSpec) -> Iterator[RuleProblem]:
    main = language.main
    if main is None:
        return
    if not _inside(main):
        yield "error", (path, f"'{main}' leads outside the component's folder")
    elif not _exists(root, main) and not (language.name == "python" and _python_object_exists(root, main)):
        if "/" in main or PurePosixPath(main).suffix:
            yield "error", (path, f"there is no '{main}' in the component's folder")
        elif not any(main in _text(file) for file in _manifests(root)):
            message = f"there is no file or folder '{main}', and no manifest names a program so"
            yield "warning", (path, message)


def _manifests(root: FilePath) -> Iterator[FilePath]:
    """Files that name programs: at the root, and in the members of a workspace."""
    for name in ("Cargo.toml", "pyproject.toml", "package.json", "setup.cfg", "setup.py"):
        for depth in ("", "*/", "*/*/"):
            yield from root.glob(depth + name)


def _text(file: FilePath) -> str:
    try:
        return file.read_text(errors="replace") if file.is_file() and file.stat().st_size <= MAX_BYTES else ""
    except OSError:
        return ""


def _python_object_exists(root: FilePath, main: str) -> bool:
    """`package.module:function`, at the top or below src/ or python/."""
    if not _PYTHON_OBJECT.fullmatch(main):
        return False
    module = main.partition(":")[0].replace(".", "/")
    places = [
        f"{base}{module}{end}" for base in ("", "src/", "python/") for end in (".py", "/__init__.py", "/__main__.py")
    ]
    return any(_exists(root, place) for place in places)


def _native(
    root: FilePath, path: Path, native: NativeBuild, spec: ComponentSpec, artifacts: Sequence[Artifact] | None
) -> Iterator[RuleProblem]:
    field = "binary_path" if path[-1] == "native_build" else "binary"
    if native.binary is not None and not _inside(native.binary):
        yield "error", ((*path, field), f"'{native.binary}' leads outside the component's folder")
    elif native.binary is not None and artifacts is not None:
        names = {PurePosixPath(native.binary).name, spec.name}  # core names the program after the component
        built = any(PurePosixPath(artifact.path).name in names for artifact in artifacts)
        if not built and not _exists(root, native.binary):
            yield "error", ((*path, field), f"'{native.binary}' was not made by the build")
    command = "build_command" if path[-1] == "native_build" else "command" if native.command else "commands"
    lines = [list(native.command)] if native.command else [_words(line) for line in native.commands]
    for words in lines:
        yield from _go_module_trap(root, (*path, command), words)
    yield from _forced_platform(path, native, spec)


def _go_module_trap(root: FilePath, path: Path, words: list[str]) -> Iterator[RuleProblem]:
    """`go build ./src` at the root while go.mod sits in src/: Go finds no module that holds the package."""
    if words[:2] not in (["go", "build"], ["go", "install"], ["go", "run"]) or "-C" in words:
        return
    if any((folder / "go.work").exists() for folder in (root, *root.parents)):
        return
    for word in words[2:]:
        target = PurePosixPath(word.removesuffix("/..."))
        if not word.startswith("./") or ".." in target.parts:
            continue
        folder = target if _is_dir(root, str(target)) else target.parent
        for parent in (folder, *folder.parents):
            if str(parent) != "." and _exists(root, str(parent / "go.mod")):
                message = (
                    f"builds '{word}' from the component's folder, but go.mod is in {parent}/: Go refuses that. "
                    f"Use `go build -C {parent}` or remove the command, so that the Go builder finds the module"
                )
                yield "error", (path, message)
                return


def _forced_platform(path: Path, native: NativeBuild, spec: ComponentSpec) -> Iterator[RuleProblem]:
    here = (*path, "environment")
    for variable, part in (("GOOS", "os"), ("GOARCH", "arch")):
        forced = native.environment.get(variable)
        others = sorted({str(p) for p in spec.platforms if forced and getattr(p, part) != forced})
        if others:
            yield "warning", (here, f"{variable}={forced} is forced, but spec.platforms claims {', '.join(others)}")
    systems = {platform.os for platform in spec.platforms}
    if native.environment.get("CGO_ENABLED") == "1" and "darwin" in systems and len(systems) > 1:
        message = "CGO_ENABLED=1 needs a C compiler for each platform; darwin cannot be built on a Linux host then"
        yield "warning", (here, message)


def _words(line: str) -> list[str]:
    """Words of a simple shell line; nothing for one that changes folders or chains commands."""
    if re.search(r"\bcd\b|[;&|`$<>]", line):
        return []
    try:
        words = shlex.split(line)
    except ValueError:
        return []
    while words and re.fullmatch(r"[A-Za-z_]\w*=.*", words[0]):
        words = words[1:]
    return words


def _inside(relative: str) -> bool:
    parts = PurePosixPath(relative.replace("\\", "/"))
    return not parts.is_absolute() and ".." not in parts.parts and "\0" not in relative


def _exists(root: FilePath, relative: str) -> bool:
    """A file or folder inside the root, links that leave it not counted."""
    try:
        found = (root / relative).resolve()
        return _inside(relative) and found.exists() and found.is_relative_to(root.resolve())
    except (OSError, RuntimeError, ValueError):
        return False


def _is_dir(root: FilePath, relative: str) -> bool:
    return _exists(root, relative) and (root / relative).is_dir()


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
