"""Makes the engine that commands work with, from the global options."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

from flowctl_core.cli.console import say_aside, warn
from flowctl_core.cli.global_options import GLOBAL, LogLevel
from flowctl_core.errors import SourceError

if TYPE_CHECKING:
    from flowctl_core.config.load import LoadedConfig
    from flowctl_core.job import Engine
    from flowctl_core.plugins.manager import PluginManager
    from flowctl_core.store.cache import BuildCache

_log = logging.getLogger(__name__)


def load_configuration(flags: dict[str, object] | None = None) -> LoadedConfig:
    """The configuration that `--config`, the environment and these flags give."""
    from flowctl_core.config.load import load_config

    loaded = load_config(path=GLOBAL.config, flags=flags)
    if GLOBAL.log_level is LogLevel.debug:
        _show_debug_lines()
    _log.debug("configuration: %s", loaded.file or "no file, defaults")
    for warning in loaded.warnings:
        warn(warning)
    return loaded


def _show_debug_lines() -> None:
    """Under --log-level debug, what the engine logs is shown: its decisions and the commands that it runs."""

    class Aside(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            say_aside(f"debug: {record.getMessage()}")

    logger = logging.getLogger("flowctl_core")
    if not logger.handlers:
        logger.addHandler(Aside())
        logger.setLevel(logging.DEBUG)


def load_manager() -> PluginManager:
    """All installed plugins and core's own builders; broken ones are reported and skipped."""
    from flowctl_core.plugins.manager import load_plugins

    manager = load_plugins()
    for record in manager.problems:
        warn(f"plugin {record.name} ({record.distribution}) is skipped: {record.problem}")
    return manager


def open_cache(loaded: LoadedConfig) -> BuildCache:
    """The build cache that the configuration names."""
    from flowctl_core.store.cache import BuildCache

    local = loaded.config.build.local
    return BuildCache(local.cache_dir, local.cache_size, warn=warn)


def make_engine(*, cache: bool = True, flags: dict[str, object] | None = None) -> Engine:
    """Everything that a job needs."""
    from flowctl_core.job import Engine
    from flowctl_core.plugins.call import InProcessCaller
    from flowctl_core.runners.local import LocalRunner

    loaded = load_configuration(flags)
    return Engine(
        plugins=InProcessCaller(load_manager()),
        config=loaded.config,
        runner=LocalRunner(),
        environ=dict(os.environ),
        cache=open_cache(loaded) if cache else None,
    )


def absolute(path: Path) -> Path:
    """The folder that the user named, absolute; symlinks in it stay as they are. Raises SourceError."""
    try:
        return Path(os.path.abspath(path.expanduser()))  # noqa: PTH100 - resolve() would follow symlinks
    except FileNotFoundError as error:
        raise SourceError("the current folder does not exist any more", hint="cd to one that does.") from error
