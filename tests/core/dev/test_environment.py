"""What components are handed."""

from __future__ import annotations

import json

import pytest

from flowctl_core.dev.environment import Ports, Secrets, hand_over
from flowctl_core.dev.pipeline import read_dev_pipeline
from flowctl_core.dev.secrets_file import Mask, read_secrets
from flowctl_core.errors import SpecError

HEAD = "apiVersion: flowctl/v1\nkind: Pipeline\nmetadata: {name: test}\nspec:\n  sources:\n    - id: gen\n"


def handed(folder, entry, *, environ=None, secrets=None, endpoint="127.0.0.1:7777", replica=0):
    (folder / "pipeline.yaml").write_text(HEAD + entry)
    pipeline = read_dev_pipeline(folder / "pipeline.yaml").pipeline
    assert pipeline is not None
    environ = {"PATH": "/bin"} if environ is None else environ
    return hand_over(
        pipeline.components[0],
        environ=environ,
        secrets=Secrets(secrets or {}, environ),
        ports=Ports(18081, 50051),
        endpoint=endpoint,
        replica=replica,
    )


def test_the_contract_of_the_ecosystem(tmp_path):
    found = handed(tmp_path, "      command: [echo]\n", environ={"PATH": "/bin", "FLOWCTL_TOKEN": "secret"}).variables
    assert found == {
        "PATH": "/bin",
        "ENABLE_FLOWCTL": "true",
        "FLOWCTL_ENDPOINT": "127.0.0.1:7777",
        "FLOWCTL_HEARTBEAT_INTERVAL": "10s",
        "FLOWCTL_SERVICE_ID": "gen",
        "FLOWCTL_COMPONENT_ID": "gen",
        "HEALTH_PORT": "18081",
        "PORT": ":50051",
    }


def test_config_is_mapped_and_env_is_stronger(tmp_path):
    (tmp_path / "gen").mkdir()
    metadata = {"name": "gen", "env_mapping": {"start": "BEGIN_AT"}, "config_schema": {"end": {"env": "END_AT"}}}
    (tmp_path / "gen" / "metadata.json").write_text(json.dumps(metadata))
    entry = """\
      path: gen
      config:
        start: 1.10
        end: 0x1F
        max-size: 3
        dry_run: true
        assets: [XLM, "Ü"]
        nothing:
        rate: "${RATE:-7}"
        who: "${WHO}"
      env: [RATE=9, "EMPTY="]
"""
    found = handed(tmp_path, entry, environ={"WHO": "me"}).variables
    wanted = {
        "BEGIN_AT": "1.10", "END_AT": "0x1F", "MAX_SIZE": "3", "DRY_RUN": "true", "ASSETS": '["XLM","Ü"]',
        "NOTHING": "", "RATE": "9", "WHO": "me", "EMPTY": "",
    }  # fmt: skip
    assert {name: found[name] for name in wanted} == wanted


def test_replicas_have_names_of_their_own(tmp_path):
    found = handed(tmp_path, "      command: [echo]\n      replicas: 2\n", replica=1).variables
    assert (found["FLOWCTL_SERVICE_ID"], found["FLOWCTL_COMPONENT_ID"]) == ("gen-2", "gen")


def test_secrets_come_from_the_file_before_the_environment_and_are_known_as_such(tmp_path):
    entry = "      command: [echo]\n      secrets: [A, {name: B, key: OTHER}, {type: file, hostPath: x}]\n"
    answer = handed(tmp_path, entry, environ={"A": "from-environment", "OTHER": "other"}, secrets={"A": "from-file"})
    assert (answer.variables["A"], answer.variables["B"]) == ("from-file", "other")
    assert answer.secret_values == {"from-file", "other"}
    assert "from-file" not in repr(answer)


def test_a_variable_that_is_not_there_is_told(tmp_path):
    with pytest.raises(SpecError, match="WHO is not set"):
        handed(tmp_path, "      command: [echo]\n      env: {X: 'a ${WHO}'}\n", environ={})


def test_a_file_of_secrets(tmp_path):
    file = tmp_path / "secrets.env"
    file.write_text("# comment\n\nexport A=1=2\nB = 'two words'\nC=\"\"\n")
    assert read_secrets(file) == {"A": "1=2", "B": "two words", "C": ""}
    file.write_text("A=1\njust words with s3cret\n")
    with pytest.raises(SpecError, match=r"secrets\.env:2: must be NAME=value") as refused:
        read_secrets(file)
    assert "s3cret" not in str(refused.value)


def test_the_longest_secret_is_taken_out_first():
    mask = Mask()
    mask.add(frozenset({"abcd", "abcdef", "no"}))
    assert mask("abcdef abcd no") == "*** *** no"
