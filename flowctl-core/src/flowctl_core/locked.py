"""`flowctl component install --locked` where all is installed already: answered without importing the engine.

What is read: `flowctl.lock` in the current folder, the records of the installed versions, how their files look (as when
they were verified), and where `~/.flowctl/bin` leads. If all is as it was and as the lockfile has it, nothing is to be
done; anything else, any doubt and any error falls through to the full command line. A test holds the two to the same
answers.
"""

from __future__ import annotations

import os
from time import perf_counter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

VERSION = 1
"""Of lockfiles and records."""
_COMMAND = ["component", "install", "--locked"]
_FORMS = {(): "table", ("-o", "json"): "json", ("--output", "json"): "json", ("--output=json",): "json"}
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}


def answer(arguments: list[str]) -> str | None:
    """What the full command line would print, when nothing has to be done; else None."""
    if arguments[:3] != _COMMAND:
        return None
    form = _FORMS.get(tuple(arguments[3:]))
    if form is None:
        return None
    started = perf_counter()
    try:
        return _answer(form, started)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError):
        return None


def home() -> str:
    """`~/.flowctl`, or where FLOWCTL_HOME says."""
    return os.environ.get("FLOWCTL_HOME") or f"{os.environ['HOME']}/.flowctl"


def _answer(form: str, started: float) -> str | None:
    from json import loads

    with open("flowctl.lock", "rb") as file:  # noqa: PTH123 - pathlib costs a third of this path's time
        lock = loads(file.read())
    if lock["schema_version"] != VERSION or lock["bundles"] or not lock["components"]:
        return None
    own, system, found = home(), os.uname(), []
    platform = f"{system.sysname.lower()}/{_MACHINES[system.machine]}"
    for component, locked in lock["components"].items():
        report = _unchanged(own, platform, component, locked, loads)
        if report is None:
            return None
        found.append(report)
    document = {
        "components": found,
        "lockfile": f"{os.getcwd()}/flowctl.lock",  # noqa: PTH109
        "offline": None,
        "warnings": [],
        "duration_s": round(perf_counter() - started, 3),
    }
    if form == "json":
        from flowctl_core.cli.summary import json_text

        return json_text(document)
    return summary(document)


def _unchanged(own: str, platform: str, component: str, locked: dict[str, Any], loads: Any) -> dict[str, Any] | None:
    """The report on a component that is installed as it is locked."""
    namespace, name = component.split("/")
    folder = f"{own}/components/{namespace}/{name}/{locked['version']}"
    with open(f"{folder}/installed.json", "rb") as file:  # noqa: PTH123
        record = loads(file.read())
    identity = ("namespace", "name", "version")
    if record["schema_version"] != VERSION or [record[each] for each in identity] != [
        namespace, name, locked["version"],
    ]:  # fmt: skip
        return None
    if record["origin"] != locked["origin"] or record["registry"] != locked["registry"]:
        return None
    for path, each in record["files"].items():
        info = os.lstat(f"{folder}/{path}")
        if [info.st_mode, info.st_size, info.st_mtime_ns, info.st_ino] != each["state"]:
            return None
    wanted = locked["platforms"][platform]
    programs, there = [], set()
    for program in record["programs"]:
        if program["platform"] != platform:
            continue
        link, path = f"{own}/bin/{program['name']}", program["path"]
        leads = os.readlink(link)  # noqa: PTH115
        if leads != f"../components/{namespace}/{name}/{locked['version']}/{path}" or program["interpreter"]:
            return None
        there.add(path)
        programs.append({"name": program["name"], "path": f"{folder}/{path}", "link": link, "problem": None})
    for name_of_file, digest in wanted.items():
        if record["files"][f"binaries/{name_of_file}"]["digest"] != digest:
            return None
    if not there:
        return None
    return {
        "reference": f"{component}@{locked['version']}",
        "namespace": namespace,
        "name": name,
        "version": locked["version"],
        "state": "unchanged",
        "platforms": list(dict.fromkeys(program["platform"] for program in record["programs"])),
        "path": folder,
        "registry": record["registry"],
        "origin": record["origin"],
        "checks": record["checks"],
        "programs": programs,
        "image": None,
        "received": 0,
    }


def summary(report: dict[str, Any]) -> str:
    """What an installation ends with, for people; `report` is InstallReport's JSON."""
    from flowctl_core.cli.summary import duration_text

    lines = []
    same = [each for each in report["components"] if each["state"] == "unchanged"]
    changed = [each for each in report["components"] if each["state"] != "unchanged"]
    for each in changed:
        done = {"installed": "installed", "repaired": "repaired: files of it were missing or damaged"}[each["state"]]
        lines.append(f"{each['namespace']}/{each['name']} {each['version']} {done}, verified")
        lines.append(f"  signed by {_signer(each['origin'])}")
        lines += [f"  run it:  {program['link'] or program['path']}" for program in each["programs"]]
        if not each["programs"]:
            lines.append(f"  for {', '.join(each['platforms'])}, in {each['path']}")
        if each["image"]:
            lines.append(f"  image:   {each['image']}")
    if len(same) > 3:
        lines.append(f"{len(same)} components are installed already")
    else:
        lines += [f"{each['namespace']}/{each['name']} {each['version']} is installed already" for each in same]
    if report["lockfile"]:
        lines.append(f"locked in {report['lockfile']}")
    lines.append(f"took {duration_text(report['duration_s'])}")
    return "\n".join(lines) + "\n"


def _signer(origin: dict[str, Any]) -> str:
    publisher = origin["publisher"]
    told = {
        "registry": f"the registry (root {publisher['registry'][:19]}…)",
        "key": f"the key {publisher['key_hint']}",
        "certificate": f"{publisher['identity']} ({publisher['issuer']})",
    }[publisher["kind"]]
    return told + (f", built by {origin['builder']}" if origin["builder"] else "")
