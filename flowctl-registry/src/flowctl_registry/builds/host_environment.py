"""The plugin environment that builds run from, and the variables that they get."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from flowctl_registry.errors import SandboxError
from flowctl_registry.settings import Builds

_SYSTEM = ("/usr/local/bin", "/usr/bin", "/bin")


@dataclass(frozen=True)
class PluginEnvironment:
    """A Python environment with flowctl-core and the builders."""

    python: Path
    readable: tuple[Path, ...]
    """What a sandbox has to show, at the same places."""

    @classmethod
    def find(cls, builds: Builds) -> PluginEnvironment:
        """The one that settings name, else the registry's own. Raises SandboxError."""
        python = builds.python or Path(sys.executable)
        if not os.access(python, os.X_OK):
            raise SandboxError(f"{python} is no Python that can be run", hint="Correct builds.python.")
        prefix = python.parent.parent
        base = Path(os.path.realpath(python)).parent.parent
        readable = [prefix, base]
        if builds.python is None:  # packages that are installed in place are elsewhere
            readable += [Path(entry) for entry in sys.path if os.path.isabs(entry) and os.path.isdir(entry)]  # noqa: PTH117, PTH112
        return cls(python, _without_nested(readable))

    @property
    def command(self) -> tuple[str, ...]:
        """`flowctl`, whatever the environment says."""
        return (str(self.python), "-I", "-m", "flowctl_core")

    def path(self, builds: Builds) -> str:
        """PATH: the environment's own programs, the operator's toolchains, the system's."""
        own = [str(self.python.parent)]
        more = [str(folder / "bin") for folder in builds.readable if (folder / "bin").is_dir()]
        return ":".join((*own, *more, *_SYSTEM))


def variables(workspace: str, home: str, scratch: str) -> dict[str, str]:
    """Where tools find and keep things: all caches are the workspace's own."""
    cache = f"{workspace}/cache"
    return {
        "HOME": home,
        "LANG": "C.UTF-8",
        "TMPDIR": scratch,
        "XDG_CACHE_HOME": cache,
        "XDG_DATA_HOME": f"{cache}/data",
        "GOPATH": f"{cache}/go",
        "GOMODCACHE": f"{cache}/go-mod",
        "GOCACHE": f"{cache}/go-build",
        "CARGO_HOME": f"{cache}/cargo",
        "npm_config_cache": f"{cache}/npm",
        "UV_CACHE_DIR": f"{cache}/uv",
    }


def _without_nested(paths: list[Path]) -> tuple[Path, ...]:
    """Each place once, without those that lie in another or in /usr, which every sandbox has."""
    kept: list[Path] = []
    for path in sorted(dict.fromkeys(paths), key=lambda each: len(each.parts)):
        if not any(path.is_relative_to(above) for above in (Path("/usr"), *kept)):
            kept.append(path)
    return tuple(kept)
