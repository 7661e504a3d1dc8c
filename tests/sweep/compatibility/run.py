"""Runs the comparison over all trees and writes the page.

    python tests/sweep/compatibility/run.py [--trees FOLDER] [--only TEXT] [--results FILE [--again]] [--page FILE]

FOLDER (or FLOWCTL_TREES) holds bare git directories as <owner>+<name>/repo. With --results, trees that are in that
file already are not run again, and the page has all of them; with --again those that --only names are. Exit code 1 when flowctl differs anywhere from what hands do, 2 when no tree is there.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import sysconfig
import tempfile
from pathlib import Path

import page
from measure import Result, measure
from trees import TREES


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trees", type=Path, default=os.environ.get("FLOWCTL_TREES"))
    parser.add_argument("--only", default="", help="only trees with this in language, repository or folder")
    parser.add_argument("--results", type=Path, help="JSON lines, one a tree; read and added to")
    parser.add_argument("--again", action="store_true", help="measure what is in the results already")
    parser.add_argument("--page", type=Path, help="the Markdown page to write")
    return parser.parse_args()


def main() -> int:
    """See the module."""
    options = arguments()
    if options.trees is None:
        print("no trees: set FLOWCTL_TREES or --trees", file=sys.stderr)
        return 2
    # uv came with flowctl's own environment; tools of the machine go first.
    os.environ["PATH"] = os.pathsep.join([os.environ.get("PATH", os.defpath), sysconfig.get_path("scripts")])
    load = os.getloadavg()[0]
    known: dict[str, Result] = {}
    if options.results and options.results.exists():
        for line in options.results.read_text(encoding="utf-8").splitlines():
            result = Result(**json.loads(line))
            known[key(result.tree, result.traits)] = result  # the last one of a tree counts
    results = []
    with tempfile.TemporaryDirectory(prefix="flowctl-compatibility-") as work:
        for number, tree in enumerate(TREES):
            wanted = options.only in f"{tree.language} {tree.repository} {tree.folder}"
            result = known.get(key(tree.name, tree.traits))
            if result is None and not wanted:
                continue
            if result is None or (wanted and options.again):
                result = measure(tree, options.trees, Path(work), number=number)
                result.flowctl = page.measured_now()
                if options.results:
                    with options.results.open("a", encoding="utf-8") as file:
                        file.write(result.to_json() + "\n")
            results.append(result)
            report(result)
    if options.page:
        reasons = {tree.name: tree.reason for tree in TREES if tree.reason}
        page.write(options.page, results, reasons, started_load=load)
    if all(result.missing for result in results):
        return 2
    return int(any(result.differences for result in results))


def key(name: str, traits: str) -> str:
    """One folder can be in the table twice, at two commits."""
    return f"{name}: {traits}"


def report(result: Result) -> None:
    """One tree on the terminal."""
    times = f"{page.number(result.flowctl_median)} s, by hand {page.number(result.hand_median)} s"
    print(f"{page.verdict(result):16} {result.tree}: {times}; tests: {result.flowctl_tests}", flush=True)
    for text in (*result.differences, *result.failures, *([result.missing] if result.missing else [])):
        print(f"{'':16} {' '.join(text.split())}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
