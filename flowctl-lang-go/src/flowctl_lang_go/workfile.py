"""A copy of go.work outside the source.

In a workspace every `go` command, `-mod=readonly` or not, may write go.work.sum beside go.work. The copy leads it
into flowctl's own folder, so that neither fetch nor build changes the source.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from flowctl_core.models import BuildContext, Plan, SourceTree
from flowctl_lang_go.manifest import join, read_workspace


def private_copy(plan: Plan, context: BuildContext) -> Path:
    """Write the copy and go.work.sum beside it; returns its path.

    What Go has added to the copy of go.work.sum stays as long as the source's own is the same.
    """
    folder = context.work_dir / "workspace"
    folder.mkdir(parents=True, exist_ok=True)
    source = SourceTree(root=context.source_root)
    root = context.source_root / plan.root
    own_sum = source.read_text(file) if source.exists(file := join(plan.root, "go.work.sum")) else ""
    basis = folder / "go.work.sum.basis"
    if not basis.is_file() or basis.read_text(encoding="utf-8") != own_sum:
        write_atomically(folder / "go.work.sum", own_sum.encode())
        write_atomically(basis, own_sum.encode())
    copy = folder / "go.work"
    text = _rebased(source, plan.root, root)
    if not copy.is_file() or copy.read_text(encoding="utf-8") != text:
        write_atomically(copy, text.encode())
    return copy


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file that is there whole or not at all."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".new-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _rebased(source: SourceTree, folder: str, root: Path) -> str:
    """go.work with absolute folders."""
    workspace = read_workspace(source, folder)
    if workspace is None:
        return ""
    lines = [f"go {workspace.go}"] if workspace.go else []
    lines += [f"use {_quoted(root / path)}" for path in workspace.uses]
    lines += [f"replace {left} => {right}" for left, right in _replacements(source, workspace.file, root)]
    return "\n".join(lines) + "\n"


def _replacements(source: SourceTree, file: str, root: Path) -> list[tuple[str, str]]:
    """Every replacement, those by another module too; the versions stay as they are written."""
    from flowctl_lang_go.manifest import statements

    found = []
    for verb, words in statements(source.read_text(file)):
        if verb == "replace" and "=>" in words:
            middle = words.index("=>")
            new = words[middle + 1 :]
            if len(new) == 1:
                new = [_quoted(root / new[0])]
            found.append((" ".join(words[:middle]), " ".join(new)))
    return found


def _quoted(path: Path) -> str:
    text = os.path.normpath(path)
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
