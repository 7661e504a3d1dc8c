"""An interruption is heard even where Python would drop it.

`KeyboardInterrupt` is raised wherever the main thread happens to be. In a finalizer or a callback of a weak reference
(the import system has one for every module) Python prints "Exception ignored" and goes on, and the Ctrl-C is lost.

Imported on the no-op path: nothing but sys.
"""

from __future__ import annotations

import sys

AGAIN_AFTER_S = 0.01
"""Long enough to have left the place that drops exceptions, too short to be noticed."""


def prepare() -> None:
    """From now on an interruption that Python drops is sent once more."""
    sys.unraisablehook = _hook


def _hook(dropped: sys.UnraisableHookArgs) -> None:
    if not issubclass(dropped.exc_type, KeyboardInterrupt):
        sys.__unraisablehook__(dropped)
        return
    import signal
    from threading import Timer, main_thread

    # A signal to the main thread, not a flag for it: it may by then wait for a child or a lock.
    timer = Timer(AGAIN_AFTER_S, signal.pthread_kill, (main_thread().ident, signal.SIGINT))
    timer.daemon = True
    timer.start()
