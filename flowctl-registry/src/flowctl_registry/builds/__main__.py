"""The worker as `serve` starts it: settings come from standard input."""

from __future__ import annotations

import logging
import sys

from flowctl_core.errors import FlowctlError
from flowctl_registry.builds.real import run_embedded
from flowctl_registry.child import told
from flowctl_registry.observability.logs import configure

settings, parent = told()
configure(settings.telemetry)
try:
    run_embedded(settings, parent)
except FlowctlError as error:
    logging.getLogger("flowctl_registry.builds").error("%s%s", error.message, f" ({error.hint})" if error.hint else "")
    sys.exit(error.exit_code)
