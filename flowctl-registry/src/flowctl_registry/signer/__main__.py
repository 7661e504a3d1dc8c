"""The signer as `serve` starts it: settings come from standard input."""

from __future__ import annotations

import logging
import sys

from flowctl_core.errors import FlowctlError
from flowctl_registry.child import told
from flowctl_registry.observability.logs import configure
from flowctl_registry.signer.process import run

settings, parent = told()
configure(settings.telemetry)
try:
    run(settings, parent=parent)
except FlowctlError as error:
    logging.getLogger("flowctl_registry.signer").error("%s%s", error.message, f" ({error.hint})" if error.hint else "")
    sys.exit(error.exit_code)
