"""Does something with every member, those first that others need, as many at once as the machine is to bear."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Generic, TypeVar

from flowctl_core.bundles.folder import BundleFolder, Member
from flowctl_core.bundles.order import needed_first
from flowctl_core.errors import FlowctlError, StoreError
from flowctl_core.job import Engine, Options
from flowctl_core.models import Progress

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True)
class Done(Generic[T_co]):
    """It went well."""

    answer: T_co


@dataclass(frozen=True)
class Failed:
    """It did not."""

    error: FlowctlError


@dataclass(frozen=True)
class LeftOut:
    """It was not tried, because what it needs failed."""

    needs: tuple[str, ...]


Outcome = Done[T] | Failed | LeftOut
Work = Callable[[Member, Progress], T]


def workers_of(bundle: BundleFolder, engine: Engine) -> int:
    """How many members are worked on at once: `parallel_jobs`, or one where bundle.yaml says `parallel: false`."""
    build = bundle.loaded.spec.spec.build
    one = build is not None and build.parallel is False
    return 1 if one else min(engine.config.build.local.parallel_jobs, max(1, len(bundle.sources)))


def options_of(member: Member, options: Options, jobs: int) -> Options:
    """The options of one member's build; bundle.yaml names the language where there is no component.yaml to do so."""
    from dataclasses import replace

    language = member.entry.language if member.loaded is None else None
    return replace(options, jobs=jobs, language=options.language or language)


def run_members(
    bundle: BundleFolder,
    work: Work[T],
    *,
    workers: int,
    row: Callable[[str], Progress],
    cancel: Callable[[], None],
) -> dict[str, Outcome[T]]:
    """Outcome of each member that has its source here, in the order of bundle.yaml. One failure stops only those that
    need the one that failed.

    `row`: progress of a member by its name. `cancel` ends what runs, on Ctrl-C. Raises CycleError for members in a
    circle, which validation finds first.
    """
    members = {member.name: member for member in bundle.sources}
    needs = needed_first(bundle)
    order = TopologicalSorter(needs)
    order.prepare()
    outcomes: dict[str, Outcome[T]] = {}
    running: dict[Future[Outcome[T]], str] = {}
    with ThreadPoolExecutor(max_workers=workers, thread_name_prefix="member") as pool:
        try:
            while order.is_active():
                for name in order.get_ready():
                    bad = _bad(needs[name], outcomes)
                    if name not in members:  # published elsewhere
                        order.done(name)
                    elif bad:
                        outcomes[name] = LeftOut(bad)
                        order.done(name)
                    else:
                        running[pool.submit(_one, work, members[name], row(name))] = name
                if running:
                    ended, _ = wait(running, return_when=FIRST_COMPLETED)
                    for future in ended:
                        name = running.pop(future)
                        outcomes[name] = future.result()
                        order.done(name)
        except BaseException:  # also Ctrl-C: nobody else ends the tools of the others
            for future in running:
                future.cancel()
            cancel()
            raise
    return {name: outcomes[name] for name in members}


def _bad(needs: set[str], outcomes: Mapping[str, object]) -> tuple[str, ...]:
    return tuple(sorted(name for name in needs if isinstance(outcomes.get(name), Failed | LeftOut)))


def _one(work: Work[T], member: Member, row: Progress) -> Outcome[T]:
    try:
        return Done(work(member, row))
    except FlowctlError as error:
        return Failed(error)
    except OSError as error:
        return Failed(StoreError.of(error, error.filename or member.root or Path(member.name)))
    finally:
        finish = getattr(row, "finish", None)
        if finish is not None:
            finish()
