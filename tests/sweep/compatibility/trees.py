"""The public component trees of the compatibility page, as data: what they are and how their authors build them.

A tree is taken at one commit from a bare git directory; none of it is part of this project. The commands by hand are
those of the tree's own README, Makefile or CI, run by `sh -e` in the component's folder. `uv`, `pnpm`, `yarn`, `bun`
are expected on PATH; a tree whose tools are missing is reported as such and counts neither way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

DEMO = "withObsrvr/ttp-processor-demo"
REGISTRY = "withObsrvr/nebu-processor-registry"
MAKE = """\
apiVersion: component.flowctl.io/v1
kind: ComponentSpec
metadata:
  name: csvquote
  version: 1.0.0
spec:
  type: processor
  languages:
    - name: c
      build:
        native:
          command: [make, all]
          binary: csvquote
"""


@dataclass(frozen=True)
class Tree:
    """One component; `hand_*` is what a developer types, in the component's folder."""

    repository: str
    commit: str
    language: str
    """As detection must name it."""
    traits: str
    """Why it is in the table."""
    hand_build: str
    hand_test: str
    folder: str = "."
    options: tuple[str, ...] = ()
    """Options of `flowctl component build` and `test`."""
    program: tuple[str, str] | None = None
    """Shell lines that run the result: built by hand, built by flowctl. Both must print the same."""
    files: Mapping[str, str] = field(default_factory=dict)
    """What is added to the tree, by path: a component.yaml of ours."""
    settings: str = ""
    """~/.flowctl/config.yaml for this tree."""
    tools: tuple[str, ...] = ()
    """Executables that must be on PATH."""
    reason: str = ""
    """Why it fails, found by looking; shown when something does."""

    @property
    def name(self) -> str:
        """Unique and short: repository without owner, then the folder."""
        repository = self.repository.partition("/")[2]
        return repository if self.folder == "." else f"{repository}/{self.folder}"


def launched(name: str, arguments: str, by_hand: str) -> tuple[str, str]:
    """Run the program by hand and as flowctl placed it, with the same arguments."""
    return f"{by_hand} {arguments}", f".flowctl/bin/{name} {arguments}"


def imported(statement: str) -> tuple[str, str]:
    """Run Python code in the environment that each way made."""
    return f".venv/bin/python -c '{statement}'", f".flowctl/env/bin/python -c '{statement}'"


GO = (
    Tree(
        REGISTRY, "746a719604a5", "go", "one of 30 modules in a monorepo, protobuf, tests",
        "go build -o contract-created ./cmd/contract-created", "go test -v ./...",
        folder="processors/contract-created",
        program=launched("contract-created", "--describe-json", "./contract-created"), tools=("go",),
    ),
    Tree(
        REGISTRY, "746a719604a5", "go", "two mains, `--main`; no tests",
        "go build -o amount-filter ./cmd/amount-filter", "go test -v ./...",
        folder="processors/amount-filter", options=("--main", "amount-filter"),
        program=launched("amount-filter", "--describe-json", "./amount-filter"), tools=("go",),
    ),
    Tree(
        "BESTSELLER/harpocrates", "5536e2f", "go", "main in the root; most tests start containers",
        "go build -o harpocrates .", "go test -v ./...",
        program=launched("harpocrates", "--help", "./harpocrates"), tools=("go",),
    ),
    Tree(
        "withObsrvr/obsrvr-stellar-components", "bc0560b", "go", "vendored modules, 14 mains, `--main` with a path",
        "go build -o sink ./components/postgres-sink/cmd/component", "go test -v ./components/postgres-sink/...",
        options=("--main", "./components/postgres-sink/cmd/component"), tools=("go",),
        settings="build:\n  local:\n    languages:\n      go:\n"
        "        test_command: [go, test, ./components/postgres-sink/...]\n",
        program=launched("obsrvr-stellar-components", "--help", "./sink"),
    ),
    Tree(
        DEMO, "b00a5ca", "go", "vendored, inside a go.work that does not name all its modules; no tests",
        "GOWORK=off go build -o program .", "GOWORK=off go test -v ./...", folder="stellar-live-source-datalake/go",
        tools=("go",),
    ),
    Tree(
        DEMO, "b00a5ca", "go", "vendored, inside a go.work of 26 modules",
        "GOWORK=off go build -o program .", "GOWORK=off go test -v ./...", folder="ttp-processor/go", tools=("go",),
        reason="vendor/modules.txt of this commit names other versions than its go.mod: Go refuses both ways.",
    ),
    Tree(
        REGISTRY, "b7d2199", "go", "newest commit of the registry",
        "go build -o amount-filter ./cmd/amount-filter", "go test -v ./...",
        folder="processors/amount-filter", options=("--main", "amount-filter"), tools=("go",),
        reason="needs github.com/withObsrvr/nebu v0.6.13, which the Go module proxy of this machine does not have.",
    ),
)  # fmt: skip

