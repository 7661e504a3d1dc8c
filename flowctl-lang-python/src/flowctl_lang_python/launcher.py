"""Writes the program: a POSIX shell script that starts the component in its environment."""

from __future__ import annotations

from pathlib import Path
from shlex import quote

from flowctl_core.launcher import launcher_script
from flowctl_lang_python.recipe import Recipe

BOOT_FOLDER = "flowctl"
"""Folder in the environment with the Python file that the launcher starts, named like the component so that
usage texts show that name."""

_BODY = """\
home=$root/.flowctl
python=$home/env/bin/python
if [ ! -x "$python" ]; then
  echo "$0: the environment $home/env is missing; run: flowctl component build" >&2
  exit 126
fi
# Compiled modules go beside the environment, so that running a component changes neither it nor the source.
: "${{PYTHONPYCACHEPREFIX:=$home/pycache}}"
export PYTHONPYCACHEPREFIX
exec "$python" {start} "$@"
"""

_FUNCTION = """\
import sys

from {module} import {first}

if __name__ == "__main__":
    sys.exit({function}())
"""

_MODULE = """\
import runpy
import sys

if __name__ == "__main__":
    del sys.path[0]  # this file's folder: `python -m` would not have it
    runpy.run_module({module!r}, run_name="__main__", alter_sys=True)
"""


def boot_file(recipe: Recipe) -> str | None:
    """Text of the Python file that starts a function or module; None for a plain script."""
    if recipe.kind == "function":
        module, _, function = recipe.target.partition(":")
        return _FUNCTION.format(module=module, first=function.split(".")[0], function=function)
    if recipe.kind == "module":
        return _MODULE.format(module=recipe.target)
    return None


def text(recipe: Recipe, name: str) -> str:
    """Text of the launcher."""
    path = quote(recipe.target) if recipe.kind == "file" else f".flowctl/env/{BOOT_FOLDER}/{quote(name)}"
    return launcher_script(recipe.target, _BODY.format(start=f'"$root"/{path}'))


def write(path: Path, content: str, *, executable: bool = False) -> bool:
    """Write a file by atomic rename unless it has that content already; True when it was written."""
    mode = 0o755 if executable else 0o644
    try:
        if path.read_text(encoding="utf-8") == content and path.stat().st_mode & 0o777 == mode:
            return False
    except (OSError, UnicodeDecodeError):
        pass
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.new")
    draft.write_text(content, encoding="utf-8")
    draft.chmod(mode)
    draft.replace(path)
    return True
