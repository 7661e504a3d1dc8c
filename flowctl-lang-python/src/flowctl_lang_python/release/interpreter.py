"""Where the interpreter that a release uses really is."""

from __future__ import annotations

from flowctl_core.errors import ToolchainError
from flowctl_core.models import BuildContext, Plan


def find(plan: Plan, context: BuildContext) -> str:
    """Path of the interpreter itself: what is on PATH may be a script that chooses one by the folder it runs in.

    Raises ToolchainError when it does not start.
    """
    tool = context.tool("python")
    done = context.run([str(tool.path), "-I", "-c", "import sys; print(sys.executable)"], cwd=plan.root)
    if not done.ok or not done.stdout.strip():
        raise ToolchainError(f"{tool.path} does not run", output=done.output)
    return done.stdout.strip().splitlines()[-1]
