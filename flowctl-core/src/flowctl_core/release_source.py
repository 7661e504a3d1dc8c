"""The first steps of a release: the source, its identity, and what the registry's way leaves behind."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from flowctl_core.errors import PlatformsFailedError, SourceError, UsageError
from flowctl_core.job import Engine, Job, Release, ReleaseOptions
from flowctl_core.models import Limitation, Platform
from flowctl_core.models.release import SourceIdentity
from flowctl_core.steps import make_context
from flowctl_core.store import git_commit, record
from flowctl_core.store.export import Exported, export_commit, export_working_tree
from flowctl_core.store.files import STATE_DIR, system_refusals

EARLIEST = 315_532_800
"""1980-01-01, the earliest time that a zip archive can hold: for a source that knows no time."""
_SHOWN_CHANGES = 5
PLACES = frozenset(
    [
        "PATH",
        "HOME",
        "USER",
        "LOGNAME",
        "TMPDIR",
        "TERM",
        "NO_COLOR",
        "CI",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "NO_PROXY",
        "ALL_PROXY",
        "http_proxy",
        "https_proxy",
        "no_proxy",
        "all_proxy",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        "REQUESTS_CA_BUNDLE",
        "NODE_EXTRA_CA_CERTS",
        "GOPROXY",
        "GOPRIVATE",
        "GONOSUMDB",
        "GOSUMDB",
        "GOPATH",
        "GOCACHE",
        "GOMODCACHE",
        "CARGO_HOME",
        "RUSTUP_HOME",
        "NPM_CONFIG_REGISTRY",
        "npm_config_registry",
        "npm_config_cache",
        "PIP_INDEX_URL",
        "UV_INDEX_URL",
        "UV_DEFAULT_INDEX",
        "UV_CACHE_DIR",
        "XDG_CACHE_HOME",
        "XDG_CONFIG_HOME",
        "XDG_DATA_HOME",
        "DOCKER_CERT_PATH",
        "DOCKER_CONFIG",
        "DOCKER_CONTEXT",
        "DOCKER_HOST",
        "DOCKER_TLS_VERIFY",
        "PYENV_ROOT",
        "PYENV_VERSION",
    ]
)
"""Where things are found and kept, never what is made of them: all that a registry's builder has of an environment."""


def release_engine(engine: Engine, wanted: ReleaseOptions) -> Engine:
    """The engine for releases: time zone and language settled.

    As a registry, and for a release that is made again, also without the user's own settings and variables.
    """
    environ: Mapping[str, str] = engine.environ
    if wanted.as_registry or wanted.again is not None:
        again = wanted.again
        recorded = frozenset(again.environment if again is not None else ())
        environ = {name: value for name, value in environ.items() if name in PLACES | recorded}
        languages = {again.plan.language: again.plan.settings} if again is not None else {}
        local = engine.config.build.local.model_copy(update={"languages": languages})
        build = engine.config.build.model_copy(update={"local": local})
        engine = replace(engine, config=engine.config.model_copy(update={"build": build}))
    settled = {name: value for name, value in environ.items() if not name.startswith("LC_") and name != "LANGUAGE"}
    return replace(engine, environ={**settled, "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", "TZ": "UTC"})


def workspace_of(origin: Path, cache_dir: Path, *, as_registry: bool) -> Path:
    """The private folder in which a component's releases are built; stays, for the next one to be quick."""
    way = "registry" if as_registry else "tree"
    name = sha256(f"{way}\0{os.path.realpath(origin)}".encode("utf-8", "surrogateescape")).hexdigest()[:16]
    return cache_dir / "releases" / name


def export_source(job: Job) -> None:
    """The working tree without what git ignores, or one commit, goes into the private folder that is built."""
    release = job.releasing
    if not release.origin.is_dir():
        raise SourceError(
            f"{release.origin} is not a folder", hint="Name the folder that holds the component's source."
        )
    known = record.read_record(job.root / STATE_DIR)
    keep = known.plan.fetched if known is not None and known.plan is not None else ()
    job.progress.step("exporting the source")
    commit = git_commit.find_commit(release.origin, release.options.revision)
    if release.options.as_registry:
        exported, dirty = _export_commit(job, commit, keep), False
    else:
        exported = export_working_tree(release.origin, job.root, keep)
        dirty = commit is not None and bool(git_commit.is_dirty(release.origin))
    if not exported.files:
        raise SourceError(f"{release.origin} has no files", hint="Does git ignore all of them?")
    epoch = _epoch(job, commit)
    release.source = SourceIdentity(
        tree_digest=exported.tree_digest,
        commit=commit.sha if commit is not None else None,
        dirty=dirty,
        repository=git_commit.remote_address(release.origin) if commit is not None else None,
        subdirectory=(commit.prefix or ".") if commit is not None else ".",
        epoch=epoch,
    )
    _require_same_source(release)
    job.engine = replace(job.engine, environ={**job.engine.environ, "SOURCE_DATE_EPOCH": str(epoch)})


