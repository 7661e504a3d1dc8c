"""Bundles: the smallest releases, for tests that publish many."""

from __future__ import annotations

from pathlib import Path

_TEXT = """\
apiVersion: component.flowctl.io/v1
kind: ComponentBundle
metadata:
  name: {name}
  version: {version}
  description: Sample {text}
spec:
  components: [{{name: first}}]
"""


def write_bundle(folder: Path, name: str = "sample", version: str = "1.0.0", text: str = "one", **more: bytes) -> Path:
    """A release's folder; the same arguments give the same. `more` are other files of `metadata/`."""
    root = folder / f"{name}-{version}-{text}"
    (root / "metadata").mkdir(parents=True, exist_ok=True)
    (root / "metadata" / "bundle.yaml").write_text(_TEXT.format(name=name, version=version, text=text))
    for file, content in more.items():
        (root / "metadata" / f"{file}.json").write_bytes(content)
    return root
