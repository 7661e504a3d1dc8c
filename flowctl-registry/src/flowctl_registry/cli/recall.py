"""`flowctl-registry recall`: what something bad went into."""

from __future__ import annotations

from typing import Annotated

import typer

from flowctl_core.cli.console import emit, say, table
from flowctl_core.cli.options import Output
from flowctl_registry.cli.session import OPERATOR, Config, Data, opened

Plugin = Annotated[
    list[str] | None, typer.Option("--plugin", metavar="NAME[==VERSION]", help="A plugin, by its distribution.")
]
Tool = Annotated[list[str] | None, typer.Option("--tool", metavar="NAME[==VERSION]", help="A tool or toolchain.")]
BaseImage = Annotated[
    list[str] | None, typer.Option("--base-image", metavar="REFERENCE", help="A base image; without a tag: all tags.")
]
Dependency = Annotated[
    list[str] | None, typer.Option("--dependency", metavar="PURL", help="What SBOMs list: pkg:npm/left-pad@1.3.0.")
]


def recall(
    plugin: Plugin = None,
    tool: Tool = None,
    base_image: BaseImage = None,
    dependency: Dependency = None,
    yank: Annotated[str | None, typer.Option(metavar="REASON", help="Warn users off each of them.")] = None,
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Have each built again from its commit.")] = False,
    config: Config = None,
    data: Data = None,
    output: Output = None,
) -> None:
    """List the versions that something went into; on request yank them and build them again.

    Each option can be given several times, and takes a digest (`sha256:…`) too; any match counts.
    """
    from flowctl_registry.builds.recall import Criterion
    from flowctl_registry.builds.recall import recall as do_recall
    from flowctl_registry.errors import BadRequestError
    from flowctl_registry.models.recall import RecallReport
    from flowctl_registry.models.yank import YankRequest

    criteria = [Criterion.parse("plugin", each) for each in plugin or ()]
    criteria += [Criterion.parse("tool", each) for each in tool or ()]
    criteria += [Criterion.parse("base-image", each) for each in base_image or ()]
    criteria += [Criterion.parse("dependency", each) for each in dependency or ()]
    if not criteria:
        raise BadRequestError(
            "it is not said what is recalled", hint="Give --plugin, --tool, --base-image or --dependency."
        )
    if yank is not None:
        try:
            YankRequest(reason=yank)
        except ValueError:
            raise BadRequestError("that is no reason", hint="Write a sentence for users, at most a line.") from None
    with opened(config, data) as services:
        found = do_recall(services, criteria, OPERATOR, reason=yank, rebuild=rebuild)
    if emit(RecallReport(versions=tuple(found)).model_dump(mode="json", exclude_none=True)):
        return
    if not found:
        say("no published version was made with that")
        return
    table(
        ("version", "made with", "downloads", "yanked", *(("rebuild",) if rebuild else ())),
        [
            (
                f"{each.namespace}/{each.name} {each.version}",
                ", ".join(f"{used.name} {used.version or used.digest or ''}".strip() for used in each.materials),
                str(each.downloads),
                "yes" if each.yanked else "no",
                *((each.build or f"no: {each.problem}",) if rebuild else ()),
            )
            for each in found
        ],
    )
