"""The signer as `serve` starts it: settings come from standard input."""

from __future__ import annotations

import json
import logging
import signal
import sys

from flowctl_core.errors import FlowctlError
from flowctl_registry.observability.logs import configure
from flowctl_registry.settings import Settings
from flowctl_registry.signer.process import run

for each in (signal.SIGINT, signal.SIGTERM):
    signal.signal(each, signal.SIG_IGN)
told = json.load(sys.stdin)
settings = Settings.model_validate(told["settings"])
configure(settings.telemetry)
try:
    run(settings, parent=told["parent"])
except FlowctlError as error:
    logging.getLogger("flowctl_registry.signer").error("%s%s", error.message, f" ({error.hint})" if error.hint else "")
    sys.exit(error.exit_code)
