"""The compatibility page compares what programs print without what their copies differ in."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

FILE = Path(__file__).resolve().parents[1] / "sweep" / "compatibility" / "neutral.py"


@pytest.fixture(scope="module")
def module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("compatibility_neutral", FILE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def same(module: ModuleType, programs: tuple[str, str], by_hand: str, flowctl: str) -> bool:
    """Whether two outputs of one tree, in two folders, count as the same."""
    texts = []
    for way, text in (("hand", by_hand), ("flowctl", flowctl)):
        top = Path("/tmp") / way / "tree"
        text = text.replace("TOP", str(top))
        texts.append(module.neutral(text, programs, root=top / "part", top=top))
    return texts[0] == texts[1]


@pytest.mark.parametrize(
    ("programs", "by_hand", "flowctl"),
    [
        # Winston prints the service's name, which is what flowctl calls the program.
        (("node", ".flowctl/bin/monitoring-mcp"),
         '{"service":"monitoring-mcp","timestamp":"2026-01-02 03:04:05"}',
         '{"service":"monitoring-mcp","timestamp":"2026-01-02 03:04:06"}'),
        (("./sink", ".flowctl/bin/my-sink"), "Usage of ./sink:", "Usage of .flowctl/bin/my-sink:"),
        (("./sink", ".flowctl/bin/my-sink"), "Usage of TOP/part/sink:", "Usage of TOP/part/.flowctl/bin/my-sink:"),
        (("target/debug/agrind", ".flowctl/bin/angle-grinder"), "agrind 1.0", "angle-grinder 1.0"),
        (("./a", ".flowctl/bin/a"), "reads TOP/part/config.yaml", "reads TOP/part/config.yaml"),
    ],
)  # fmt: skip
def test_the_same(module: ModuleType, programs: tuple[str, str], by_hand: str, flowctl: str) -> None:
    assert same(module, programs, by_hand, flowctl)


@pytest.mark.parametrize(
    ("programs", "by_hand", "flowctl"),
    [
        (("./sink", ".flowctl/bin/my-sink"), "2 events", "3 events"),
        (("node", ".flowctl/bin/mcp"), '{"service":"mcp"}', '{"service":"mcp-2"}'),
        (("./a", ".flowctl/bin/a"), "all", "ball"),
    ],
)
def test_not_the_same(module: ModuleType, programs: tuple[str, str], by_hand: str, flowctl: str) -> None:
    assert not same(module, programs, by_hand, flowctl)