RUST = (
    Tree(
        "withObsrvr/rs-stellar-history-archive-hasher", "f52d172", "rust", "cdylib without a program",
        "cargo build", "cargo test", program=("ls target/debug/*.so | wc -l", "ls .flowctl/bin/*.so | wc -l"),
        tools=("cargo",),
    ),
    Tree(
        "brocode/fblog", "9f9166f", "rust", "one program, C code compiled by a build script",
        "cargo build", "cargo test", program=launched("fblog", "sample.json.log", "target/debug/fblog"),
        tools=("cargo",),
    ),
    Tree(
        "rcoh/angle-grinder", "3587663", "rust", "program named unlike its package, integration and doc tests",
        "cargo build", "cargo test",
        program=launched("angle-grinder", "'* | json | count' -f test_files/test_json.log", "target/debug/agrind"),
        tools=("cargo",),
    ),
    Tree(
        "numaproj/numaflow-rs", "9237e14", "rust", "workspace of 20 members, `--main`; no Cargo.lock",
        "cargo build --package map-cat", "cargo test --package map-cat", options=("--main", "map-cat"),
        tools=("cargo",),
    ),
)  # fmt: skip

PYTHON = (
    Tree(
        REGISTRY, "b7d2199", "python", "hatchling, in a repository of Go modules; no tests",
        "uv venv -q && uv pip install -q -e .", ".venv/bin/python -m pytest || uvx pytest",
        folder="mcp", program=imported("import nebu_mcp.server"), tools=("uv",),
    ),
    Tree(
        "numaproj/numaflow-python", "030ded1", "python", "uv.lock, monorepo package, gRPC servers in tests",
        "uv sync -q --frozen", ".venv/bin/python -m pytest", folder="packages/pynumaflow",
        program=imported("import pynumaflow.mapper"), tools=("uv",),
    ),
    Tree(
        "simonw/sqlite-utils", "56dd097", "python", "setuptools, console script, dependency groups",
        "uv venv -q && uv pip install -q -e . --group dev", ".venv/bin/python -m pytest",
        program=launched("sqlite-utils", "memory 'select 1 + 1 as two'", ".venv/bin/sqlite-utils"), tools=("uv",),
    ),
    Tree(
        "python-poetry/cleo", "8c3f1bb", "python", "Poetry 2: [project] and Poetry's groups; a library",
        "uv venv -q && uv pip install -q -e . mypy pre-commit pytest pytest-cov pytest-mock towncrier "
        "'sphinx<8' 'furo<2024'",  # the groups that `poetry install` brings
        ".venv/bin/python -m pytest",
        program=imported("import cleo.application"), tools=("uv",),
    ),
    Tree(
        "samuelcolvin/rtoml", "527eee0", "python", "maturin: Rust inside, .python-version",
        "uv sync -q --frozen", ".venv/bin/python -m pytest",
        program=imported('import rtoml; print(rtoml.loads("a = [1, 2]"))'), tools=("uv", "cargo"),
    ),
    Tree(
        "transferwise/pipelinewise-target-postgres", "a929acc", "python", "setup.py alone, extras, `test_command`",
        "uv venv -q && uv pip install -q -e '.[test]'", ".venv/bin/python -m pytest tests/unit",
        program=launched("pipelinewise-target-postgres", "--help", ".venv/bin/target-postgres"), tools=("uv",),
        settings="build:\n  local:\n    languages:\n      python:\n        test_command: [pytest, tests/unit]\n",
    ),
    Tree(
        DEMO, "b00a5ca", "python", "requirements.txt and a script, inside a go.work; no tests",
        "uv venv -q && uv pip install -q -r requirements.txt", ".venv/bin/python -m pytest || uvx pytest",
        folder="ducklake-api-gateway", program=imported("import fastapi"), tools=("uv",),
    ),
)  # fmt: skip

