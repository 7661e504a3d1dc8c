//! Lines in, lines out.

use std::fmt;
use std::io::{self, BufRead, Write};

use serde::Serialize;

use crate::config::{Config, OnInvalid};
use crate::event::{Totals, Transfer};
use crate::window::Window;

/// Counts over the whole stream.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Transfers that passed the filter.
    pub kept: u64,
    /// Transfers that did not.
    pub filtered: u64,
    /// Lines that are not transfers.
    pub invalid: u64,
    /// Kept transfers whose window was closed already: passed on, in no totals.
    pub late: u64,
}

/// Why the stream stopped before its end.
#[derive(Debug)]
pub enum Stopped {
    /// Reading or writing failed; a closed pipe is the usual reason.
    Io(io::Error),
    /// A line is not a transfer and the settings say to fail.
    Invalid {
        /// Counted from one.
        line: u64,
        /// What is wrong with it.
        reason: String,
    },
}

impl From<io::Error> for Stopped {
    fn from(error: io::Error) -> Self {
        Stopped::Io(error)
    }
}

impl fmt::Display for Stopped {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Stopped::Io(error) => write!(out, "{error}"),
            Stopped::Invalid { line, reason } => {
                write!(out, "line {line} is not a transfer: {reason}")
            }
        }
    }
}

/// Processes a stream to its end, then writes the totals of the window that is still open.
pub fn run(
    config: &Config,
    input: impl BufRead,
    mut output: impl Write,
) -> Result<Summary, Stopped> {
    let mut summary = Summary::default();
    let mut window = Window::new(config.window);
    for (index, line) in input.split(b'\n').enumerate() {
        let line = line?;
        let text = String::from_utf8_lossy(&line);
        if text.trim().is_empty() {
            continue;
        }
        let (transfer, amount) = match Transfer::parse(&text) {
            Ok(parsed) => parsed,
            Err(reason) if config.on_invalid == OnInvalid::Fail => {
                return Err(Stopped::Invalid {
                    line: index as u64 + 1,
                    reason,
                });
            }
            Err(_) => {
                summary.invalid += 1;
                continue;
            }
        };
        let wanted = config.assets.is_empty() || config.assets.contains(&transfer.asset);
        if !wanted || amount < config.min_amount {
            summary.filtered += 1;
            continue;
        }
        summary.kept += 1;
        match window.add(&transfer, amount) {
            Ok(closed) => write_all(&mut output, &closed)?,
            Err(_) => summary.late += 1,
        }
        if config.transfers {
            write_line(&mut output, &transfer)?;
        }
    }
    write_all(&mut output, &window.close())?;
    output.flush()?;
    Ok(summary)
}

fn write_all(output: &mut impl Write, totals: &[Totals]) -> io::Result<()> {
    for one in totals {
        write_line(output, one)?;
    }
    // Whoever reads the totals wants them when the window closes, not when a buffer is full.
    if totals.is_empty() {
        Ok(())
    } else {
        output.flush()
    }
}

fn write_line(output: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *output, value)?;
    output.write_all(b"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(flags: &[&str], input: &str) -> (Vec<String>, Summary) {
        let config = Config::read(flags.iter().copied(), |_| None).unwrap();
        let mut output = Vec::new();
        let summary = run(&config, input.as_bytes(), &mut output).unwrap();
        let text = String::from_utf8(output).unwrap();
        (text.lines().map(str::to_string).collect(), summary)
    }

    #[test]
    fn filters_by_asset_and_amount() {
        let input = concat!(
            r#"{"ledger":1,"asset":"USDC","from":"A","to":"B","amount":"5"}"#,
            "\n",
            r#"{"ledger":1,"asset":"USDC","from":"A","to":"B","amount":"0.5"}"#,
            "\n",
            r#"{"ledger":1,"asset":"XLM","from":"A","to":"B","amount":"5"}"#,
        );
        let (out, summary) = lines(&["--assets", "USDC", "--min-amount", "1"], input);
        assert_eq!((summary.kept, summary.filtered), (1, 2));
        assert_eq!(out.len(), 2);
    }

    #[test]
    fn an_empty_stream_writes_nothing() {
        assert_eq!(lines(&[], ""), (vec![], Summary::default()));
        assert_eq!(lines(&[], "\n\n"), (vec![], Summary::default()));
    }

    #[test]
    fn bytes_that_are_no_text_are_one_invalid_line() {
        let config = Config::read([], |_| None).unwrap();
        let summary = run(&config, &b"\xff\xfe\n"[..], Vec::new()).unwrap();
        assert_eq!(summary.invalid, 1);
    }
}
