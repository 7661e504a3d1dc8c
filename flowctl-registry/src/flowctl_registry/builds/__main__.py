"""The worker as `serve` starts it: settings come from standard input."""

from __future__ import annotations

import logging
import sys

from flowctl_core.errors import FlowctlError
from flowctl_registry.builds.steps import step_functions
from flowctl_registry.builds.workers import embedded_id, run
from flowctl_registry.child import told
from flowctl_registry.observability.logs import configure

settings, parent = told()
configure(settings.telemetry)
try:
    run(settings, step_functions, worker_id=embedded_id(settings), slots=settings.builds.embedded_slots, parent=parent)
except FlowctlError as error:
    logging.getLogger("flowctl_registry.builds").error("%s%s", error.message, f" ({error.hint})" if error.hint else "")
    sys.exit(error.exit_code)
