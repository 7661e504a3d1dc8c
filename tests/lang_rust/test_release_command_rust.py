"""A Rust release as a person types it: every platform, images, and the same bytes when it is made again."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from flowctl_core.testing import commit_all, write_project

from .conftest import has_std

pytestmark = pytest.mark.requires_tool("cargo", "rustc", "cc", "cargo-zigbuild")

FLOWCTL = Path(sys.prefix) / "bin" / "flowctl"
PLATFORMS = ("linux/amd64", "linux/arm64", "darwin/amd64")
COMPONENT = """\
apiVersion: component.flowctl.io/v1
kind: ComponentSpec
metadata: {name: greeter, version: 0.3.0}
spec: {type: source, languages: [{name: rust}]}
"""
FILES = {
    "component.yaml": COMPONENT,
    "Cargo.toml": '[package]\nname = "greeter"\nversion = "0.3.0"\nedition = "2021"\n[dependencies]\nitoa = "1"\n',
    "Cargo.lock": 'version = 3\n\n[[package]]\nname = "greeter"\nversion = "0.3.0"\ndependencies = ["itoa"]\n\n'
    '[[package]]\nname = "itoa"\nversion = "1.0.15"\n'
    'source = "registry+https://github.com/rust-lang/crates.io-index"\n'
    'checksum = "4a5f13b858c8d314ee3e8f639011f7ccefe71f97f96e50151fb991f267928e2c"\n',
    "src/main.rs": 'fn main() { println!("{} {}", env!("CARGO_PKG_VERSION"), itoa::Buffer::new().format(42)); }\n',
}


def flowctl(root: Path, path: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    cache = {"FLOWCTL_CACHE_DIR": str(root.parent / "cache"), "XDG_CONFIG_HOME": str(root.parent / "config")}
    return subprocess.run(
        [FLOWCTL, *arguments], cwd=root, env={**os.environ, **cache, "PATH": path}, capture_output=True, text=True
    )


def test_three_platforms(tmp_path: Path, arm64_path: str) -> None:
    root = write_project(tmp_path / "greeter", FILES)
    commit_all(root)
    done = flowctl(
        root, arm64_path, "component", "build", "--platforms", ",".join(PLATFORMS), "--no-images", "-o", "json"
    )
    report: dict[str, Any] = json.loads(done.stdout)
    states = {entry["platform"]: entry for entry in report["platforms"]}
    assert [states[platform]["state"] for platform in PLATFORMS[:2]] == ["built", "built"], done.stderr
    rustc = Path(shutil.which("rustc", path=arm64_path) or "")
    if has_std(rustc, "x86_64-apple-darwin"):
        assert states["darwin/amd64"]["state"] == "built"
        assert done.returncode == 0
    else:
        assert states["darwin/amd64"]["state"] == "refused"
        assert states["darwin/amd64"]["reason"] == f"{rustc} has no standard library for x86_64-apple-darwin"
        assert "rustup target add x86_64-apple-darwin" in states["darwin/amd64"]["hint"]
        assert done.returncode == 37
    said = {
        subprocess.run([*emulator, root / f"dist/binaries/greeter-linux-{arch}"], capture_output=True, text=True).stdout
        for arch, emulator in (("amd64", []), ("arm64", ["qemu-aarch64-static"]))
        if not emulator or shutil.which(emulator[0])
    }
    assert said == {"0.3.0 42\n"}
    sbom = json.loads((root / "dist/metadata/sbom.cdx.json").read_text())
    assert "pkg:cargo/itoa@1.0.15" in {component.get("purl") for component in sbom["components"]}
    info = (root / "dist/metadata/build-info.json").read_text()
    assert "pkg:pypi/ziglang@" in info and str(tmp_path) not in info
    again = flowctl(root, arm64_path, "component", "reproduce")
    assert again.returncode == 0, again.stdout + again.stderr
    assert "was reproduced" in again.stdout
