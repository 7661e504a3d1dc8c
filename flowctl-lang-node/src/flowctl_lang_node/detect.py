"""Recognises Node.js components: TypeScript and JavaScript."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from flowctl_core.errors import PlanError, SourceError
from flowctl_core.models import Detection, Evidence, SourceTree
from flowctl_lang_node.manifest import LOCKFILES, Package, joined, read_workspace
from flowctl_lang_node.targets import CONVENTIONAL, JAVASCRIPT, declares_program, find_target
from flowctl_lang_node.tsconfig import TYPESCRIPT, read_compiler

LANGUAGE = "node"
ALIASES = ("javascript", "typescript", "nodejs", "js", "ts")
NAMES = (LANGUAGE, *ALIASES)

DECLARED = 0.9
POSSIBLE = 0.5
SERVING = 0.2
"""The package.json probably serves something else: documentation, linters, commit hooks."""

FOREIGN = ("go.mod", "go.work", "Cargo.toml", "pyproject.toml", "setup.py", "pom.xml", "build.gradle", "Gemfile")
ASIDE = frozenset(
    ("docs", "doc", "website", "site", "test", "tests", "e2e", "fixtures", "examples", "example", "scripts", "tools")
)
"""Folders whose package.json does not describe the component."""

_HELPER = re.compile(
    r"(@types/|@commitlint/|@changesets/|@semantic-release/|@docusaurus/|@biomejs/|@eslint/|eslint|prettier|husky|lint|"
    r"markdownlint|commitizen|cz-|semantic-release|release-it|docusaurus|vitepress|vuepress|typedoc|cspell|"
    r"standard-version|lefthook|simple-git-hooks|conventional-changelog|remark|textlint|mermaid|stylelint)"
)
"""Packages that check, format, document or release; none of them is a program's dependency."""


def detect(source: SourceTree) -> Detection | None:
    """See `flowctl_detect`."""
    asked = source.language in NAMES
    declared = _declared_by_component(source)
    found = _by_manifest(source) or _by_files(source)
    if found is None:
        if declared is None:
            return None
        found = Detection(language=LANGUAGE, aliases=ALIASES, basis="files", confidence=POSSIBLE)
    if declared is not None:
        confidence = max(found.confidence, 0.95)
        return found.model_copy(update={"confidence": confidence, "evidence": (declared, *found.evidence)})
    if asked and found.confidence < POSSIBLE:
        return found.model_copy(update={"confidence": POSSIBLE})
    return found


def _declared_by_component(source: SourceTree) -> Evidence | None:
    component = source.component
    if component is None:
        return None
    language = component.language(*NAMES)
    if language is not None:
        return Evidence(path="component.yaml", reason=f"declares the language {language.name}")
    native = source.extra("native")  # noqa: S610 - not Django's
    runtimes: list[object] = [one.native.runtime for one in component.languages if one.native]
    runtimes += [native.get("runtime") if isinstance(native, dict) else None, component.build_extra("runtime")]
    for runtime in runtimes:
        if isinstance(runtime, str) and runtime.lower() in NAMES:
            return Evidence(path="component.yaml", reason=f"declares runtime: {runtime}")
    return None


def _by_manifest(source: SourceTree) -> Detection | None:
    if source.exists("package.json"):
        confidence, evidence = _judge(source, ".")
        return _detection(".", confidence, evidence)
    foreign = next((name for name in FOREIGN if source.exists(name)), None)
    best: tuple[float, str, list[Evidence]] | None = None
    others: list[str] = []
    for path in source.walk(depth=3):
        if PurePosixPath(path).name != "package.json" or not source.exists(path):
            continue
        folder = str(PurePosixPath(path).parent)
        confidence, evidence = _judge(source, folder)
        # The nearest wins: what lies deeper usually belongs to it.
        confidence = round(max(confidence - 0.1 * (folder.count("/") + 1), 0.05), 2)
        if ASIDE & set(folder.split("/")):
            confidence = min(confidence, SERVING)
            evidence.append(Evidence(path=folder, reason="a folder for something beside the program"))
        elif foreign:
            confidence = min(confidence, 0.3)
            evidence.append(Evidence(path=foreign, reason="the folder above is a project of another language"))
        if best is None or confidence > best[0]:
            others += [best[1]] if best else []
            best = (confidence, folder, evidence)
        else:
            others.append(folder)
    if best is None:
        return None
    confidence, folder, evidence = best
    evidence += [
        Evidence(path=joined(one, "package.json"), reason="another package, less likely") for one in others[:5]
    ]
    return _detection(folder, confidence, evidence)


