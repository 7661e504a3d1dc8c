"""tsconfig.json: where the TypeScript compiler puts what it makes."""

from __future__ import annotations

import json
import re
from pathlib import PurePosixPath
from typing import Any

from flowctl_core.models import SourceTree
from flowctl_lang_node.manifest import joined

TYPESCRIPT = (".ts", ".mts", ".cts", ".tsx")
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|//[^\n]*|/\*.*?\*/|,(?=(?:\s|//[^\n]*|/\*.*?\*/)*[}\]])', re.DOTALL)
_EMITTED = {".ts": ".js", ".tsx": ".js", ".mts": ".mjs", ".cts": ".cjs"}


def read_jsonc(text: str) -> dict[str, Any]:
    """JSON with comments and trailing commas; an empty object when it cannot be read."""
    plain = _TOKEN.sub(lambda m: m.group() if m.group().startswith('"') else " ", text.removeprefix("\ufeff"))
    try:
        data = json.loads(plain)
    except (json.JSONDecodeError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}


class Compiler:
    """The compiler options of one tsconfig.json that say where output goes."""

    def __init__(self, folder: str, options: dict[str, Any], include: list[str]) -> None:
        self.folder = folder
        self._options = options
        self._include = include

    def _path(self, key: str) -> str | None:
        value = self._options.get(key)
        return value if isinstance(value, str) and value and not value.startswith("..") else None

    @property
    def out_dir(self) -> str | None:
        """Folder of the output, relative to the tree; None when files are emitted beside their source."""
        return self._path("outDir")

    @property
    def no_emit(self) -> bool:
        """True when the compiler only checks types."""
        return self._options.get("noEmit") is True

    @property
    def root_dirs(self) -> tuple[str, ...]:
        """Folders that may be cut off a source path to get the output's path, likeliest first."""
        declared = self._path("rootDir")
        if declared:
            return (declared,)
        firsts = {joined(self.folder, pattern.split("*")[0].rstrip("/") or ".") for pattern in self._include}
        likely = [folder for folder in firsts if PurePosixPath(folder).suffix == "" and not folder.startswith("..")]
        return tuple(dict.fromkeys([*sorted(likely, key=len, reverse=True), joined(self.folder, "src"), self.folder]))

    @property
    def build_info(self) -> str | None:
        """The file with incremental state, when it lies outside `out_dir`."""
        if self._options.get("incremental") is not True and self._options.get("composite") is not True:
            return None
        declared = self._path("tsBuildInfoFile")
        if declared:
            return declared
        return joined(self.folder, "tsconfig.tsbuildinfo") if self._path("rootDir") or not self.out_dir else None

    def emitted(self, path: str) -> tuple[str, ...]:
        """Where the output of a source file may be, likeliest first."""
        pure = PurePosixPath(path)
        name = str(pure.with_suffix(_EMITTED.get(pure.suffix, pure.suffix)))
        out = self.out_dir
        if out is None:
            return (name,)
        places = []
        for root in self.root_dirs:
            if root == ".":
                places.append(joined(out, name))
            elif name.startswith(root + "/"):
                places.append(joined(out, name.removeprefix(root + "/")))
        return tuple(dict.fromkeys(places))


def read_compiler(source: SourceTree, folder: str, name: str = "tsconfig.json") -> Compiler | None:
    """The compiler options in a folder, `extends` followed inside the tree; None without that file."""
    path = joined(folder, name)
    if not source.exists(path):
        return None
    options: dict[str, Any] = {}
    include: list[str] = []
    seen: set[str] = set()
    while path not in seen and source.exists(path) and len(seen) < 8:
        seen.add(path)
        data = read_jsonc(source.read_text(path))
        here = str(PurePosixPath(path).parent)
        declared = data.get("compilerOptions")
        for key, value in declared.items() if isinstance(declared, dict) else ():
            # Paths are relative to the file that declares them.
            is_path = key in ("outDir", "rootDir", "tsBuildInfoFile") and isinstance(value, str)
            options.setdefault(key, joined(here, value) if is_path else value)
        listed = data.get("include", data.get("files"))
        if not include and isinstance(listed, list):
            include = [item for item in listed if isinstance(item, str)]
        base = data.get("extends")
        if isinstance(base, list):
            base = base[-1] if base else None
        if not isinstance(base, str) or not base.startswith("."):
            break  # A base from node_modules says nothing about this tree's folders.
        path = joined(here, base if base.endswith(".json") else base + ".json")
    return Compiler(folder, options, include)
