"""Duties that the signer does by itself."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from flowctl_core.errors import FlowctlError

_LOG = logging.getLogger(__name__)


class Timetable:
    """Runs a duty every so often on a thread of its own, and goes on when it fails."""

    def __init__(self, every_s: float, duty: Callable[[], None]) -> None:
        self._every_s = every_s
        self._duty = duty
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="timetable", daemon=True)

    def start(self) -> None:
        """Begin; the first time comes after the interval."""
        self._thread.start()

    def stop(self) -> None:
        """No more; what runs is waited for."""
        self._ended.set()
        self._thread.join(30)

    def _run(self) -> None:
        while not self._ended.wait(self._every_s):
            try:
                self._duty()
            except FlowctlError as error:
                _LOG.warning("the signer's duty failed: %s", error.message)
            except Exception as error:  # noqa: BLE001 - the next time may go well
                _LOG.error("the signer's duty failed", exc_info=error)
