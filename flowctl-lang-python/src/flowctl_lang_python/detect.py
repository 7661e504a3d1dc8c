"""Recognises Python sources."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath

from flowctl_core.models import Detection, Evidence, SourceTree
from flowctl_lang_python.manifest import Project, join, read_project
from flowctl_lang_python.targets import MAIN_FILES

LANGUAGE = "python"
ALIASES = ("py", "python3")

_MANIFESTS = ("pyproject.toml", "setup.py", "setup.cfg", "Pipfile", "requirements.txt")
_OTHERS = ("go.mod", "Cargo.toml", "package.json")
_DOCUMENTATION = ("mkdocs", "sphinx", "mkdocs-material", "pre-commit")
_ASIDE = frozenset(
    {"docs", "doc", "examples", "example", "tests", "test", "scripts", "hack", "tools", "ci", "benchmarks"}
)
_DEPTH = 3


def detect(source: SourceTree) -> Detection | None:
    """The best claim on a source tree: a manifest at its root, one in a subfolder, else loose files."""
    if source.language and source.language.lower() not in (LANGUAGE, *ALIASES):
        return None
    asked = source.language is not None
    found = _at(source, ".") or _below(source) or _loose(source)
    if found is None or not asked:
        return found
    reason = Evidence(path="component.yaml", reason="asks for Python") if source.component else None
    return found.model_copy(
        update={
            "confidence": max(found.confidence, 0.95),
            "evidence": ((reason,) if reason else ()) + found.evidence,
        }
    )


def _detection(root: str, confidence: float, evidence: list[Evidence], basis: str = "manifest") -> Detection:
    return Detection.model_validate(
        {
            "language": LANGUAGE,
            "aliases": ALIASES,
            "basis": basis,
            "confidence": confidence,
            "root": root,
            "evidence": evidence,
        }
    )


def _at(source: SourceTree, root: str) -> Detection | None:
    """A claim from the manifests in one folder."""
    present = [name for name in _MANIFESTS if source.exists(join(root, name))]
    if not present:
        return None
    project = read_project(source, root)
    if not project.files:
        return None
    manifest, reason, confidence = _judge(source, project, present)
    if manifest is None:
        return None
    evidence = [Evidence(path=join(root, manifest), reason=reason)]
    for lock in (project.lock, ".python-version" if project.pinned_python else None):
        if lock:
            evidence.append(Evidence(path=join(root, lock), reason="belongs to a Python project"))
    return _detection(root, round(confidence, 2), evidence)


def _judge(source: SourceTree, project: Project, present: list[str]) -> tuple[str | None, str, float]:
    """The manifest that counts, why, and with which confidence."""
    root = project.root
    programs = [name for name in MAIN_FILES if source.exists(join(root, name))]
    beside = [name for name in _OTHERS if source.exists(join(root, name))]
    if project.problem:
        return present[0], f"a manifest that cannot be read: {project.problem}", 0.3 if beside else 0.6
    if project.cargo:
        return "pyproject.toml", f"builds a Python package from Rust ({project.backend})", 0.97
    if project.declares_package:
        manifest = next(name for name in present if name != "requirements.txt")
        if beside and not project.scripts and not programs and _serves_something_else(source, project):
            return manifest, f"only documentation or tools beside {beside[0]}", 0.2
        if project.scripts:
            return manifest, f"declares {_plural(project.scripts)}", 0.9
        reason = f"declares a package built by {project.backend}" if project.backend else "declares a project"
        # Next to another language's manifest, a package without a program is the lesser claim.
        return manifest, reason, 0.8 if programs else 0.45 if beside else 0.6
    if "Pipfile" in present:
        return "Pipfile", "lists dependencies", 0.7 if programs else 0.5
    if "requirements.txt" in present:
        if programs:
            return "requirements.txt", f"lists dependencies of {programs[0]}", 0.45 if beside else 0.7
        if not _has_python(source, root) or _serves_something_else(source, project):
            return "requirements.txt", "lists dependencies, but there is no Python program", 0.2
        return "requirements.txt", "lists dependencies", 0.3 if beside else 0.5
    if project.tools_only:
        if programs and not beside:
            return "pyproject.toml", f"configures tools for {programs[0]}", 0.5
        return "pyproject.toml", "only configures tools", 0.2
    return None, "", 0.0


def _has_python(source: SourceTree, root: str) -> bool:
    return any(path.endswith(".py") for path in source.walk(root, depth=2, limit=2000))


def _serves_something_else(source: SourceTree, project: Project) -> bool:
    """True when all that is asked for are documentation and checking tools."""
    names = (*project.requirements, *project.development)
    if not names and _has_python(source, project.root):
        return False
    return all(text.lower().startswith(_DOCUMENTATION) for text in names)


def _plural(scripts: dict[str, str]) -> str:
    names = ", ".join(sorted(scripts)[:3])
    return f"script {names}" if len(scripts) == 1 else f"{len(scripts)} scripts ({names})"


def _below(source: SourceTree) -> Detection | None:
    """The best claim from a subfolder: the shallowest manifest outside documentation and examples."""
    best: tuple[tuple[float, int, str], Detection] | None = None
    for folder in _folders(source):
        found = _at(source, folder)
        if found is None:
            continue
        parts = PurePosixPath(folder).parts
        confidence = found.confidence - 0.1 * len(parts)
        if _ASIDE & set(parts):
            confidence -= 0.4
        found = found.model_copy(update={"confidence": round(max(confidence, 0.05), 2)})
        rank = (-found.confidence, len(parts), folder)
        if best is None or rank < best[0]:
            best = (rank, found)
    return best[1] if best else None


def _folders(source: SourceTree) -> Iterator[str]:
    seen: set[str] = set()
    for path in source.walk(".", depth=_DEPTH):
        pure = PurePosixPath(path)
        folder = str(pure.parent)
        if pure.name in _MANIFESTS and folder != "." and folder not in seen:
            seen.add(folder)
            yield folder


def _loose(source: SourceTree) -> Detection | None:
    """A claim from Python files alone, at the root or one folder below."""
    files = [path for path in source.walk(".", depth=1, limit=2000) if path.endswith(".py")]
    if not files:
        return None
    programs = [path for path in files if "/" not in path and PurePosixPath(path).name in MAIN_FILES]
    chosen = programs or [path for path in files if "/" not in path] or files
    return _detection(
        ".",
        0.5 if programs else 0.3,
        [Evidence(path=path, reason="is a Python file") for path in chosen[:3]],
        basis="files",
    )
