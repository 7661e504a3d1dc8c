"""A hook in a child process answers as in this one, and nothing of the child is ever left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from flowctl_core.errors import BuildError, CancelledError, FlowctlError, PluginError, SpecError, ToolTimeoutError
from flowctl_core.models import BuildContext, Plan, PlanRequest, Platform, SourceTree, Tool
from flowctl_core.plugins.boundary import ChildCaller
from flowctl_core.plugins.call import HOOK_MISSING, InProcessCaller
from flowctl_core.plugins.discovery import PluginReference
from flowctl_core.plugins.manager import load_plugins
from flowctl_core.plugins.wire import decode_error, encode_error
from flowctl_core.runners.local import LocalRunner

PLUGIN = '''
import os, signal, subprocess, sys, time
from flowctl_core import hookimpl
from flowctl_core.errors import BuildError
from flowctl_core.models import Artifact, BuildResult, Detection, Plan, Platform


class OwnError(BuildError):
    """Known to this plugin only."""

    code = "own"


class Builder:
    contract = 1

    @hookimpl
    def flowctl_detect(self, source):
        print("printed by the plugin")
        sys.stdout.flush()
        os.write(1, b"written past Python\\n")
        os.system("echo printed by a program")
        if source.exists("crash"):
            raise ValueError("crash file")
        return Detection(language="kid", confidence=0.5)

    @hookimpl
    def flowctl_plan(self, source, request):
        details = {"text": "zürich \\u2028 数", "nested": [1, {"a": None}], "pid": os.getpid(), "stdin": sys.stdin.read()}
        return Plan(component=request.name, version=request.version, language="kid", profile=request.profile,
                    platforms=request.platforms, details=details)

    @hookimpl
    def flowctl_build(self, plan, context):
        mode = plan.details["mode"]
        context.progress.step("step one")
        if mode == "run":
            done = context.run(["sh", "-c", "echo line from tool; pwd; echo $WORD"])
            context.progress.note("a note")
            context.progress.warning("a warning")
            return BuildResult(artifacts=(Artifact(path="x", platform=Platform.host()),), warnings=(done.stdout,))
        if mode == "own error":
            raise OwnError("not this way", hint="another way", output="tool says")
        if mode == "crash":
            raise KeyError("lost")
        if mode == "signal":
            print("last words")
            sys.stdout.flush()
            os.kill(os.getpid(), signal.SIGKILL)
        if mode == "exit":
            sys.stderr.write("leaving")
            sys.stderr.flush()
            os._exit(7)
        if mode == "wrong":
            return "nonsense"
        if mode == "sleep":
            context.run(["sh", "-c", "echo $$ > pid; sleep 301 & echo $! > grandchild; wait"])
        if mode == "own process":
            subprocess.run(["sh", "-c", "echo $$ > pid; sleep 302 & echo $! > grandchild; wait"], cwd=context.source_root)
        if mode == "busy":
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
            (context.source_root / "pid").write_text(str(os.getpid()))
            while True:
                time.sleep(1)
        return None


plugin = Builder()
'''

WRAPPER = """
from flowctl_core import hookimpl


class Wrapper:
    contract = 1

    @hookimpl(wrapper=True)
    def flowctl_build(self, plan, context):
        result = yield
        return result.model_copy(update={"warnings": (*result.warnings, "wrapped")})


