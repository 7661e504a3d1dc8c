"""What `flowctl bundle validate` finds: in each file, and between members; with file and line, all at once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bundle_project import BUNDLE, bundle, component, member
from flowctl_core.bundles.folder import read_folder
from flowctl_core.bundles.validate import validate_bundle
from flowctl_core.errors import SourceError, SpecError

Look = Callable[..., list[str]]


@pytest.fixture
def look(tree: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Look:
    """Findings of a bundle of these files, as text; its name is left out."""

    def look(files: dict[str, Any]) -> list[str]:
        root = tree(files)
        monkeypatch.chdir(root)
        return [f"{finding.severity}: {finding}" for finding in validate_bundle(read_folder(root))]

    return look


def spec(text: str, old: str, new: str) -> str:
    assert old in text
    return text.replace(old, new, 1)


def test_a_bundle_that_is_right_has_no_findings(look: Look) -> None:
    assert look(bundle()) == []


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("path: doubler", "path: duobler", "error: bundle.yaml:13: spec.components[1].path: there is no folder 'duobler'"),
        ("path: doubler", "path: .", "error: bundle.yaml:13: spec.components[1].path: '.' is the bundle's own folder; give each component a folder below it"),
        ("path: doubler", "path: ticker", "error: bundle.yaml:13: spec.components[1].path: is the folder of 'ticker' as well"),
        ("path: doubler", "path: doubler/make.sh", "error: bundle.yaml:13: spec.components[1].path: 'doubler/make.sh' is not a folder"),
        ("    - name: doubler", "    - name: other\n      path: doubler\n    - name: doubler", "error: bundle.yaml:12: spec.components[1].name: doubler/component.yaml names the component 'doubler'"),
        ("type: source", "type: sink", "error: bundle.yaml:11: spec.components[0].type: is sink, ticker/component.yaml has source"),
        ("type: source", "version: v2.0.0", "error: bundle.yaml:11: spec.components[0].version: is v2.0.0, ticker/component.yaml has 1.0.0"),
        ("type: source", "outputEventTypes: [tock.v1]", "error: bundle.yaml:11: spec.components[0].outputEventTypes: are tock.v1, ticker/component.yaml has tick.v1"),
        ("${RATE:-3}", "${RATE:-0}", "error: bundle.yaml:19: spec.templates[0].components[0].ticker.config.rate: 0 is below the minimum, 1"),
        ("${RATE:-3}", "${RATE:-x}", "error: bundle.yaml:19: spec.templates[0].components[0].ticker.config.rate: must be a whole number, not 'x'"),
        ("${MODE:-quiet}", "silent", "error: bundle.yaml:23: spec.templates[0].components[2].keeper.config.mode: 'silent' is none of 'quiet', 'loud'"),
        ("mode:", "mood:", "warning: bundle.yaml:23: spec.templates[0].components[2].keeper.config.mood: 'keeper' declares no such configuration key; did you mean 'mode'?"),
        ("        - ticker: {config: {rate: \"${RATE:-3}\"}}\n", "", "error: bundle.yaml:19: spec.templates[0].components[0].doubler: takes tick.v1, which nothing before it in this template gives"),
        ("        - doubler: {}\n", "        - keeper: {}\n        - doubler: {}\n", "error: bundle.yaml:22: spec.templates[0].components[3].keeper: 'keeper' is in this template already"),
        ("        - ticker: {", "        - doubler: {}\n        - ticker: {", "error: bundle.yaml:19: spec.templates[0].components[0].doubler: takes tick.v1, which nothing before it in this template gives; put 'ticker' before it"),
        ("path: doubler", "path: doubler\n      depends_on: [keeper]\n    - {name: loner, version: 1.0.0, depends_on: [loner]}", "error: bundle.yaml:15: spec.components[2].depends_on: 'loner' is to be built before itself"),
        ("  templates:", "  build: {order: [keeper, ticker, keeper]}\n  templates:", "error: bundle.yaml:16: spec.build.order: 'ticker' is to be built before itself, through keeper"),
        ("  templates:", "  platforms: [linux/amd64]\n  requirements: {flowctl_version: 99.0+}\n  templates:", "error: bundle.yaml:17: spec.requirements.flowctl_version: needs flowctl 99.0+, this is 0.1.0"),
        ("path: doubler", "build: {command: [make]}\n      path: doubler", "warning: bundle.yaml:13: spec.components[1].build: is not used: say it in the component.yaml of doubler, so that every build of it is the same"),
        ("  templates:", "  config: {flow: {rate: {type: integer, default: 0, env: RATE}}}\n  templates:", "error: bundle.yaml:16: spec.config.flow.rate.default: RATE is no value for 'rate' of 'ticker': 0 is below the minimum, 1"),
        ("  templates:", "  shared: {environment: {MODE: noisy}}\n  templates:", "error: bundle.yaml:16: spec.shared.environment.MODE: MODE is no value for 'mode' of 'keeper': 'noisy' is none of 'quiet', 'loud'"),
        ("      path: doubler\n", "", "error: bundle.yaml:12: spec.components[1].name: has neither a path nor a version; give its folder, or the version that is published"),
    ],
)  # fmt: skip
def test_what_contradicts_itself_is_found(look: Look, old: str, new: str, found: str) -> None:
    assert found in look(bundle(spec(BUNDLE, old, new)))


def test_event_types_that_do_not_meet(look: Look) -> None:
    doubler = member("doubler")
    doubler["component.yaml"] = spec(doubler["component.yaml"], "[tick.v1]", "[tick.v2]")
    found = look(bundle(spec(BUNDLE, "        - doubler: {}\n", ""), doubler=doubler))
    assert (
        "error: doubler/component.yaml:9: spec.interface.inputEventTypes[0]: no other component of the bundle gives "
        "'tick.v2'; did you mean 'tick.v1'?" in found
    )
    assert (
        "warning: ticker/component.yaml:10: spec.interface.outputEventTypes[0]: nothing that 'ticker' gives is taken by "
        "another component" in found
    )


def test_a_bundle_without_a_source_may_be_fed_from_outside(look: Look) -> None:
    text = spec(BUNDLE, "    - name: ticker\n      path: ticker/\n      type: source\n", "").partition("  templates:")[
        0
    ]
    files = bundle(text)
    assert [finding.split(":")[0] for finding in look(files)] == ["warning"]


PORT = "    communication: {{protocol: grpc, port: {}}}\n"


def test_ports_that_clash(look: Look) -> None:
    files = bundle(
        ticker=member("ticker", more=PORT.format(8815)),
        doubler=member("doubler", more=PORT.format(8815)),
        keeper=member("keeper", more=PORT.format(8816)),
    )
    assert look(files) == [
        "error: doubler/component.yaml:14: spec.interface.communication.port: port 8815 of 'doubler' is taken by "
        "'ticker' (ticker/component.yaml:14)"
    ]
    apart = spec(BUNDLE, "spec:\n", "spec:\n  execution: {modes: [container]}\n")
    assert look(files | {"bundle.yaml": apart}) == []
    other = spec(BUNDLE, "spec:\n", "spec:\n  communication: {ports: {keeper: 8817}}\n")
    assert "error: bundle.yaml:8: spec.communication.ports.keeper: is 8817, keeper/component.yaml:14 has 8816" in look(
        files | {"bundle.yaml": other}
    )


def test_streams_and_schemas_that_do_not_meet(look: Look) -> None:
    given = "    outputSchemas: [{name: tick, version: 1.0.0}]\n" + (
        "    communication: {port: 8815, streams: [{name: ticks, schema: tick}]}\n"
    )
    taken = "    inputSchemas: [{name: tick, version: 2.0.0}]\n" + (
        "    communication: {port: 8816, consumes: [{name: tickz}, {name: ticks, schema: tock, source: ticker, port: 9}]}\n"
    )
    files = bundle(ticker=member("ticker", more=given), doubler=member("doubler", more=taken))
    told = [finding.partition(": spec.interface.")[2] for finding in look(files)]
    assert told == [
        "inputSchemas[0]: takes version 2.0.0 of the schema 'tick', ticker/component.yaml:14 gives 1.0.0",
        "communication.consumes[0]: no component of the bundle gives the stream 'tickz'; did you mean 'ticks'?",
        "communication.consumes[1]: 'ticker' listens on port 8815 (ticker/component.yaml:15), not 9",
        "communication.consumes[1]: the stream 'ticks' has the schema tick (ticker/component.yaml:15)",
    ]


def test_platforms_that_a_member_lacks(look: Look) -> None:
    files = bundle(
        spec(BUNDLE, "spec:\n", "spec:\n  platforms: [linux/amd64, linux/arm64]\n"),
        ticker={**member("ticker"), "component.yaml": component("ticker") + "  platforms: [linux/amd64]\n"},
    )
    assert look(files) == ["error: bundle.yaml:8: spec.platforms[1]: the bundle claims linux/arm64, ticker does not"]


def test_problems_of_all_files_come_at_once(look: Look) -> None:
    files = bundle(
        spec(BUNDLE, "path: keeper", "path: keper"),
        ticker={**member("ticker"), "component.yaml": "kind: [\n"},
        doubler={**member("doubler"), "component.yaml": spec(component("doubler"), "processor", "procesor")},
    )
    found = look(files)
    for file in ("bundle.yaml:", "ticker/component.yaml:", "doubler/component.yaml:"):
        assert any(finding.startswith(f"error: {file}") for finding in found), found


def test_a_member_that_is_a_bundle_itself(look: Look) -> None:
    files = bundle(doubler={**member("doubler"), "bundle.yaml": BUNDLE})
    assert any("'doubler' is a bundle itself; a bundle holds components" in finding for finding in look(files))


def test_links_do_not_lead_out_of_the_bundle(tree: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    outside = tree(member("doubler"))
    root = tree({name: files for name, files in bundle().items() if name != "doubler"})
    monkeypatch.chdir(root)
    (root / "doubler").symlink_to(outside)
    found = [str(finding) for finding in validate_bundle(read_folder(root))]
    assert "bundle.yaml:13: spec.components[1].path: 'doubler' leads outside the bundle's folder" in found
    (root / "doubler").unlink()
    (root / "doubler").symlink_to("doubler")
    found = [str(finding) for finding in validate_bundle(read_folder(root))]
    assert any(finding.startswith("bundle.yaml:13: spec.components[1].path: 'doubler' cannot be read") or "there is no folder 'doubler'" in finding for finding in found), found  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        ("a: [b", "bundle.yaml:1"),
        ("a: &x [*x]\n", "bundle.yaml"),
        (BUNDLE.replace("name: doubler", "name: ticker"), "the name 'ticker' is given twice"),
        (BUNDLE.replace("- name: doubler", "- name: doubled"), "did you mean 'doubled'?"),
        (BUNDLE.replace("path: doubler", "path: ../doubler"), "'../doubler' leads outside the bundle's folder"),
        (BUNDLE.replace("path: doubler", "depends_on: [nobody]"), "'nobody' is not a component of this bundle"),
        ("x" * 2_000_000, "are not read"),
    ],
)
def test_a_bundle_yaml_that_cannot_be_used(tree: Callable[..., Path], text: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        read_folder(tree(bundle(text)))
    assert message in str(caught.value)


def test_folders_that_hold_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"has no bundle\.yaml"):
        read_folder(tmp_path)
    with pytest.raises(SourceError, match="is not a folder"):
        read_folder(tmp_path / "none")


def test_a_thousand_members_and_no_more(tree: Callable[..., Path]) -> None:
    names = [f"m{index}" for index in range(1001)]
    listed = "".join(
        f"    - {{name: {name}, path: {name}, type: processor, inputEventTypes: [e{index}], outputEventTypes: [e{index + 1}]}}\n"
        for index, name in enumerate(names)
    )
    steps = "".join(f"        - {name}: {{}}\n" for name in names)
    head = BUNDLE.partition("  components:\n")[0]
    root = tree(
        {"bundle.yaml": f"{head}  components:\n{listed}  templates:\n    - name: all\n      components:\n{steps}"}
    )
    for name in names:
        (root / name).mkdir()
    found = validate_bundle(read_folder(root))
    assert [finding.message for finding in found if finding.field == "spec.components[1000]"] == [
        "a bundle has at most 1000 components"
    ]
    assert len(found) < 1100
