"""flowctl's public names for plugin authors.

Everything here is loaded on first use, so that the command's quick paths import nothing they do not need.
"""

from __future__ import annotations

TYPE_CHECKING = False  # typing itself would cost the no-op path several milliseconds
if TYPE_CHECKING:
    from typing import Any

    from flowctl_core import errors, models
    from flowctl_core.hookspecs import CONTRACT_VERSION, hookimpl

__version__ = "0.1.0"

__all__ = ["CONTRACT_VERSION", "__version__", "errors", "hookimpl", "models"]


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name in ("errors", "models"):
        return import_module(f"flowctl_core.{name}")
    if name in ("CONTRACT_VERSION", "hookimpl"):
        return getattr(import_module("flowctl_core.hookspecs"), name)
    raise AttributeError(f"module 'flowctl_core' has no attribute {name!r}")
