"""Recognises Go components. Reads files, runs nothing."""

from __future__ import annotations

from flowctl_core.errors import SourceError
from flowctl_core.models import Detection, Evidence, Platform, SourceTree
from flowctl_lang_go.constraints import Target
from flowctl_lang_go.manifest import is_inside, join
from flowctl_lang_go.project import (
    candidate_modules,
    is_aside,
    owner_of,
    programs_of,
)
from flowctl_lang_go.targets import Program, Tree, is_below

LANGUAGE = "go"
ALIASES = ("golang",)
NAMES = (LANGUAGE, *ALIASES)

DECLARED = 0.9
"""A module with a program."""
BESIDE = 0.6
"""A module whose programs are examples, generators or tools: rather a library."""
POSSIBLE = 0.5
"""A module without a program."""
SERVING = 0.2
"""The module probably serves something else: tools, examples, tests of another language's project."""


def detect(source: SourceTree) -> Detection | None:
    """See `flowctl_detect`."""
    tree = Tree(source)
    declared = _declared_by_component(source)
    found = _by_manifest(tree) or _by_files(tree)
    if found is None:
        if declared is None and source.language not in NAMES:
            return None
        found = _detection("files", POSSIBLE, ".", [])
    if declared is not None:
        confidence = max(found.confidence, 0.95)
        return found.model_copy(update={"confidence": confidence, "evidence": (declared, *found.evidence)})
    if source.language in NAMES and found.confidence < POSSIBLE:
        return found.model_copy(update={"confidence": POSSIBLE})
    return found


def _declared_by_component(source: SourceTree) -> Evidence | None:
    declared = source.component.language(*NAMES) if source.component is not None else None
    if declared is None or not source.exists("component.yaml"):
        return None
    return Evidence(path="component.yaml", reason=f"declares the language {declared.name}")


def _by_manifest(tree: Tree) -> Detection | None:
    source = tree.source
    if source.exists("go.work"):
        confidence, evidence = _judge(tree, ".", "go.work", "workspace")
        return _detection("manifest", confidence, ".", evidence)
    if source.exists("go.mod"):
        confidence, evidence = _judge(tree, ".", "go.mod", "module")
        if source.exists("vendor/modules.txt"):
            evidence.append(Evidence(path="vendor/modules.txt", reason="vendored modules"))
        return _detection("manifest", confidence, ".", evidence)
    folders = [*tree.workspaces, *tree.modules]
    outer = [one for one in folders if not any(one != other and is_below(one, other) for other in folders)]
    outer = list(dict.fromkeys(outer))
    if not outer:
        return None
    root = _pointed_at(tree) or _nearest(tree, outer)
    if root is None:
        return _several(tree, [folder for folder in outer if not is_aside(folder)])
    name = "go.work" if root in tree.workspaces else "go.mod"
    confidence, evidence = _judge(tree, root, join(root, name), "workspace" if name == "go.work" else "module")
    if is_aside(root):
        confidence = min(confidence, SERVING)
        evidence[0] = Evidence(path=join(root, name), reason="a module in a folder for something beside the program")
    else:
        # What lies deeper speaks less loudly than another language's manifest at the top.
        confidence = round(max(confidence - 0.1 * (root.count("/") + 1), 0.25), 2)
    others = [folder for folder in outer if folder != root]
    evidence += [Evidence(path=_manifest(tree, folder), reason="another module, less likely") for folder in others[:5]]
    return _detection("manifest", confidence, root, evidence)


def _judge(tree: Tree, root: str, file: str, kind: str) -> tuple[float, list[Evidence]]:
    try:
        modules = candidate_modules(tree, root)
    except SourceError as error:
        return POSSIBLE, [Evidence(path=file, reason=f"a manifest that cannot be read: {error.message}")]
    programs = programs_of(tree, _target(), modules) if modules else []
    main = [program for program in programs if not program.aside]
    what = f"{kind} {modules[0].path}" if len(modules) == 1 and modules[0].path else kind
    if main:
        return DECLARED, [Evidence(path=file, reason=f"{what} with {_listed(main)}"), *_mains(main)]
    if programs:
        return BESIDE, [
            Evidence(path=file, reason=f"{what} whose only programs serve something beside it"),
            *_mains(programs),
        ]
    return POSSIBLE, [Evidence(path=file, reason=f"{what} without a program")]


def _pointed_at(tree: Tree) -> str | None:
    """The module that component.yaml's `main` lies in."""
    component = tree.source.component
    declared = component.language(*NAMES) if component is not None else None
    if declared is None or not declared.main:
        return None
    place = join(".", declared.main)
    if not is_inside(place) or not (tree.source.exists(place) or tree.source.is_dir(place)):
        return None
    owner = owner_of(tree, place)
    return owner.folder if owner is not None else None


def _nearest(tree: Tree, outer: list[str]) -> str | None:
    """The one module to look at; None when several have an equal right."""
    serious = [folder for folder in outer if not is_aside(folder)]
    if not serious:
        return outer[0]
    able = [folder for folder in serious if programs_of(tree, _target(), candidate_modules(tree, folder))]
    name = tree.source.component.name if tree.source.component is not None else ""
    named = [folder for folder in able if folder.rsplit("/", 1)[-1] == name]
    for choice in (named, able):
        if len(choice) == 1:
            return choice[0]
    return None if len(able) > 1 else serious[0]


def _several(tree: Tree, folders: list[str]) -> Detection:
    """A collection of modules: the plan will ask which."""
    evidence = [Evidence(path=_manifest(tree, folder), reason="one of several modules") for folder in folders[:10]]
    return _detection("manifest", POSSIBLE, ".", evidence)


def _by_files(tree: Tree) -> Detection | None:
    folders = [folder for folder in tree.go_files if not is_aside(folder)]
    files = [path for folder in folders for path in tree.go_files[folder] if not path.endswith("_test.go")]
    if not files:
        return None
    programs = programs_of(tree, _target(), [])
    evidence = _mains(programs) or [Evidence(path=path, reason="Go code without a go.mod") for path in files[:5]]
    return _detection("files", 0.6 if programs else 0.4, ".", evidence)


def _mains(programs: list[Program]) -> list[Evidence]:
    return [Evidence(path=program.file, reason="package main with func main") for program in programs[:8]]


def _listed(programs: list[Program]) -> str:
    return "a program" if len(programs) == 1 else f"{len(programs)} programs"


def _manifest(tree: Tree, folder: str) -> str:
    return join(folder, "go.work" if folder in tree.workspaces else "go.mod")


def _target() -> Target:
    return Target.of(Platform.host())


def _detection(basis: str, confidence: float, root: str, evidence: list[Evidence]) -> Detection:
    return Detection(
        language=LANGUAGE,
        aliases=ALIASES,
        basis="manifest" if basis == "manifest" else "files",
        confidence=confidence,
        root=root,
        evidence=tuple(evidence),
    )
