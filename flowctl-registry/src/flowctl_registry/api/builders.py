"""What this registry builds with. Plugins are other people's code: only a child without secrets imports them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from hashlib import file_digest
from importlib.metadata import version
from pathlib import Path
from typing import Any

from cachetools import TTLCache

from flowctl_registry.api.routing import Call, Endpoint
from flowctl_registry.errors import UnavailableError
from flowctl_registry.models.status import Builder, Builders, BuilderTool

_KEPT_S = 600
_PATIENCE_S = 60
_FOUND: TTLCache[str, Builders] = TTLCache(1, _KEPT_S)
_LOCK = threading.Lock()
_VARIABLES = ("PATH", "HOME", "LANG", "TMPDIR")


def builders(_call: Call) -> Builders:
    """Found anew every ten minutes."""
    with _LOCK:
        found = _FOUND.get("all")
        if found is None:
            found = _FOUND["all"] = _find()
        return found


def _find() -> Builders:
    plugins, doctor = _ask("plugin", "list"), _ask("doctor")
    tools: dict[str, list[dict[str, Any]]] = {}
    for each in doctor["toolchains"]:
        tools.setdefault(each["builder"], []).append(each)
    return Builders(
        flowctl=version("flowctl-core"),
        builders=tuple(
            Builder(
                name=each["name"],
                distribution=each["distribution"],
                version=each["version"],
                digest=each["digest"],
                kind=each["kind"],
                hooks=tuple(each["hooks"]),
                tools=tuple(_tool(tool) for tool in tools.get(each["name"], []) if tool["state"] == "found"),
                missing=tuple(
                    tool["tool"]
                    for tool in tools.get(each["name"], [])
                    if tool["state"] == "missing" and not tool["optional"]
                ),
            )
            for each in sorted(plugins, key=lambda each: str(each["name"]))
            if each["state"] == "active"
        ),
    )


def _tool(tool: dict[str, Any]) -> BuilderTool:
    digest = ""
    if tool["path"]:
        try:
            with Path(tool["path"]).open("rb") as file:
                digest = "sha256:" + file_digest(file, "sha256").hexdigest()
        except OSError:
            digest = ""
    return BuilderTool(name=tool["tool"], version=tool["version"] or "", digest=digest, origin=tool["origin"] or "")


def _ask(*words: str) -> Any:
    environment = {name: os.environ[name] for name in _VARIABLES if name in os.environ}
    try:
        done = subprocess.run(
            [sys.executable, "-m", "flowctl_core", *words, "-o", "json"],
            env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=_PATIENCE_S, check=True,
        )  # fmt: skip
        return json.loads(done.stdout)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise UnavailableError(
            "the installed builders cannot be listed", hint="The operator runs `flowctl doctor` to see why."
        ) from error


ENDPOINTS = (
    Endpoint("GET", "/v1/builders", builders, "read", "Plugins and tools by digest", "operations", answer=Builders),
)
