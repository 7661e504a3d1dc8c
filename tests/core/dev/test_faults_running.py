"""Components that do what they should not."""

from __future__ import annotations

import os
import re
import signal
import socket

GEN = """
    import sys, time
    for n in range(1, 100000):
        print('{"n": %d}' % n, flush=True)
        time.sleep(0.002)
"""


def pipeline(sink: str = "path: out.py") -> str:
    return f"""
    sources:
      - {{id: gen, path: gen.py}}
    sinks:
      - {{id: out, {sink}, inputs: [gen]}}
    """


def test_a_crash_loop_is_told_slows_down_and_ends_with_an_edit(dev, program):
    program("gen.py", GEN)
    program("out.py", "raise SystemExit(7)")
    run = dev(pipeline())
    after = run.wait(lambda e: e["event"] == "crashed" and "crash loop" in e.get("text", ""))
    delays = [e["delay_s"] for e in run.of("crashed", "out")]
    assert delays[:4] == [0.5, 1.0, 2.0, 4.0]
    program("out.py", "import sys\nfor line in sys.stdin:\n    print('took', line, flush=True)")
    run.line("took", after=after)
    assert run.interrupt() == 0
    assert run.status("out")["restarts"] == len(delays)
    assert run.status("out")["error"] == "ended with exit code 7"


def test_a_crash_replays_the_window_and_counts_what_is_older(dev, program):
    program("gen.py", "for n in range(1, 5001):\n    print(n, flush=True)\nimport time\ntime.sleep(1000)")
    program(
        "out.py",
        """
        import os, sys
        marker = "crashed-once"
        numbers = []
        for line in sys.stdin:
            numbers.append(int(line))
            if numbers[-1] == 3000 and not os.path.exists(marker):
                open(marker, "w").close()
                os.kill(os.getpid(), 9)
            if numbers[-1] == 5000:
                print("from", numbers[0], "gaps", sum(b - a != 1 for a, b in zip(numbers, numbers[1:])), flush=True)
        """,
    )
    run = dev(pipeline(), "--window", "500")
    run.line("from")
    assert run.interrupt() == 0
    (crashed,), (replayed,) = run.of("crashed", "out"), run.of("replayed", "out")
    assert crashed["exit_code"] == -9
    (line,) = run.lines("out")
    first, gaps = map(int, re.fullmatch(r"from (\d+) gaps (\d+)", line).groups())
    assert gaps == 0
    # It read 3000 lines and what Python had read ahead of them: that all is sent again from the window's beginning.
    assert replayed["replayed"] == 500
    assert replayed["older"] == first - 1
    status = run.status("out")
    assert (status["replayed"], status["older"], status["lost"]) == (500, first - 1, 0)


def test_one_that_ignores_eof_and_sigterm_is_killed(dev, program, alive):
    program("gen.py", GEN)
    stubborn = """
        import signal, sys, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print("begins", flush=True)
        for line in sys.stdin:
            pass
        while True:
            time.sleep(1)
    """
    program("out.py", stubborn)
    run = dev(pipeline(), "--grace", "0.5")
    after = run.line("begins")
    pid = run.of("ready", "out")[0]["pid"]
    program("out.py", stubborn + "    # edited\n")
    after = run.wait(lambda e: e["event"] == "warning" and "gets a SIGTERM" in e["text"], after=after)
    after = run.wait(lambda e: e["event"] == "warning" and "is killed" in e["text"], after=after)
    run.event("swapped", "out", after=after)
    assert not alive(pid)
    assert run.interrupt() == 0
    assert not any(alive(pid) for pid in run.pids())


def test_children_of_a_component_end_with_it(dev, program, alive):
    program("gen.py", GEN)
    program(
        "out.py",
        """
        import subprocess, sys
        # One in its group, one that leaves it, both with its stdout open.
        a = subprocess.Popen(["sleep", "1000"])
        b = subprocess.Popen(["sleep", "1000"], start_new_session=True)
        print("children", a.pid, b.pid, flush=True)
        for line in sys.stdin:
            pass
        """,
    )
    run = dev(pipeline())
    after = run.line("children")
    first = [int(pid) for pid in run.lines("out")[0].split()[1:]]
    assert all(alive(pid) for pid in first)
    program("out.py", (run.folder / "out.py").read_text().partition("\n")[2] + "\n# edited")
    after = run.event("swapped", "out", after=after)
    assert not any(alive(pid) for pid in first)
    run.line("children", after=after)
    second = [int(pid) for pid in run.lines("out")[1].split()[1:]]
    assert run.interrupt() == 0
    assert not any(alive(pid) for pid in second)


