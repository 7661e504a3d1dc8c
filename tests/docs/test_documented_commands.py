"""Every command and option that the documentation shows exists, and every error has its remedy."""

from __future__ import annotations

import importlib.util
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_generate_commands", ROOT / "docs" / "generate.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


generator()
from generator import commands, configuration, exit_codes, includes  # noqa: E402

OPTIONS = commands.command_options()
CONSOLE = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`(flowctl(?:-registry)? [a-z-][^`]*)`")


def pages() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return [ROOT / line for line in listed.stdout.splitlines() if (ROOT / line).is_file()]


def shown(page: Path) -> Iterator[list[str]]:
    """The command lines of flowctl and flowctl-registry on a page, as words."""
    text = page.read_text(encoding="utf-8").replace("\\\n", "")
    lines = [line[2:] for block in CONSOLE.findall(text) for line in block.splitlines() if line.startswith("$ ")]
    for line in [*lines, *INLINE.findall(re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL))]:
        for part in re.split(r"&&|\|(?![a-z])|;", line):
            words = shlex.split(part, comments=True)
            while words and (words[0] in ("./dev",) or re.fullmatch(r"[A-Z_]+=\S*", words[0])):
                words.pop(0)
            if words[:1] in (["flowctl"], ["flowctl-registry"]) and "=" not in words[1:2]:
                yield words


def problems(words: list[str]) -> list[str]:
    program, found = words[0], []
    path = program
    for word in words[1:]:
        name = word.partition("=")[0].strip("[]")
        if word.startswith(("-", "[-")):
            if name not in OPTIONS[path]:
                found.append(f"{path} has no option {name}")
        elif f"{path} {word}" in OPTIONS:
            path = f"{path} {word}"
        elif (
            any(other.startswith(f"{path} ") for other in OPTIONS) and re.fullmatch(r"[a-z]+", word) and path != program
        ):
            found.append(f"{path} has no command {word}")
        elif path == program and re.fullmatch(r"[a-z]+", word):
            found.append(f"{program} has no command {word}")
    return found


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_shown_commands_and_options_exist(page: Path) -> None:
    # The one wrong command on these pages shows what happens then.
    wrong = {" ".join(words): problems(words) for words in shown(page) if "biuld" not in words}
    assert {line: found for line, found in wrong.items() if found} == {}


def test_the_check_finds_what_does_not_exist() -> None:
    assert problems(["flowctl", "component", "bild"]) == ["flowctl component has no command bild"]
    assert problems(["flowctl", "component", "build", "--nope=1"]) == ["flowctl component build has no option --nope"]
    assert problems(["flowctl-registry", "token", "make"]) == ["flowctl-registry token has no command make"]
    assert problems(["flowctl-registry", "serve", "--nope"]) == ["flowctl-registry serve has no option --nope"]
    assert problems(["flowctl", "publish"]) == ["flowctl has no command publish"]
    assert problems(["flowctl", "--config", "x.yaml", "component", "build", "a", "-o", "json"]) == []


def test_a_good_number_of_commands_is_shown() -> None:
    assert sum(len(list(shown(page))) for page in pages()) > 60


def test_every_error_has_a_remedy() -> None:
    text = (ROOT / "docs" / "users" / "troubleshooting.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## (\d+) (.+)$", text, re.MULTILINE)
    described = {(int(number), name) for number, names in headings for name in names.split(", ")}
    assert described == {(kind.exit_code, kind.code) for kind in exit_codes.error_classes()}


def test_the_users_page_names_every_key_and_variable() -> None:
    text = (ROOT / "docs" / "users" / "configuration.md").read_text(encoding="utf-8")
    documented = configuration.keys()
    for key in documented:
        assert re.search(rf"\b{key.rpartition('.')[2]}\b", text), key


def test_an_include_of_what_is_not_there_is_an_error() -> None:
    sample = "tests/projects/flowctl-lang-sh/src/flowctl_lang_sh/plugin.py"
    assert includes.include(f"{sample}#MANIFEST") == '```python\nMANIFEST = "sh.toml"\n```'
    with pytest.raises(KeyError, match="no_such_name"):
        includes.include(f"{sample}#no_such_name")
    with pytest.raises(FileNotFoundError):
        includes.include("tests/projects/no-such-file.py")


YAML = re.compile(r"^```yaml\n(.*?)^```", re.MULTILINE | re.DOTALL)
BLOCKS = [(page, block) for page in pages() for block in YAML.findall(page.read_text(encoding="utf-8"))]


@pytest.mark.parametrize(("page", "text"), BLOCKS, ids=[str(page.relative_to(ROOT)) for page, _ in BLOCKS])
def test_yaml_examples_load_without_a_warning(page: Path, text: str, tmp_path: Path) -> None:
    from flowctl_core.config.load import load_config
    from flowctl_core.specfile.load import load_component

    if re.match(r"(build|registry):", text):
        file = tmp_path / "config.yaml"
        file.write_text(text)
        assert load_config(path=file, environ={"HOME": str(tmp_path)}).warnings == ()
        return
    if page.name.startswith("registry") and not text.startswith("apiVersion"):
        from flowctl_registry.settings import load_settings

        file = tmp_path / "registry.yaml"
        file.write_text(text)
        assert load_settings(file, {})
        return
    if "kind: ComponentBundle" in text:
        from flowctl_core.specfile.load import parse_bundle

        assert parse_bundle(text.encode()).warnings == ()
        return
    if text.startswith("schema:"):
        from flowctl_core.models.policy import Policy
        from flowctl_core.specfile.yaml_text import parse_yaml

        node, problems = parse_yaml(text)
        assert not problems and Policy.model_validate(node.data())
        return
    head = "apiVersion: component.flowctl.io/v1\nkind: ComponentSpec\nmetadata: {name: example}\n"
    file = tmp_path / "component.yaml"
    file.write_text(text if text.startswith("apiVersion") else head + text)
    loaded = load_component(file)
    assert [str(warning) for warning in loaded.warnings if "spec.type: is missing" not in str(warning)] == []


def test_there_are_yaml_examples() -> None:
    assert len(BLOCKS) >= 5
