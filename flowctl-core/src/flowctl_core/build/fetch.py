"""When fetch has to run again."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from flowctl_core.models import Plan


def fetch_digest(root: Path, plan: Plan, builder: str, tools: Mapping[str, str]) -> str:
    """Digest of the manifests and lockfiles that the plan names, with the builder and tools that read them."""
    hasher = hashlib.sha256(f"{builder}\0{plan.root}\0{sorted(tools.items())}".encode())
    for path in sorted(plan.inputs.fetch):
        hasher.update(b"\0" + path.encode("utf-8", "surrogateescape") + b"\0")
        try:
            hasher.update(hashlib.sha256((root / path).read_bytes()).digest())
        except OSError:
            hasher.update(b"absent")
    return "sha256:" + hasher.hexdigest()
