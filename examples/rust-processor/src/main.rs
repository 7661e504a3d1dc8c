//! Reads transfers on standard input, writes transfers and totals on standard output.

use std::env;
use std::io::{self, BufWriter, ErrorKind};
use std::process::ExitCode;

use transfer_window::config::Config;
use transfer_window::stream::{run, Stopped};
use transfer_window::METADATA;

const USAGE: &str = "\
transfer-window: filters token transfers and totals them over windows of ledgers

  --assets LIST       comma-separated assets to keep (ASSETS); default: all
  --min-amount N      smallest amount to keep (MIN_AMOUNT); default: 0
  --window N          ledgers in a window (WINDOW); default: 10
  --emit all|totals   transfers and totals, or totals only (EMIT); default: all
  --on-invalid skip|fail  what to do with a line that is not a transfer (ON_INVALID); default: skip
  --describe-json     print what this component is and takes
  --version, --help
";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some("--describe-json") => print!("{METADATA}"),
        Some("--version") => println!("transfer-window {}", env!("CARGO_PKG_VERSION")),
        Some("--help" | "-h") => print!("{USAGE}"),
        _ => return process(&arguments),
    }
    ExitCode::SUCCESS
}

fn process(arguments: &[String]) -> ExitCode {
    let flags = arguments.iter().map(String::as_str);
    let config = match Config::read(flags, |name| env::var(name).ok()) {
        Ok(config) => config,
        Err(error) => {
            eprintln!("transfer-window: {error}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match run(
        &config,
        io::stdin().lock(),
        BufWriter::new(io::stdout().lock()),
    ) {
        Ok(summary) => {
            eprintln!(
                "transfer-window: kept {}, filtered {}, late {}, invalid {}",
                summary.kept, summary.filtered, summary.late, summary.invalid
            );
            ExitCode::SUCCESS
        }
        // The next component has gone: there is nobody left to write to.
        Err(Stopped::Io(error)) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(stopped) => {
            eprintln!("transfer-window: {stopped}");
            ExitCode::FAILURE
        }
    }
}
