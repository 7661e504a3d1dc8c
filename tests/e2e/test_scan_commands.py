"""`flowctl component scan` and `sbom` on components whose builder reads its dependencies from a file."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from .conftest import Flowctl

sys.path.insert(0, str(Path(__file__).parents[1] / "core" / "scan"))

BUILDER = '''
"""A builder whose components are lists: `purl [runtime|build|test] [< parent purl]`, one a line."""
from flowctl_core import hookimpl
from flowctl_core.models import (
    BuildResult, Dependency, DependencyReport, Detection, Evidence, FetchReport, Inputs, Plan,
)

class Lists:
    contract = 2

    @hookimpl
    def flowctl_detect(self, source):
        if source.exists("packages.txt"):
            return Detection(language="list", confidence=0.9, evidence=(Evidence(path="packages.txt", reason="a list"),))

    @hookimpl
    def flowctl_plan(self, source, request):
        return Plan(
            component=request.name, version=request.version, language="list", profile=request.profile,
            platforms=request.platforms, inputs=Inputs(fetch=("packages.txt",)),
        )

    @hookimpl
    def flowctl_fetch(self, plan, context):
        assert not (context.source_root / "no-network").exists(), "fetch must not run"
        return FetchReport()

    @hookimpl
    def flowctl_build(self, plan, context):
        return BuildResult(artifacts=())

    @hookimpl
    def flowctl_dependencies(self, plan, context):
        if (context.source_root / "silent").exists():
            return None
        found = []
        for line in (context.source_root / "packages.txt").read_text().splitlines():
            words, _, parent = line.partition(" < ")
            purl, *scope = words.split()
            found.append(Dependency(
                purl=purl, scope=scope[0] if scope else "runtime", direct=not parent, parents=(parent,) if parent else (),
            ))
        return DependencyReport(dependencies=tuple(found), resolved_from=("packages.txt",))

plugin = Lists()
'''

SPEC = """apiVersion: component.flowctl.io/v1
kind: ComponentSpec
metadata:
  name: shopping
  version: 1.4.0
  namespace: obsrvr
  description: Buys things
  license: Apache-2.0
spec:
  type: processor
