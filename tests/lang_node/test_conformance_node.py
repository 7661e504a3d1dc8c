"""The suite that every builder passes, for Node.js: real node and npm, a package from the registry."""

from __future__ import annotations

import json
from typing import ClassVar

import pytest

from flowctl_core.testing.conformance import BuilderConformance, ExpectedTests
from flowctl_core.testing.projects import Files

MANIFEST = {
    "name": "counter",
    "version": "1.0.0",
    "private": True,
    "type": "module",
    "bin": {"counter": "dist/main.js"},
    "engines": {"node": ">=20"},
    "scripts": {"build": "node build.js"},
    "dependencies": {"ms": "2.1.3"},
}
LOCK = {
    "name": "counter",
    "version": "1.0.0",
    "lockfileVersion": 3,
    "requires": True,
    "packages": {
        "": {"name": "counter", "version": "1.0.0", "dependencies": {"ms": "2.1.3"}, "engines": {"node": ">=20"}},
        "node_modules/ms": {
            "version": "2.1.3",
            "integrity": "sha512-6FlzubTLZG3J2a/NVCAleEhjzq5oxgHyaCU9yYXvcLsvoVaHJq/s5xXI6/XXP6tz7R9xAOtHnSO/tXtF3WRTlA==",
        },
    },
}
BUILD = """\
import { cpSync, readdirSync } from "node:fs";
import { execFileSync } from "node:child_process";
for (const file of readdirSync("src")) execFileSync(process.execPath, ["--check", `src/${file}`], { stdio: "inherit" });
cpSync("src", "dist", { recursive: true });
"""
TESTS = """\
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { wait } from "../src/wait.js";

describe("waiting", () => {
  test("is told in words", () => assert.equal(wait("2h"), "2 hours"));
  test("can be short", () => assert.equal(wait("1s"), "1 second"));
});
test("takes for ever", { skip: "too long" }, () => {});
"""


@pytest.mark.requires_tool("node", "npm")
class TestNodeConformance(BuilderConformance):
    builder = "node"
    project: ClassVar[Files] = {
        "package.json": json.dumps(MANIFEST, indent=2),
        "package-lock.json": json.dumps(LOCK, indent=2),
        "build.js": BUILD,
        "src/wait.js": 'import ms from "ms";\nexport const wait = (text) => ms(ms(text), { long: true });\n',
        "src/main.js": 'import { wait } from "./wait.js";\nconsole.log(`waited ${wait("2h")}`);\n',
        "test/wait.test.js": TESTS,
        ".nvmrc": "22.23.2\n",
        ".gitignore": "/node_modules/\n/dist/\n",
    }
    expected_tests = ExpectedTests(passed=2, skipped=1)
    broken_build: ClassVar[Files] = {"src/wait.js": "export const wait = (text => ;\n"}
    broken_build_says = "SyntaxError"
    failing_test: ClassVar[Files] = {
        "test/wrong.test.js": 'import { test } from "node:test";\ntest("goes wrong", () => {\n'
        '  throw new Error("counted badly");\n});\n'
    }
    failing_test_name = "goes wrong"
    failing_test_says = "counted badly"
    foreign: ClassVar[Files] = {
        "README.md": "# About node\n",
        "docs/snippet.js": "// an excerpt for the documentation\n",
        "go.mod": "module example.com/x\n",
    }
    output = "waited 2 hours"
