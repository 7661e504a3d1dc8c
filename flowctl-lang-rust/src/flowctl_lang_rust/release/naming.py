"""Gives crates of the source that lie outside the workspace the same symbols wherever the source lies.

Cargo hashes a package's place into `-C metadata`, from which rustc makes the crate's symbols, and their order decides
about the program's bytes. For members the place is relative to the workspace; for a path dependency beside it, it is
absolute. There is no setting for that, so a wrapper around rustc says it again without the folder.
"""

from __future__ import annotations

import os
from pathlib import Path

from flowctl_core.errors import StoreError
from flowctl_core.models import BuildContext, Plan

_WRAPPER = """\
#!/bin/sh
# Called by cargo as: wrapper RUSTC ARGUMENTS. CARGO_MANIFEST_DIR is the folder of the package that is compiled.
case ${CARGO_MANIFEST_DIR:-} in
"${FLOWCTL_SOURCE:?}"/*) ;;
*) exec "$@" ;;
esac
place=${CARGO_MANIFEST_DIR#"$FLOWCTL_SOURCE"}
left=$#
while [ "$left" -gt 0 ]; do
    argument=$1
    shift
    case $argument in metadata=*) argument="metadata=flowctl:$place@$CARGO_PKG_VERSION" ;; esac
    set -- "$@" "$argument"
    left=$((left - 1))
done
exec "$@"
"""


def wrapper_variables(plan: Plan, context: BuildContext, folder: Path) -> dict[str, str]:
    """Variables that put the wrapper around rustc, where the plan's packages are not all in one workspace.

    Raises StoreError when it cannot be written.
    """
    if plan.details.get("beside_workspace") is not True:
        return {}
    path = folder / "rustc-wrapper"
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        part.write_text(_WRAPPER, encoding="utf-8")
        part.chmod(0o755)
        part.replace(path)
    except OSError as error:
        raise StoreError.of(error, path, "written") from error
    # cargo names folders without symlinks, as it finds them from its working folder.
    return {"RUSTC_WRAPPER": str(path), "FLOWCTL_SOURCE": str(context.source_root.resolve())}
