"""What a worker does beside builds: looks for tags that webhooks missed, sends webhooks, forgets what is old."""

from __future__ import annotations

import logging
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from flowctl_core.errors import CancelledError, FlowctlError
from flowctl_registry.builds import reconciling, sending
from flowctl_registry.builds.cloning import list_tags
from flowctl_registry.builds.git_runs import SandboxedGit
from flowctl_registry.builds.git_url import GitUrl
from flowctl_registry.database.engine import writing
from flowctl_registry.sandbox.confinement import Sandbox
from flowctl_registry.services import Services

_LOG = logging.getLogger(__name__)
_LOOK_S = 1.0
_AWAY_S = 5.0
_SWEEP_S = 3_600.0
_OTHERS_LOOK_S = 4.0
_SENDERS = 4
"""One that looks often, and others that help when there is much."""


class Background:
    """Threads of a worker, from `start` to `stop`; of several workers each takes what no other has."""

    def __init__(self, services: Services, sandbox: Sandbox | None) -> None:
        """Without a sandbox no repository is looked at."""
        self._services = services
        self._sandbox = sandbox
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Returns at once."""

        def send() -> bool:
            return sending.send_due(self._services)

        works: list[tuple[Callable[[], bool], float]] = [(send, _LOOK_S), *[(send, _OTHERS_LOOK_S)] * (_SENDERS - 1)]
        works.append((self._sweep_when_due(), _OTHERS_LOOK_S))
        if self._sandbox is not None:
            works.append((self._reconcile_from_start(), _LOOK_S))
        for work in works:
            thread = threading.Thread(target=self._repeat, args=work, daemon=True, name="builds-background")
            thread.start()
            self._threads.append(thread)

    def stop(self, timeout_s: float = 2.0) -> None:
        """End what runs: git within a second; a message that is being sent may be sent again."""
        self._stopping.set()
        deadline = time.monotonic() + timeout_s
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _repeat(self, work: Callable[[], bool], look_s: float) -> None:
        while not self._stopping.is_set():
            pause_s = look_s
            try:
                while not self._stopping.is_set() and work():
                    pass
            except CancelledError:
                return
            except FlowctlError as error:
                _LOG.warning("work beside builds waits: %s", error.message)
                pause_s = _AWAY_S
            except Exception:  # noqa: BLE001 - a defect must not end it for as long as the worker lives
                _LOG.exception("work beside builds broke")
                pause_s = _AWAY_S
            self._stopping.wait(pause_s)

    def _reconcile_from_start(self) -> Callable[[], bool]:
        begun = False

        def work() -> bool:
            nonlocal begun
            if not begun:
                writing(self._services.engine, reconciling.make_due)
                begun = True
            return reconciling.reconcile_due(self._services, self.list_tags)

        return work

    def list_tags(self, url: GitUrl) -> dict[str, str]:
        """See `ListTags`."""
        if self._sandbox is None:
            raise RuntimeError("there is no sandbox")
        with tempfile.TemporaryDirectory(prefix="flowctl-tags-") as folder:
            settings = self._services.settings.sources
            git = SandboxedGit(self._sandbox, settings, Path(folder), lambda _said: None, self._stopping)
            return list_tags(git, url)

    def _sweep_when_due(self) -> Callable[[], bool]:
        swept = float("-inf")

        def work() -> bool:
            nonlocal swept
            if time.monotonic() - swept >= _SWEEP_S:
                writing(self._services.engine, sending.sweep)
                writing(self._services.engine, reconciling.sweep)
                swept = time.monotonic()
            return False

        return work