def _judge(source: SourceTree, folder: str) -> tuple[float, list[Evidence]]:
    path = joined(folder, "package.json")
    try:
        workspace = read_workspace(source, folder)
    except (PlanError, SourceError) as error:
        return POSSIBLE, [Evidence(path=path, reason=f"a manifest that cannot be read: {error.message}")]
    assert workspace is not None  # noqa: S101  (the caller saw the file)
    package = workspace.root
    evidence = []
    lock = next((joined(folder, name) for name in LOCKFILES if source.exists(joined(folder, name))), None)
    if lock:
        evidence.append(Evidence(path=lock, reason=f"lockfile of {LOCKFILES[PurePosixPath(lock).name]}"))
    if source.exists(joined(folder, "tsconfig.json")):
        evidence.append(Evidence(path=joined(folder, "tsconfig.json"), reason="TypeScript project"))
    if workspace.members:
        able = [member for member in workspace.members if declares_program(member)]
        reason = f"workspace with {len(workspace.members)} members, {len(able)} of them with a program"
        evidence.insert(0, Evidence(path=path, reason=reason))
        return (DECLARED if able or _program(source, package) else POSSIBLE), evidence
    program = _program(source, package)
    if program:
        evidence.insert(0, Evidence(path=path, reason=f"declares a program: {program}"))
        return DECLARED, evidence
    foreign = next((joined(folder, name) for name in FOREIGN if source.exists(joined(folder, name))), None)
    serious = [name for name in package.all_dependencies if not _HELPER.match(name)]
    if foreign:
        evidence.insert(0, Evidence(path=path, reason="declares no program; it may only serve tools or documentation"))
        return SERVING, [*evidence, Evidence(path=foreign, reason="a project of another language in the same folder")]
    if package.all_dependencies and not serious and not _sources(source, folder):
        return SERVING, [
            Evidence(path=path, reason="only brings in linters, formatters or documentation tools"),
            *evidence,
        ]
    evidence.insert(0, Evidence(path=path, reason="a package that declares no program"))
    return POSSIBLE, evidence


def _program(source: SourceTree, package: Package) -> str | None:
    """What the package can start, None when nothing: the planner's own answer."""
    foreign = any(source.exists(joined(package.folder, name)) for name in FOREIGN)
    try:
        compiler = read_compiler(source, package.folder)
        target = find_target(source, package, compiler, name="", wanted=None)
    except PlanError:
        return ", ".join(package.bins) or None
    except SourceError:
        return None
    # Beside another language's manifest a stray index.js is no claim; a declaration is.
    guessed = target.why in target.files
    return None if foreign and guessed else target.why


def _sources(source: SourceTree, folder: str) -> bool:
    return any(
        path.endswith((*JAVASCRIPT, *TYPESCRIPT)) and "config" not in path and not path.endswith(".d.ts")
        for path in source.walk(folder, depth=3, limit=2000)
        if not ASIDE & set(path.split("/"))
    )


def _by_files(source: SourceTree) -> Detection | None:
    found = [
        path
        for path in source.walk(depth=1, limit=2000)
        if path.endswith((*JAVASCRIPT, *TYPESCRIPT))
        and not path.endswith(".d.ts")
        and not ASIDE & set(path.split("/"))
        and ".config." not in path
    ]
    if not found:
        return None
    named = [path for path in found if str(PurePosixPath(path).with_suffix("")) in CONVENTIONAL]
    foreign = next((name for name in (*FOREIGN, "requirements.txt") if source.exists(name)), None)
    confidence = 0.1 if foreign else 0.6 if named else 0.4
    ordered = [*named, *(path for path in found if path not in named)]
    evidence = [Evidence(path=path, reason="a script without a package.json") for path in ordered[:5]]
    return Detection(language=LANGUAGE, aliases=ALIASES, basis="files", confidence=confidence, evidence=tuple(evidence))


def _detection(root: str, confidence: float, evidence: list[Evidence]) -> Detection:
    return Detection(language=LANGUAGE, aliases=ALIASES, confidence=confidence, root=root, evidence=tuple(evidence))