def test_a_slow_sink_holds_the_source_back_and_nothing_is_lost(dev, program):
    program("gen.py", "import sys\nline = '\"' + 'x' * 1000 + '\"'\nfor n in range(60000):\n    print(line)")
    program("out.py", "import sys, time\ntime.sleep(2)\nprint(sum(1 for line in sys.stdin))")
    run = dev(pipeline(), "--once")
    assert run.end() == 0, run.told()
    assert run.lines("out") == ["60000"]


def test_a_port_in_use_is_told_with_its_owner_and_tried_again(dev, program):
    program("gen.py", GEN)
    program(
        "out.py",
        """
        import http.server, os
        http.server.HTTPServer(("127.0.0.1", int(os.environ["HEALTH_PORT"])), http.server.SimpleHTTPRequestHandler).serve_forever()
        """,
    )
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        run = dev(pipeline(f"path: out.py, health_check: /, health_port: {port}"))
        after = run.wait(lambda e: e["event"] == "warning" and f"port {port} is in use" in e["text"])
        assert "another port" in run.of("warning", "out")[0]["hint"]
    run.event("ready", "out", after=after)
    assert run.interrupt() == 0


def test_a_program_that_cannot_start_is_told_and_an_edit_mends_it(dev, program):
    program("gen.py", GEN)
    file = program("out.py", "")
    file.write_text("#!/no/such/interpreter\n")
    run = dev(pipeline())
    after = run.wait(lambda e: e["event"] == "warning" and "interpreter" in e["text"])
    program("out.py", "import sys\nfor line in sys.stdin:\n    print('took', line, flush=True)")
    run.line("took", after=after)
    assert run.interrupt() == 0


def test_one_that_stops_being_well_is_started_again(dev, program):
    program("gen.py", GEN)
    program(
        "out.py",
        """
        import http.server, os, time
        began = time.monotonic()
        class Well(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200 if time.monotonic() - began < 0.5 else 500)
                self.end_headers()
        http.server.HTTPServer(("127.0.0.1", int(os.environ["HEALTH_PORT"])), Well).serve_forever()
        """,
    )
    (folder := run_folder(program)).mkdir()
    (folder / "component.yaml").write_text(
        """
apiVersion: component.flowctl.io/v1
kind: ComponentSpec
metadata: {name: out, version: 0.1.0}
spec:
  type: sink
  interface: {inputEventTypes: [n]}
  build: {native: {command: [cp, ../out.py, out], binary: out}}
  health: {readiness: {path: /, period: 0.2, failure_threshold: 2}}
"""
    )
    run = dev(pipeline("path: component"))
    after = run.event("ready", "out")
    after = run.event("unhealthy", "out", after=after)
    run.event("ready", "out", after=after)
    assert run.interrupt() == 0


def run_folder(program):
    return program("gen.py", GEN).parent / "component"


def test_done_means_done(dev, program):
    """A sink that has had enough: what comes later is counted as lost, and the pipeline still ends."""
    program("gen.py", "for n in range(100000):\n    print(n)")
    run = dev(pipeline("command: [head, -n, '3']"), "--once")
    assert run.end() == 0, run.told()
    status = run.status("out")
    assert run.lines("out") == ["0", "1", "2"]
    assert status["lost"] > 0


def test_a_stray_that_cannot_be_found_does_not_hold_the_pipeline(dev, program, alive):
    """It left the group and lost the environment by which it would be known, and keeps the output open."""
    program("gen.py", GEN)
    program(
        "mid.py",
        """
        import subprocess, sys
        stray = subprocess.Popen(["sleep", "300"], start_new_session=True, env={})
        print("stray", stray.pid, file=sys.stderr, flush=True)
        for line in sys.stdin:
            print(line, end="", flush=True)
        """,
    )
    run = dev(
        """
        sources:
          - {id: gen, path: gen.py}
        processors:
          - {id: mid, path: mid.py, inputs: [gen]}
        sinks:
          - {id: out, command: [wc, -l], inputs: [mid]}
        """,
        "--grace",
        "60",
    )
    run.line("stray")
    try:
        assert run.interrupt() == 0
        assert run.lines("out") == [str(run.status("gen")["events_out"])]
    finally:
        os.kill(int(run.lines("mid")[0].split()[1]), signal.SIGKILL)
