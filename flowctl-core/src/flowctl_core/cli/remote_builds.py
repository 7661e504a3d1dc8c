"""Asks a registry for its builds and shows them."""

from __future__ import annotations

from datetime import UTC, datetime

from flowctl_core.cli.console import emit, inform, say, table
from flowctl_core.cli.global_options import GLOBAL
from flowctl_core.cli.remote import registries
from flowctl_core.cli.streams import write
from flowctl_core.cli.summary import duration_text
from flowctl_core.cli.watching import outcome, require_success, watch
from flowctl_core.client.builds import cancel_build, check_id, list_builds, read_log, retry_build, show_build
from flowctl_core.client.following import follow_log
from flowctl_core.client.session import Session
from flowctl_core.errors import CancelledError, UsageError
from flowctl_core.models.remote_build import ENDED, RemoteBuild, RemoteBuilds

_STATES = ("queued", "running", *sorted(ENDED))


def show_list(component: str | None, state: str | None, limit: int, registry: str | None) -> None:
    """List builds. Raises RemoteError."""
    namespace, name = GLOBAL.namespace, None
    if component is not None:
        named, slash, name = component.partition("/")
        if not slash or not named or not name:
            raise UsageError(f"{component} is no component of a registry", hint="Write NAMESPACE/NAME.")
        namespace = named
    if state is not None and state not in _STATES:
        raise UsageError(f"'{state}' is no state of a build", hint=f"Choose one of {', '.join(_STATES)}.")
    with _session(registry, namespace) as session:
        found = list_builds(session, namespace=namespace, name=name, state=state, limit=limit)
    if emit(RemoteBuilds(items=tuple(found)).model_dump(mode="json")):
        return
    if not found:
        say("no builds")
        return
    now = datetime.now(UTC)
    rows = [
        (each.id, each.what, each.state, each.trigger, f"{duration_text((now - each.created_at).total_seconds())} ago")
        for each in found
    ]
    table(("BUILD", "OF", "STATE", "TRIGGER", "ASKED FOR"), rows)


def show(build_id: str, registry: str | None) -> None:
    """Show one build. Raises RemoteError."""
    with _session(registry) as session:
        build = show_build(session, build_id)
    if not emit(build.model_dump(mode="json")):
        show_build_text(build)


def show_build_text(build: RemoteBuild) -> None:
    """A build for people: what it is, how far, each step, and why it failed."""
    say(f"build {build.id} of {build.what}, {build.state}")
    say(f"  source     {build.repository}{'' if build.subdirectory == '.' else f', folder {build.subdirectory}'}")
    say(f"  commit     {(build.commit or 'not known yet')[:40]}{f' ({build.ref})' if build.ref else ''}")
    say(f"  asked for  by {build.requested_by or '-'}, {build.created_at:%Y-%m-%d %H:%M:%S} UTC ({build.trigger})")
    say(f"  now        {_now(build)}")
    if build.steps:
        say()
        rows = []
        for step in build.steps:
            took = ((step.ended_at or datetime.now(UTC)) - step.started_at).total_seconds()
            rows.append((step.step, step.platform or "-", step.state, duration_text(took), step.attempt, step.worker))
        table(("STEP", "PLATFORM", "STATE", "TOOK", "TRY", "WORKER"), rows)
    if build.problem is not None:
        say()
        if build.problem.output:
            say(build.problem.output.rstrip() + "\n")
        where = f" in {build.problem.step} {build.problem.platform or ''}".rstrip() if build.problem.step else ""
        say(f"failed{where}: {build.problem.message}")
        if build.problem.hint:
            say(f"  {build.problem.hint}")
    if build.state in ("failed", "cancelled"):
        say(f"next: flowctl build logs {build.id}, flowctl build retry {build.id}")
    elif build.state == "succeeded":
        say(f"next: flowctl {build.kind} install {build.namespace}/{build.name}@{build.version}")
    else:
        say(f"next: flowctl build logs -f {build.id}")


def logs(build_id: str, step: str | None, platform: str | None, registry: str | None, *, follow: bool) -> None:
    """Print a log; following it ends as the build does. Raises RemoteError, BuildFailedError."""
    check_id(build_id)
    with _session(registry) as session:
        if not follow:
            for text in read_log(session, build_id, step=step, platform=platform):
                write(text)
            return
        last = ""
        try:
            for piece in follow_log(session, build_id, step=step, platform=platform, lost=_lost):
                label = f"{piece.step} {piece.platform or ''}".rstrip()
                write(("" if label == last else f"==> {label} <==\n") + piece.text)
                last = label
        except KeyboardInterrupt:
            raise CancelledError(f"no longer following build {build_id}, which goes on in the registry") from None
        build = show_build(session, build_id)
    require_success(build)
    inform(outcome(build))


def cancel(build_id: str, registry: str | None) -> None:
    """End a build. Raises ConflictError when it has ended."""
    with _session(registry) as session:
        build = cancel_build(session, build_id)
    if not emit(build.model_dump(mode="json")):
        ending = "is cancelled" if build.state == "cancelled" else "ends within seconds"
        say(f"build {build.id} of {build.what} {ending}")


def retry(build_id: str, registry: str | None, *, wait: bool) -> None:
    """Try a build again. Raises ConflictError when it did not fail."""
    with _session(registry) as session:
        build = retry_build(session, build_id)
        if wait:
            build = watch(session, build)
    if emit(build.model_dump(mode="json")):
        return
    say(outcome(build) if wait else f"build {build.id} of {build.what} is {build.state}, try {build.attempt}")
    if not wait:
        say(f"next: flowctl build logs -f {build.id}")


def explain(build_id: str) -> None:
    """`flowctl why BUILD`: why it waits, or why it failed."""
    show(build_id, None)


def _now(build: RemoteBuild) -> str:
    if build.state == "queued":
        soon = f"; starts in about {duration_text(build.estimate_s)}" if build.estimate_s is not None else ""
        others = (build.position or 1) - 1
        why = f"{others} before it in the queue" if others else "next in the queue: it waits for a free worker"
        return why + soon
    if build.state == "running":
        rest = f"; about {duration_text(build.estimate_s)} to go" if build.estimate_s is not None else ""
        return f"{build.phase or 'running'}{rest}"
    return outcome(build)


def _lost(error: Exception) -> None:
    inform(f"connection lost ({error}); trying again")


def _session(registry: str | None, namespace: str | None = None) -> Session:
    known = registries(registry)
    return Session(known.main() if namespace is None else known.of(namespace, alone=True))
