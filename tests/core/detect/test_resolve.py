"""One winner, or one of three different errors."""

import pytest

from flowctl_core.detect.resolve import Answer, resolve
from flowctl_core.errors import AmbiguousDetectionError, DetectorCrashedError, NothingDetectedError
from flowctl_core.models import Detection, Evidence


def answer(builder: str, confidence: float = 0.9, *, basis: str = "manifest", aliases: tuple[str, ...] = ()) -> Answer:
    detection = Detection(
        language=builder,
        aliases=aliases,
        basis=basis,  # type: ignore[arg-type]
        confidence=confidence,
        evidence=(Evidence(path=f"{builder}.toml", reason="a manifest"),),
    )
    return Answer(builder, f"flowctl-lang-{builder}", detection)


SILENT = Answer("rust", "flowctl-lang-rust")
CRASH = Answer("node", "flowctl-lang-node", crash="Traceback …\nKeyError: 'name'")


def test_the_surer_manifest_wins_and_the_loser_is_told_why() -> None:
    report = resolve([answer("node", 0.2), answer("go", 0.9), SILENT], where="here", language=None)
    assert report.winner.builder == "go"
    assert [(lost.builder, lost.lost_because) for lost in report.lost] == [
        ("node", "confidence 0.20 is below 0.90 of go")
    ]
    assert report.silent == ("rust",)


def test_a_manifest_outweighs_loose_files_whatever_the_confidence() -> None:
    report = resolve([answer("python", 1.0, basis="files"), answer("go", 0.3)], where="here", language=None)
    assert report.winner.builder == "go"
    assert report.lost[0].lost_because == "a manifest outweighs loose files"


def test_component_yaml_overrides_it_all() -> None:
    report = resolve([answer("go", 1.0), answer("command", 0.1, basis="component")], where="here", language=None)
    assert report.winner.builder == "command"


def test_a_language_that_is_asked_for_wins_by_name_or_alias() -> None:
    report = resolve(
        [answer("go", 1.0), answer("node", 0.2, aliases=("typescript",))], where="here", language="typescript"
    )
    assert report.winner.builder == "node"
    assert report.lost[0].lost_because == "the language asked for is typescript"


def test_two_equal_claims_name_both_distributions_and_the_way_out() -> None:
    with pytest.raises(AmbiguousDetectionError) as caught:
        resolve([answer("go"), answer("node")], where="/src/x", language=None)
    assert "go (flowctl-lang-go) by go.toml; node (flowctl-lang-node) by node.toml" in caught.value.message
    assert "--language go or --language node" in (caught.value.hint or "")


def test_configuration_settles_two_builders_of_one_language() -> None:
    ours, theirs = answer("go"), Answer("gopher", "acme-gopher", answer("go").detection)
    with pytest.raises(AmbiguousDetectionError, match="acme-gopher"):
        resolve([ours, theirs], where="here", language=None)
    report = resolve([ours, theirs], where="here", language=None, preferred="acme-gopher")
    assert report.winner.builder == "gopher"
    assert report.lost[0].lost_because == "the configuration chooses acme-gopher"


def test_nobody_is_not_a_crash() -> None:
    with pytest.raises(NothingDetectedError, match="no builder recognises here"):
        resolve([SILENT], where="here", language=None)


def test_nobody_for_a_language_names_the_plugin_to_install() -> None:
    with pytest.raises(NothingDetectedError) as caught:
        resolve([SILENT], where="here", language="golang")
    assert "pip install flowctl-lang-go" in (caught.value.hint or "")


def test_a_crash_shows_the_traceback_and_names_the_plugin() -> None:
    with pytest.raises(DetectorCrashedError, match=r"node \(flowctl-lang-node\)") as caught:
        resolve([SILENT, CRASH], where="here", language=None)
    assert "KeyError" in (caught.value.output or "")


def test_a_crash_does_not_stop_a_builder_that_has_a_manifest() -> None:
    assert resolve([CRASH, answer("go")], where="here", language=None).winner.builder == "go"


def test_a_crash_matters_when_only_loose_files_speak_for_another() -> None:
    with pytest.raises(DetectorCrashedError):
        resolve([CRASH, answer("python", basis="files")], where="here", language=None)


def test_the_three_errors_have_three_exit_codes() -> None:
    codes = {e.exit_code for e in (NothingDetectedError, AmbiguousDetectionError, DetectorCrashedError)}
    assert len(codes) == 3
