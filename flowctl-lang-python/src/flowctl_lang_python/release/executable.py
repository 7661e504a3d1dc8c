"""Has pex put wheels and sources into one executable file: a zip archive that the interpreter runs."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from flowctl_core.errors import BuildError
from flowctl_core.models import BuildContext, CompletedCommand, Material, Plan
from flowctl_lang_python.launcher import write
from flowctl_lang_python.recipe import Recipe
from flowctl_lang_python.release import staging, state
from flowctl_lang_python.release.target import Target

_MODULE = "flowctl_main"
"""Module under which a script is packed whose name no module can have."""


def material() -> Material:
    """pex itself: its start code goes into every executable."""
    return Material(name="pex", version=version("pex"), purl=f"pkg:pypi/pex@{version('pex')}")


@contextmanager
def workshop(context: BuildContext) -> Iterator[Path]:
    """A folder for one run of pex, removed afterwards.

    pex writes some paths as URLs, and only ASCII ones: where the component lies in a folder of another name, it works
    in the system's temporary folder, and keeps nothing for the next time.
    """
    usual = state.folder(context)
    with TemporaryDirectory(prefix="flowctl-pex-", dir=usual if str(usual).isascii() else None) as name:
        if not name.isascii():
            raise BuildError(f"pex cannot work in {name}", hint="Set TMPDIR to a folder with an ASCII name.")
        yield Path(name)


def make(
    plan: Plan,
    context: BuildContext,
    target: Target,
    interpreter: str,
    wheels: Iterable[tuple[str, Path]],
    output: Path,
    extra: Iterable[str] = (),
) -> None:
    """Write the executable for one platform as `output`, which ends in .pex, and what `extra` asks for beside it.

    `wheels` are pairs of a requirement (`name==version`) and the wheel that answers it. Raises BuildError with pex's
    words.
    """
    ordered = sorted((requirement, _ascii(wheel, output.parent)) for requirement, wheel in wheels)
    arguments = [requirement for requirement, _ in ordered]
    arguments += [part for _, wheel in ordered for part in ("--pre-resolved-dist", str(wheel))]
    sources = output.parent / ".sources"
    shutil.rmtree(sources, ignore_errors=True)
    sources.mkdir()
    if staging.stage(plan, context, sources):
        arguments += ["--sources-directory", str(sources)]
    arguments += _entry(Recipe.of(plan), sources)
    context.progress.step(f"pex --output-file {output.name}")
    done = run_pex(context, target, interpreter, [*arguments, *extra], output)
    if not done.ok or not output.is_file():
        raise BuildError(
            f"the executable for {target.platform} could not be put together",
            hint="pex's own words above name what does not fit.",
            output=done.output,
        )


def run_pex(
    context: BuildContext,
    target: Target,
    interpreter: str,
    arguments: list[str],
    output: Path,
    *,
    network: bool = False,
) -> CompletedCommand:
    """Run pex for a target; in a folder of its own, as it takes a folder with a requirement's name for that."""
    platform = output.with_name(".platform.json")
    write(platform, target.complete_platform())
    here = output.with_name(".empty")
    here.mkdir(exist_ok=True)
    argv = [interpreter, "-I", "-c", _START, str(_own_folder(context)), *arguments]
    argv += ["--no-pypi", "--no-transitive", "--no-compile", "--no-emit-warnings", "--complete-platform", str(platform)]
    argv += ["--python-shebang", f"/usr/bin/env python{target.python[0]}.{target.python[1]}"]
    argv += ["--output-file", str(output)]
    return context.run(argv, cwd=str(here), environment=_environment(context, output.parent), network=network)


def _ascii(wheel: Path, shop: Path) -> Path:
    if str(wheel).isascii():
        return wheel
    copy = shop / ".wheels" / wheel.name
    copy.parent.mkdir(exist_ok=True)
    return Path(shutil.copyfile(wheel, copy))


_START = (
    "import os, sys; os.environ.pop('XDG_CACHE_HOME', None); sys.path.insert(0, sys.argv.pop(1)); "
    "from pex.bin.pex import main; sys.exit(main())"
)
"""pex runs under the interpreter that the plan names, not under flowctl's: what it packs of itself depends on it.

It writes the user's cache folder of *this* machine into the program, as below `~` where it is there.
"""


def _own_folder(context: BuildContext) -> Path:
    """A folder with nothing but pex in it, so that the interpreter sees no other package of flowctl's environment."""
    spec = find_spec("pex")
    if spec is None or spec.origin is None:
        raise BuildError("pex is not installed", hint="pip install pex; it comes with flowctl-lang-python.")
    folder = state.folder(context) / f"pex-{version('pex')}"
    with state.locked(folder.with_suffix(".lock")):
        if not (folder / "pex" / "version.py").is_file():
            shutil.rmtree(folder, ignore_errors=True)
            draft = folder.with_suffix(".new")
            shutil.rmtree(draft, ignore_errors=True)
            shutil.copytree(Path(spec.origin).parent, draft / "pex", ignore=shutil.ignore_patterns("__pycache__"))
            draft.rename(folder)
    return folder


def _environment(context: BuildContext, shop: Path) -> dict[str, str]:
    usual = state.folder(context)
    root = (usual if str(usual).isascii() else shop) / ".pex-root"
    # A home without `.cache`: where that is a link, pex would write its target into the program.
    return {
        "HOME": str(shop),
        "PEX_ROOT": str(root),
        "PEX_IGNORE_RCFILES": "true",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def _entry(recipe: Recipe, sources: Path) -> list[str]:
    if recipe.kind != "file":
        return ["--entry-point", recipe.target]
    name = PurePosixPath(recipe.target).name
    stem = name.removesuffix(".py")
    if stem.isidentifier() and name != stem and stem != "__main__":
        return ["--entry-point", stem]
    (sources / name).rename(sources / f"{_MODULE}.py")
    return ["--entry-point", _MODULE]
