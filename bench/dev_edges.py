"""Events a second through the edges of `flowctl dev`, beside a shell pipe of the same programs, and what it takes idle.

    python bench/dev_edges.py     # medians of interleaved rounds; BENCH_ROUNDS changes their number

Three processes, two edges, every event validated. `cat` shows the edges alone; the examples (Go source, Rust processor,
Node sink) parse JSON themselves. Budgets: at least 200,000 events/s of 200 bytes, at least 0.5 × the shell pipe of the
examples; idle < 1 % of a core.
"""

from __future__ import annotations

import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from interleaved import environment_line
from processes import cpu_seconds

from flowctl_core.dev.edges import DeadLetters, Feed, Tap

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
EVENTS = int(os.environ.get("BENCH_EVENTS", "1000000"))
IDLE_S = int(os.environ.get("BENCH_IDLE_S", "20"))
EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
LEDGERS = EVENTS // 200  # 10 transfers each, on average; the examples take their time


def through_shell(commands: Sequence[Sequence[str]]) -> float:
    """Seconds of `a | b | c`."""
    line = " | ".join(shlex.join(command) for command in commands)
    began = time.perf_counter()
    subprocess.run(["sh", "-c", line], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    return time.perf_counter() - began


def through_edges(commands: Sequence[Sequence[str]], folder: Path) -> tuple[float, int]:
    """Seconds of the same with the edges of a pipeline between them, and events on the first edge."""
    began = time.perf_counter()
    letters = DeadLetters(folder / "dead-letters")
    taps = [Tap(f"component {n}", letters) for n in range(len(commands) - 1)]
    feeds = [Feed(f"component {n + 1}") for n in range(len(commands) - 1)]
    for tap, feed in zip(taps, feeds, strict=True):
        tap.connect(feed.edge(tap.component))
    children = []
    for number in reversed(range(len(commands))):
        child = subprocess.Popen(
            commands[number],
            stdin=subprocess.PIPE if number else subprocess.DEVNULL,
            stdout=subprocess.PIPE if number < len(taps) else subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        if child.stdin is not None:
            feeds[number - 1].attach(os.dup(child.stdin.fileno()))
            child.stdin.close()
        if child.stdout is not None:
            taps[number].attach(os.dup(child.stdout.fileno()))
            child.stdout.close()
        children.insert(0, child)
    for number, child in enumerate(children):
        if child.wait():
            sys.exit(f"{commands[number][0]} ended with {child.returncode}")
        if number < len(taps):
            taps[number].drained.wait()
            taps[number].finish()
    took = time.perf_counter() - began
    if letters.written or letters.unwritten:
        sys.exit("there were dead letters")
    return took, taps[0].events


def idle_cpu(folder: Path) -> float:
    """Share of a core that `flowctl dev` takes while three components say nothing."""
    (folder / "pipeline.yaml").write_text(
        "apiVersion: flowctl/v1\nkind: Pipeline\nmetadata: {name: idle}\nspec:\n"
        "  sources: [{id: a, command: [sleep, '1000']}]\n"
        "  processors: [{id: b, command: [cat], inputs: [a]}]\n"
        "  sinks: [{id: c, command: [cat], inputs: [b]}]\n"
    )
    command = [sys.executable, "-m", "flowctl_core", "dev", "--plain"]
    child = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        time.sleep(8)
        before = cpu_seconds([child.pid])
        time.sleep(IDLE_S)
        return (cpu_seconds([child.pid]) - before) / IDLE_S
    finally:
        child.terminate()
        child.wait(30)


def main() -> int:
    """Measure, print, and say by the exit code whether the budgets hold."""
    source, processor, sink = (
        EXAMPLES / "go-source/transfer-source",
        EXAMPLES / "rust-processor/transfer-window",
        EXAMPLES / "node-sink/event-archive",
    )
    for program in (source, processor, sink):
        if not program.exists():
            subprocess.run([sys.executable, "-m", "flowctl_core", "component", "build", program.parent], check=True)
    print(f"# Edges of flowctl dev\n\n{environment_line()}\n")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        events = folder / "events"
        with events.open("wb") as file:
            for number in range(EVENTS):
                head = b'{"id":%d,"type":"transfer","from":"' % number
                file.write(head + b"G" * (197 - len(head)) + b'"}\n')
        chains = {
            "cat | cat | cat": [["cat", str(events)], ["cat"], ["cat"]],
            "examples": [
                [str(source), "--rate=0", f"--ledgers={LEDGERS}"],
                [str(processor), "--emit=all", "--window=100000000"],
                [str(sink)],
            ],
        }
        print("| Chain | Events | Shell pipe, events/s | Edges, events/s | Ratio |\n|---|---|---|---|---|")
        ratios, rates = {}, {}
        for name, commands in chains.items():
            through_edges(commands, folder)
            pairs = []
            count = 0
            for _ in range(ROUNDS):
                shell = through_shell(commands)
                ours, count = through_edges(commands, folder)
                pairs.append((shell, ours))
            shell_s, ours_s = (statistics.median(times) for times in zip(*pairs, strict=True))
            ratios[name] = statistics.median(shell / ours for shell, ours in pairs)
            rates[name] = count / ours_s
            print(f"| {name} | {count:,} | {count / shell_s:,.0f} | {count / ours_s:,.0f} | {ratios[name]:.2f} |")
        share = idle_cpu(folder)
    met = [rates["cat | cat | cat"] >= 200_000, ratios["examples"] >= 0.5, share < 0.01]
    words = ["met" if each else "MISSED" for each in met]
    print(f"\n- cat through edges = {rates['cat | cat | cat']:,.0f} events/s (budget 200,000): {words[0]}")
    print(f"- examples through edges / shell pipe = {ratios['examples']:.2f} (budget 0.50): {words[1]}")
    print(f"- idle: {share:.2%} of a core (budget 1 %): {words[2]}")
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
