"""The suite that every builder passes, for Python: a real uv, a package from the index, pytest."""

from __future__ import annotations

from typing import ClassVar

from flowctl_core.testing.conformance import BuilderConformance, ExpectedTests
from flowctl_core.testing.projects import Files

PYPROJECT = """\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "counter"
version = "0.1.0"
requires-python = ">=3.11"
dependencies = ["inflect>=7"]

[project.scripts]
counter = "counter.main:main"

[dependency-groups]
test = ["pytest>=8"]

[tool.hatch.build.targets.wheel]
packages = ["src/counter"]
"""

TESTS = """\
import pytest
from counter.main import following

def test_follows():
    assert following(0) == "one"

@pytest.mark.parametrize("number", [1, 2])
def test_follows_more(number):
    assert following(number)

@pytest.mark.skip(reason="takes long")
def test_reaches_the_end():
    pass
"""


class TestPythonConformance(BuilderConformance):
    builder = "python"
    project: ClassVar[Files] = {
        "pyproject.toml": PYPROJECT,
        "src/counter/__init__.py": "",
        "src/counter/main.py": "import inflect\n\n\ndef following(number: int) -> str:\n"
        "    return str(inflect.engine().number_to_words(number + 1))\n\n\n"
        "def main() -> None:\n    print('counted to', following(41))\n",
        "tests/test_counter.py": TESTS,
    }
    expected_tests = ExpectedTests(passed=3, skipped=1)
    broken_build: ClassVar[Files] = {"src/counter/main.py": "import inflect_that_is_not_there\n\ndef main(): ...\n"}
    broken_build_says = "No module named 'inflect_that_is_not_there'"
    failing_test: ClassVar[Files] = {
        "tests/test_wrong.py": "def test_goes_wrong():\n    assert False, 'counted badly'\n"
    }
    failing_test_name = "test_goes_wrong"
    failing_test_says = "counted badly"
    foreign: ClassVar[Files] = {
        "README.md": "# Measurements\n",
        "setup.cfg": "[flake8]\nmax-line-length = 100\n",
        "go.mod": "module example.org/survey\n\ngo 1.22\n",
        "main.go": "package main\n\nfunc main() {}\n",
        "tox.ini": "[testenv]\ncommands = true\n",
    }
    output = "counted to forty-two"


class TestUnittestConformance(BuilderConformance):
    """A project without manifest, build system or pytest."""

    builder = "python"
    project: ClassVar[Files] = {
        "requirements.txt": "inflection==0.5.1\n",
        "main.py": "import inflection\nimport counting\n\nif __name__ == '__main__':\n"
        "    print(inflection.titleize('counted to ' + counting.following(41)))\n",
        "counting.py": "def following(number):\n    return str(number + 1)\n",
        "tests/test_counting.py": "import unittest\nimport counting\n\n\nclass Counting(unittest.TestCase):\n"
        "    def test_follows(self):\n        self.assertEqual(counting.following(0), '1')\n\n"
        "    @unittest.skip('takes long')\n    def test_reaches_the_end(self):\n        pass\n",
    }
    expected_tests = ExpectedTests(passed=1, skipped=1)
    broken_build: ClassVar[Files] = {"counting.py": "def following(number:\n"}
    broken_build_says = "SyntaxError"
    failing_test: ClassVar[Files] = {
        "tests/test_wrong.py": "import unittest\n\n\nclass Wrong(unittest.TestCase):\n"
        "    def test_goes_wrong(self):\n        self.fail('counted badly')\n"
    }
    failing_test_name = "test_goes_wrong"
    failing_test_says = "counted badly"
    output = "Counted To 42"
