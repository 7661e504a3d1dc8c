"""Which step of the release way belongs to which phase; the order of steps is that of `workflow.release_way`."""

from __future__ import annotations

from typing import Literal, get_args

from flowctl_core.workflow import Step, release_way

Phase = Literal["export", "decide", "fetch", "test", "build", "bases", "assemble"]
PHASES: tuple[Phase, ...] = get_args(Phase)
NETWORK: frozenset[Phase] = frozenset({"fetch", "bases"})
"""Phases that ask the network."""
RUNS_SOURCE: frozenset[Phase] = frozenset({"fetch", "test", "build"})
"""Phases in which code of the source or of its dependencies may run; in the others only flowctl and its plugins do."""

_PHASE_OF: dict[str, Phase] = {
    "export_source": "export",
    "read_source": "decide",
    "choose_platforms": "decide",
    "detect": "decide",
    "plan": "decide",
    "read_dockerfile": "decide",
    "digest_inputs": "decide",
    "find_toolchain": "decide",
    "compute_key": "decide",
    "refuse_impossible": "decide",
    "fetch": "fetch",
    "keep_fetched": "fetch",
    "list_dependencies": "fetch",  # of what was fetched; before any code of the source has run
    "scan_dependencies": "fetch",  # asks the network
    "build_release": "build",
    "choose_target": "assemble",
    "check_artifacts": "assemble",
    "write_sbom": "assemble",
    "write_scan": "assemble",
    "assemble_images": "assemble",
    "write_metadata": "assemble",
    "write_checksums": "assemble",
    "place": "assemble",
}


def steps_of(phase: Phase) -> tuple[Step, ...]:
    """The steps of a phase. KeyError when the release way has a step that belongs to no phase."""
    return tuple(step for step in release_way() if _PHASE_OF[step.__name__] == phase)
