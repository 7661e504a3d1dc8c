"""Asks a tool for its version."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Mapping
from pathlib import Path

from flowctl_core.errors import FlowctlError, ToolTimeoutError
from flowctl_core.models.plan import ToolRequirement
from flowctl_core.models.process import Command
from flowctl_core.runners.local import LocalRunner
from flowctl_core.toolchains.memory import Answer
from flowctl_core.toolchains.selection import speaks_for_itself

TIMEOUT_S = 10.0
"""Seconds; a JavaScript package manager on a cold, busy disk takes some."""

_NO_DOWNLOADS = {
    "GOTOOLCHAIN": "local",
    "RUSTUP_AUTO_INSTALL": "0",
    "COREPACK_ENABLE_NETWORK": "0",
    "npm_config_manage_package_manager_versions": "false",
    "COREPACK_ENABLE_DOWNLOAD_PROMPT": "0",
}
"""Asking for a version must not bring another one in: only fetch may use the network."""


def ask(path: Path, requirement: ToolRequirement, environment: Mapping[str, str], cwd: Path) -> Answer:
    """Run the tool once in `cwd` and read the version and the digest of its file. Raises CancelledError only."""
    try:
        digest = _file_digest(path)
    except OSError as error:
        return Answer(problem=f"cannot be read: {error.strerror}", asked_at=time.time())
    if not requirement.version_command:
        return Answer(digest=f"sha256:{digest}", asked_at=time.time())
    command = Command(
        argv=(str(path), *requirement.version_command),
        cwd=cwd,
        environment={**environment, **_NO_DOWNLOADS},
        timeout_s=TIMEOUT_S,
    )
    try:
        done = LocalRunner().run(command)
    except ToolTimeoutError:
        return Answer(problem=f"did not tell its version within {TIMEOUT_S:g} s", asked_at=time.time())
    except FlowctlError as error:
        if error.code == "cancelled":
            raise
        return Answer(problem=error.message, asked_at=time.time())
    if not done.ok:
        said = next((line.strip() for line in (done.stderr + "\n" + done.stdout).splitlines() if line.strip()), "")
        return Answer(problem=f"does not work (exit code {done.exit_code}: {said[:200]})", asked_at=time.time())
    found = re.search(requirement.version_pattern, done.output)
    version = next((group for group in found.groups() if group), found.group()) if found else ""
    if not speaks_for_itself(path):
        # The file is only a proxy: what it stands for is best known by what it says of itself (rustc adds its commit).
        digest = hashlib.sha256(f"{digest}\n{done.output}".encode()).hexdigest()
    return Answer(version=version, digest=f"sha256:{digest}", asked_at=time.time())


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