plugin = Wrapper()
"""


class Recorded:
    def __init__(self) -> None:
        self.events: list[tuple[str, str]] = []

    def step(self, text: str) -> None:
        self.events.append(("step", text))

    def line(self, text: str) -> None:
        self.events.append(("line", text))

    def note(self, text: str) -> None:
        self.events.append(("note", text))

    def warning(self, text: str) -> None:
        self.events.append(("warning", text))


@pytest.fixture
def caller(install) -> Iterator[ChildCaller]:
    install("flowctl-lang-kid", {"kid_plugin.py": PLUGIN}, {"kid": "kid_plugin:plugin"})
    reference = PluginReference("kid", "kid_plugin:plugin", "flowctl-lang-kid", "1.0")
    yield ChildCaller(load_plugins(entry_points=[reference]))


def _plan(mode: str) -> Plan:
    return Plan(
        component="c", version="1", language="kid", profile="dev", platforms=(Platform.host(),), details={"mode": mode}
    )


def _context(root: Path, **fields: object) -> BuildContext:
    values = {"environment": {"PATH": os.environ["PATH"], "WORD": "süß"}, "runner": LocalRunner(), **fields}
    return BuildContext(source_root=root, output_dir=root, work_dir=root, **values)


def _wait_for(path: Path) -> int:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if path.exists() and path.read_text().strip():
            return int(path.read_text())
        time.sleep(0.02)
    raise AssertionError(f"{path} was not written")


def _gone(pid: int) -> bool:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
            if Path(f"/proc/{pid}/stat").exists() and ") Z " in Path(f"/proc/{pid}/stat").read_text():
                return True
        except ProcessLookupError:
            return True
        time.sleep(0.02)
    return False


def test_what_plugins_print_does_not_disturb_the_answer(caller, tmp_path):
    (answer,) = caller.detect_all(SourceTree(root=tmp_path))
    assert answer.error is None
    assert answer.detection is not None and answer.detection.language == "kid"


def test_a_crash_in_the_child_is_attributed(caller, tmp_path):
    (tmp_path / "crash").touch()
    (answer,) = caller.detect_all(SourceTree(root=tmp_path))
    assert isinstance(answer.error, PluginError)
    assert "plugin kid (flowctl-lang-kid) crashed in flowctl_detect: ValueError: crash file" in (answer.crash or "")
    assert "kid_plugin.py" in (answer.crash or "")


def test_it_is_another_process_with_empty_input(caller, tmp_path):
    plan = caller.plan("kid", SourceTree(root=tmp_path), PlanRequest(name="n", version="1"))
    assert plan.details["pid"] != os.getpid()
    assert plan.details["stdin"] == ""
    assert plan.details["text"] == "zürich \u2028 数"


def test_context_progress_and_runner_work_in_the_child(caller, tmp_path):
    progress = Recorded()
    tool = Tool(name="sh", version="1", path=Path("/bin/sh"))
    result = caller.build("kid", _plan("run"), _context(tmp_path, progress=progress, tools={"sh": tool}))
    assert result.warnings == (f"line from tool\n{tmp_path.resolve()}\nsüß\n",)
    assert progress.events[0] == ("step", "step one")
    assert ("line", "line from tool") in progress.events
    assert progress.events[-2:] == [("note", "a note"), ("warning", "a warning")]


def test_a_missing_hook_is_missing_there_too(caller, tmp_path):
    assert caller.call("kid", "flowctl_test", plan=_plan("run"), context=_context(tmp_path)) is HOOK_MISSING


def test_none_is_none(caller, tmp_path):
    assert caller.call("kid", "flowctl_build", plan=_plan("nothing"), context=_context(tmp_path)) is None


def test_wrappers_run_in_the_child(install, tmp_path):
    install("flowctl-lang-kid", {"kid_plugin.py": PLUGIN}, {"kid": "kid_plugin:plugin"})
    install("wrapping", {"wrapping_plugin.py": WRAPPER}, {"wrapping": "wrapping_plugin:plugin"})
    caller = ChildCaller(load_plugins())
    result = caller.build("kid", _plan("run"), _context(tmp_path))
    assert result.warnings[-1] == "wrapped"
    assert [identity.name for identity in caller.identities("kid")] == ["kid", "wrapping"]


def test_errors_come_back_as_the_nearest_known_class(caller, tmp_path):
    with pytest.raises(BuildError) as caught:
        caller.build("kid", _plan("own error"), _context(tmp_path))
    assert type(caught.value) is BuildError
    assert (caught.value.message, caught.value.hint, caught.value.output) == (
        "not this way",
        "another way",
        "tool says",
    )


@pytest.mark.parametrize(
    ("mode", "message", "output"),
    [
        ("crash", "plugin kid (flowctl-lang-kid) crashed in flowctl_build: KeyError: 'lost'", "Traceback"),
        ("signal", "ended without an answer, killed by signal SIGKILL", "last words"),
        ("exit", "ended without an answer, with exit code 7", "leaving"),
        ("wrong", "answered flowctl_build with a str; expected BuildResult", ""),
    ],
)
def test_a_child_that_fails_is_a_plugin_error(caller, tmp_path, mode, message, output):
    with pytest.raises(PluginError) as caught:
        caller.build("kid", _plan(mode), _context(tmp_path))
    assert message in caught.value.message
    assert output in (caught.value.output or "")


def test_every_error_class_survives_the_way():
    from flowctl_core import errors

    kinds = [k for k in vars(errors).values() if isinstance(k, type) and issubclass(k, FlowctlError)]
    assert len(kinds) > 20
    for kind in kinds:
        error = kind.__new__(kind)
        FlowctlError.__init__(error, "m", hint="h", output="o")
        back = decode_error(json.loads(json.dumps(encode_error(error))))
        assert (type(back), back.message, back.hint, back.output) == (kind, "m", "h", "o")
    unknown = decode_error({"code": "from-the-future", "message": "m"})
    assert type(unknown) is PluginError
    assert not isinstance(unknown, SpecError)


@pytest.mark.parametrize("mode", ["sleep", "own process"])
def test_cancelling_ends_the_child_and_all_it_started(caller, tmp_path, mode):
    raised: list[BaseException] = []

    def build() -> None:
        try:
            caller.build("kid", _plan(mode), _context(tmp_path))
        except BaseException as error:  # noqa: BLE001 - the test looks at it
            raised.append(error)

    thread = threading.Thread(target=build)
    thread.start()
    pids = [_wait_for(tmp_path / "pid"), _wait_for(tmp_path / "grandchild")]
    caller.cancel()
    thread.join(15)
    assert not thread.is_alive()
    assert [type(error) for error in raised] == [CancelledError]
    assert all(_gone(pid) for pid in pids)


def test_a_time_limit_ends_the_child_and_all_it_started(caller, tmp_path):
    caller._timeout_s = 2.0
    with pytest.raises(ToolTimeoutError, match="did not answer within 2 s"):
        caller.build("kid", _plan("sleep"), _context(tmp_path))
    assert _gone(_wait_for(tmp_path / "pid"))
    assert _gone(_wait_for(tmp_path / "grandchild"))


def test_a_hook_that_does_not_come_back_is_ended(caller, tmp_path):
    caller._timeout_s = 2.0
    with pytest.raises(ToolTimeoutError):
        caller.build("kid", _plan("busy"), _context(tmp_path))
    assert _gone(_wait_for(tmp_path / "pid"))


def test_a_stopped_child_is_ended(caller, tmp_path, monkeypatch):
    monkeypatch.setattr("flowctl_core.plugins.boundary.GRACE_S", 0.5)

    def stop() -> None:
        os.kill(_wait_for(tmp_path / "pid"), signal.SIGSTOP)
        caller.cancel()

    thread = threading.Thread(target=stop)
    thread.start()
    with pytest.raises(CancelledError):
        caller.build("kid", _plan("busy"), _context(tmp_path))
    thread.join()
    assert _gone(_wait_for(tmp_path / "pid"))


PARENT = """
import os, sys
from pathlib import Path
from flowctl_core.models import BuildContext, Plan, Platform
from flowctl_core.plugins.boundary import ChildCaller
from flowctl_core.plugins.discovery import PluginReference
from flowctl_core.plugins.manager import load_plugins
from flowctl_core.runners.local import LocalRunner

