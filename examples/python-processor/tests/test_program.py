import json
import os
import signal
import subprocess
import sys
from pathlib import Path

PROGRAM = [sys.executable, "-c", "import sys; from account_activity.main import main; sys.exit(main())"]
LINE = '{"ledger": %d, "asset": "USDC", "from": "A", "to": "B", "amount": "1"}\n'


def run(text: str, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PROGRAM, *arguments], input=text, capture_output=True, text=True, env={**os.environ, **settings}, check=False
    )


def test_it_drains_at_the_end_of_input():
    done = run(LINE % 1 + "nonsense\n\n" + LINE % 2, WINDOW="100")
    assert done.returncode == 0
    results = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(r["account"], r["transfers"]) for r in results] == [("A", 2), ("B", 2)]
    assert done.stderr == "account-activity: read 3, written 2, late 0, invalid 1\n"


def test_it_drains_when_terminated():
    process = subprocess.Popen(PROGRAM, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
    process.stdin.write(LINE % 1)
    process.stdin.write(LINE % 11)  # closes the first window: both lines have been read when it is written
    assert json.loads(process.stdout.readline())["account"] == "A"
    process.send_signal(signal.SIGTERM)
    rest = [json.loads(line) for line in process.stdout]
    assert process.wait(10) == 0
    assert [(r["account"], r["first_ledger"]) for r in rest] == [("B", 0), ("A", 10), ("B", 10)]
    process.stdin.close()


def test_it_fails_on_the_first_bad_line_when_told_to():
    done = run(LINE % 1 + "{}\n", ON_INVALID="fail")
    assert done.returncode == 1
    assert "line 2: ledger" in done.stderr


def test_a_reader_that_goes_away_is_no_failure():
    script = f"{PROGRAM[0]} -c '{PROGRAM[2]}' | head -n 1 > /dev/null"
    text = "".join(LINE % number for number in range(0, 50_000, 10))
    done = subprocess.run(["sh", "-c", script], input=text, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr


def test_bad_settings_and_arguments_end_with_2():
    assert run("", WINDOW="none").returncode == 2
    assert run("", "--unknown").returncode == 2


def test_it_describes_itself_as_metadata_json_does():
    done = run("", "--describe-json")
    metadata = Path(__file__).parent.parent / "metadata.json"
    assert json.loads(done.stdout) == json.loads(metadata.read_text())
