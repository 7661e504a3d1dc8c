"""`flowctl-registry migrate`, `gc`, `fsck`, `backup` and `restore`: what the operator does with what is stored."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flowctl_core.cli.console import emit, say, table
from flowctl_core.cli.options import Output
from flowctl_registry.cli.session import Config, Data, opened

if TYPE_CHECKING:
    pass


def migrate(config: Config = None, data: Data = None, output: Output = None) -> None:
    """Bring the database to the schema of this release."""
    from flowctl_registry.database import migrate as migrations
    from flowctl_registry.database.engine import open_engine
    from flowctl_registry.settings import load_settings

    settings = load_settings(config, data=data)
    if settings.database_url is None:
        settings.data.mkdir(parents=True, exist_ok=True)
    engine = open_engine(settings.database)
    try:
        before = migrations.upgrade(engine)
    finally:
        engine.dispose()
    if not emit({"before": before, "schema": migrations.head()}):
        say(f"the database has schema {migrations.head()} (before: {before or 'none'})")


def gc(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
    grace: Annotated[
        float, typer.Option(min=0, metavar="SECONDS", help="How long unneeded blobs stay after they were marked.")
    ] = 3600,
    config: Config = None,
    data: Data = None,
    output: Output = None,
) -> None:
    """Remove what nothing needs any more: abandoned uploads, old prereleases, unreferenced blobs."""
    from flowctl_registry.maintenance.gc import collect

    with opened(config, data) as services:
        report = collect(services, grace, dry_run=dry_run)
    if emit(report.model_dump(mode="json")):
        return
    say(
        f"{'would remove' if dry_run else 'removed'} {report.uploads} uploads, {report.pending} unfinished versions, "
        f"{report.prereleases} prereleases, logs of {report.build_logs} builds, "
        f"{report.removed} blobs ({report.removed_bytes} bytes)"
    )
    say(f"{report.marked} more blobs {'would be' if dry_run else 'are'} marked for a later gc")
    if report.failed:
        say(f"{report.failed} blobs could not be removed now; the next gc tries again")


def fsck(
    quick: Annotated[bool, typer.Option("--quick", help="Compare sizes, read no contents.")] = False,
    repair: Annotated[
        bool, typer.Option("--repair", help="Correct what can be derived; have damaged blobs sent anew.")
    ] = False,
    config: Config = None,
    data: Data = None,
    output: Output = None,
) -> None:
    """Check that rows, objects and digests agree."""
    from flowctl_registry.errors import DamagedError
    from flowctl_registry.maintenance.fsck import check

    with opened(config, data) as services:
        report = check(services, quick=quick, repair=repair)
    open_findings = [each for each in report.findings if not each.repaired]
    if not emit(report.model_dump(mode="json")):
        say(
            f"{report.versions} versions, {report.blobs} blobs ({report.bytes} bytes read), {report.objects} objects "
            f"({report.unrecorded} of them left by killed uploads)"
        )
        rows = [(each.kind, each.target, each.detail, "yes" if each.repaired else "no") for each in report.findings]
        if rows:
            table(("KIND", "OF", "FINDING", "REPAIRED"), rows)
        else:
            say("nothing is wrong")
    elif open_findings:
        raise typer.Exit(DamagedError.exit_code)
    if open_findings:
        raise DamagedError(
            f"fsck found {len(open_findings)} faults", hint="`fsck --repair`; what it leaves needs a backup."
        )


def backup(
    folder: Annotated[Path, typer.Argument(help="A new folder, or one with an earlier backup.")],
    no_keys: Annotated[bool, typer.Option("--no-keys", help="Leave the signer's folder out.")] = False,
    config: Config = None,
    data: Data = None,
    output: Output = None,
) -> None:
    """Write all that is stored to a folder, while the registry runs."""
    from flowctl_registry.maintenance.backup import back_up

    with opened(config, data) as services:
        report = back_up(services, folder, keys=not no_keys)
    if emit(report.model_dump(mode="json")):
        return
    say(f"{report.rows} rows, {report.blobs} blobs ({report.blob_bytes} bytes, {report.copied} blobs new)")
    if report.signer is None:
        say("the signer's keys are not in it: back up its folder where it runs")


def restore(
    folder: Annotated[Path, typer.Argument(help="What `backup` wrote.")],
    config: Config = None,
    data: Data = None,
    output: Output = None,
) -> None:
    """Put a backup into an empty registry, on SQLite or PostgreSQL, files or S3."""
    from flowctl_registry.maintenance.restore import restore as put_back
    from flowctl_registry.settings import load_settings

    report = put_back(load_settings(config, data=data), folder)
    if not emit(report.model_dump(mode="json")):
        moment = f"{report.created_at:%Y-%m-%d %H:%M:%S}"
        say(f"{report.rows} rows and {report.blobs} blobs are back, as they were at {moment} UTC")
