"""Brings crates into cargo's own store. The only step with network; cargo fetch runs no code of any crate."""

from __future__ import annotations

import re

from flowctl_core.errors import FetchError
from flowctl_core.models import BuildContext, FetchReport, Plan
from flowctl_lang_rust.cargo import failure, has_lock, run_cargo

_DOWNLOADED = re.compile(r"^\s*Downloaded (\d+) crates?", re.MULTILINE)
_EACH = re.compile(r"^\s*Downloaded (\S+) v\S", re.MULTILINE)
_HOST = re.compile(r"^host: (\S+)$", re.MULTILINE)


def fetch(plan: Plan, context: BuildContext) -> FetchReport:
    """Fetch what Cargo.lock names for this host (and the configured target).

    A source without Cargo.lock gets one, which is said. Raises FetchError with cargo's words, ToolchainError.
    """
    offline = ["--offline"] if context.offline else []
    if not has_lock(plan, context):
        context.progress.warning(
            "there is no Cargo.lock: cargo writes one now; commit it, so that everybody builds the same "
            "(until then `flowctl component clean` removes it)"
        )
        _write_lock(plan, context)
    # Without --target cargo brings the crates of every platform in, Windows' included.
    targets = [argument for triple in _triples(plan, context) for argument in ("--target", triple)]
    context.progress.step("cargo fetch --locked")
    done = run_cargo(plan, context, ["fetch", "--locked", *offline, *targets], network=not context.offline)
    if not done.ok:
        raise failure(done, "cargo fetch", FetchError)
    return FetchReport(fetched=_count(done.stderr))


def _write_lock(plan: Plan, context: BuildContext) -> None:
    """Have cargo choose versions; without a network, among the crates that earlier fetches brought in."""
    context.progress.step("cargo generate-lockfile")
    command = ["generate-lockfile"]
    written = run_cargo(
        plan, context, [*command, *(["--offline"] if context.offline else [])], network=not context.offline
    )
    if written.ok:
        return
    if not context.offline and run_cargo(plan, context, [*command, "--offline"], network=False).ok:
        context.progress.warning("cargo could not ask its registry: versions were chosen among crates already here")
        return
    raise failure(written, "cargo generate-lockfile", FetchError)


def _triples(plan: Plan, context: BuildContext) -> list[str]:
    """The host's triple and the configured one (in a release, those of all platforms).

    None when one of them is not a plain triple.
    """
    rustc = [str(context.tool("rustc").path), "-vV"]
    host = _HOST.search(context.run(rustc, cwd=plan.root, on_line=lambda line: None).stdout)
    wanted = context.environment.get("CARGO_BUILD_TARGET") or plan.details.get("target")
    settings = plan.settings.build_args
    if host is not None and plan.profile == "release":
        return list(dict.fromkeys([host.group(1), *_released(plan)]))
    if host is None or any(argument.startswith("--target") for argument in settings):
        return []
    triples = [host.group(1)] + ([wanted] if isinstance(wanted, str) else [])
    return [] if any(triple.endswith(".json") for triple in triples) else list(dict.fromkeys(triples))


def _released(plan: Plan) -> list[str]:
    """Crates are chosen by system and processor, hardly ever by libc: all candidates are brought in, to be sure."""
    from flowctl_lang_rust.release.plan import targets_of

    return [target.partition(".")[0] for platform in plan.platforms for target in targets_of(plan, platform)]


def _count(stderr: str) -> int:
    summary = _DOWNLOADED.search(stderr)
    return int(summary.group(1)) if summary else len(_EACH.findall(stderr))
