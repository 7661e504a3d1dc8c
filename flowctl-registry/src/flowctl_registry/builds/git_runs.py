"""Runs git in a sandbox: with nothing of this machine's configuration, and a network that ends at a proxy."""

from __future__ import annotations

import re
import shutil
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

from flowctl_core.errors import CancelledError, FlowctlError, SourceError
from flowctl_registry.builds.git_url import GitUrl
from flowctl_registry.builds.reaching import NotAllowedError, find_addresses
from flowctl_registry.errors import SandboxError, TransientError
from flowctl_registry.sandbox.confinement import Confinement, Limits, Outcome, Sandbox
from flowctl_registry.sandbox.proxy import Proxy, ProxyRules, Resolve
from flowctl_registry.sandbox.run import run
from flowctl_registry.settings import Sources

_SAID_BYTES = 20_000_000
_INSIDE = "/source"
_PASSING = re.compile(
    r"could not resolve host|could not connect|connection (refused|reset|timed out)|failed to connect|timed out|timeout"
    r"|early eof|unexpected disconnect|hung up|rpc failed|transfer closed|too slow|returned error: (429|5\d\d)"
    r"|response 50[234]|empty reply|ssl_error_syscall|gnutls recv error|cannot be (resolved|reached)",
    re.IGNORECASE,
)
_CONFIGURATION = {
    "safe.directory": "*",  # the sandbox has one user, whoever owns the folder outside
    "core.hooksPath": "/dev/null",
    "core.fsmonitor": "false",
    "core.askPass": "/bin/false",
    "core.symlinks": "true",
    "core.logAllRefUpdates": "false",
    "credential.helper": "",
    "protocol.allow": "never",
    "protocol.https.allow": "always",
    "http.lowSpeedLimit": "1000",
    "http.lowSpeedTime": "60",
    "http.emptyAuth": "false",
    "fetch.unpackLimit": "1",
    "fetch.recurseSubmodules": "false",
    "submodule.recurse": "false",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "advice.detachedHead": "false",
    "init.defaultBranch": "none",
    "filter.lfs.smudge": "",
    "filter.lfs.process": "",
}


class Git(Protocol):
    """git in one folder; scripts are of /bin/sh, with arguments as `$1`…"""

    def clear(self) -> None:
        """Empty the folder."""

    def network(self, url: GitUrl, script: str, *arguments: str) -> bytes:
        """What a script prints that may reach the hosts of repositories. Raises SourceError, TransientError."""

    def read(self, script: str, *arguments: str, output_bytes: int) -> bytes | None:
        """What a script prints without network; None when that is more. Raises SourceError."""


