//! Settings from the environment and from flags; a flag wins.

use std::collections::BTreeSet;

use crate::amount::Amount;

/// What to do with a line that is not a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnInvalid {
    /// Count it and go on.
    Skip,
    /// Stop with an error that names the line.
    Fail,
}

/// The processor's settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Assets to keep; empty keeps all.
    pub assets: BTreeSet<String>,
    /// Smallest amount to keep.
    pub min_amount: Amount,
    /// Ledgers in a window, at least one.
    pub window: u64,
    /// Whether transfers go through, beside the totals.
    pub transfers: bool,
    /// What to do with a line that is not a transfer.
    pub on_invalid: OnInvalid,
}

/// The settings' names: `min-amount` is `--min-amount` and `MIN_AMOUNT`.
const KEYS: [&str; 5] = ["assets", "min-amount", "window", "emit", "on-invalid"];

impl Config {
    /// Reads flags (`--window 5`, `--window=5`) over the environment over the defaults.
    ///
    /// The error is a sentence that names the setting.
    pub fn read<'a>(
        arguments: impl IntoIterator<Item = &'a str>,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Config, String> {
        let mut values: [Option<String>; KEYS.len()] = KEYS.map(|key| {
            environment(&key.replace('-', "_").to_uppercase()).filter(|value| !value.is_empty())
        });
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            let flag = argument
                .strip_prefix("--")
                .ok_or_else(|| format!("unexpected argument '{argument}'"))?;
            let (name, given) = match flag.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (flag, None),
            };
            let position = KEYS
                .iter()
                .position(|key| *key == name)
                .ok_or_else(|| format!("unknown flag --{name}"))?;
            let value = given
                .or_else(|| arguments.next())
                .ok_or_else(|| format!("--{name} needs a value"))?;
            values[position] = Some(value.to_string());
        }
        let [assets, min_amount, window, emit, on_invalid] = values;
        Ok(Config {
            assets: assets
                .unwrap_or_default()
                .split(',')
                .map(str::trim)
                .filter(|asset| !asset.is_empty())
                .map(str::to_string)
                .collect(),
            min_amount: min_amount
                .map_or(Ok(Amount::default()), |text| text.parse())
                .map_err(|error| format!("min-amount: {error}"))?,
            window: match window.map(|text| text.parse::<u64>().map_err(|_| text)) {
                None => 10,
                Some(Ok(ledgers)) if ledgers > 0 => ledgers,
                Some(Ok(_)) => return Err("window: at least 1".to_string()),
                Some(Err(text)) => {
                    return Err(format!("window: '{text}' is not a number of ledgers"))
                }
            },
            transfers: choice("emit", emit, "all", "totals")?,
            on_invalid: if choice("on-invalid", on_invalid, "skip", "fail")? {
                OnInvalid::Skip
            } else {
                OnInvalid::Fail
            },
        })
    }
}

/// True for `first` (also when nothing is given), false for `second`.
fn choice(name: &str, given: Option<String>, first: &str, second: &str) -> Result<bool, String> {
    match given.as_deref() {
        None => Ok(true),
        Some(text) if text == first => Ok(true),
        Some(text) if text == second => Ok(false),
        Some(text) => Err(format!("{name}: '{text}' is neither {first} nor {second}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_keep_everything() {
        let config = Config::read([], |_| None).unwrap();
        assert!(config.assets.is_empty());
        assert_eq!(config.window, 10);
        assert!(config.transfers);
        assert_eq!(config.on_invalid, OnInvalid::Skip);
    }

    #[test]
    fn a_flag_beats_the_environment() {
        let environment = |name: &str| match name {
            "WINDOW" => Some("7".to_string()),
            "MIN_AMOUNT" => Some("2.5".to_string()),
            _ => None,
        };
        let config = Config::read(["--window=3", "--assets", "USDC, EURC"], environment).unwrap();
        assert_eq!(config.window, 3);
        assert_eq!(config.min_amount, Amount(25_000_000));
        assert_eq!(config.assets.iter().collect::<Vec<_>>(), ["EURC", "USDC"]);
    }

    #[test]
    fn an_error_names_the_setting() {
        for (flag, word) in [
            ("--window=0", "window"),
            ("--window=ten", "ten"),
            ("--emit=some", "emit"),
            ("--min-amount=-1", "min-amount"),
            ("--on-invalid=", "on-invalid"),
            ("--colour=red", "--colour"),
            ("--assets", "--assets needs a value"),
            ("loose", "loose"),
        ] {
            let error = Config::read([flag], |_| None).unwrap_err();
            assert!(error.contains(word), "{error}");
        }
    }
}
