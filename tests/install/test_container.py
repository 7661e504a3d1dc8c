"""`--container`: the image of an installed version, in a real Docker engine."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from .conftest import User

pytestmark = pytest.mark.requires_tool("docker")


@pytest.fixture
def owner(new_user: Callable[..., User], docker: Any) -> User:
    return new_user(DOCKER_HOST=docker.address)


def test_the_image_is_loaded_by_the_digest_that_was_verified(
    owner: User, published: Callable[..., str], docker: Any
) -> None:
    component = published("1.2.0", name="busybox-greeting")
    (installed,) = owner.json("component", "install", component, "--container")["components"]
    assert installed["image"] == f"{component}:1.2.0"
    command = [shutil.which("docker"), "run", "--rm", "--network", "none", installed["image"], "echo", "hi"]
    said = subprocess.run(command, env=owner.environment, capture_output=True, text=True)
    assert "component: applet not found" in said.stderr, "busybox, called by the name that it has in images"
    record = json.loads((owner.home / ".flowctl" / "components" / component / "1.2.0" / "installed.json").read_text())
    assert not [path for path in record["files"] if path.startswith("containers/")]
    assert not list((owner.home / ".flowctl" / "store" / "partial").iterdir())


def test_without_an_engine_it_is_said(new_user: Callable[..., User], published: Callable[..., str]) -> None:
    user = new_user(DOCKER_HOST="unix:///nowhere/docker.sock")
    failed = user.json("component", "install", published("1.2.0"), "--container", code=43)["error"]
    assert "Docker engine" in failed["message"]
