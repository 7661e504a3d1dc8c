"""Reads transfers on standard input, one JSON object a line, and writes activity on standard output."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

import orjson

from account_activity.config import Config, ConfigError, read_config
from account_activity.describe import NAME, metadata
from account_activity.transfer import InvalidTransfer, parse_transfer
from account_activity.windows import Windows

USAGE = f"""\
{NAME}: sums up what each account sent and received, window by window

  --describe-json   print what this component is and takes
  --version, --help

Settings are environment variables: WINDOW, MIN_TRANSFERS, FLAG_ABOVE, ON_INVALID.
"""


class Terminated(Exception):
    """SIGTERM arrived: what has been read is still written."""


@dataclass
class Summary:
    """Counts for the closing line on standard error."""

    read: int = 0
    invalid: int = 0
    written: int = 0
    late: int = 0


def process(lines: Iterable[bytes], output: BinaryIO, config: Config) -> Summary:
    """Read to the end, then write the open window as well.

    Raises InvalidTransfer when `on_invalid` is `fail`.
    """
    windows, summary = Windows(config), Summary()

    def write(results: Iterator[dict[str, object]]) -> None:
        for result in results:
            output.write(orjson.dumps(result, option=orjson.OPT_APPEND_NEWLINE))
            summary.written += 1

    try:
        for line in lines:
            if not line.strip():
                continue
            summary.read += 1
            try:
                transfer = parse_transfer(line)
            except InvalidTransfer as error:
                if config.on_invalid == "fail":
                    raise InvalidTransfer(f"line {summary.read}: {error}") from error
                summary.invalid += 1
                continue
            before = summary.written
            write(windows.add(transfer))
            if summary.written != before:
                output.flush()
    except Terminated:
        pass
    write(windows.close())
    output.flush()
    summary.late = windows.late
    return summary


def main() -> int:
    """The program; returns its exit code."""
    arguments = sys.argv[1:]
    if arguments == ["--describe-json"]:
        sys.stdout.buffer.write(orjson.dumps(metadata(), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
        return 0
    if arguments == ["--version"]:
        print(NAME, metadata()["version"])
        return 0
    if arguments:
        known = arguments[0] in ("-h", "--help")
        print(USAGE if known else f"{NAME}: unknown argument {arguments[0]}\n\n{USAGE}", end="",
              file=sys.stdout if known else sys.stderr)
        return 0 if known else 2
    signal.signal(signal.SIGTERM, _terminate)
    try:
        summary = process(sys.stdin.buffer, sys.stdout.buffer, read_config(os.environ))
    except ConfigError as error:
        print(f"{NAME}: {error}", file=sys.stderr)
        return 2
    except InvalidTransfer as error:
        print(f"{NAME}: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        # The next component has gone: there is nobody left to write to.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    counts = f"read {summary.read}, written {summary.written}, late {summary.late}, invalid {summary.invalid}"
    print(f"{NAME}: {counts}", file=sys.stderr)
    return 0


def _terminate(number: int, frame: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the drain is short and must not be cut off
    raise Terminated
