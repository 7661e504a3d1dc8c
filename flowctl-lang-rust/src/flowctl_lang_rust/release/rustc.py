"""Asks rustc what it has: never rustup, which may not be there and knows only its own."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from flowctl_core.errors import ToolchainError
from flowctl_core.models import BuildContext, CompletedCommand, Plan
from flowctl_lang_rust.toolchain import check_channel

_FIELD = re.compile(r"^([\w-]+): (.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Rustc:
    """The compiler that a plan's cargo uses."""

    plan: Plan
    context: BuildContext
    host: str
    """Its own triple."""
    commit: str
    """Hash of the commit it was built from; `unknown` where the distribution does not say."""
    sysroot: Path

    @classmethod
    def ask(cls, plan: Plan, context: BuildContext) -> Rustc:
        """Raises ToolchainError when the pinned toolchain is missing or rustc does not work."""
        channel = plan.details.get("channel")
        if isinstance(channel, list):
            check_channel(context, str(channel[0]), str(channel[1]), plan.root)
        facts = dict(_FIELD.findall(_run(plan, context, "-vV")))
        sysroot = _run(plan, context, "--print", "sysroot").strip()
        if "host" not in facts or not sysroot:
            raise ToolchainError(f"{context.tool('rustc').path} does not say what it compiles for")
        return cls(plan, context, facts["host"], facts.get("commit-hash", "unknown"), Path(sysroot))

    def has_std(self, triple: str) -> bool:
        """True when the standard library of a target is installed."""
        done = _ask(self.plan, self.context, "--print", "target-libdir", "--target", triple)
        if not done.ok:  # it does not know the target at all
            return False
        folder = Path(done.stdout.strip())
        return folder.is_dir() and next(folder.glob("libstd-*"), None) is not None

    def cfg(self, triple: str) -> frozenset[str]:
        """What `cfg(…)` is true for: names, and `name="value"` pairs."""
        return frozenset(_run(self.plan, self.context, "--print", "cfg", "--target", triple).splitlines())


def _ask(plan: Plan, context: BuildContext, *arguments: str) -> CompletedCommand:
    argv = [str(context.tool("rustc").path), *arguments]
    return context.run(argv, cwd=plan.root, on_line=lambda line: None)


def _run(plan: Plan, context: BuildContext, *arguments: str) -> str:
    done = _ask(plan, context, *arguments)
    if not done.ok:
        raise ToolchainError(
            f"rustc {' '.join(arguments)} failed", hint="Does `rustc -vV` work in that folder?", output=done.output
        )
    return done.stdout