def _require_same_source(release: Release) -> None:
    again = release.options.again
    if again is not None and again.source.tree_digest != release.source.tree_digest:
        raise SourceError(
            f"the source is not the one that {again.component} {again.version} was built from: "
            f"{release.source.tree_digest[:19]}… here, {again.source.tree_digest[:19]}… there",
            hint="Check out the commit that build-info.json names, or take back the changes since.",
        )


def _export_commit(job: Job, commit: git_commit.Commit | None, keep: tuple[str, ...]) -> Exported:
    origin = job.releasing.origin
    if commit is None:
        raise SourceError(
            f"{origin} is not in a git repository with a commit",
            hint="A registry builds a commit: run git init, git add and git commit, or build without --as-registry.",
        )
    changes = git_commit.is_dirty(origin)
    if changes and job.releasing.options.revision == "HEAD":
        listed = ", ".join(change[3:] for change in changes[:_SHOWN_CHANGES])
        more = f" and {len(changes) - _SHOWN_CHANGES} more" if len(changes) > _SHOWN_CHANGES else ""
        job.warnings.append(f"changes that are in no commit are not part of this build: {listed}{more}")
    return export_commit(commit, job.root, keep)


def _epoch(job: Job, commit: git_commit.Commit | None) -> int:
    options = job.releasing.options
    if options.again is not None:
        return options.again.source.epoch
    given = job.engine.environ.get("SOURCE_DATE_EPOCH", "") if not options.as_registry else ""
    if given:
        if not given.isdigit():
            raise UsageError(f"SOURCE_DATE_EPOCH is {given!r}; it must be a number of seconds since 1970")
        return max(int(given), EARLIEST)
    return max(commit.time, EARLIEST) if commit is not None else EARLIEST


def choose_platforms(job: Job) -> None:
    """The command line, else component.yaml, else the configuration says for which platforms."""
    asked = job.releasing.options.platforms
    declared = job.spec.spec.platforms if job.spec is not None else ()
    platforms = tuple(dict.fromkeys(asked or declared or job.engine.config.build.remote.platforms))
    job.options = replace(job.options, profile="release", platforms=platforms)


def require_tools(job: Job) -> None:
    """A release is never restored from the cache: without its tools there is nothing to do."""
    if job.missing_tools is not None:
        raise job.missing_tools


def refuse_impossible(job: Job) -> None:
    """Before anything is fetched or built: what this machine cannot build, and what would make it possible."""
    require_tools(job)
    release = job.releasing
    told = job.engine.plugins.limitations(job.builder, job.plan, make_context(job, job.state))
    for limitation in (*job.plan.limitations, *told):
        if limitation.platform is None:
            job.warnings.append(f"{limitation.reason}; {limitation.remedy}")
        elif limitation.platform in job.plan.platforms:
            release.refused.setdefault(limitation.platform, limitation)
    for platform, limitation in release.refused.items():
        job.progress.warning(f"{platform} cannot be built here: {limitation.reason}; {limitation.remedy}")
    if len(release.refused) == len(job.plan.platforms):
        raise _nothing_possible(release.refused)


def _nothing_possible(refused: Mapping[Platform, Limitation]) -> PlatformsFailedError:
    lines = [f"{platform}: {limitation.reason}" for platform, limitation in refused.items()]
    remedies = dict.fromkeys(limitation.remedy for limitation in refused.values())
    return PlatformsFailedError(
        "nothing that was asked for can be built on this machine\n" + "\n".join(lines), hint="\n".join(remedies)
    )


def keep_fetched(job: Job) -> None:
    """Note what fetch brought into the export, so that the next release need not fetch it again."""
    note = record.BuildRecord(key=job.key, artifacts=(), stats={}, builder=job.builder, plan=job.plan)
    record.write_record(job.state, note)


def new_release(origin: Path, release: Release, cache_dir: Path) -> Path:
    """Make the workspace and return the folder that the source will be exported to.

    It is called as the origin is, for a component without component.yaml has its name from there; a release that is
    made again has the name that it had.
    """
    workspace = release.options.workspace or workspace_of(origin, cache_dir, as_registry=release.options.as_registry)
    with system_refusals(workspace, "made"):
        workspace.mkdir(parents=True, exist_ok=True)
        os.utime(workspace)  # `cache prune` goes by it
    again = release.options.again
    name = origin.name if again is None else again.component
    is_name = Path(name).name == name and name not in ("", "..")  # a record may be a stranger's
    return workspace / (name if is_name else "source")
