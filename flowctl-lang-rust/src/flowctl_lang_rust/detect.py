"""Recognises Rust: which Cargo.toml speaks for the component, and how strongly. Reads files, runs nothing."""

from __future__ import annotations

import json
import posixpath

from flowctl_core.errors import PlanError, SourceError
from flowctl_core.models import Detection, Evidence, SourceTree
from flowctl_lang_rust.manifest import join, read_toml, strings, table
from flowctl_lang_rust.workspace import Project, read_project

LANGUAGE = "rust"
ALIASES = ("rs", "cargo")

SIDE_FOLDERS = frozenset(
    (
        *("examples", "example", "tests", "test", "testdata", "fixtures", "benches", "bench", "benchmarks"),
        *("vendor", "third_party", "docs", "doc", "fuzz"),
    )
)
"""Folders whose manifests serve something else than the component."""

_DEPTH = 4
_PYTHON_BACKENDS = ("maturin", "setuptools-rust", "setuptools_rust")
_NODE_BRIDGES = ("@napi-rs/cli", "napi", "cargo-cp-artifact", "@neon-rs/cli", "wasm-pack")


def detect(source: SourceTree) -> Detection | None:
    """What Rust says about a source tree; None when nothing in it is Rust's."""
    found = find_manifests(source)
    if not found:
        return _asked_for(source)
    folder = _choose(source, found)
    manifest = join(folder, "Cargo.toml")
    others = tuple(Evidence(path=join(f, "Cargo.toml"), reason="another manifest") for f in found if f != folder)[:5]
    if _is_side(folder):
        return _detection(0.2, folder, Evidence(path=manifest, reason="a manifest in a side folder only"), *others)
    owner = _foreign_owner(source, folder)
    if owner is not None:
        return _detection(0.3, folder, owner, Evidence(path=manifest, reason="the Rust half of that package"), *others)
    try:
        project = read_project(source, folder)
    except PlanError as error:
        return _detection(0.5, folder, Evidence(path=manifest, reason=error.message), *others)
    confidence, reason = _judge(project)
    # A manifest further down speaks less loudly than another language's manifest at the top.
    depth = 0 if folder == "." else folder.count("/") + 1
    evidence = [Evidence(path=manifest, reason=reason)]
    evidence += [
        Evidence(path=join(folder, name), reason=why)
        for name, why in (("Cargo.lock", "locked dependencies"), ("rust-toolchain.toml", "pinned toolchain"))
        if source.exists(join(folder, name))
    ]
    return _detection(max(confidence - 0.1 * depth, 0.25), folder, *evidence, *others)


def find_manifests(source: SourceTree) -> list[str]:
    """Folders with a Cargo.toml, the top one first; those below another one are left out."""
    if source.exists("Cargo.toml"):
        return ["."]
    try:
        files = [path for path in source.walk(depth=_DEPTH) if posixpath.basename(path) == "Cargo.toml"]
    except (SourceError, OSError):
        return []
    places = [posixpath.dirname(path) or "." for path in files if source.exists(path)]
    folders = sorted(places, key=lambda f: (_is_side(f), f.count("/"), f))
    tops: list[str] = []
    for folder in folders:
        if not any(folder.startswith(top + "/") for top in tops):
            tops.append(folder)
    return tops


def _asked_for(source: SourceTree) -> Detection | None:
    """Without a manifest, answer only who asks for Rust: the plan then says what is missing."""
    if source.language not in (LANGUAGE, *ALIASES):
        return None
    return Detection(language=LANGUAGE, aliases=ALIASES, basis="files", confidence=0.3)


def _detection(confidence: float, root: str, *evidence: Evidence) -> Detection:
    return Detection(language=LANGUAGE, aliases=ALIASES, confidence=round(confidence, 2), root=root, evidence=evidence)


def _is_side(folder: str) -> bool:
    return any(part in SIDE_FOLDERS for part in folder.split("/"))


def _choose(source: SourceTree, found: list[str]) -> str:
    """The folder that component.yaml's `main` points into, else the one named like the component."""
    declared = source.component.language(LANGUAGE, *ALIASES) if source.component is not None else None
    if declared is not None and declared.main:
        main = join(".", declared.main)
        for folder in found:
            if folder != "." and (main == folder or main.startswith(folder + "/")):
                return folder
    name = source.component.name if source.component is not None else source.root.name
    return next((f for f in found if posixpath.basename(f) == name and not _is_side(f)), found[0])


def _judge(project: Project) -> tuple[float, str]:
    """How sure, and why, by what the project makes."""
    packages = project.default_members or project.members
    if any(package.bins for package in packages):
        programs = sorted({program.name for package in packages for program in package.bins})
        kind = "workspace with programs" if len(project.members) > 1 else "package with programs"
        return 0.9, f"{kind} {', '.join(programs[:6])}{', …' if len(programs) > 6 else ''}"
    if any(package.library and package.library.linked for package in packages):
        return 0.8, "a library that other languages load (cdylib or staticlib)"
    if any(package.bins for package in project.members):
        return 0.7, "a workspace whose programs are outside its default members"
    if not project.members:
        return 0.3, "a workspace without members"
    return 0.5, "a library crate without a program"


def _foreign_owner(source: SourceTree, folder: str) -> Evidence | None:
    """The Python or Node package, here or above, whose native half this crate is."""
    places = [folder]
    while places[-1] != ".":
        places.append(posixpath.dirname(places[-1]) or ".")
    for place in places:
        python = join(place, "pyproject.toml")
        if source.exists(python) and _uses_rust_backend(source, python):
            return Evidence(path=python, reason="Python's build backend compiles this crate")
        node = join(place, "package.json")
        if source.exists(node) and _uses_rust_bridge(source, node):
            return Evidence(path=node, reason="the Node package compiles this crate")
    return None


def _uses_rust_backend(source: SourceTree, path: str) -> bool:
    try:
        system = table(read_toml(source, path), "build-system")
    except PlanError:
        return False
    words = (*strings(system.get("requires")), str(system.get("build-backend", "")))
    return any(word.strip().lower().startswith(_PYTHON_BACKENDS) for word in words)


def _uses_rust_bridge(source: SourceTree, path: str) -> bool:
    try:
        data = json.loads(source.read_text(path))
    except (SourceError, ValueError, RecursionError):
        return False
    if not isinstance(data, dict):
        return False
    tools = {name for key in ("dependencies", "devDependencies") for name in table(data, key)}
    return "napi" in data or any(tool in tools for tool in _NODE_BRIDGES)
