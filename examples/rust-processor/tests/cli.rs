//! The program as a pipeline runs it.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

const INPUT: &str = r#"{"ledger":100,"asset":"USDC","from":"GA","to":"GB","amount":"10.5","memo":"rent"}
{"ledger":104,"asset":"XLM","from":"GB","to":"GC","amount":"0.0000001"}
this is no transfer
{"ledger":109,"asset":"USDC","from":"GB","to":"GA","amount":"4.5"}
{"ledger":110,"asset":"USDC","from":"GA","to":"GD","amount":"1"}
{"ledger":99,"asset":"USDC","from":"GA","to":"GD","amount":"1"}
"#;

fn program(flags: &[&str], environment: &[(&str, &str)], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_transfer-window"))
        .args(flags)
        .env_clear()
        .envs(environment.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A program that refuses its flags may be gone before it reads anything.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

fn json_lines(output: &Output) -> Vec<Value> {
    let text = std::str::from_utf8(&output.stdout).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn passes_transfers_and_drains_the_last_window_at_the_end() {
    let output = program(&[], &[], INPUT);
    assert!(output.status.success());
    let lines = json_lines(&output);
    let totals: Vec<&Value> = lines
        .iter()
        .filter(|line| line["type"] == "transfer_window")
        .collect();
    assert_eq!(lines.len() - totals.len(), 5);
    assert_eq!(totals.len(), 3);
    assert_eq!(totals[0]["asset"], "USDC");
    assert_eq!(totals[0]["total"], "15.0000000");
    assert_eq!(totals[0]["accounts"], 2);
    assert_eq!(totals[2]["first_ledger"], 110);
    assert_eq!(lines[0]["memo"], "rent");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("kept 5, filtered 0, late 1, invalid 1"),
        "{said}"
    );
}

#[test]
fn is_configured_by_its_environment() {
    let output = program(
        &[],
        &[("EMIT", "totals"), ("ASSETS", "USDC"), ("WINDOW", "1000")],
        INPUT,
    );
    let lines = json_lines(&output);
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0]["transfers"], 4);
    assert_eq!(lines[0]["largest"], "10.5000000");
}

#[test]
fn fails_on_an_invalid_line_when_asked_to() {
    let output = program(&["--on-invalid", "fail"], &[], INPUT);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr)
        .unwrap()
        .contains("line 3 is not a transfer"));
}

#[test]
fn refuses_an_unknown_flag() {
    let output = program(&["--windows", "3"], &[], "");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr)
        .unwrap()
        .contains("unknown flag --windows"));
}

#[test]
fn describes_itself_as_its_manifest_does() {
    let output = program(&["--describe-json"], &[], "");
    let described: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(described["name"], env!("CARGO_PKG_NAME"));
    assert_eq!(described["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(described["description"], env!("CARGO_PKG_DESCRIPTION"));
    for (key, name) in described["env_mapping"].as_object().unwrap() {
        assert_eq!(described["config_schema"][key]["env"], *name);
    }
}

#[cfg(unix)]
#[test]
fn ends_quietly_when_its_reader_has_gone() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_transfer-window"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let line = r#"{"ledger":1,"asset":"XLM","from":"A","to":"B","amount":"1"}"#;
    let mut stdin = child.stdin.take().unwrap();
    for _ in 0..20_000 {
        if writeln!(stdin, "{line}").is_err() {
            break;
        }
    }
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
}
