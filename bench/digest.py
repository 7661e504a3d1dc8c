"""The source digest of 10,000 files in 500 folders beside `git status` of the same tree.

    python bench/digest.py        # medians of interleaved runs; BENCH_ROUNDS changes their number

Budget: warm, as a whole process, ≤ 4.5 × `git status`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from interleaved import Case, environment_line, show

from flowctl_core.models import Inputs
from flowctl_core.store.source_digest import digest_source
from flowctl_core.store.stat_index import unchanged_digest

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "15"))
FOLDERS, FILES = 500, 20
WHOLE_PROCESS = """
import sys
from flowctl_core.store.source_digest import digest_source
class Inputs: include, exclude = ("**",), ()
assert digest_source(sys.argv[1], Inputs).hashed == int(sys.argv[2])
"""


def make_tree(root: Path) -> None:
    """A committed tree of small files, some ignored ones and several ignore files."""
    for folder in range(FOLDERS):
        path = root / f"group{folder // 25:02d}" / f"package{folder:03d}"
        path.mkdir(parents=True)
        for file in range(FILES):
            (path / f"file{file:02d}.go").write_bytes(f"package p{folder} // {file}\n".encode() * 60)
    (root / ".gitignore").write_text("*.log\n/dist/\nnode_modules/\n*.tmp\n!keep.tmp\n")
    for argv in (
        ["init", "-q"],
        ["add", "-A"],
        ["-c", "user.name=b", "-c", "user.email=b@example.com", "commit", "-qm", "x"],
    ):
        subprocess.run(["git", *argv], cwd=root, check=True)


def main() -> int:
    """Measure, print, and say by the exit code whether the budget holds."""
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch) / "tree"
        root.mkdir()
        make_tree(root)
        time.sleep(0.1)
        index, total = root / ".flowctl/index", FOLDERS * FILES + 1
        command = ["git", "--no-optional-locks", "status", "--porcelain"]
        edited = root / "group00/package000/file00.go"

        def process(hashed: int) -> None:
            subprocess.run([sys.executable, "-c", WHOLE_PROCESS, str(root), str(hashed)], check=True)

        def edit() -> None:
            edited.write_bytes(os.urandom(1000))

        steps: dict[str, tuple[Callable[[], object] | None, Callable[[], object]]] = {
            "git status": (None, lambda: subprocess.run(command, cwd=root, check=True, capture_output=True)),
            "bare Python": (None, lambda: subprocess.run([sys.executable, "-c", "pass"], check=True)),
            "warm digest, process": (None, lambda: process(0)),
            "warm digest, in process": (None, lambda: digest_source(root, Inputs())),
            "index check alone, in process": (None, lambda: unchanged_digest(root, index)),
            "one file edited, in process": (edit, lambda: digest_source(root, Inputs())),
            "cold digest, process": (index.unlink, lambda: process(total)),
        }
        cases = {name: Case((), root) for name in steps}
        for number in range(ROUNDS + 1):
            # A round begins warm: what the edit and the cold digest left young must settle first.
            while unchanged_digest(root, index) is None:
                digest_source(root, Inputs())
            for name, (prepare, step) in steps.items():
                if prepare is not None:
                    prepare()
                started = time.perf_counter()
                step()
                if number:
                    cases[name].seconds.append(time.perf_counter() - started)
        print(environment_line())
        met = show(
            f"Digest of {total} files in {FOLDERS} folders, {ROUNDS} rounds",
            cases,
            [("warm digest, process", "git status", 4.5), ("warm digest, in process", "git status", 4.5)],
        )
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
