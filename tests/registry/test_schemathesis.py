"""Schemathesis makes requests from the OpenAPI document, right and wrong ones, and compares every answer with it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from .conftest import Registry

CONFIG = Path(__file__).parent / "schemathesis.toml"
REVOKE = "delete_v1_tokens_token_id"
SEED = "20261129"


def run(config: Path, registry: Registry, phases: str, examples: int, *more: str) -> int:
    """How many test cases there were; all must have passed."""
    command = [
        Path(sys.prefix) / "bin" / "schemathesis", "--config-file", config, "run", f"{registry.urls[0]}/v1/openapi.json",
        "--header", f"Authorization: Bearer {registry.token}", "--seed", SEED, "--phases", phases,
        "--max-examples", str(examples), "--checks", "all", "--continue-on-failure", "--no-color", *more,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, cwd=registry.data.parent)
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr
    generated = re.search(r"(\d+) generated", done.stdout)
    assert generated is not None, done.stdout
    assert registry.client().get("/v1/whoami").status_code == 200, "the run has taken its own token away"
    return int(generated[1])


def test_answers_are_as_documented(open_registry: Any, release: Path, tmp_path: Path) -> None:
    free = {
        f"limits__{name}": 0
        for name in ("requests_per_minute", "token_requests_per_minute", "failed_logins_per_minute")
    }
    with open_registry(**free) as registry:
        namespace = registry.namespace()
        assert registry.client().publish(release, namespace, "greeting", "1.2.0").status_code == 201
        every = "examples,coverage,fuzzing,stateful"
        # By itself: with the others it would sooner or later end the token that the run uses.
        cases = run(CONFIG, registry, every, 30, "--exclude-operation-id", REVOKE)
        cases += run(CONFIG, registry, "coverage,fuzzing", 30, "--include-operation-id", REVOKE)
        # Guessed names find nothing; what is there is asked for as well.
        there = tmp_path / "schemathesis.toml"
        known = {"ns": namespace, "name": "greeting", "reference": "1.2.0", "version": "1.2.0"}
        parameters = "".join(f'"path.{name}" = "{value}"\n' for name, value in known.items())
        there.write_text(CONFIG.read_text().replace("[[operations]]", f"[parameters]\n{parameters}\n[[operations]]", 1))
        cases += run(
            there,
            registry,
            "coverage,fuzzing",
            10,
            "--include-path-regex",
            r"^/v1/(components|bundles)",
            "--exclude-operation-id",
            REVOKE,
        )
    assert cases >= 2_000


@pytest.mark.parametrize("path", ["/v1/nothing", "/", "/v1", "/v1/components/", "/v1/openapi.json/x"])
def test_unknown_addresses(registry: Registry, path: str) -> None:
    got = registry.client().get(path)
    assert (got.status_code, got.headers["content-type"]) == (404, "application/problem+json")
