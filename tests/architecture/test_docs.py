"""Documentation: every page can be reached from the index, every link leads somewhere, no host or path of ours is named."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
INDEX = ROOT / "docs" / "index.md"
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
# Written in pieces, so that this file does not name them either.
HOSTS = ("py" + r"pi\.org", "python" + "hosted", "registry\\.npm" + "js", "proxy\\.gol" + "ang")
FORBIDDEN = "|".join((r"(^|[^[:alnum:]_.}-])/(wo" + "rk|ro" + "ot)/", *HOSTS))


def pages() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return [
        ROOT / line for line in listed.stdout.splitlines() if (ROOT / line).is_file() and "tests/projects" not in line
    ]


def anchors(page: Path) -> set[str]:
    """Anchors as GitHub makes them from headings."""
    text = FENCE.sub("", page.read_text())
    headings = re.findall(r"^#+ +(.+?) *#*$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", re.sub(r"[`*]", "", h).lower()).strip().replace(" ", "-") for h in headings}


def links(page: Path) -> list[str]:
    return [target for target in LINK.findall(FENCE.sub("", page.read_text())) if "://" not in target]


def target_of(page: Path, link: str) -> tuple[Path, str]:
    path, _, anchor = link.partition("#")
    return (page.parent / path).resolve() if path else page, anchor


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for link in links(page):
        target, anchor = target_of(page, link)
        assert target.exists(), f"{link} leads nowhere"
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target), f"{link}: no such heading"


def test_every_page_of_docs_is_reached_from_the_index() -> None:
    reached, todo = set(), [INDEX]
    while todo:
        page = todo.pop()
        if page in reached or page.suffix != ".md" or not page.is_file():
            continue
        reached.add(page)
        todo += [target_of(page, link)[0] for link in links(page)]
    lost = {page for page in pages() if page.is_relative_to(ROOT / "docs")} - reached
    assert {str(page.relative_to(ROOT)) for page in lost} == set()


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_pages_have_one_title(page: Path) -> None:
    titles = re.findall(r"^# .+$", FENCE.sub("", page.read_text()), re.MULTILINE)
    assert len(titles) == 1, titles


def test_no_file_names_a_registry_host_or_a_path_of_some_machine() -> None:
    done = subprocess.run(
        ["git", "grep", "--untracked", "-nIE", FORBIDDEN, "--", ":!LICENSE"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.stdout == ""
