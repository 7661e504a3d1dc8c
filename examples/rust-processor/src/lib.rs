//! A processor for streams of token transfers, one JSON object a line.
//!
//! Transfers that pass the filter go through with their amount in whole units; each window of
//! ledgers ends with one line of totals for every asset seen in it.
//!
//! ```
//! use transfer_window::{config::Config, stream::run};
//!
//! let config = Config::read(["--window", "5", "--emit", "totals"], |_| None).unwrap();
//! let input = br#"{"ledger":3,"asset":"USDC","from":"A","to":"B","amount":"1.5"}"#;
//! let mut output = Vec::new();
//! let summary = run(&config, &input[..], &mut output).unwrap();
//! assert_eq!(summary.kept, 1);
//! assert!(String::from_utf8(output).unwrap().contains(r#""total":"1.5000000""#));
//! ```

pub mod amount;
pub mod config;
pub mod event;
pub mod stream;
pub mod window;

/// What the component is and takes, as `--describe-json` prints it.
pub const METADATA: &str = include_str!("../metadata.json");
