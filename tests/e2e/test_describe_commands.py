"""The commands that describe: init, validate, detect, schema, config, cache, plugin, doctor, completion."""

import json
from pathlib import Path

import jsonschema
import pytest

CARGO = {
    "Cargo.toml": '[package]\nname = "window"\nversion = "0.4.0"\nedition = "2021"\n',
    "src/main.rs": "fn main() {}\n",
}
METADATA = json.dumps(
    {
        "name": "transfer-window",
        "version": "0.3.0",
        "type": "processor",
        "input_types": ["transfer.v1"],
        "output_types": ["window.v1"],
        "config_schema": {"window": {"type": "integer", "default": 10, "env": "WINDOW"}},
    }
)


def test_init_writes_what_was_detected_and_it_validates(flowctl, tree) -> None:
    root = tree({**CARGO, "metadata.json": METADATA})
    assert "rust processor transfer-window" in flowctl.ok("component", "init", cwd=root)
    assert flowctl.json("component", "validate", cwd=root) == {"valid": True, "findings": []}
    assert flowctl.json("component", "detect", cwd=root)["language"] == "rust"


def test_init_never_replaces_unless_forced_and_loses_nothing_when_it_fails(flowctl, tree) -> None:
    root = tree({"component.yaml": "# mine\n", "readme.txt": "no source here"})
    assert "exists already" in flowctl.failure("component", "init", cwd=root)["message"]
    assert flowctl.failure("component", "init", "--force", cwd=root)["code"] == "nothing-detected"
    assert (root / "component.yaml").read_text() == "# mine\n"


@pytest.mark.parametrize("kind", ["source", "processor", "sink"])
def test_init_of_each_type(flowctl, tree, kind: str) -> None:
    root = tree(CARGO)
    flowctl.ok("component", "init", "--type", kind, "--name", "my-thing", cwd=root)
    findings = flowctl.json("component", "validate", cwd=root)["findings"]
    assert {finding["severity"] for finding in findings} <= {"warning"}
    assert (
        "is not a type" in flowctl.failure("component", "init", "--type", "dish", cwd=tree(CARGO, "other"))["message"]
    )


def test_validate_says_what_is_wrong_where(flowctl, tree) -> None:
    root = tree({**CARGO, "metadata.json": METADATA})
    flowctl.ok("component", "init", cwd=root)
    spec = root / "component.yaml"
    spec.write_text(spec.read_text().replace("transfer.v1", "transfers.v1").replace("type: processor", "type: proces"))
    done = flowctl.run("component", "validate", cwd=root)
    assert done.returncode == 10
    assert "component.yaml:" in done.stderr and "did you mean 'processor'?" in done.stderr


def test_detect_shows_evidence_and_what_lost(flowctl, tree) -> None:
    root = tree({**CARGO, "package.json": '{"name": "docs", "devDependencies": {"vitepress": "1"}}'})
    report = flowctl.json("component", "detect", cwd=root)
    assert (report["language"], report["builder"], report["distribution"]) == ("rust", "rust", "flowctl-lang-rust")
    assert "Cargo.toml" in [evidence["path"] for evidence in report["evidence"]]
    assert [lost["builder"] for lost in report["lost"]] == ["node"]
    text = flowctl.ok("component", "detect", cwd=root)
    assert "not node (node): confidence" in text
    assert flowctl.json("component", "detect", "--language", "node", cwd=root)["language"] == "node"


def test_detect_writes_nothing(flowctl, tree) -> None:
    root = tree(CARGO)
    before = sorted(path.relative_to(root) for path in root.rglob("*"))
    flowctl.ok("component", "detect", cwd=root)
    assert sorted(path.relative_to(root) for path in root.rglob("*")) == before


