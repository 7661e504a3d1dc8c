"""Several flowctl at once: one component, one cache, build beside clean and prune."""

import json
import subprocess
import time

SLOW = """\
set -e
touch "../${PWD##*/}.started"
while [ ! -e "../${PWD##*/}.go" ]; do sleep 0.05; done
mkdir -p out
{ echo '#!/bin/sh'; echo "echo $(cat word.txt)"; } > out/greeter.new
chmod +x out/greeter.new
mv out/greeter.new out/greeter
echo ran >> "../${PWD##*/}.runs"
"""


def await_start(component) -> None:
    """Return when the build command runs; it goes on after `let_go`."""
    started = component.root.parent / f"{component.root.name}.started"
    deadline = time.monotonic() + 30
    while not started.exists():
        assert time.monotonic() < deadline, f"{started} never came"
        time.sleep(0.01)


def let_go(component) -> None:
    (component.root.parent / f"{component.root.name}.go").touch()


def await_waiting(process: subprocess.Popen[str], holder: subprocess.Popen[str]) -> None:
    """Return when the process has said that it waits for the other one."""
    for line in process.stderr:
        if f"waiting for process {holder.pid}, which is working on this component" in line:
            return
    raise AssertionError("it never said that it waits")


def finish(*processes: subprocess.Popen[str]) -> list[tuple[str, str]]:
    outputs = [process.communicate(timeout=120) for process in processes]
    for process, (out, err) in zip(processes, outputs, strict=True):
        assert process.returncode == 0, out + err
        assert "Traceback" not in err
    return outputs


def test_the_second_build_waits_says_so_and_finds_it_fresh(flowctl, greeter) -> None:
    component = greeter(make__sh=SLOW)
    first = flowctl.start("component", "build", "-o", "json", cwd=component.root)
    await_start(component)
    second = flowctl.start("component", "build", "-o", "json", cwd=component.root)
    await_waiting(second, first)
    let_go(component)
    (out, _), (late_out, _) = finish(first, second)
    assert json.loads(out)["cache"] == "miss"
    assert json.loads(late_out)["cache"] == "fresh"
    assert component.runs == 1
    assert component.say() == "hello"


def test_who_waited_looks_at_the_source_again(flowctl, greeter) -> None:
    component = greeter(make__sh=SLOW)
    first = flowctl.start("component", "build", cwd=component.root)
    await_start(component)
    second = flowctl.start("component", "build", "-o", "json", cwd=component.root)
    await_waiting(second, first)
    spec = (component.root / "component.yaml").read_text()
    component.write("component.yaml", spec.replace("v1.2.0", "v1.3.0"))
    component.write("word.txt", "goodbye")
    let_go(component)
    _, (out, _) = finish(first, second)
    report = json.loads(out)
    assert (report["version"], report["cache"]) == ("1.3.0", "miss")
    assert component.say() == "goodbye"


def test_eight_at_once_on_one_component(flowctl, greeter) -> None:
    component = greeter()
    processes = [flowctl.start("component", "build", "-o", "json", cwd=component.root) for _ in range(8)]
    caches = sorted(json.loads(out)["cache"] for out, _ in finish(*processes))
    assert caches == ["fresh"] * 7 + ["miss"]
    assert component.runs == 1
    assert component.say() == "hello"
    assert component.leftovers() == []


def test_different_components_with_one_cache(flowctl, greeter) -> None:
    components = [greeter(f"component {number}", word__txt=f"word {number}") for number in range(4)]
    finish(*(flowctl.start("component", "build", cwd=component.root) for component in components))
    info = flowctl.json("cache", "info")
    assert info["entries"] == 4
    for number, component in enumerate(components):
        assert component.say() == f"word {number}"
        flowctl.ok("component", "clean", cwd=component.root)
    processes = [flowctl.start("component", "build", "-o", "json", cwd=component.root) for component in components]
    for out, err in finish(*processes):
        assert json.loads(out)["cache"] == "hit"
        assert "warning" not in err
    assert [component.say() for component in components] == [f"word {number}" for number in range(4)]


def test_the_same_source_in_two_folders_at_once(flowctl, greeter) -> None:
    pair = [greeter("one"), greeter("two")]
    finish(*(flowctl.start("component", "build", cwd=component.root) for component in pair))
    assert [component.say() for component in pair] == ["hello", "hello"]


def test_build_and_clean_at_once(flowctl, greeter) -> None:
    component = greeter(make__sh=SLOW)
    build = flowctl.start("component", "build", "-o", "json", cwd=component.root)
    await_start(component)
    clean = flowctl.start("component", "clean", "-o", "json", cwd=component.root)
    await_waiting(clean, build)
    let_go(component)
    (built, _), (cleaned, _) = finish(build, clean)
    assert json.loads(built)["cache"] == "miss"
    assert ".flowctl" in json.loads(cleaned)["removed"], "clean waits for the build, and removes what it made"
    assert not (component.root / "greeter").is_symlink() and not (component.root / ".flowctl").exists()


def test_a_storm_of_builds_and_cleans(flowctl, greeter) -> None:
    component = greeter()
    words = ["build", "clean"] * 5
    processes = [flowctl.start("component", word, "-o", "json", cwd=component.root) for word in words]
    finish(*processes)
    flowctl.ok("component", "build", cwd=component.root)
    assert component.say() == "hello"
    assert component.leftovers() == []


def test_emptying_the_cache_during_builds(flowctl, greeter) -> None:
    components = [greeter(f"component {number}", word__txt=f"word {number}") for number in range(3)]
    for _ in range(2):
        processes = []
        for component in components:
            flowctl.ok("component", "clean", cwd=component.root)
            processes += [
                flowctl.start("component", "build", cwd=component.root),
                flowctl.start("cache", "prune", "--all"),
            ]
        finish(*processes)
        for number, component in enumerate(components):
            assert component.say() == f"word {number}"
    flowctl.ok("cache", "prune", "--all")
    info = flowctl.json("cache", "info")
    assert (info["entries"], info["bytes"]) == (0, 0)


def test_ctrl_c_ends_waiting(flowctl, greeter) -> None:
    component = greeter(make__sh=SLOW)
    first = flowctl.start("component", "build", cwd=component.root)
    await_start(component)
    second = flowctl.start("component", "build", cwd=component.root)
    await_waiting(second, first)
    began = time.monotonic()
    second.send_signal(2)
    _, err = second.communicate(timeout=20)
    assert time.monotonic() - began < 3
    assert second.returncode == 130 and "Traceback" not in err
    let_go(component)
    finish(first)
    assert component.say() == "hello"
