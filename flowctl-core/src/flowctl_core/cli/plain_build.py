"""`flowctl component build` without options or with `-o json`: what people and scripts run most.

The same build as by the option parser, without importing and making it: that alone takes a third of the time that
flowctl needs before the toolchain starts. A test holds the two to the same answers.
"""

from __future__ import annotations

from pathlib import Path

from flowctl_core.cli.failure import exit_code
from flowctl_core.cli.global_options import GLOBAL, OutputFormat


def run(form: str) -> int:
    """Build what is in the current folder and report as `table` or `json`; return the exit code."""
    GLOBAL.output = OutputFormat(form)
    return exit_code(_build)


def _build() -> int:
    from flowctl_core.cli.building import build_components
    from flowctl_core.cli.session import absolute, make_engine
    from flowctl_core.job import Options

    here = Path()
    return build_components(make_engine(), Options(), [(here, absolute(here))], verbose=False)