@pytest.mark.parametrize("kind", ["component", "bundle", "pipeline", "config"])
def test_schemas_are_schemas(flowctl, kind: str) -> None:
    schema = json.loads(flowctl.ok("schema", kind))
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_config_show_says_where_each_value_came_from(flowctl) -> None:
    file = flowctl.home / ".flowctl" / "config.yaml"
    file.parent.mkdir()
    file.write_text("registry: {auth: {token: '${FLOWCTL_TOKEN}'}}\nbuild: {local: {timeout: 5m}}\n")
    values = flowctl.json("config", "show", FLOWCTL_TOKEN="very-secret", FLOWCTL_PARALLEL_JOBS="3")["values"]
    assert values["build.local.timeout"] == {"value": 300.0, "origin": str(file)}
    assert values["build.local.parallel_jobs"]["origin"] == "environment variable FLOWCTL_PARALLEL_JOBS"
    assert values["build.remote.sign_artifacts"] == {"value": True, "origin": "default"}
    assert "very-secret" not in flowctl.ok("config", "show", FLOWCTL_TOKEN="very-secret")


def test_cache_info_and_prune(flowctl, tree) -> None:
    assert flowctl.json("cache", "info")["entries"] == 0
    component = "apiVersion: component.flowctl.io/v1\nkind: ComponentSpec\nmetadata: {name: x, version: 1.0.0}\n"
    component += (
        "spec: {type: source, build: {native: {commands: ['printf \"#!/bin/sh\\n\" > o; chmod +x o'], binary: o}}}\n"
    )
    flowctl.ok("component", "build", cwd=tree({"component.yaml": component}))
    info = flowctl.json("cache", "info")
    assert info["entries"] == 1 and info["bytes"] > 0
    assert flowctl.json("cache", "prune", "--max-size", "1G")["entries"] == 0
    assert flowctl.json("cache", "prune", "--all")["entries"] == 1
    assert flowctl.json("cache", "info")["files"] == 0
    assert flowctl.failure("cache", "prune", "--max-size", "lots")["code"] == "usage"


def test_plugin_list_names_all_builders(flowctl) -> None:
    plugins = {plugin["name"]: plugin for plugin in flowctl.json("plugin", "list")}
    assert set(plugins) >= {"command", "go", "node", "python", "rust"}
    for plugin in plugins.values():
        assert (
            plugin["state"] == "active" and plugin["contract"] in (1, 2, 3) and plugin["digest"].startswith("sha256:")
        )
        needed = {"flowctl_sign"} if plugin["kind"] == "signer" else {"flowctl_detect", "flowctl_plan", "flowctl_build"}
        assert needed <= set(plugin["hooks"])


def test_doctor_tells_what_is_missing_and_what_to_install(flowctl, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    done = flowctl.run("doctor", "-o", "json", PATH=str(tmp_path / "bin"))
    report = json.loads(done.stdout)
    tools = {tool["tool"]: tool for tool in report["toolchains"]}
    assert tools["cargo"]["state"] == "missing" and tools["cargo"]["hint"]
    assert done.returncode == 1
    assert {engine["engine"] for engine in report["engines"]} == {"git", "docker"}


def test_completion_is_offered_for_shells(flowctl) -> None:
    assert "_FLOWCTL_COMPLETE" in flowctl.ok("--show-completion", "bash", SHELL="/bin/bash")


@pytest.mark.parametrize("mode", [0o755, 0o111])
def test_doctor_says_how_to_start_this_flowctl_when_another_comes_first(
    unprivileged, tmp_path: Path, mode: int
) -> None:
    other = tmp_path / "bin" / "flowctl"
    other.parent.mkdir()
    other.write_text("#!/bin/sh\necho something else\n")
    other.chmod(mode)
    path = f"{other.parent}:{unprivileged.environment['PATH']}"
    told = unprivileged.run("doctor", PATH=path)
    assert told.returncode == 1
    assert f"comes first on PATH: {other}" in told.stdout
    own = unprivileged.run("doctor", "-o", "json", PATH=path)
    assert f"start this one as {json.loads(own.stdout)['flowctl']['path']}" in told.stdout


def test_doctor_tells_people_why_a_tool_on_path_will_not_do(flowctl, tmp_path: Path) -> None:
    cargo = tmp_path / "bin" / "cargo"
    cargo.parent.mkdir()
    cargo.write_text("#!/bin/sh\necho no default toolchain >&2\nexit 1\n")
    cargo.chmod(0o755)
    told = flowctl.run("doctor", PATH=str(cargo.parent)).stdout
    assert f"cargo for rust: {cargo} does not work" in told
    assert "no default toolchain" in told
