"""Finds the tools that a plan asks for inside a container image."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from flowctl_core.errors import ToolchainError
from flowctl_core.models.context import Tool
from flowctl_core.models.plan import ToolRequirement
from flowctl_core.models.process import Command, Runner
from flowctl_core.toolchains.versions import satisfies

_TIMEOUT_S = 60.0
_WHERE = """
for name in "$@"; do
    IFS=:
    for folder in $PATH; do
        if [ -f "$folder/$name" ] && [ -x "$folder/$name" ]; then printf '%s\\t%s\\n' "$name" "$folder/$name"; break; fi
    done
done
"""
"""By hand: `command -v` answers with a bare name where the shell has the tool built in (busybox)."""


def find_tools_inside(
    requirements: Iterable[ToolRequirement],
    runner: Runner,
    environment: Mapping[str, str],
    cwd: Path,
    *,
    image: str,
    image_id: str,
) -> dict[str, Tool]:
    """The tools of an image, by name; what they are is known by the image's id.

    Raises one ToolchainError for all that the image lacks or has in another version.
    """
    wanted = list(requirements)
    if not wanted:
        return {}
    names = dict.fromkeys(name for one in wanted for name in (one.executable or one.name, *one.alternatives))
    places = _places(list(names), runner, environment, cwd)
    found: dict[str, Tool] = {}
    problems: list[str] = []
    for requirement in wanted:
        tool, problem = _judge(requirement, places, runner, environment, cwd, image, image_id)
        if tool is not None:
            found[requirement.name] = tool
        elif not requirement.optional:
            problems.append(problem)
    if problems:
        raise ToolchainError(
            "\n".join(problems),
            hint=(
                "Name an image that has it: spec.build.container.test_image in component.yaml, or "
                "build.images.test.<language> in the configuration."
            ),
        )
    return found


def _places(names: list[str], runner: Runner, environment: Mapping[str, str], cwd: Path) -> dict[str, str]:
    done = _run(runner, ("sh", "-c", _WHERE, "sh", *names), environment, cwd)
    pairs = (line.split("\t", 1) for line in done.splitlines() if "\t" in line)
    return {name: place for name, place in pairs if place.startswith("/")}


def _judge(
    requirement: ToolRequirement,
    places: Mapping[str, str],
    runner: Runner,
    environment: Mapping[str, str],
    cwd: Path,
    image: str,
    image_id: str,
) -> tuple[Tool | None, str]:
    asked = " ".join(filter(None, (requirement.name, requirement.version)))
    asked += f" is needed ({requirement.declared_in})" if requirement.declared_in else " is needed"
    seen = []
    for name in (requirement.executable or requirement.name, *requirement.alternatives):
        place = places.get(name)
        if place is None:
            continue
        version = _version(requirement, place, runner, environment, cwd)
        if not requirement.version or not requirement.version_command or satisfies(version, requirement.version):
            digest = hashlib.sha256(f"{image_id}\0{place}".encode()).hexdigest()
            tool = Tool(name=requirement.name, version=version, path=Path(place), digest=f"sha256:{digest}")
            return tool.model_copy(update={"origin": "PATH"}), ""
        seen.append(f"{place} is {version or 'of no version that it tells'}")
    return None, f"{asked}, and the image {image} " + (f"has another: {', '.join(seen)}" if seen else "has none")


def _version(
    requirement: ToolRequirement, place: str, runner: Runner, environment: Mapping[str, str], cwd: Path
) -> str:
    if not requirement.version_command:
        return ""
    said = _run(runner, (place, *requirement.version_command), environment, cwd)
    found = re.search(requirement.version_pattern, said)
    return next((group for group in found.groups() if group), found.group()) if found else ""


def _run(runner: Runner, argv: tuple[str, ...], environment: Mapping[str, str], cwd: Path) -> str:
    command = Command(argv=argv, cwd=cwd, environment={**environment, "GOTOOLCHAIN": "local"}, timeout_s=_TIMEOUT_S)
    return runner.run(command).output
