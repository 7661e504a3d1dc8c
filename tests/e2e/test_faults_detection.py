"""Nobody, two, or a crashed one: three different errors; plugins that are broken never stop a build."""

import json
from pathlib import Path

import pytest

GO = {"go.mod": "module example.com/x\n\ngo 1.21\n", "main.go": "package main\n\nfunc main() {}\n"}
RUST = {"Cargo.toml": '[package]\nname = "x"\nversion = "0.1.0"\nedition = "2021"\n', "src/main.rs": "fn main() {}\n"}

PLUGIN = """\
from flowctl_core import hookimpl
{head}

class Builder:
    contract = 1

    @hookimpl
    def flowctl_detect(self, source):
        {detect}

    @hookimpl
    def flowctl_plan(self, source, request):
        raise RuntimeError("never reached")

    @hookimpl
    def flowctl_build(self, plan, context):
        raise RuntimeError("never reached")

plugin = Builder()
"""


@pytest.fixture
def install(flowctl, tmp_path: Path):
    """Installs a plugin as pip would, into a folder of its own on the import path."""

    def make(name: str, detect: str = "return None", head: str = "") -> None:
        site = tmp_path / f"site-{name}"
        info = site / f"flowctl_{name}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: flowctl-{name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[flowctl]\n{name} = flowctl_{name}:plugin\n")
        (info / "RECORD").write_text(f"flowctl_{name}.py,,\n")
        (site / f"flowctl_{name}.py").write_text(PLUGIN.format(detect=detect, head=head))
        known = flowctl.environment.get("PYTHONPATH")
        flowctl.environment["PYTHONPATH"] = f"{site}:{known}" if known else str(site)

    return make


def test_nobody(flowctl, tree) -> None:
    root = tree({"notes.txt": "no program here"})
    for command in ("detect", "build", "test"):
        error = flowctl.failure("component", command, cwd=root)
        assert (error["code"], error["exit_code"]) == ("nothing-detected", 20)
        assert f"no builder recognises {root}" in error["message"]
        assert "command, go, node, python, rust" in error["message"]
        assert "flowctl component init" in error["hint"]


def test_two_with_equal_right(flowctl, tree) -> None:
    root = tree({**GO, **RUST})
    for command in ("detect", "build"):
        error = flowctl.failure("component", command, cwd=root)
        assert (error["code"], error["exit_code"]) == ("ambiguous-detection", 21), error
        for words in ("flowctl-lang-go", "flowctl-lang-rust", "go.mod", "Cargo.toml"):
            assert words in error["message"]
        assert "--language go or --language rust" in error["hint"]
    for language in ("go", "rust"):
        assert flowctl.json("component", "detect", "--language", language, cwd=root)["language"] == language


def test_two_plugins_for_one_language(flowctl, tree, install) -> None:
    install("other", GO_CLAIM, "from flowctl_core.models import Detection, Evidence")
    root = tree(GO)
    error = flowctl.failure("component", "detect", cwd=root)
    assert (error["code"], error["exit_code"]) == ("ambiguous-detection", 21), error
    assert "flowctl-lang-go" in error["message"] and "flowctl-other" in error["message"]
    assert "build.local.languages.go.builder" in error["hint"]
    config = flowctl.home / ".flowctl" / "config.yaml"
    config.parent.mkdir()
    config.write_text("build: {local: {languages: {go: {builder: flowctl-other}}}}")
    assert flowctl.json("component", "detect", cwd=root)["distribution"] == "flowctl-other"


GO_CLAIM = (
    "return Detection(language='go', basis='manifest', confidence=0.9,"
    " evidence=(Evidence(path='go.mod', reason='mine'),)) if source.exists('go.mod') else None"
)


def test_a_crashed_detector(flowctl, tree, install) -> None:
    install("crashing", "raise ValueError('cannot read my own config')")
    error = flowctl.failure("component", "detect", cwd=tree({"notes.txt": "x"}))
    assert (error["code"], error["exit_code"]) == ("detector-crashed", 22)
    assert "detection crashed in crashing (flowctl-crashing), so its answer is unknown" in error["message"]
    assert "ValueError: cannot read my own config" in error["output"]
    assert "--language" in error["hint"]


def test_a_crashed_detector_does_not_matter_where_another_has_a_manifest(flowctl, tree, install) -> None:
    install("crashing", "raise ValueError('oops')")
    assert flowctl.json("component", "detect", cwd=tree(RUST))["language"] == "rust"


CRASHES = {
    "exits": "import sys; sys.exit(3)",
    "answers with rubbish": "return {'language': 'go'}",
    "recurses": "return self.flowctl_detect(source)",
    "reads what is not there": "return open('/nonexistent').read()",
}


@pytest.mark.parametrize("case", CRASHES)
def test_every_way_to_crash(flowctl, tree, install, case: str) -> None:
    install("crashing", CRASHES[case])
    error = flowctl.failure("component", "detect", cwd=tree({"notes.txt": "x"}))
    assert (error["code"], error["exit_code"]) == ("detector-crashed", 22), error
    assert "crashing (flowctl-crashing)" in error["message"]
    assert error["output"]


BROKEN = {
    "cannot be imported": "import no_such_module",
    "raises": "raise RuntimeError('not today')",
    "exits": "raise SystemExit(9)",
    "a syntax error": "def (",
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_plugin_that_cannot_be_loaded_is_reported_and_skipped(flowctl, greeter, install, case: str) -> None:
    install("broken", head=BROKEN[case])
    component = greeter()
    done = flowctl.run("component", "build", "-o", "json", cwd=component.root)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["cache"] == "miss"
    assert "warning: plugin broken (flowctl-broken) is skipped: " in done.stderr
    assert "Traceback" not in done.stderr
    assert component.say() == "hello"
    [row] = [row for row in flowctl.json("plugin", "list") if row["name"] == "broken"]
    assert row["state"] == "broken" and row["problem"]


@pytest.mark.parametrize("command", ["detect", "build", "test"])
def test_an_unknown_language(flowctl, tree, command: str) -> None:
    error = flowctl.failure("component", command, "--language", "cobol", cwd=tree(RUST))
    assert (error["code"], error["exit_code"]) == ("nothing-detected", 20)
    assert "no installed builder builds cobol" in error["message"]
    assert "flowctl plugin list" in error["hint"]


def test_a_language_whose_source_is_not_here(flowctl, tree) -> None:
    error = flowctl.failure("component", "build", "--language", "go", cwd=tree(RUST))
    assert error["exit_code"] in (20, 23), error
    assert "go" in error["message"]
