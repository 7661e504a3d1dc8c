"""From a repository to a verified program on another machine, on an embedded registry: the last part of the demo.

The registry, its build worker and the git server that it fetches from run on this machine, as long as the story lasts.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FLOWCTL = str(Path(sys.executable).with_name("flowctl"))
NAMESPACE = "examples"
CONFIG = """\
build:
  images: {base: {go: scratch, node: scratch, python: scratch, rust: scratch}}
"""
"""Bases of images come from the network; the story does without."""


@dataclass(frozen=True)
class Person:
    """Somebody with a home folder of their own."""

    name: str
    home: Path
    say: Callable[[str], None]

    def flowctl(self, *arguments: str, stdin: str = "", cwd: Path | None = None) -> dict[str, object]:
        """Run it as this person; its progress is shown, its answer returned. Raises StoryError when it fails."""
        self.home.mkdir(exist_ok=True)
        self.say(f"\n{self.name}$ flowctl {' '.join(arguments)}")
        environment = {**os.environ, "HOME": str(self.home), "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring"}
        for name in ("FLOWCTL_CONFIG", "FLOWCTL_HOME", "FLOWCTL_TOKEN", "FLOWCTL_TRUST", "FLOWCTL_REGISTRY_URL"):
            environment.pop(name, None)
        done = subprocess.run(
            [FLOWCTL, *arguments, "-o", "json"],
            input=stdin, cwd=cwd, stdout=subprocess.PIPE, text=True, env=environment, check=False,
        )  # fmt: skip
        answer: dict[str, object] = json.loads(done.stdout or "{}")
        error = answer.get("error")
        if done.returncode or isinstance(error, dict):
            told = error if isinstance(error, dict) else {}
            self.say("\n".join(str(told[key]) for key in ("output", "message", "hint") if told.get(key)))
            raise StoryError(f"flowctl {arguments[0]} ended with exit code {done.returncode}")
        return answer


class StoryError(Exception):
    """The story did not come to its end."""


def missing() -> str | None:
    """What this machine lacks for the story; None: nothing."""
    for program, package in (("bwrap", "bubblewrap"), ("git", "git")):
        if shutil.which(program) is None:
            return f"{program} (install {package})"
    return None


def tell(example: Path, arguments: list[str], say: Callable[[str], None]) -> str:
    """Publish an example, install it under another home, verify and run it; what came of it in a line.

    Raises StoryError.
    """
    sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "services")]
    from git_server import GitServer
    from registry_instance import run_registry
    from source_forge import settings_for, toolchain_settings

    with tempfile.TemporaryDirectory(prefix="flowctl-demo-") as folder:
        place = Path(folder)
        config = place / "config.yaml"
        config.write_text(CONFIG)
        (place / "git").mkdir()
        with GitServer(place / "git") as server:
            settings = settings_for(server, **toolchain_settings(config))
            say("\n$ flowctl-registry serve")
            with run_registry(place / "registry", **settings) as registry:
                registry.command("namespace", "create", NAMESPACE)
                remote = server.create(example.name)
                work = place / "work"
                _check_out(example, work, remote.path)
                url, token = registry.urls[0], str(registry.token)
                publisher, user = Person("publisher", place / "publisher", say), Person("user", place / "user", say)
                return _act(publisher, user, work, url, token, remote.url, arguments)


def _act(
    publisher: Person, user: Person, work: Path, url: str, token: str, repository: str, arguments: list[str]
) -> str:
    say = publisher.say
    publisher.flowctl("login", url, "--token-stdin", "--yes", stdin=token)
    published = publisher.flowctl("component", "publish", "--repository", repository, "--yes", cwd=work)
    reference = f"{published['namespace']}/{published['name']}@{published['version']}"
    user.flowctl("login", url, "--no-token", "--yes")
    installed = user.flowctl("component", "install", reference)
    components = installed["components"]
    assert isinstance(components, list)
    (component,) = components
    for check in component["checks"]:
        say(f"  {check['check']}: {check['verdict']}")
    failed = [check["check"] for check in component["checks"] if check["verdict"] not in ("passed", "not required")]
    if failed or component["origin"]["repository"] != repository:
        raise StoryError(f"what was installed is not proved: {', '.join(failed) or component['origin']}")
    program = user.home / ".flowctl" / "bin" / str(published["name"])
    say(f"\nuser$ {program.name} {' '.join(arguments)}")
    run = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=60, check=False)
    lines = run.stdout.splitlines()
    for line in lines[:2]:
        say(f"  {line[:160]}")
    if run.returncode or not lines:
        raise StoryError(f"{program.name} ended with exit code {run.returncode}: {run.stderr}")
    return f"{reference} was built by the registry, installed elsewhere, verified and run: {len(lines)} lines"


def _check_out(example: Path, work: Path, remote: Path) -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=example, capture_output=True, check=True).stdout
    for name in filter(None, listed.decode().split("\0")):
        (work / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(example / name, work / name)
    from git_server import git

    git(work, "init", "-q", "-b", "main")
    git(work, "add", "--all")
    git(work, "commit", "-q", "-m", "the example")
    git(work, "remote", "add", "origin", str(remote))
