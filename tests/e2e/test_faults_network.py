"""Without a network: what was fetched builds, what was not is an error with the tool's own words."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

GO_SUM = """\
github.com/google/uuid v1.6.0 h1:NIvaJDMOsjHA8n1jAhLSgzrAzy1Hgr+hNrb57e+94F0=
github.com/google/uuid v1.6.0/go.mod h1:TIyPZe4MgqvfeYDBFedMoGGpEw/LqOeaOT+nhxU+yHo=
"""
PROJECTS: dict[str, dict[str, str]] = {
    "go": {
        "go.mod": "module example.com/teller\n\ngo 1.21\n\nrequire github.com/google/uuid v1.6.0\n",
        "go.sum": GO_SUM,
        "main.go": 'package main\n\nimport "github.com/google/uuid"\n\nfunc main() { println(uuid.Nil.String() == "") }\n',
    },
    "rust": {
        "Cargo.toml": '[package]\nname = "teller"\nversion = "0.1.0"\nedition = "2021"\n\n[dependencies]\nitoa = "=1.0.15"\n',
        "src/main.rs": 'fn main() { println!("{}", itoa::Buffer::new().format(1)); }\n',
    },
    "node": {
        "package.json": '{"name": "teller", "version": "1.0.0", "bin": "main.js", "dependencies": {"ms": "2.1.3"}}',
        "package-lock.json": '{"name": "teller", "version": "1.0.0", "lockfileVersion": 3, "requires": true, "packages": {'
        '"": {"name": "teller", "version": "1.0.0", "dependencies": {"ms": "2.1.3"}, "bin": {"teller": "main.js"}},'
        '"node_modules/ms": {"version": "2.1.3", "integrity": "sha512-6FlzubTLZG3J2a/NVCAleEhjzq5oxgHyaCU9yYXvcLsvoVaHJq/'
        's5xXI6/XXP6tz7R9xAOtHnSO/tXtF3WRTlA=="}}}',
        "main.js": "#!/usr/bin/env node\nconsole.log(require('ms')('1s'))\n",
    },
    "python": {
        "pyproject.toml": '[project]\nname = "teller"\nversion = "0.1.0"\ndependencies = ["iniconfig==2.0.0"]\n'
        '[project.scripts]\nteller = "teller:main"\n[build-system]\nrequires = ["hatchling"]\n'
        'build-backend = "hatchling.build"\n',
        "teller.py": "import iniconfig\n\ndef main() -> None:\n    print(iniconfig.__name__)\n",
    },
}
MORE = {
    "go": ("main.go", "// changed\n"),
    "rust": ("src/main.rs", "// changed\n"),
    "node": ("main.js", "// changed\n"),
    "python": ("teller.py", "# changed\n"),
}
OWN_WORDS = {
    "go": r"dial tcp|lookup|connection refused|proxyconnect",
    "rust": r"failed to (download|get|fetch|query)|spurious network error|index",
    "node": r"ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ENETUNREACH|network",
    "python": r"error sending request|dns error|[Cc]onnect|tunnel|Failed to fetch",
}
LANGUAGES = [
    pytest.param("go", marks=pytest.mark.requires_tool("go")),
    pytest.param("rust", marks=pytest.mark.requires_tool("cargo")),
    pytest.param("node", marks=pytest.mark.requires_tool("node", "npm")),
    "python",
]


@dataclass
class Nets:
    """The command with a network and without one; both with fresh caches of the tools."""

    on: object
    off: object


@pytest.fixture
def nets(flowctl, tmp_path: Path) -> Nets:
    cargo = tmp_path / "cargo"
    cargo.mkdir()
    for name in ("config.toml", "config"):  # where this machine's crates come from
        configured = Path(flowctl.environment["CARGO_HOME"]) / name
        if configured.exists():
            shutil.copy(configured, cargo / name)
    fresh = {
        "GOMODCACHE": str(tmp_path / "go-mod"),
        "GOFLAGS": "-modcacherw",
        "CARGO_HOME": str(cargo),
        "UV_CACHE_DIR": str(tmp_path / "uv"),
        "npm_config_cache": str(tmp_path / "npm"),
        "npm_config_fetch_retries": "0",
        "CARGO_NET_RETRY": "0",
        "UV_HTTP_RETRIES": "0",
        "PATH": os.pathsep.join([flowctl.environment["PATH"], str(Path(flowctl.environment["CARGO_HOME"]) / "bin")]),
    }
    on = replace(flowctl, environment={**flowctl.environment, **fresh})
    if sys.platform == "linux" and subprocess.run(["unshare", "-n", "true"], capture_output=True).returncode == 0:
        return Nets(on, replace(on, before=("unshare", "-n")))
    nowhere = "http://127.0.0.1:9"  # the discard port: nobody listens
    names = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")
    closed = {**on.environment, **dict.fromkeys(names, nowhere), "NO_PROXY": "", "no_proxy": ""}
    return Nets(on, replace(on, environment=closed))


@pytest.mark.parametrize("language", LANGUAGES)
def test_nothing_fetched_and_no_network(nets, tree, language: str) -> None:
    root = tree(PROJECTS[language], "teller")
    error = nets.off.failure("component", "build", cwd=root)
    assert (error["code"], error["exit_code"]) == ("fetch", 31), error
    assert re.search(OWN_WORDS[language], error["output"]), error["output"]
    assert error["hint"]
    assert not (root / "teller").exists()


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_was_fetched_builds_and_rebuilds_without_a_network(nets, tree, language: str) -> None:
    root = tree(PROJECTS[language], "teller")
    nets.on.ok("component", "build", cwd=root)
    before = subprocess.run([root / "teller"], capture_output=True, text=True, env=nets.on.environment)
    assert before.returncode == 0, before.stderr
    name, text = MORE[language]
    with (root / name).open("a") as file:
        file.write(text)
    assert nets.off.json("component", "build", cwd=root)["cache"] == "miss"
    assert nets.off.json("component", "build", "--offline", ".", cwd=root)["cache"] == "fresh"
    nets.off.ok("component", "clean", cwd=root)
    report = nets.off.json("component", "build", "--no-cache", cwd=root)
    assert report["cache"] == "miss"
    after = subprocess.run([root / "teller"], capture_output=True, text=True, env=nets.on.environment)
    assert (after.returncode, after.stdout, after.stderr) == (0, before.stdout, before.stderr)


@pytest.mark.parametrize("language", LANGUAGES)
def test_offline_never_asks_the_network(nets, tree, language: str) -> None:
    """With a network at hand: `--offline` is what keeps it from being used."""
    root = tree(PROJECTS[language], "teller")
    error = nets.on.failure("component", "build", "--offline", cwd=root)
    assert (error["code"], error["exit_code"]) == ("fetch", 31), error
    assert "offline" in (error["message"] + (error["hint"] or "")).lower(), error
    nets.on.ok("component", "build", cwd=root)
    assert nets.on.json("component", "build", "--offline", cwd=root)["cache"] == "fresh"