root = Path(sys.argv[1])
caller = ChildCaller(load_plugins(entry_points=[PluginReference("kid", "kid_plugin:plugin")]))
plan = Plan(component="c", version="1", language="kid", profile="dev", platforms=(Platform.host(),),
            details={"mode": "sleep"})
context = BuildContext(source_root=root, output_dir=root, work_dir=root, runner=LocalRunner(),
                       environment={"PATH": os.environ["PATH"]})
caller.build("kid", plan, context)
"""


def test_when_the_parent_is_killed_everything_ends(caller, tmp_path):
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(tmp_path)])
    pids = [_wait_for(tmp_path / "pid"), _wait_for(tmp_path / "grandchild")]
    parent.kill()
    parent.wait()
    assert all(_gone(pid) for pid in pids)


def test_when_the_child_is_killed_its_tools_end(caller, tmp_path):
    """kill -9 of the host alone: its runner's watcher ends the tools."""
    from flowctl_core.plugins.processes import descendants

    def kill_host() -> None:
        tool = _wait_for(tmp_path / "pid")
        hosts = [pid for pid in descendants(os.getpid()) if tool in descendants(pid)]
        os.kill(hosts[0], signal.SIGKILL)

    thread = threading.Thread(target=kill_host)
    thread.start()
    with pytest.raises(PluginError, match="SIGKILL"):
        caller.build("kid", _plan("sleep"), _context(tmp_path))
    thread.join()
    assert _gone(_wait_for(tmp_path / "pid"))
    assert _gone(_wait_for(tmp_path / "grandchild"))


