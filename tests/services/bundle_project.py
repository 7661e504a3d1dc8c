"""Bundles of shell scripts, described as files: what tests of bundles build, break and publish."""

from __future__ import annotations

from pathlib import Path
from typing import Any

EVENTS = {"ticker": ((), ("tick.v1",)), "doubler": (("tick.v1",), ("pair.v1",)), "keeper": (("pair.v1",), ())}
TYPES = {"ticker": "source", "doubler": "processor", "keeper": "sink"}
BODIES = {
    "ticker": "seq 1 ${1:-3}",
    "doubler": "while read -r line; do echo $line $line; done",
    "keeper": 'echo "kept $(wc -l)"',
}
BUNDLE = """\
apiVersion: component.flowctl.io/v1
kind: ComponentBundle
metadata:
  name: tick-suite
  version: 1.0.0
  namespace: demo
spec:
  components:
    - name: ticker
      path: ticker/
      type: source
    - name: doubler
      path: doubler
    - name: keeper
      path: keeper
  templates:
    - name: all
      components:
        - ticker: {config: {rate: "${RATE:-3}"}}
        - doubler: {}
        - keeper:
            config:
              mode: ${MODE:-quiet}
"""


def component(name: str, version: str = "1.0.0", more: str = "") -> str:
    """component.yaml of one of the three; `more` is put below `interface`."""
    takes, gives = EVENTS[name]
    return f"""\
apiVersion: component.flowctl.io/v1
kind: ComponentSpec
metadata:
  name: {name}
  version: {version}
spec:
  type: {TYPES[name]}
  interface:
    inputEventTypes: [{", ".join(takes)}]
    outputEventTypes: [{", ".join(gives)}]
    config:
      rate: {{type: integer, default: 3, minimum: 1}}
      mode: {{type: string, default: quiet, enum: [quiet, loud]}}
{more}  build:
    native:
      command: [sh, make.sh]
      binary: out/{name}
"""


def member(name: str, version: str = "1.0.0", more: str = "") -> dict[str, Any]:
    """Files of one of the three; each build adds its name to `../runs`."""
    body = BODIES[name].replace("'", "'\\''")
    make = f"mkdir -p out && printf '#!/bin/sh\\n%s\\n' '{body}' >out/{name} && chmod +x out/{name} && echo {name} >>../runs\n"
    return {"component.yaml": component(name, version, more), "make.sh": make, ".gitignore": "out/\n"}


def bundle(text: str = BUNDLE, **changed: dict[str, Any]) -> dict[str, Any]:
    """Files of the bundle; `ticker={...}` has other files in place of that member's."""
    return {"bundle.yaml": text, **{name: member(name) for name in TYPES}, **changed}


def write_tree(root: Path, files: dict[str, Any]) -> Path:
    """Write files, and folders of files, below a folder that exists."""
    for name, content in files.items():
        if isinstance(content, dict):
            (root / name).mkdir(exist_ok=True)
            write_tree(root / name, content)
        else:
            (root / name).write_text(content)
    return root
