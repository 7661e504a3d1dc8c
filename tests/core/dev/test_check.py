"""The wiring of pipelines, checked without starting anything."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from flowctl_core.dev.check import check_wiring
from flowctl_core.dev.pipeline import read_dev_pipeline

FLOWCTL = str(Path(sys.executable).with_name("flowctl"))
COMPONENT = """\
apiVersion: component.flowctl.io/v1
kind: ComponentSpec
metadata: {{name: {name}, version: 0.1.0}}
spec:
  type: {kind}
  interface:
    inputEventTypes: [{takes}]
    outputEventTypes: [{gives}]
    config:
      depth: {{type: integer, minimum: 1, required: true}}
      label: {{type: string, default: x}}
"""


@pytest.fixture
def folder(tmp_path):
    for name, kind, takes, gives in (
        ("gen", "source", "", "a"),
        ("mid", "processor", "a", "b"),
        ("out", "sink", "b", ""),
    ):
        (tmp_path / name).mkdir()
        text = COMPONENT.format(name=name, kind=kind, takes=takes, gives=gives)
        (tmp_path / name / "component.yaml").write_text(text)
    return tmp_path


GOOD = """\
apiVersion: flowctl/v1
kind: Pipeline
metadata: {name: test}
spec:
  sources:
    - id: gen
      path: gen
      config: {depth: 1}
  processors:
    - id: mid
      path: mid
      config: {depth: 2}
      inputs: [gen]
  sinks:
    - id: out
      path: out
      config: {depth: 3}
      inputs: [mid]
