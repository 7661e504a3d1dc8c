"""What the environment of a `dev` build holds, as package URLs."""

from __future__ import annotations

from email.message import Message

from packaging.markers import default_environment

from flowctl_core.errors import BuildError
from flowctl_core.models import BuildContext, Dependency, DependencyReport
from flowctl_lang_python import state
from flowctl_lang_python.manifest import normalised
from flowctl_lang_python.recipe import ENVIRONMENT
from flowctl_lang_python.release.metadata import follow, license_of, parse, purl, wanted
from flowctl_lang_python.release.state import python_version


def report(context: BuildContext) -> DependencyReport:
    """Every installed distribution but the project itself: runtime what the project asks for, the rest for tests.

    Sources without metadata of their own do not tell, and all that they have counts as runtime. Raises BuildError
    without an environment.
    """
    installed, own = _installed(context)
    short = "{}.{}".format(*python_version(context))
    markers = {name: str(value) for name, value in default_environment().items()}
    markers |= {"python_version": short, "python_full_version": context.tool("python").version}
    direct = wanted(own, frozenset(), markers) if own is not None else {}
    runtime = follow(installed, direct, markers) if own is not None else {name: set() for name in installed}
    parents = follow(installed, {**{name: set[str]() for name in installed}, **direct}, markers)
    purls = {name: purl(name, str(metadata["Version"])) for name, metadata in installed.items()}
    found = [
        Dependency(
            purl=purls[name],
            direct=name in direct or (own is None and not parents[name]),
            scope="runtime" if name in runtime else "test",
            parents=tuple(sorted(purls[parent] for parent in parents[name])),
            license=license_of(metadata),
        )
        for name, metadata in installed.items()
    ]
    return DependencyReport(
        dependencies=tuple(sorted(found, key=lambda dependency: dependency.purl)), resolved_from=(ENVIRONMENT,)
    )


def _installed(context: BuildContext) -> tuple[dict[str, Message], Message | None]:
    """Metadata of what is installed, by normalised name, and that of the project, which is installed editable."""
    if not state.environment(context).is_dir():
        raise BuildError("there is no environment yet", hint="Run flowctl component build first.")
    installed: dict[str, Message] = {}
    own = None
    for info in sorted((state.environment(context) / "lib").glob("python*/site-packages/*.dist-info")):
        try:
            metadata = parse((info / "METADATA").read_text(encoding="utf-8", errors="replace"))
        except OSError:
            continue
        origin = info / "direct_url.json"
        if origin.exists() and '"editable":true' in origin.read_text(encoding="utf-8").replace(" ", ""):
            own = metadata
        else:
            installed[normalised(str(metadata["Name"]))] = metadata
    return installed, own
