"""Code shown in a page comes from a file that tests run: `<!-- include: PATH#NAME,NAME -->` to `<!-- /include -->`.

PATH is relative to the checkout. A name is a function, class, constant, or `Class.method` of a Python file, `imports`,
or `Class.head` for a class down to its first method. Without names the whole file is shown.
"""

from __future__ import annotations

import ast
import textwrap
from pathlib import Path

ROOT = Path(__file__).parents[2]
_LANGUAGES = {".py": "python", ".toml": "toml", ".yaml": "yaml", ".sh": "sh", ".json": "json"}


def include(reference: str) -> str:
    """The fenced code for a reference; KeyError for a name that the file does not have."""
    path, _, names = reference.strip().partition("#")
    file = ROOT / path
    text = file.read_text(encoding="utf-8")
    if names:
        text = "\n".join(_pieces(text, [name.strip() for name in names.split(",")]))
    return f"```{_LANGUAGES.get(file.suffix, 'text')}\n{text.rstrip()}\n```"


def _pieces(text: str, names: list[str]) -> list[str]:
    """The named parts, methods without their indentation, apart as a formatter wants them."""
    places = _places(ast.parse(text))
    lines = text.splitlines()
    pieces: list[str] = []
    before = ""
    for name in names:
        first, end, kind = places[name]
        if pieces and "definition" in (kind, before):
            pieces += ["", ""]
        elif pieces and kind != before:
            pieces.append("")
        pieces.append(textwrap.dedent("\n".join(lines[first - 1 : end])))
        before = kind
    return pieces


def _places(module: ast.Module) -> dict[str, tuple[int, int, str]]:
    """Name to first line, last line and kind."""
    found: dict[str, tuple[int, int, str]] = {}
    imports = [node for node in module.body if isinstance(node, ast.Import | ast.ImportFrom)]
    if imports:
        found["imports"] = (imports[0].lineno, imports[-1].end_lineno or 0, "imports")
    for node in module.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            found[node.targets[0].id] = (node.lineno, node.end_lineno or 0, "constant")
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found[node.name] = (_first(node), node.end_lineno or 0, "definition")
        if isinstance(node, ast.ClassDef):
            methods = [inner for inner in node.body if isinstance(inner, ast.FunctionDef)]
            for method in methods:
                found[f"{node.name}.{method.name}"] = (_first(method), method.end_lineno or 0, "definition")
            if methods:
                before = [inner for inner in node.body if inner.lineno < _first(methods[0])]
                found[f"{node.name}.head"] = (_first(node), before[-1].end_lineno or 0, "definition")
    return found


def _first(node: ast.FunctionDef | ast.ClassDef) -> int:
    return min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