"""


def problems(folder, text, environ=None):
    (folder / "pipeline.yaml").write_text(text)
    reading = read_dev_pipeline(folder / "pipeline.yaml")
    found = list(reading.findings)
    if reading.pipeline is not None:
        found += check_wiring(reading.pipeline, environ or {})
    return [(f.severity, f.line, f.field, f.message) for f in found]


def test_a_good_pipeline_has_no_problem(folder):
    assert problems(folder, GOOD) == []


@pytest.mark.parametrize(
    ("old", "new", "severity", "line", "message"),
    [
        ("inputs: [mid]", "inputs: [gen]", "error", 18, "no event type meets: 'gen' gives a; 'out' takes b"),
        ("inputs: [mid]", "inputs: [mdi]", "error", 18, "there is no component 'mdi'; did you mean 'mid'?"),
        ("      inputs: [gen]\n", "", "error", 10, "is missing; say what feeds this processor"),
        ("inputs: [gen]", "inputs: [gen, mid]", "error", 13, "'mid' takes its own events, through gen, mid"),
        ("{depth: 2}", "{depth: 0}", "error", 12, "0 is below the minimum, 1"),
        ("{depth: 2}", "{depth: two}", "error", 12, "must be a whole number, not 'two'"),
        ("{depth: 2}", "{}", "error", 12, "lacks the required key 'depth'"),
        ("{depth: 2}", "{depth: 2, lable: y}", "warning", 12,
         "is not a declared configuration key; did you mean 'label'?"),
        ("{depth: 2}", "{depth: 2, label: '${NOT_SET}'}", "warning", 12, "NOT_SET is not set in the environment"),
        ("path: mid", "path: mdi", "error", 11, "'mdi' does not exist in"),
        ("path: mid", "path: mid\n      type: a/b@v1", "error", 11, "type and path are given together"),
        ("path: mid", "path: out", "error", 10, "'mid' stands among the processors, and is a sink"),
        ("path: gen", "path: gen\n      depends_on: [out]", "error", 8, "'gen' and 'out' wait for each other to start"),
        ("path: gen", "path: gen\n      depends_on: [gen]", "error", 8, "'gen' depends on itself"),
        ("path: gen", "path: gen\n      replicas: 0", "warning", 8, "'gen' does not run"),
        ("path: gen", "path: gen\n      health_port: 9000\n      replicas: 2", "error", 9, "cannot share a health_port"),
        ("path: gen", "type: acme/gen@v1.0.0", "warning", 7, "is not installed here; run `flowctl component install"),
        ("path: gen", "command: [no-such-program]", "error", 7, "'no-such-program' is not on PATH"),
    ],
)  # fmt: skip
def test_a_problem_is_told_with_its_line(folder, old, new, severity, line, message):
    assert old in GOOD
    found = problems(folder, GOOD.replace(old, new, 1))
    assert any((s, n) == (severity, line) and message in text for s, n, _, text in found), found


def test_ports_that_clash_are_told(folder):
    text = GOOD.replace("path: gen", "path: gen\n      health_port: 9000").replace(
        "path: out", "path: out\n      ports: [{containerPort: 9000}]"
    )
    assert ("error", 18, "spec.sinks[0].ports[0]", "port 9000 is taken by 'gen'") in problems(folder, text)


def test_a_required_key_may_come_from_env(folder):
    assert problems(folder, GOOD.replace("config: {depth: 2}", "env: {DEPTH: '2'}")) == []


def test_the_command_lists_everything_at_once(folder):
    (folder / "pipeline.yaml").write_text(
        GOOD.replace("depth: 1", "depth: 0").replace("inputs: [mid]", "inputs: [gen]")
    )
    done = subprocess.run([FLOWCTL, "-o", "json", "dev", "--check"], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 10
    document = json.loads(done.stdout)
    assert not document["valid"]
    assert [f["line"] for f in document["findings"]] == [8, 10, 18]


def test_what_the_wild_writes_is_read(folder):
    """`consumes`, labels, drivers, unknown fields: nothing of it is an error."""
    text = GOOD.replace("spec:", "spec:\n  driver: kubernetes\n  config: {x: 1}\n  later: true")
    assert [severity for severity, *_ in problems(folder, text)] == ["warning"]


def test_no_other_command_imports_dev_mode(folder):
    program = (
        "import sys\nfrom flowctl_core.cli.app import run\n"
        "code = run(['component', 'validate', 'gen'])\n"
        "print(code, sorted(n for n in sys.modules if n.startswith(('flowctl_core.dev', 'grpc', 'watchfiles', 'psutil'))))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, env={**os.environ}, check=True
    )
    assert done.stdout.splitlines()[-1].endswith(" []")


def test_an_installed_version_runs_and_a_damaged_one_does_not(folder, monkeypatch):
    from datetime import UTC, datetime

    from flowctl_core.install.places import Home
    from flowctl_core.install.shelf import state_of
    from flowctl_core.models import Platform
    from flowctl_core.models.installed import InstalledFile, InstalledProgram, InstalledVersion, Origin, Publisher

    monkeypatch.setenv("FLOWCTL_HOME", str(folder / "home"))
    for version in ("1.2.0", "1.10.0", "2.0.0"):
        place = Home.of_user().version("acme", "gen", version)
        (place / "bin").mkdir(parents=True)
        program = place / "bin" / "gen"
        program.write_text("#!/bin/sh\necho 1\n")
        program.chmod(0o755)
        digest = "sha256:" + hashlib.sha256(program.read_bytes()).hexdigest()
        file = InstalledFile(digest=digest, size=program.stat().st_size, state=state_of(program))
        record = InstalledVersion(
            namespace="acme",
            name="gen",
            version=version,
            registry="https://registry.example.org",
            origin=Origin(publisher=Publisher(kind="key", key_hint="x")),
            programs=(InstalledProgram(name="gen", path="bin/gen", platform=Platform.host()),),
            files={"bin/gen": file},
            installed_at=datetime.now(UTC),
        )
        (place / "installed.json").write_text(record.model_dump_json())
    text = GOOD.replace("path: gen", "type: acme/gen@^1.2.0")
    (folder / "pipeline.yaml").write_text(text)
    pipeline = read_dev_pipeline(folder / "pipeline.yaml").pipeline
    assert pipeline is not None
    assert pipeline.components[0].program.argv == (str(folder / "home/components/acme/gen/1.10.0/bin/gen"),)
    broken = Path(pipeline.components[0].program.argv[0])
    broken.write_text("#!/bin/sh\necho 2\n")
    assert any(s == "error" and "is not what was verified" in message for s, *_, message in problems(folder, text))
