"""The suite that every builder passes, for Rust: real cargo, a crate from the registry."""

from __future__ import annotations

from typing import ClassVar

import pytest

from flowctl_core.testing.conformance import BuilderConformance, ExpectedTests
from flowctl_core.testing.projects import Files

LOCK = """\
version = 3

[[package]]
name = "counter"
version = "0.1.0"
dependencies = [
 "itoa",
]

[[package]]
name = "itoa"
version = "1.0.19"
source = "registry+https://github.com/rust-lang/crates.io-index"
checksum = "3bd1574e617a9a6c1f8f8181bd7e841e1f20e4277607ef28945765188d6284d4"
"""
LIB = """\
//! Counts.

/// The next number, as text.
///
/// ```
/// assert_eq!(counter::next(41), "42");
/// ```
pub fn next(number: u32) -> String {
    itoa::Buffer::new().format(number + 1).to_string()
}

#[cfg(test)]
mod tests {
    #[test]
    fn follows() {
        assert_eq!(super::next(0), "1");
    }

    #[test]
    #[ignore = "takes long"]
    fn reaches_the_end() {}
}
"""


@pytest.mark.requires_tool("cargo", "rustc", "cc")
class TestRustConformance(BuilderConformance):
    builder = "rust"
    project: ClassVar[Files] = {
        "Cargo.toml": '[package]\nname = "counter"\nversion = "0.1.0"\nedition = "2021"\nrust-version = "1.71"\n\n'
        '[dependencies]\nitoa = "1"\n',
        "Cargo.lock": LOCK,
        "src/lib.rs": LIB,
        "src/main.rs": 'fn main() {\n    println!("counted to {}", counter::next(41));\n}\n',
        "tests/counting.rs": '#[test]\nfn from_outside() {\n    assert_eq!(counter::next(9), "10");\n}\n',
        ".gitignore": "/target/\n",
    }
    expected_tests = ExpectedTests(passed=3, skipped=1)
    broken_build: ClassVar[Files] = {"src/main.rs": "fn main() {\n    counter::previous(1);\n}\n"}
    broken_build_says = "cannot find function `previous`"
    failing_test: ClassVar[Files] = {
        "tests/wrong.rs": '#[test]\nfn goes_wrong() {\n    assert!(false, "counted badly");\n}\n'
    }
    failing_test_name = "goes_wrong"
    failing_test_says = "counted badly"
    foreign: ClassVar[Files] = {
        "README.md": "# About rust\n",
        "src/main.rs": "// an excerpt for the documentation\n",
        "go.mod": "module example.com/x\n",
    }
    output = "counted to 42"
