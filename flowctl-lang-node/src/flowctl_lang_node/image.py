"""How an executable becomes a container image."""

from __future__ import annotations

from typing import Any

from flowctl_core.models import Artifact, ImageFile, ImagePlan, Plan
from flowctl_lang_node import pins

LIBRARIES_BASE = "gcr.io/distroless/cc-debian12"
"""glibc, libgcc and libstdc++, certificates, and nothing to run: all that the binaries of Node.js need."""
ATOMIC_BASE = "docker.io/library/node:{line}-slim"
"""From line 25 on they need libatomic too, which Node.js's own slim image has."""


def image(plan: Plan, artifact: Artifact) -> ImagePlan:
    """See `flowctl_image`."""
    release: Any = plan.details.get("release")
    line = pins.numbers(release["node"])[0] if release else 0
    return ImagePlan(
        base=LIBRARIES_BASE if line < pins.NEEDS_LIBATOMIC else ATOMIC_BASE.format(line=line),
        needs_certificates=False,  # Node.js carries its own
        files=(ImageFile(source=artifact.path, target="/app/component"),),
    )
