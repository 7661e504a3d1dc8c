"""Platforms in Go's words."""

from __future__ import annotations

import pytest

from flowctl_core.models import Platform
from flowctl_lang_go.variants import target_variables


@pytest.mark.parametrize(
    ("platform", "variables"),
    [
        ("linux/amd64", {"GOAMD64": "v1"}),
        ("linux/amd64/v3", {"GOAMD64": "v3"}),
        ("linux/arm", {"GOARM": "7"}),
        ("linux/arm/v6", {"GOARM": "6"}),
        ("linux/arm64/v8", {"GOARM64": "v8.0"}),
        ("darwin/arm64", {"GOARM64": "v8.0"}),
        ("linux/arm64/v9.2", {"GOARM64": "v9.2"}),
        ("linux/386/softfloat", {"GO386": "softfloat"}),
        ("linux/ppc64le/power9", {"GOPPC64": "power9"}),
        ("linux/riscv64", {"GORISCV64": "rva20u64"}),
        ("linux/s390x", {}),
    ],
)
def test_variables(platform: str, variables: dict[str, str]) -> None:
    system, arch = platform.split("/")[:2]
    assert target_variables(Platform(platform)) == {"GOOS": system, "GOARCH": arch, **variables}


@pytest.mark.parametrize(
    ("platform", "says"),
    [("linux/amd64/v9", "v1 to v4"), ("linux/arm/v8", "v5, v6, v7"), ("linux/s390x/z13", "no variants of s390x")],
)
def test_unknown_variants(platform: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        target_variables(Platform(platform))
