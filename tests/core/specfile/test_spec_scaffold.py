"""The component.yaml that init writes."""

import pytest

from flowctl_core.errors import SpecError, UsageError
from flowctl_core.specfile.load import parse_component
from flowctl_core.specfile.scaffold import component_yaml


@pytest.mark.parametrize("kind", ["source", "processor", "sink", "consumer"])
@pytest.mark.parametrize("language", [None, "go", "c++"])
def test_loads_back_without_a_warning(kind, language):
    text = component_yaml(
        "my-part", "1.10.0", kind, language, "cmd/x" if language else None, ["linux/amd64"], "Does: a # thing"
    )
    loaded = parse_component(text.encode())
    assert loaded.warnings == ()
    spec = loaded.spec
    assert (spec.name, spec.version, spec.description) == ("my-part", "1.10.0", "Does: a # thing")
    assert spec.type == ("sink" if kind == "consumer" else kind)
    assert [(entry.name, entry.main) for entry in spec.languages] == ([(language, "cmd/x")] if language else [])
    assert spec.platforms == ("linux/amd64",)
    assert all(line == line.rstrip() and len(line) <= 110 for line in text.splitlines())


def test_the_commented_parts_are_right_when_uncommented():
    text = component_yaml("part", language="go")
    lines = []
    for line in text.splitlines():
        bare = line.lstrip()
        if (
            bare.startswith("# ")
            and (":" in bare or bare.startswith("#   "))
            and "detection" not in bare
            and "Check" not in bare
        ):
            line = line[: len(line) - len(bare)] + bare[2:]
        lines.append(line)
    loaded = parse_component("\n".join(lines).replace("path/of/the/entry/point", "x").encode())
    assert loaded.warnings == ()
    assert loaded.spec.native_build.command == ("make", "build")
    assert loaded.spec.namespace == "my-team"
    assert loaded.spec.config["batch_size"]["default"] == 100


@pytest.mark.parametrize("text", ["yes", "1.10", "null", "a: b", '"q"', "é", "line\nbreak", "# c", "", " "])
def test_awkward_descriptions(text):
    loaded = parse_component(component_yaml("x", description=text).encode())
    assert loaded.spec.description == (text or "TODO: say in a line what this processor does")


@pytest.mark.parametrize("name", ["1", "007", "1.10", "null", "true", "on"])
def test_names_that_look_like_something_else(name):
    assert parse_component(component_yaml(name).encode()).spec.name == name


def test_bad_arguments():
    with pytest.raises(SpecError, match="is not a name"):
        component_yaml("No Good")
    with pytest.raises(SpecError, match="is not a platform"):
        component_yaml("x", platforms=["linux"])
    with pytest.raises(SpecError, match="is not a semantic version"):
        component_yaml("x", version="latest")
    with pytest.raises(UsageError):
        component_yaml("x", type="service")
