"""The Go builder passes the suite that every builder passes; so does the example component."""

# ruff: noqa: RUF012 - the suite's own attributes are ClassVars
from __future__ import annotations

from pathlib import Path

from flowctl_core.testing.conformance import BuilderConformance, ExpectedTests

EXAMPLE = Path(__file__).parents[2] / "examples" / "go-source"

GO_MOD = """\
module example.com/greeter

go 1.21

require (
	github.com/spf13/pflag v1.0.5
	golang.org/x/time v0.8.0
)
"""
GO_SUM = """\
github.com/spf13/pflag v1.0.5 h1:iy+VFUOCP1a+8yFto/drg2CJ5u0yRoB7fZw3DKv/JXA=
github.com/spf13/pflag v1.0.5/go.mod h1:McXfInJRrz4CZXVZOBLb0bTZqETkiAhM9Iw0y3An2Bg=
golang.org/x/time v0.8.0 h1:9i3RxcPv3PZnitoVGMPDKZSq1xW1gK1Xy3ArNOGZfEg=
golang.org/x/time v0.8.0/go.mod h1:3BpzKBy/shNhVucY/MWOyx10tF3SFh9QdLuxbVysPQM=
"""
MAIN = """\
package main

import (
	"fmt"

	"example.com/greeter/greet"
	"github.com/spf13/pflag"
	"golang.org/x/time/rate"
)

func main() {
	name := pflag.String("name", "world", "whom to greet")
	pflag.Parse()
	if rate.NewLimiter(rate.Inf, 0).Allow() {
		fmt.Println(greet.Greet(*name))
	}
}
"""
GREET = 'package greet\n\n// Greet greets.\nfunc Greet(name string) string { return "hello " + name }\n'
GREET_TEST = """\
package greet

import "testing"

func TestGreet(t *testing.T) {
	for _, name := range []string{"Ada", "Grace"} {
		t.Run(name, func(t *testing.T) {
			if got := Greet(name); got != "hello "+name {
				t.Errorf("got %q", got)
			}
		})
	}
}

func TestLater(t *testing.T) { t.Skip("not today") }
"""
FAILING = 'package greet\n\nimport "testing"\n\nfunc TestWrong(t *testing.T) { t.Error("expected 1, got 2") }\n'
BROKEN = "package main\n\nfunc broken() { return 1 }\n"
FOREIGN = {"package.json": '{"name": "web"}\n', "index.js": "\n", "docs/example.go": "package main\n", "go.sum": ""}


class TestModule(BuilderConformance):
    builder = "go"
    project = {
        "go.mod": GO_MOD,
        "go.sum": GO_SUM,
        "cmd/greeter/main.go": MAIN,
        "greet/greet.go": GREET,
        "greet/greet_test.go": GREET_TEST,
    }
    expected_tests = ExpectedTests(passed=3, skipped=1)
    broken_build = {"cmd/greeter/broken.go": BROKEN}
    broken_build_says = "too many return values"
    failing_test = {"greet/wrong_test.go": FAILING}
    failing_test_name = "TestWrong"
    failing_test_says = "expected 1, got 2"
    foreign = FOREIGN
    arguments = ("--name", "Ada")
    output = "hello Ada"


class TestWorkspace(BuilderConformance):
    builder = "go"
    project = {
        "go.work": "go 1.21\n\nuse (\n\t./app\n\t./greet\n)\n",
        "app/go.mod": GO_MOD.replace("greeter", "app"),
        "app/go.sum": GO_SUM,
        "app/main.go": MAIN.replace("example.com/greeter/greet", "example.com/greet"),
        "greet/go.mod": "module example.com/greet\n\ngo 1.21\n",
        "greet/greet.go": GREET,
        "greet/greet_test.go": GREET_TEST,
    }
    expected_tests = ExpectedTests(passed=3, skipped=1)
    broken_build = {"app/broken.go": BROKEN}
    broken_build_says = "too many return values"
    failing_test = {"greet/wrong_test.go": FAILING}
    failing_test_name = "TestWrong"
    foreign = FOREIGN
    arguments = ("--name=Grace",)
    output = "hello Grace"


class TestExample(BuilderConformance):
    builder = "go"
    project = EXAMPLE
    expected_tests = ExpectedTests(passed=27)
    broken_build = {"internal/stream/broken.go": "package stream\n\nvar x int = nothing\n"}
    broken_build_says = "undefined: nothing"
    failing_test = {"internal/stream/wrong_test.go": FAILING.replace("greet", "stream")}
    failing_test_name = "TestWrong"
    failing_test_says = "expected 1, got 2"
    foreign = FOREIGN
    arguments = ("--rate=0", "--ledgers=3")
    output = '"type":"token_transfer"'
