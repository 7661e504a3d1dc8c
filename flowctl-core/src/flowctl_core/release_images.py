"""The step of a release that makes container images."""

from __future__ import annotations

from flowctl_core.job import Job


def assemble_images(job: Job) -> None:
    """One image for each linux platform, and their index."""
