"""Entry point of the command `flowctl`.

Three answers need almost no imports: the version, a build that has nothing to do, and locked components that are all
installed. A build without options needs no
option parser. Everything else goes through `flowctl_core.cli.app`.
"""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Run the command line and exit with its code."""
    # pydantic would read the metadata of every installed distribution to look for plugins of its own.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    from flowctl_core.cli import interruption, streams

    interruption.prepare()
    streams.prepare()
    try:
        code = _run(sys.argv[1:])
    except KeyboardInterrupt:  # while modules were imported, or while the answer was printed
        streams.write_aside("error: interrupted\n")
        code = 130
    sys.exit(streams.finish(code))


def _run(arguments: list[str]) -> int:
    if arguments == ["--version"]:
        from flowctl_core import __version__

        sys.stdout.write(f"flowctl {__version__}\n")
        return 0
    if arguments[:3] == ["component", "install", "--locked"]:
        from flowctl_core import locked

        text = locked.answer(arguments)
        if text is not None:
            sys.stdout.write(text)
            return 0
    from flowctl_core.noop import answer, plain_build

    text = answer(arguments)
    if text is not None:
        sys.stdout.write(text)
        return 0
    form = plain_build(arguments)
    if form is not None:
        from flowctl_core.cli import plain_build as engine

        return engine.run(form)
    from flowctl_core.cli.app import run

    return run(arguments)


if __name__ == "__main__":
    main()
