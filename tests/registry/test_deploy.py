"""The compose file of deploy/ says what the program understands."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from flowctl_core.errors import ConfigError
from flowctl_registry.settings import PREFIX, load_settings

DEPLOY = Path(__file__).parents[2] / "deploy"


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    return YAML(typ="safe", pure=True).load((DEPLOY / "compose.yaml").read_text())["services"]


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    """What make-secrets.sh makes, in a copy."""
    shutil.copy(DEPLOY / "make-secrets.sh", tmp_path)
    for _ in range(2):
        subprocess.run([tmp_path / "make-secrets.sh"], check=True)
    return tmp_path / "secrets"


@pytest.mark.parametrize("name", ["migrate", "signer", "api"])
def test_its_settings_are_known(services: dict[str, Any], secrets: Path, name: str) -> None:
    given = {key: str(value) for key, value in services[name]["environment"].items()}
    assert all(key.startswith(PREFIX) for key in given)
    here = {key: value.replace("/run/secrets", str(secrets)) for key, value in given.items()}
    settings = load_settings(None, here)
    password = (secrets / "database_password").read_text()
    assert settings.database == f"postgresql://registry:{password}@database/registry"
    assert settings.blob_options["secret_access_key"].get_secret_value() == (secrets / "s3_secret").read_text()
    assert settings.signer_socket is not None


def test_only_the_signer_has_its_folder(services: dict[str, Any]) -> None:
    having = {name for name, service in services.items() if "keys:/data" in service.get("volumes", [])}
    assert having == {"signer"}


def test_a_secret_that_is_missing_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"DATABASE_URL_FILE: .*none cannot be read: No such file"):
        load_settings(None, {PREFIX + "DATABASE_URL_FILE": str(tmp_path / "none")})
