"""How a program becomes a container image."""

from __future__ import annotations

from flowctl_core.models import Artifact, ImageFile, ImagePlan, Plan

BASE = "gcr.io/distroless/cc-debian12:nonroot"
"""glibc, libgcc and libstdc++, certificates, no shell: what a gnu program and the C++ in its crates may need."""
PLACE = "/app/component"


def image(plan: Plan, artifact: Artifact) -> ImagePlan | None:
    """An empty image around a static program, else one on a base with glibc; None for a library."""
    if artifact.kind != "program" or artifact.platform.os != "linux":
        return None
    return ImagePlan(
        base=None if artifact.static else BASE,
        needs_certificates=plan.details.get("certificates") is True,
        files=(ImageFile(source=artifact.path, target=PLACE),),
        entrypoint=(PLACE,),
    )