"""
IGNORE = "  build:\n    scan:\n      ignore:\n"
NET, YAML2 = "pkg:golang/golang.org/x/net@v0.16.0", "pkg:golang/gopkg.in/yaml.v2@v2.2.7"
URLLIB3 = "pkg:pypi/urllib3@1.26.0"


class Workshop:
    """A component, and flowctl with the builder of lists."""

    def __init__(self, flowctl: Flowctl, folder: Path) -> None:
        plugins = folder / "plugins"
        info = plugins / "flowctl_lang_list-1.0.dist-info"
        info.mkdir(parents=True)
        (plugins / "flowctl_lang_list.py").write_text(BUILDER)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: flowctl-lang-list\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text("[flowctl]\nlist = flowctl_lang_list:plugin\n")
        (info / "RECORD").write_text("flowctl_lang_list.py,,\n")
        flowctl.environment["PYTHONPATH"] = str(plugins)
        self.flowctl = flowctl
        self.root = folder / "shopping"
        self.root.mkdir()
        self.spec()

    def spec(self, more: str = "") -> None:
        (self.root / "component.yaml").write_text(SPEC + more)

    def needs(self, *lines: str) -> None:
        (self.root / "packages.txt").write_text("".join(f"{line}\n" for line in lines))

    def scan(self, *arguments: str, **environment: str) -> tuple[int, dict[str, Any], str]:
        """Exit code, document, standard error."""
        done = self.flowctl.run("component", "scan", "-o", "json", *arguments, cwd=self.root, **environment)
        assert "Traceback" not in done.stderr, done.stderr
        return done.returncode, json.loads(done.stdout), done.stderr


@pytest.fixture
def shop(flowctl: Flowctl, tmp_path: Path) -> Workshop:
    workshop = Workshop(flowctl, tmp_path)
    workshop.needs(NET, f"{YAML2} < {NET}", URLLIB3)
    return workshop


@pytest.fixture
def osv(shared_data: Path) -> str:
    return str(shared_data / "osv")


def test_findings_are_told_and_without_threshold_nothing_fails(shop: Workshop, osv: str) -> None:
    code, document, _ = shop.scan("--database", osv, "--offline")
    assert (code, document["status"], document["error"]) == (0, "scanned", None)
    assert (document["component"], document["version"], document["language"]) == ("shopping", "1.4.0", "list")
    by_id = {finding["id"]: finding for finding in document["findings"]}
    assert by_id["GO-2020-0036"]["introduced_by"] == [NET, YAML2]
    assert by_id["PYSEC-2023-192"]["fixed"] == "1.26.17"
    assert document["counts"]["high"] == 1


def test_people_see_a_table(shop: Workshop, osv: str) -> None:
    text = shop.flowctl.ok("component", "scan", "--database", osv, cwd=shop.root)
    lines = text.splitlines()
    assert lines[0].split() == ["SEVERITY", "ADVISORY", "PACKAGE", "FIXED", "IN", "BY", "WAY", "OF"]
    assert lines[1].split() == ["high", "PYSEC-2023-192", "pypi/urllib3@1.26.0", "1.26.17", "direct"]
    way = next(line for line in lines if "GO-2020-0036" in line)
    assert way.endswith("golang/golang.org/x/net@v0.16.0")
    assert lines[-1].startswith("shopping 1.4.0: ")
    assert " in 3 dependencies (osv, newest of 2024-07-11)" in lines[-1]


@pytest.mark.parametrize(("threshold", "code"), [("critical", 0), ("high", 45), ("medium", 45), ("low", 45)])
def test_a_threshold_decides(threshold: str, code: int, shop: Workshop, osv: str) -> None:
    shop.needs("pkg:pypi/urllib3@1.26.16")
    got, document, _ = shop.scan("--database", osv, "--fail-on", threshold)
    assert got == code
    assert len(document["findings"]) >= 2
    if code:
        assert (document["error"]["code"], document["error"]["exit_code"]) == ("vulnerable", 45)
        assert "PYSEC-2023-192 in pkg:pypi/urllib3@1.26.16" in document["error"]["message"]


def test_people_see_what_failed_after_the_table(shop: Workshop, osv: str) -> None:
    done = shop.flowctl.run("component", "scan", "--database", osv, "--fail-on", "high", cwd=shop.root)
    assert done.returncode == 45
    assert "PYSEC-2023-192" in done.stdout
    assert "error: the scan found 1 vulnerability of severity high or worse:" in done.stderr
    assert "hint:  Update what has a fixed version." in done.stderr


def test_configuration_and_environment_say_the_same_as_flags(shop: Workshop, osv: str) -> None:
    code, document, _ = shop.scan(FLOWCTL_SCAN_DATABASE=osv, FLOWCTL_SCAN_FAIL_ON="high")
    assert (code, document["status"]) == (45, "scanned")
    config = shop.flowctl.home / ".flowctl" / "config.yaml"
    config.parent.mkdir()
    config.write_text(f"build:\n  scan:\n    database: {osv}\n    fail_on: critical\n")
    assert shop.scan()[0] == 0
    assert shop.scan("--fail-on", "high")[0] == 45
    code, document, _ = shop.scan(FLOWCTL_SCAN_FAIL_ON="dreadful")
    assert (code, document["error"]["code"]) == (11, "config")


def test_ignores_count_until_they_end_and_are_told_with_their_place(shop: Workshop, osv: str) -> None:
    shop.needs("pkg:pypi/urllib3@1.26.16")
    shop.spec(
        IGNORE + "        - {id: CVE-2023-43804, reason: no redirects}\n"
        "        - {id: PYSEC-2023-212, reason: for now, until: 2024-01-31}\n"
        "        - {id: GO-1, reason: long gone}\n"
    )
    code, document, errors = shop.scan("--database", osv, "--fail-on", "high")
    assert code == 0
    by_id = {finding["id"]: finding for finding in document["findings"]}
    assert by_id["PYSEC-2023-192"]["ignored"] == {"reason": "no redirects", "until": None}
    assert by_id["PYSEC-2023-212"]["ignored"] is None
    assert document["counts"]["high"] == 0
    assert "the ignore of PYSEC-2023-212 has ended on 2024-01-31 and does not count" in document["warnings"]
    assert "component.yaml:15: spec.build.scan.ignore[1]: the ignore of PYSEC-2023-212 has ended" in errors
    assert "component.yaml:16: spec.build.scan.ignore[2]: nothing was found that GO-1 names" in errors
    assert shop.scan("--database", osv, "--fail-on", "medium")[0] == 45


def test_an_ignore_without_reason_is_an_error(shop: Workshop, osv: str) -> None:
    shop.spec(IGNORE + "        - id: CVE-2023-43804\n")
    code, document, _ = shop.scan("--database", osv)
    assert (code, document["error"]["code"]) == (10, "spec")
    assert document["error"]["message"].startswith("component.yaml:14: spec.build.scan.ignore[0].reason")


def test_without_network_and_database_it_is_not_scanned_and_no_success(shop: Workshop) -> None:
    code, document, _ = shop.scan("--offline")
    assert (code, document["status"], document["findings"]) == (44, "not-scanned", [])
    assert "no network" in document["reason"]
    assert document["error"]["code"] == "scan"
    done = shop.flowctl.run("component", "scan", "--offline", cwd=shop.root)
    assert (done.returncode, done.stdout) == (44, "")
    assert "error: shopping was not scanned: there is no network" in done.stderr


def test_an_api_that_cannot_be_reached_is_no_success(shop: Workshop) -> None:
    code, document, _ = shop.scan(FLOWCTL_SCAN_API="http://127.0.0.1:9")
    assert (code, document["status"]) == (44, "not-scanned")
    assert document["reason"].startswith("OSV's API at http://127.0.0.1:9 cannot be reached")


def test_the_api_is_asked_where_no_database_is_named(shop: Workshop, shared_data: Path) -> None:
    from osv_server import real_data, serving

    with serving(real_data(shared_data / "osv")) as server:
        code, document, errors = shop.scan("--fail-on", "high", FLOWCTL_SCAN_API=server.url)
    assert (code, document["status"], document["database"]["kind"]) == (45, "scanned", "api")
    local = shop.scan("--database", str(shared_data / "osv"))[1]
    assert document["findings"] == local["findings"]
    assert "stamina" not in errors


def test_a_database_that_is_not_there(shop: Workshop) -> None:
    code, document, _ = shop.scan("--database", "nowhere")
    assert (code, document["error"]["code"]) == (44, "scan")
    assert str(shop.root / "nowhere") in document["error"]["message"]


def test_a_builder_that_lists_nothing_is_told(shop: Workshop, osv: str) -> None:
    (shop.root / "silent").touch()
    code, document, _ = shop.scan("--database", osv)
    assert (code, document["reason"]) == (44, "the builder list does not list dependencies")
    assert shop.flowctl.failure("component", "sbom", cwd=shop.root)["code"] == "plugin"


def test_nothing_of_this_machine_is_in_the_report(shop: Workshop, osv: str) -> None:
    _, document, _ = shop.scan("--database", osv)
    text = json.dumps(document)
    assert str(Path(osv).parent) not in text
    assert str(shop.root) not in text


def test_the_sbom_is_printed_whole_and_is_the_same_each_time(shop: Workshop) -> None:
    first = shop.flowctl.ok("component", "sbom", cwd=shop.root, SOURCE_DATE_EPOCH="1700000000")
    assert shop.flowctl.ok("component", "sbom", cwd=shop.root, SOURCE_DATE_EPOCH="1700000000") == first
    document = json.loads(first)
    assert document["specVersion"] == "1.6"
    component = document["metadata"]["component"]
    assert (component["purl"], component["description"]) == ("pkg:generic/obsrvr/shopping@1.4.0", "Buys things")
    assert component["licenses"] == [{"license": {"id": "Apache-2.0"}}]
    assert {tool["name"] for tool in document["metadata"]["tools"]["components"]} == {
        "flowctl-core",
        "flowctl-lang-list",
    }
    graph = {node["ref"]: node.get("dependsOn", []) for node in document["dependencies"]}
    assert graph["pkg:generic/obsrvr/shopping@1.4.0"] == [NET, URLLIB3]
    assert graph[NET] == [YAML2]


def test_a_component_without_dependencies(shop: Workshop, osv: str) -> None:
    shop.needs()
    code, document, _ = shop.scan("--database", osv, "--fail-on", "low")
    assert (code, document["status"], document["packages"]) == (0, "scanned", 0)
    assert (
        json.loads(shop.flowctl.ok("component", "sbom", cwd=shop.root))["metadata"]["component"]["name"] == "shopping"
    )
