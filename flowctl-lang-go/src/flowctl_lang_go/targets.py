"""Finds the programs of a module: folders with `package main` and `func main`. Reads files, runs nothing."""

from __future__ import annotations

import posixpath
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from flowctl_core.errors import SourceError
from flowctl_core.models import SourceTree
from flowctl_lang_go.constraints import Wanted
from flowctl_lang_go.imports import Imports, read_imports
from flowctl_lang_go.manifest import Module, join

SKIPPED = frozenset({"vendor", "testdata"})
"""Folders that no `./...` enters."""

_SIDE = (
    "example examples test tests e2e testing tools tool hack script scripts docs doc contrib third_party build ci misc "
    "bench benchmark benchmarks fixtures internal"
)
SIDE_FOLDERS = frozenset(_SIDE.split())
"""Folders whose programs serve something beside the component: examples, generators, test servers."""

_DEPTH = 16
_LIMIT = 100_000
_LEADING = re.compile(r"\s+|//[^\n]*|/\*.*?\*/", re.DOTALL)
_PACKAGE = re.compile(r"package\s+(\w+)")
_MAIN = re.compile(r"^func\s+main\s*\(\s*\)", re.MULTILINE)
_EMBED = re.compile(r"^//go:embed\s", re.MULTILINE)


@dataclass(frozen=True)
class Program:
    """A main package."""

    folder: str
    """Relative to the source tree."""
    file: str
    """The file with `func main`."""

    @property
    def aside(self) -> bool:
        """True for one that serves something beside the component."""
        return bool(SIDE_FOLDERS & set(self.folder.split("/")))


class Tree:
    """The Go files of a source tree, listed once: vendored, hidden and test data folders left out."""

    def __init__(self, source: SourceTree) -> None:
        self.source = source

    @cached_property
    def _files(self) -> tuple[str, ...]:
        names = {"go.mod", "go.work"}
        listing = self.source.walk(depth=_DEPTH, limit=_LIMIT, skip=SKIPPED)
        return tuple(path for path in listing if path.endswith(".go") or posixpath.basename(path) in names)

    @cached_property
    def modules(self) -> tuple[str, ...]:
        """Folders with a go.mod, the upper ones first."""
        return self._folders_of("go.mod")

    @cached_property
    def workspaces(self) -> tuple[str, ...]:
        """Folders with a go.work, the upper ones first."""
        return self._folders_of("go.work")

    @cached_property
    def go_files(self) -> Mapping[str, tuple[str, ...]]:
        """Folder → its Go files, tests included; folders that Go itself passes over are left out."""
        found: dict[str, list[str]] = defaultdict(list)
        for path in self._files:
            parts = path.split("/")
            if path.endswith(".go") and not any(part.startswith(("_", ".")) for part in parts):
                found["/".join(parts[:-1]) or "."].append(path)
        return {folder: tuple(files) for folder, files in found.items()}

    def folders(self, module: Module | None) -> list[str]:
        """Folders with Go files that belong to a module and to no module inside it."""
        root = module.folder if module else "."
        nested = [folder for folder in self.modules if folder != root and is_below(folder, root)]
        return [
            folder
            for folder in self.go_files
            if is_below(folder, root)
            and not any(is_below(folder, other) for other in nested)
            and not (module and _ignored(folder, module))
        ]

    def programs(self, module: Module | None, target: Wanted) -> list[Program]:
        """The main packages of a module (None: of loose files), in folder order."""
        found = [self.program(folder, target) for folder in self.folders(module)]
        return sorted((program for program in found if program), key=lambda program: program.folder)

    def program(self, folder: str, target: Wanted) -> Program | None:
        """The main package in a folder, if its files for that target are one."""
        for path in self.go_files.get(folder, ()):
            if path.endswith("_test.go"):
                continue
            header = read_header(self.source, path, target)
            if header is None or not header.wanted:
                continue
            if header.package != "main":
                return None
            if _MAIN.search(header.text):
                return Program(folder, path)
        return None

    def package(self, folder: str, target: Wanted) -> str:
        """Name of the package in a folder; empty where no file belongs to the target."""
        for path in self.go_files.get(folder, ()):
            if not path.endswith("_test.go"):
                header = read_header(self.source, path, target)
                if header is not None and header.wanted:
                    return header.package
        return ""

    def traits(self, modules: Iterable[Module | None], target: Wanted) -> Traits:
        """What all non-test files of some modules have between them."""
        cgo = embeds = False
        for module in modules:
            for folder in self.folders(module):
                for path in self.go_files[folder]:
                    if path.endswith("_test.go"):
                        continue
                    header = read_header(self.source, path, target)
                    if header is None:
                        continue
                    embeds = embeds or _EMBED.search(header.text) is not None
                    cgo = cgo or (header.wanted and header.imports_c)
        return Traits(cgo=cgo, embeds=embeds)

    def _folders_of(self, name: str) -> tuple[str, ...]:
        files = [path for path in self._files if posixpath.basename(path) == name and self.source.exists(path)]
        found = [posixpath.dirname(path) or "." for path in files]
        return tuple(sorted(found, key=lambda folder: (folder != ".", folder.count("/"), folder)))


@dataclass(frozen=True)
class Traits:
    """What decides about inputs and tools."""

    cgo: bool
    embeds: bool


@dataclass(frozen=True)
class Header:
    """What stands above a file's declarations."""

    package: str
    wanted: bool
    """False: a build constraint or the file's name excludes it."""
    text: str
    """The whole file."""
    start: int
    """Where the package clause ends."""

    @property
    def imports_c(self) -> bool:
        """True for `import "C"`."""
        return '"C"' in self.text and "C" in self.imports.paths

    @property
    def imports(self) -> Imports:
        """Its import declarations."""
        return read_imports(self.text, self.start)


def read_header(source: SourceTree, path: str, target: Wanted) -> Header | None:
    """Read a Go file up to its package clause; None when it cannot be read or is no Go."""
    try:
        text = source.read_text(path).removeprefix("\ufeff")
    except SourceError:  # a symlink that leads outside, a vanished file: Go will say so if it matters
        return None
    position = 0
    comments: list[str] = []
    while match := _LEADING.match(text, position):
        position = match.end()
        if match[0].startswith("//"):
            comments.append(match[0].rstrip())
    package = _PACKAGE.match(text, position)
    if package is None:
        return None
    wanted = target.wants(posixpath.basename(path), comments)
    return Header(package[1], wanted, text, package.end())


def is_below(folder: str, root: str) -> bool:
    """True when a folder is `root` or inside it."""
    return root == "." or folder == root or folder.startswith(root + "/")


def _ignored(folder: str, module: Module) -> bool:
    for pattern in module.ignored:
        if pattern.startswith("*/"):
            inside = folder if module.folder == "." else folder[len(module.folder) + 1 :]
            if f"/{pattern[2:]}/" in f"/{inside}/":
                return True
        elif is_below(folder, join(".", pattern)):
            return True
    return False
