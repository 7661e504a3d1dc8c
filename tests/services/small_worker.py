"""A real worker whose steps are small: `python small_worker.py FOLDER --id NAME [--slots N] [--label NAME=VALUE]`.

Each step is a real process that sleeps, as long as FOLDER/plan.json says, and is noted in FOLDER/journal.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from flowctl_core.errors import BuildError, CancelledError, FlowctlError
from flowctl_registry.builds.jobs import Answer, StepCall, StepSet
from flowctl_registry.builds.workers import run
from flowctl_registry.builds.workflow import AFTER, BEFORE
from flowctl_registry.errors import TransientError
from flowctl_registry.observability.logs import configure
from flowctl_registry.services import Services
from flowctl_registry.settings import load_settings

STEPS = (*BEFORE, "build", *AFTER)


class SmallSteps:
    def __init__(self, folder: Path, services: Services) -> None:
        self.folder = folder
        self.services = services

    def note(self, call: StepCall, what: str, pid: int) -> None:
        line = json.dumps([time.time(), what, call.build_id, call.step, call.platform, call.worker, pid, os.getpid()])
        with (self.folder / "journal").open("a") as journal:
            journal.write(line + "\n")

    def __call__(self, call: StepCall) -> Answer:
        plan: dict[str, Any] = json.loads((self.folder / "plan.json").read_text())
        call.log(f"{call.step} {call.platform} of try {call.attempt}\n".encode())
        seconds = plan.get("seconds", {}).get(call.step, 0.05)
        # As a sandbox does: the process dies with the worker.
        process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "sleep", str(seconds)])
        self.note(call, "begin", process.pid)
        while process.poll() is None:
            if call.cancelled.wait(0.02):
                process.kill()
                process.wait()
                self.note(call, "cancelled", process.pid)
                raise CancelledError("the build was cancelled")
        self._fail(plan, call)
        if plan.get("blobs"):
            self._keep(call, plan["blobs"])
        if call.step == "publish":
            with (self.folder / "published").open("a") as published:
                published.write(call.build_id + "\n")
        self.note(call, "end", process.pid)
        answers: dict[str, Answer] = {
            "clone": {"commit": "c" * 40},
            "decide": {"version": "1.0.0", "platforms": plan.get("platforms", ["linux/amd64", "linux/arm64"])},
            "publish": {"seen": sorted(call.answers)},
        }
        return answers.get(call.step, {"worker": call.worker})

    def _keep(self, call: StepCall, size: int) -> None:
        """Store a blob as a snapshot is, and read that of the step before."""
        content = f"{call.build_id} {call.step} {call.platform}".encode().ljust(size, b".")
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        self.services.blobs.write_now(digest, size, [content])
        if self.services.blobs.read(digest, size) != content:
            raise ZeroDivisionError

    def _fail(self, plan: dict[str, Any], call: StepCall) -> None:
        kind = plan.get("fail", {}).get(f"{call.step} {call.platform}".rstrip())
        if kind is None:
            return
        if kind == "defect":
            raise ZeroDivisionError
        error: FlowctlError = BuildError("it does not compile", hint="Correct it.", output="main.go:1: syntax error")
        if isinstance(kind, int):  # tries that fail
            if call.attempt > kind:
                return
            error = TransientError("the network broke off", hint="Try again.")
        self.note(call, "failed", 0)
        raise error


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--id")
    parser.add_argument("--slots", type=int, default=2)
    parser.add_argument("--label", action="append", default=[])
    asked = parser.parse_args()
    settings = load_settings(None)
    configure(settings.telemetry)

    def made(services: Services) -> StepSet:
        return StepSet(dict.fromkeys(STEPS, SmallSteps(asked.folder, services)))

    try:
        labels = dict(each.split("=") for each in asked.label)
        run(settings, made, worker_id=asked.id, labels=labels, slots=asked.slots)
    except FlowctlError as error:
        sys.exit(error.message)


if __name__ == "__main__":
    main()
