"""How programs become images."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from flowctl_core.models import Artifact, Plan, Platform
from flowctl_lang_go.plugin import plugin

FILES = {"go.mod": "module example.com/x\n\ngo 1.21\n", "main.go": "package main\n\nfunc main() {}\n"}


@pytest.mark.parametrize("static", [True, False])
def test_an_empty_base_only_for_a_static_program(plan: Callable[..., Plan], static: bool) -> None:
    made = plan(FILES, platforms=["linux/arm64"])
    artifact = Artifact(path="binaries/x-linux-arm64", platform=Platform("linux/arm64"), static=static)
    image = plugin.flowctl_image(made, artifact)
    assert (image.base is None) is static
    assert [(file.source, file.target, file.mode) for file in image.files] == [
        ("binaries/x-linux-arm64", "/app/component", 0o755)
    ]
    assert image.entrypoint == ("/app/component",) and image.user == "65532:65532"
    assert image.needs_certificates is False


def test_certificates(plan: Callable[..., Plan]) -> None:
    source = 'package main\n\nimport _ "net/http"\n\nfunc main() {}\n'
    made = plan({**FILES, "main.go": source}, platforms=["linux/arm64"])
    artifact = Artifact(path="x", platform=Platform("linux/arm64"), static=True)
    assert plugin.flowctl_image(made, artifact).needs_certificates is True