class SandboxedGit:
    """See `Git`."""

    def __init__(
        self,
        sandbox: Sandbox,
        settings: Sources,
        folder: Path,
        log: Callable[[bytes], None],
        cancelled: threading.Event,
        resolve: Resolve | None = None,
    ) -> None:
        """`log` gets what git says; `resolve` takes the place of the system's resolver."""
        self._sandbox = sandbox
        self._settings = settings
        self._folder = folder
        self._log = log
        self._cancelled = cancelled
        self._resolve = resolve

    def clear(self) -> None:
        """See `Git`."""
        for path in self._folder.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()

    def network(self, url: GitUrl, script: str, *arguments: str) -> bytes:
        """See `Git`."""
        if self._sandbox.name == "none":
            self._check(url)  # no proxy does it
        rules = ProxyRules(
            hosts=self._settings.hosts,
            ports=self._settings.ports,
            allow_private=self._settings.allow_private,
            bytes_total=self._settings.clone_bytes,
        )
        with ExitStack() as stack:
            proxy = stack.enter_context(Proxy(rules, self._resolve))
            outcome, said = self._run(script, arguments, proxy, _SAID_BYTES)
            refused = [f"{visit.host}:{visit.port}: {visit.refused}" for visit in proxy.visits if visit.refused]
        self._log(b"".join(line for line in said.splitlines(keepends=True) if b"\trefs/" not in line))
        if outcome.exit_code != 0:
            raise self._failure(url, outcome, said, refused)
        return said

    def read(self, script: str, *arguments: str, output_bytes: int) -> bytes | None:
        """See `Git`."""
        outcome, said = self._run(script, arguments, None, output_bytes)
        if outcome.reached == "output":
            return None
        if outcome.exit_code != 0:
            raise self._failure(None, outcome, b"", [])
        return said

    def _check(self, url: GitUrl) -> None:
        try:
            find_addresses(url.host, url.port, self._settings.allow_private)
        except NotAllowedError as error:
            hint = "The operator allows private networks: sources.allow_private."
            raise SourceError(f"{url} cannot be fetched: {error}", hint=hint) from None
        except OSError as error:
            raise TransientError(f"{url.host} cannot be resolved: {error.strerror}") from None

    def _run(
        self, script: str, arguments: tuple[str, ...], proxy: Proxy | None, output_bytes: int
    ) -> tuple[Outcome, bytes]:
        inside = str(self._folder) if self._sandbox.name == "none" else _INSIDE
        if proxy is not None and self._sandbox.name == "none":
            proxy = None  # nothing leads there without a sandbox
        size = self._settings.clone_bytes
        confinement = Confinement(
            writable={inside: self._folder},
            environment=environment(self._settings),
            folder=inside,
            proxy=proxy.socket if proxy is not None else None,
            limits=Limits(
                cpu_s=self._settings.clone_s, wall_s=self._settings.clone_s, file_bytes=size, disk_bytes=2 * size,
                output_bytes=output_bytes, memory_bytes=2_000_000_000, processes=128,
            ),
        )  # fmt: skip
        said = bytearray()
        outcome = run(
            self._sandbox, confinement, ["/bin/sh", "-c", script, "git", *arguments], said.extend, self._cancelled
        )
        if outcome.reached == "cancelled":
            raise CancelledError("the build was cancelled")
        return outcome, bytes(said)

    def _failure(self, url: GitUrl | None, outcome: Outcome, said: bytes, refused: list[str]) -> FlowctlError:
        output = said[-20_000:].decode(errors="replace").strip()
        where = str(url) if url is not None else "the repository"
        if outcome.reached in ("disk", "output") or any("sandbox.fetch_bytes" in each for each in refused):
            return SourceError(
                f"{where} has more than {self._settings.clone_bytes} bytes at this commit",
                hint="The operator allows more: sources.clone_bytes.",
            )
        if outcome.reached is not None:
            limit = {"wall": "time (sources.clone_s)", "cpu": "processor time (sources.clone_s)"}.get(outcome.reached)
            return SourceError(f"fetching {where} used up its {limit or outcome.reached}", output=output)
        if refused:
            text = f"{where} cannot be fetched: {refused[-1]}"
            if _PASSING.search(refused[-1]):
                return TransientError(text)
            return SourceError(text, hint="The operator allows hosts, ports and private networks: sources.*.")
        if _PASSING.search(output):
            return TransientError(f"{where} cannot be fetched just now", hint=output[-500:] or None)
        if outcome.exit_code == 127:
            return SandboxError("git was not found in the sandbox", hint="Install git on the workers.")
        hint = "Is it there, and public? Repositories that need a password are not fetched."
        return SourceError(f"{where} cannot be fetched", hint=hint, output=output)


def environment(settings: Sources) -> dict[str, str]:
    """All that git gets of an environment."""
    values = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": "/nonexistent",
        "LC_ALL": "C.UTF-8",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ALLOW_PROTOCOL": ":".join(settings.schemes),
        "GIT_PROTOCOL_FROM_USER": "0",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_LFS_SKIP_SMUDGE": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_PAGER": "cat",
        "GIT_PROTOCOL": "version=2",
    }
    settled = dict(_CONFIGURATION)
    if "http" in settings.schemes:
        settled["protocol.http.allow"] = "always"
    values["GIT_CONFIG_COUNT"] = str(len(settled))
    for number, (name, value) in enumerate(settled.items()):
        values[f"GIT_CONFIG_KEY_{number}"], values[f"GIT_CONFIG_VALUE_{number}"] = name, value
    return values
