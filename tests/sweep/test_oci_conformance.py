"""The official conformance suite of the OCI distribution specification 1.1, without what only a push can test."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from flowctl_core.models.signing import SigningRequest
from flowctl_core.plugins.call import InProcessCaller
from flowctl_core.plugins.manager import load_plugins
from flowctl_core.sign.key_folder import KeyFolder
from flowctl_core.sign.release import sign_release
from go_tools import go_tool
from registry_instance import Registry
from release_project import build_release

pytestmark = [pytest.mark.sweep, pytest.mark.timeout(1800)]

PULLED = {
    *("Ping", "Tag listing", "Referrers", "Blob get", "Blob head", "Invalid Manifest Digest", "Read Only Inputs"),
    *(f"Manifest {method} by {what}" for method in ("get", "head") for what in ("tag", "digest")),
}


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    dist = build_release(
        tmp_path_factory.mktemp("greeting"), tmp_path_factory.mktemp("home"), "greeting", "1.2.0", ("linux/amd64",)
    )
    keys = KeyFolder(tmp_path_factory.mktemp("keys"))
    keys.generate("default", None)
    sign_release(dist, InProcessCaller(load_plugins()), SigningRequest(key=str(keys.folder / "default.key")))
    return dist


@pytest.mark.parametrize("private", [False, True], ids=["anonymous", "with a token"])
def test_the_pull_part_passes(
    registry: Registry, signed: Path, tmp_path: Path, private: bool, record_property: Callable[[str, object], None]
) -> None:
    namespace = registry.namespace(private=private)
    done = registry.client().publish(signed, namespace, "greeting", "1.2.0")
    assert done.status_code == 201, done.text
    oci = signed / "containers" / "oci"
    index = json.loads((signed / "metadata" / "build-info.json").read_text())["images"]["index"]
    blobs = {f"sha256:{path.name}": path.read_bytes() for path in (oci / "blobs" / "sha256").iterdir()}
    manifests = sorted({index, *(each["digest"] for each in json.loads(blobs[index])["manifests"])})
    parts = [json.loads(blobs[each]) for each in manifests if each != index]
    layers = sorted({part["digest"] for each in parts for part in (each["config"], *each["layers"])})
    settings = {
        "RESULTS_DIR": str(tmp_path / "results"),
        "VERSION": "1.1",
        "REGISTRY": registry.urls[0].removeprefix("http://"),
        "TLS": "disabled",
        "REPO1": f"{namespace}/greeting",
        "API_PUSH": "false",
        "API_BLOBS_DELETE": "false",
        "API_MANIFESTS_DELETE": "false",
        "API_TAGS_DELETE": "false",
        "API_BLOBS_DIGEST_HEADER": "true",  # stricter than the default; of manifests it cannot be asked without a push
        "RO_DATA_TAGS": "1.2.0 v1.2.0 latest",
        "RO_DATA_MANIFESTS": " ".join(manifests),
        "RO_DATA_BLOBS": " ".join(layers),
        "RO_DATA_REFERRERS": " ".join(manifests),
    }
    if private:
        settings |= {"USERNAME": "admin", "PASSWORD": str(registry.token)}
    environment = os.environ | {f"OCI_{name}": value for name, value in settings.items()}
    run = subprocess.run([go_tool("conformance")], cwd=tmp_path, env=environment, capture_output=True, text=True)
    # Its last step, a report in YAML, fails where nothing was pushed; what it found stands on its output before that.
    counted = {name: int(number) for name, number in re.findall(r"^ +(\w+)\.+: +(\d+)$", run.stdout, re.MULTILINE)}
    assert counted["FAIL"] == counted["Error"] == counted["Skip"] == 0, run.stdout[-10_000:] + run.stderr[-5_000:]
    passed = set(re.findall(r"^ +([\w ]+)\.+: +Pass$", run.stdout, re.MULTILINE))
    assert passed >= PULLED, run.stdout[-10_000:]
    record_property(
        "detail", f"{counted['Pass']} checks passed, {counted['Disabled']} that push or delete are disabled"
    )