def test_a_source_tree_cannot_shadow_the_childs_modules(caller, tmp_path, monkeypatch):
    for name in ("json.py", "flowctl_core.py", "pydantic.py"):
        (tmp_path / name).write_text("raise SystemExit('shadowed')")
    monkeypatch.chdir(tmp_path)
    (answer,) = caller.detect_all(SourceTree(root=tmp_path))
    assert answer.error is None


def test_a_plugin_of_this_process_alone_is_refused(tmp_path):
    scope: dict[str, object] = {}
    exec(PLUGIN, scope)
    caller = ChildCaller(load_plugins(entry_points=[PluginReference("kid", plugin=scope["plugin"])]))
    with pytest.raises(PluginError, match="is an object of this process"):
        caller.call("kid", "flowctl_detect", source=SourceTree(root=tmp_path))


def test_a_python_that_does_not_start_is_said(caller, tmp_path):
    broken = ChildCaller(caller.manager, python=str(tmp_path / "no-python"))
    with pytest.raises(PluginError, match="cannot start"):
        broken.call("kid", "flowctl_detect", source=SourceTree(root=tmp_path))
    silent = ChildCaller(caller.manager, python="/bin/false")
    with pytest.raises(PluginError, match="ended without an answer, with exit code 1"):
        silent.call("kid", "flowctl_detect", source=SourceTree(root=tmp_path))
    babbling = tmp_path / "babble"
    babbling.write_text("#!/bin/sh\necho this is not JSON\n")
    babbling.chmod(0o755)
    with pytest.raises(PluginError, match="not of the protocol") as caught:
        ChildCaller(caller.manager, python=str(babbling)).call(
            "kid", "flowctl_detect", source=SourceTree(root=tmp_path)
        )
    assert "this is not JSON" in (caught.value.output or "")


def _host(request: str) -> dict[str, object]:
    done = subprocess.run(
        [sys.executable, "-P", "-m", "flowctl_core.plugins.host"], input=request, capture_output=True, text=True
    )
    answer = json.loads(done.stdout)
    assert isinstance(answer, dict)
    return answer


def test_the_host_answers_bad_requests_with_errors(caller, tmp_path):
    assert "not one of the plugin contract" in str(_host("nonsense\n")["error"])
    assert "not one of the plugin contract" in str(_host("")["error"])
    future = {"contract": 99, "plugin": "kid", "hook": "flowctl_detect", "arguments": {}}
    assert "contract 99" in str(_host(json.dumps(future) + "\n")["error"])


def test_the_host_finds_installed_plugins_by_itself(caller, tmp_path):
    """The least request: what is installed on the other side answers; standard input must stay open."""
    request = {
        "contract": 1,
        "plugin": "kid",
        "hook": "flowctl_detect",
        "arguments": {"source": {"root": str(tmp_path)}},
    }
    host = subprocess.Popen(
        [sys.executable, "-P", "-m", "flowctl_core.plugins.host"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert host.stdin and host.stdout
    host.stdin.write(json.dumps(request).encode() + b"\n")
    host.stdin.flush()
    assert json.loads(host.stdout.readline())["result"]["language"] == "kid"
    host.stdin.close()
    assert host.wait(10) in (0, 130)


def test_a_component_file_crosses_whole(tmp_path, install, builder_source):
    from flowctl_core.specfile.load import load_component

    (tmp_path / "component.yaml").write_text(
        "apiVersion: component.flowctl.io/v1\nkind: ComponentSpec\nmetadata: {name: n, version: v1.2.0}\n"
        "spec:\n  languages:\n    - name: go\n      version: '1.10'\n      main: ./cmd/x\n"
        "  build: {language: go, own_key: {deep: [1, 2]}}\n"
    )
    text = builder_source("go").replace(
        "return Plan(",
        "return Plan(details={'own': source.extra('own_key'), 'main': source.component.languages[0].main},",
    )
    install("spec", {"spec_plugin.py": text}, {"spec": "spec_plugin:plugin"})
    manager = load_plugins()
    source = SourceTree(root=tmp_path, component=load_component(tmp_path / "component.yaml").spec)
    request = PlanRequest(name="n", version="1.2.0")
    here = InProcessCaller(manager).plan("spec", source, request)
    there = ChildCaller(manager).plan("spec", source, request)
    assert here == there
    assert here.details == {"own": {"deep": [1, 2]}, "main": "./cmd/x"}
