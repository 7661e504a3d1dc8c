"""Distributions with plugins, made in a temporary folder as an installer would leave them."""

from __future__ import annotations

import base64
import hashlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

Install = Callable[..., Path]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty site-packages that this process and its children import from first."""
    folder = tmp_path / "site-packages"
    folder.mkdir()
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("PYTHONPATH", str(folder))
    yield folder
    for name in set(sys.modules) - before:
        if str(folder) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


@pytest.fixture
def install(site: Path) -> Install:
    """`install(distribution, modules, entry_points)`: write modules and dist-info with a true RECORD."""

    def install_into(
        distribution: str,
        modules: dict[str, str],
        entry_points: dict[str, str] | None = None,
        *,
        version: str = "1.0",
        folder: Path = site,
        editable_from: Path | None = None,
    ) -> Path:
        metadata = folder / f"{distribution.replace('-', '_')}-{version}.dist-info"
        metadata.mkdir(parents=True)
        written = {name: text.encode() for name, text in modules.items()}
        written[f"{metadata.name}/METADATA"] = f"Name: {distribution}\nVersion: {version}\n".encode()
        if entry_points is not None:
            lines = "".join(f"{name} = {value}\n" for name, value in entry_points.items())
            written[f"{metadata.name}/entry_points.txt"] = f"[console_scripts]\nx = y:z\n\n[flowctl]\n{lines}".encode()
        if editable_from is not None:
            direct = {"url": editable_from.as_uri(), "dir_info": {"editable": True}}
            written[f"{metadata.name}/direct_url.json"] = json.dumps(direct).encode()
        record = []
        for name, content in written.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            record.append(f"{name},sha256={digest},{len(content)}")
        (metadata / "RECORD").write_text("\n".join([*record, f"{metadata.name}/RECORD,,"]) + "\n")
        return metadata

    return install_into


BUILDER = """
from flowctl_core import hookimpl
from flowctl_core.models import Artifact, BuildResult, Detection, EntryPoint, Plan, Platform


class Builder:
    contract = 1
    language = "LANGUAGE"

    @hookimpl
    def flowctl_detect(self, source):
        return Detection(language=self.language, confidence=0.5)

    @hookimpl
    def flowctl_plan(self, source, request):
        return Plan(
            component=request.name, version=request.version, language=self.language, profile=request.profile,
            platforms=request.platforms, entry_points=(EntryPoint(name=request.name, path="."),),
        )

    @hookimpl
    def flowctl_build(self, plan, context):
        return BuildResult(artifacts=(Artifact(path="out/" + plan.component, platform=Platform.host()),))


plugin = Builder()
"""


@pytest.fixture
def builder_source() -> Callable[[str], str]:
    """Source text of a module with a small whole builder for a language."""
    return lambda language: BUILDER.replace("LANGUAGE", language)
