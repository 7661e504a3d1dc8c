"""`flowctl cache`: the build cache on this machine."""

from __future__ import annotations

from typing import Annotated

import typer

from flowctl_core.cli.console import counted, emit, say
from flowctl_core.cli.options import Output
from flowctl_core.cli.summary import size_text
from flowctl_core.errors import StoreError

app = typer.Typer(no_args_is_help=True, help="See and empty the build cache.")


@app.callback()
def cache() -> None:
    """See and empty the build cache."""


@app.command()
def info(output: Output = None) -> None:
    """Show where the cache is, how much it holds and its limit."""
    from flowctl_core.cli.session import load_configuration, open_cache

    state = open_cache(load_configuration()).info()
    if state is None:
        raise StoreError("the cache cannot be read", hint="`flowctl cache prune --all` starts a new one.")
    if emit(state.model_dump(mode="json")):
        return
    say(f"{state.path}")
    say(f"  {counted(state.entries, 'build')}, {size_text(state.bytes)} of at most {size_text(state.limit)}")


@app.command()
def prune(
    max_size: Annotated[
        str | None, typer.Option("--max-size", help="Keep the most recently used builds up to this size (500M, 2G).")
    ] = None,
    older_than: Annotated[
        str | None, typer.Option("--older-than", help="Remove builds not used for this long (12h, 30d).")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Remove everything.")] = False,
    output: Output = None,
) -> None:
    """Remove builds from the cache, the files themselves included; without options, down to the configured limit."""
    from pydantic import TypeAdapter, ValidationError

    from flowctl_core.cli.session import load_configuration, open_cache
    from flowctl_core.errors import UsageError
    from flowctl_core.models.config import Seconds, Size
    from flowctl_core.package.base_sweep import sweep_bases
    from flowctl_core.scan.index_sweep import sweep_indexes
    from flowctl_core.stamp import sweep_stamps
    from flowctl_core.store.workspaces import sweep_workspaces

    try:
        limit = TypeAdapter(Size).validate_python(max_size) if max_size is not None else None
        age = TypeAdapter(Seconds).validate_python(older_than) if older_than is not None else None
    except ValidationError as error:
        raise UsageError(error.errors()[0]["msg"].removeprefix("Value error, ")) from error
    loaded = load_configuration()
    result = open_cache(loaded).prune(max_size=limit, older_than_s=age, everything=everything)
    sweep_stamps(everything=everything)
    cache_dir = loaded.config.build.local.cache_dir
    swept = sweep_workspaces(cache_dir, older_than_s=age, everything=everything)
    indexes = sweep_indexes(cache_dir, older_than_s=age, everything=everything)
    bases = sweep_bases(cache_dir, older_than_s=age, everything=everything)
    if result is None:
        raise StoreError("the cache cannot be pruned", hint="Check the permissions of its folder.")
    freed = result.bytes + swept.bytes + indexes + bases
    result = result.model_copy(update={"workspaces": swept.workspaces, "bytes": freed})
    if emit(result.model_dump(mode="json")):
        return
    builds, files = counted(result.entries, "build"), counted(result.files, "file")
    spaces = f" and {counted(result.workspaces, 'release workspace')}" if result.workspaces else ""
    say(f"removed {builds} and {files}{spaces}, {size_text(result.bytes)} freed")