NODE = (
    Tree(
        "withObsrvr/stellar-network-monitoring-mcp", "9af8deb", "node", "npm, TypeScript, jest that finds no tests",
        "npm ci --no-audit --no-fund --ignore-scripts && npm run build", "npm test",
        program=launched("stellar-network-monitoring-mcp", "< /dev/null", "node dist/index.js"), tools=("npm",),
    ),
    Tree(
        "vercel/ms", "4b85938", "node", "pnpm, TypeScript library, jest twice",
        "pnpm install --frozen-lockfile --ignore-scripts && pnpm run build", "pnpm test",
        program=(
            "node -e 'import(\"./dist/index.js\").then(m => console.log(m.ms(60000)))'",
        ) * 2,
        tools=("pnpm",),
    ),
    Tree(
        "unjs/defu", "80c0146", "node", "pnpm, vitest behind lint and types",
        "pnpm install --frozen-lockfile --ignore-scripts && pnpm run build", "pnpm test",
        program=("node -p 'JSON.stringify(require(\"./lib/defu.cjs\")({a: 1}, {b: 2}))'",) * 2, tools=("pnpm",),
    ),
    Tree(
        "oclif/hello-world", "7764dd2", "node", "yarn 1, TypeScript, mocha",
        "yarn install --frozen-lockfile --ignore-scripts --non-interactive && yarn build", "yarn test",
        program=launched("hello-world", "hello friend --from me", "node bin/run.js"), tools=("yarn",),
    ),
    Tree(
        "sindresorhus/slugify-cli", "ed9032d", "node", "plain JavaScript, no lockfile, ava behind a linter",
        "npm install --no-package-lock --no-audit --no-fund --ignore-scripts", "npm test",
        program=launched("slugify-cli", "'I ♥ Dogs'", "node cli.js"), tools=("npm",),
    ),
    Tree(
        "pinojs/pino-pretty", "0ebe244", "node", "filter for log lines, borp (node:test)",
        "npm install --no-package-lock --no-audit --no-fund --ignore-scripts", "npm test",
        program=launched("pino-pretty", "--colorize=false < sample.log", "node bin.js"), tools=("npm",),
        files={"sample.log": '{"level":30,"time":1522431328992,"msg":"hello","pid":42,"hostname":"host"}\n'},
    ),
    Tree(
        "lukeed/clsx", "684509c", "node", "build script that generates dist/, uvu",
        "npm install --no-package-lock --no-audit --no-fund --ignore-scripts && npm run build", "npm test",
        program=("node -p 'require(\"./dist/clsx.js\")(\"a\", {b: true})'",) * 2, tools=("npm",),
    ),
    Tree(
        REGISTRY, "b7d2199", "node", "bun: compiled to one executable; no tests",
        "bun run build", "bun test", folder="processors/sqlite-sink",
        program=launched("sqlite-sink", "--describe-json", "dist/sqlite-sink"), tools=("bun",),
    ),
)  # fmt: skip

COMMAND = (
    Tree(
        "dbro/csvquote", "3e26cee", "c", "C and make; the component.yaml is ours: no plugin knows C",
        "make all", "make test", files={"component.yaml": MAKE},
        program=launched("csvquote", "testdata.csv", "./csvquote"), tools=("make", "cc"),
        settings="build:\n  local:\n    languages:\n      c:\n        test_command: [make, test]\n",
    ),
)  # fmt: skip

TREES = (*GO, *RUST, *PYTHON, *NODE, *COMMAND)
