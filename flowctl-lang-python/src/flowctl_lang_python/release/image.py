"""How an executable becomes an image."""

from __future__ import annotations

from flowctl_core.models import Artifact, ImageFile, ImagePlan, Plan

_WRITABLE = "/tmp"  # noqa: S108 - a path in the image, not here


def plan_image(plan: Plan, artifact: Artifact) -> ImagePlan | None:
    """An image with the interpreter that the executable needs, or for one that carries its own, with a C library.

    The executable unpacks itself when it first runs: into /tmp, which anybody may write to, and which is to be a
    tmpfs where the root file system is read-only. None for a `dev` build, which cannot leave its folder.
    """
    if plan.profile != "release":
        return None
    files = (ImageFile(source=artifact.path, target="/app/component"),)
    if artifact.format == "script":
        short = artifact.interpreter.removeprefix("python")
        return ImagePlan(
            base=f"docker.io/library/python:{short}-slim", files=files, environment={"PEX_ROOT": f"{_WRITABLE}/.pex"}
        )
    return ImagePlan(
        base="gcr.io/distroless/base-debian12", files=files, environment={"SCIE_BASE": f"{_WRITABLE}/.scie"}
    )
