"""Writes the generated parts of the documentation: `python docs/generate.py [--check]`.

A page marks such a part with the lines `<!-- generated: NAME -->` and `<!-- /generated -->`; what is between them comes
from the function that BLOCKS names. Code from a tested file stands between `<!-- include: PATH#NAMES -->` and
`<!-- /include -->` (see generator/includes.py). `--check` writes nothing and ends with 1 when a page is out of date.
To add a block, write a function in generator/ that gives Markdown and enter it in BLOCKS.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS))  # the page generators are no package that anybody installs

from generator.commands import commands  # noqa: E402
from generator.component_yaml import component_yaml, metadata_json  # noqa: E402
from generator.configuration import configuration  # noqa: E402
from generator.contract import hook_models, hooks  # noqa: E402
from generator.exit_codes import exit_codes  # noqa: E402
from generator.includes import include  # noqa: E402
from generator.json_output import json_output  # noqa: E402
from generator.registry_api import registry_api  # noqa: E402
from generator.registry_settings import registry_settings  # noqa: E402

_BLOCK = re.compile(r"(<!-- generated: (?P<name>[\w-]+) -->\n).*?(<!-- /generated -->)", re.DOTALL)
_INCLUDE = re.compile(r"(<!-- include: (?P<reference>[^\n]+?) -->\n).*?(<!-- /include -->)", re.DOTALL)

BLOCKS: dict[str, Callable[[], str]] = {
    "hooks": hooks,
    "hook-models": hook_models,
    "commands": commands,
    "configuration": configuration,
    "component-yaml": component_yaml,
    "metadata-json": metadata_json,
    "exit-codes": exit_codes,
    "json-output": json_output,
    "registry-api": registry_api,
    "registry-settings": registry_settings,
}


def render(text: str) -> str:
    """A page with its generated parts made anew; KeyError for a block that is not in BLOCKS."""

    def block(match: re.Match[str]) -> str:
        return f"{match[1]}\n{BLOCKS[match['name']]()}\n\n{match[3]}"

    def included(match: re.Match[str]) -> str:
        return f"{match[1]}{include(match['reference'])}\n{match[3]}"

    return _INCLUDE.sub(included, _BLOCK.sub(block, text))


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
