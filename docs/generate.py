"""Writes the generated parts of the documentation: `python docs/generate.py [--check]`.

A page marks such a part with the lines `<!-- generated: NAME -->` and `<!-- /generated -->`; what is between them comes
from the function that BLOCKS names. `--check` writes nothing and ends with 1 when a page is out of date. To add a
block, write a function that gives Markdown and enter it in BLOCKS.
"""

from __future__ import annotations

import argparse
import ast
import inspect
import re
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args, get_type_hints

from pydantic import BaseModel

from flowctl_core import hookspecs, models
from flowctl_core.plugins.signatures import REQUIRED, hook_names, signature

DOCS = Path(__file__).parent
_BLOCK = re.compile(r"(<!-- generated: (?P<name>[\w-]+) -->\n).*?(<!-- /generated -->)", re.DOTALL)


def hooks() -> str:
    """The hooks of the contract, as hookspecs.py describes them."""
    rows = ["| Hook | Answers with | What it does |", "|---|---|---|"]
    for name in hook_names():
        function = getattr(hookspecs, name)
        needed = " **Required.**" if name in REQUIRED else ""
        text = " ".join((inspect.getdoc(function) or "").split())
        arguments = ", ".join(inspect.signature(function).parameters)
        rows.append(f"| `{name}({arguments})` | `{signature(name).expected}` or None | {text}{needed} |")
    return "\n".join(rows)


def hook_models() -> str:
    """Every model that a hook takes or gives, and the models in their fields, with what each field means."""
    sections = []
    for model in _reachable():
        lines = [f"### {model.__name__}", "", inspect.getdoc(model) or "", ""]
        meanings = _field_meanings(model)
        for name, field in model.model_fields.items():
            kind = _type_text(get_type_hints(model)[name])
            default = "required" if field.is_required() else f"default `{_default_text(field)}`"
            meaning = meanings.get(name, "")
            lines.append(f"- `{name}`: `{kind}`, {default}. {meaning}".rstrip())
        sections.append("\n".join(lines))
    return "\n\n".join(sections)


BLOCKS: dict[str, Callable[[], str]] = {"hooks": hooks, "hook-models": hook_models}


def _reachable() -> list[type[BaseModel]]:
    """Models in the order in which the hooks need them."""
    found: list[type[BaseModel]] = []

    def visit(kind: Any) -> None:
        if inspect.isclass(kind) and issubclass(kind, BaseModel):
            if kind not in found and kind.__name__ in models.__all__:
                found.append(kind)
                for field in get_type_hints(kind).values():
                    visit(field)
            return
        for part in get_args(kind):
            visit(part)

    for name in hook_names():
        for kind in get_type_hints(getattr(hookspecs, name)).values():
            visit(kind)
    return found


def _field_meanings(model: type[BaseModel]) -> dict[str, str]:
    """The docstrings below the fields."""
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(model))).body
    assert isinstance(definition, ast.ClassDef)  # noqa: S101 - it is the source of a class
    meanings = {}
    for statement, following in zip(definition.body, definition.body[1:], strict=False):
        if (
            isinstance(statement, ast.AnnAssign)
            and isinstance(statement.target, ast.Name)
            and isinstance(following, ast.Expr)
            and isinstance(following.value, ast.Constant)
        ):
            meanings[statement.target.id] = " ".join(str(following.value.value).split())
    return meanings


def _type_text(kind: Any) -> str:
    text = kind.__name__ if inspect.isclass(kind) and not get_args(kind) else str(kind)
    text = re.sub(r"\b(?:[a-z_]\w*\.)+([A-Za-z]\w*)", r"\1", text)
    return text.replace("NoneType", "None").replace("|", "or")


def _default_text(field: Any) -> str:
    if field.default_factory is not None:
        return {"<lambda>": "the host's"}.get(field.default_factory.__name__, f"{field.default_factory.__name__}()")
    return f"{type(field.default).__name__}()" if isinstance(field.default, BaseModel) else repr(field.default)


def render(text: str) -> str:
    """A page with its generated parts made anew; KeyError for a block that is not in BLOCKS."""

    def replace(match: re.Match[str]) -> str:
        return f"{match[1]}\n{BLOCKS[match['name']]()}\n\n{match[3]}"

    return _BLOCK.sub(replace, text)


def stale_pages(root: Path = DOCS) -> Iterator[tuple[Path, str]]:
    """Pages whose generated parts differ from what they should be, with the right text."""
    for page in sorted(root.rglob("*.md")):
        text = page.read_text(encoding="utf-8")
        right = render(text)
        if right != text:
            yield page, right


def main(arguments: list[str] | None = None) -> int:
    """Write, or with --check only compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--check", action="store_true", help="write nothing, end with 1 when a page is out of date")
    check = parser.parse_args(arguments).check
    stale = list(stale_pages())
    for page, right in stale:
        sys.stdout.write(f"{page.relative_to(DOCS.parent)} {'is out of date' if check else 'written'}\n")
        if not check:
            page.write_text(right, encoding="utf-8")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
