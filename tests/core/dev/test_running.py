"""Pipelines from their start to their end."""

from __future__ import annotations

import json
import signal
import time

COUNTER = """
    sources:
      - id: gen
        path: gen.py
    sinks:
      - id: out
        path: out.py
        inputs: [gen]
"""
GEN = """
    import signal, sys, time
    def stop(*_):
        raise SystemExit
    signal.signal(signal.SIGTERM, stop)
    n = 0
    while True:
        n += 1
        print('{"n": %d}' % n, flush=True)
        time.sleep(0.002)
"""
COUNT = """
    import json, sys
    seen = [json.loads(line)["n"] for line in sys.stdin]
    print("in order", seen == sorted(set(seen)), "last", seen[-1] if seen else 0, "count", len(seen), flush=True)
"""


def test_events_run_from_end_to_end_and_the_command_ends_with_the_pipeline(dev):
    run = dev(
        """
        sources:
          - {id: gen, command: [seq, "5000"]}
        processors:
          - {id: even, command: "awk '$1 % 2 == 0'", inputs: [gen]}
        sinks:
          - {id: count, command: [wc, -l], inputs: [even]}
          - {id: all, command: [wc, -l], inputs: [gen, even]}
        """,
        "--once",
    )
    assert run.end() == 0, run.told()
    assert run.lines("count") == ["2500"]
    assert run.lines("all") == ["7500"]
    assert run.status("even")["events_in"] == 5000
    assert run.status("even")["events_out"] == 2500
    started = [e["component"] for e in run.of("ready")]
    assert started[0] == "gen"
    assert started.index("even") < started.index("count")


def test_ctrl_c_lets_what_was_sent_run_through_and_leaves_nothing(dev, program, alive):
    program("gen.py", GEN)
    program("out.py", COUNT)
    run = dev(COUNTER)
    run.event("ready", "out")
    time.sleep(0.5)
    assert run.interrupt() == 0, run.told()
    (line,) = run.lines("out")
    assert line.startswith("in order True")
    assert int(line.split()[-1]) == run.status("gen")["events_out"] == run.status("out")["events_in"]
    assert not any(alive(pid) for pid in run.pids())


def test_components_die_with_a_flowctl_that_is_killed(dev, program, alive):
    program("gen.py", GEN)
    program("out.py", "import signal, sys, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\ntime.sleep(1000)")
    run = dev(COUNTER)
    run.event("ready", "out")
    run.process.kill()
    deadline = time.monotonic() + 30
    while any(alive(pid) for pid in run.pids()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(alive(pid) for pid in run.pids())


def test_downstream_waits_for_the_health_of_what_it_depends_on(dev, program, tmp_path):
    program(
        "slow.py",
        """
        import http.server, os, time
        time.sleep(0.7)
        class Well(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200 if self.path == "/health" else 404)
                self.end_headers()
        http.server.HTTPServer(("127.0.0.1", int(os.environ["HEALTH_PORT"])), Well).serve_forever()
        """,
    )
    program("late.py", "import time\nprint('{}', flush=True)\ntime.sleep(1000)")
    port = _free_port()
    run = dev(
        f"""
        sources:
          - {{id: first, path: slow.py, health_check: /health, health_port: {port}}}
          - {{id: second, path: late.py, depends_on: [first]}}
        """
    )
    run.event("ready", "second")
    names = [(e["event"], e["component"]) for e in run.events if e["event"] in ("starting", "ready")]
    assert names == [("starting", "first"), ("ready", "first"), ("ready", "second")]
    assert run.interrupt() == 0


def test_replicas_share_the_events(dev):
    run = dev(
        """
        sources:
          - {id: gen, command: [seq, "20000"]}
        processors:
          - {id: cat, command: [cat], inputs: [gen], replicas: 3}
        sinks:
          - {id: count, command: [wc, -l], inputs: [cat]}
        """,
        "--once",
    )
    assert run.end() == 0, run.told()
    assert run.lines("count") == ["20000"]
    assert {e["component"] for e in run.of("ready")} == {"gen", "cat-1", "cat-2", "cat-3", "count"}


def test_what_is_no_json_goes_to_the_dead_letters(dev, tmp_path):
    run = dev(
        """
        sources:
          - {id: gen, command: "echo 1; echo oops; echo 2"}
        sinks:
          - {id: count, command: [wc, -l], inputs: [gen]}
        """,
        "--once",
    )
    assert run.end() == 0, run.told()
    assert run.lines("count") == ["2"]
    assert run.status("gen")["dead_letters"] == 1
    (told,) = run.of("dead-letters", "gen")
    assert told["text"].startswith("wrote a line that is no JSON; kept in ")
    (letter,) = (tmp_path / ".flowctl" / "dev" / "dead-letters.ndjson").read_text().splitlines()
    assert json.loads(letter)["text"] == "oops"


def test_a_secret_is_handed_over_and_never_shown(dev, tmp_path):
    (tmp_path / "secrets.env").write_text("# of this pipeline\nDB_PASSWORD='correct horse'\n")
    run = dev(
        """
        sources:
          - id: gen
            command: 'echo "\\"$DB_PASSWORD\\""; echo "password is $DB_PASSWORD, $API" >&2'
            secrets: [DB_PASSWORD]
            env: {API: "key ${API_TOKEN}"}
        sinks:
          - {id: show, command: [cat], inputs: [gen]}
        """,
        "--once",
        "--secrets",
        "secrets.env",
        environ={"API_TOKEN": "t0k3n-value"},
    )
    assert run.end() == 0, run.told()
    assert run.lines("gen") == ["password is ***, ***"]
    assert run.lines("show") == ['"***"']
    assert "correct horse" not in json.dumps(run.events)
    assert "t0k3n" not in json.dumps(run.events)


def test_a_missing_secret_is_told_before_anything_starts(dev):
    run = dev("sources:\n  - {id: gen, command: [echo], secrets: [NO_SUCH_SECRET]}\n", "--once")
    assert run.end() == 10
    (failure,) = run.events
    assert "NO_SUCH_SECRET is not set" in failure["error"]["message"]


def test_a_component_that_fails_ends_the_pipeline_with_its_code(dev):
    run = dev(
        """
        sources:
          - {id: gen, command: "echo 1; echo why >&2; exit 3", restart_policy: "no"}
        sinks:
          - {id: count, command: [cat], inputs: [gen]}
        """,
        "--once",
    )
    assert run.end() == 80
    assert run.of("failed", "gen")[0]["exit_code"] == 3
    assert run.status("gen")["error"] == "ended with exit code 3"
    assert "why" in run.lines("gen")


def test_a_second_ctrl_c_ends_everything_at_once(dev, program, alive):
    program("gen.py", GEN)
    program("out.py", "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\ntime.sleep(1000)")
    run = dev(COUNTER, "--grace", "1000")
    run.event("ready", "out")
    run.process.send_signal(signal.SIGINT)
    run.event("stopping")
    assert run.interrupt() == 0
    assert not any(alive(pid) for pid in run.pids())


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
