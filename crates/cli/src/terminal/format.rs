//! The formats of results for programs.

use std::str::FromStr;

use serde::Serialize;

use super::failure::Failure;
use super::printable;

/// How results look (`contract/cli.md` 4).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Format {
    /// Columns for people.
    #[default]
    Table,
    /// The same with every column.
    Wide,
    /// The data as JSON, indented.
    Json,
    /// The data as YAML.
    Yaml,
    /// The data as it came: JSON on one line, text without quotes.
    Raw,
    /// JSON, each thing on a line.
    Ndjson,
    /// JSON, indented, also in a stream.
    Pretty,
}

impl Format {
    /// Their names, in the order of the help.
    pub(crate) const NAMES: [&'static str; 7] = ["table", "json", "yaml", "wide", "raw", "ndjson", "pretty"];

    /// Whether people read it.
    pub(crate) fn is_for_people(self) -> bool {
        matches!(self, Self::Table | Self::Wide)
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "table" => Ok(Self::Table),
            "wide" => Ok(Self::Wide),
            "json" => Ok(Self::Json),
            "yaml" => Ok(Self::Yaml),
            "raw" => Ok(Self::Raw),
            "ndjson" => Ok(Self::Ndjson),
            "pretty" => Ok(Self::Pretty),
            _ => Err(format!("an output is one of {}", Self::NAMES.join(", "))),
        }
    }
}

pub(super) fn compact<T: Serialize>(data: &T) -> Result<String, Failure> {
    let text = serde_json::to_string(data).map_err(|error| unprintable(&error))?;
    Ok(printable::json(&text).into_owned())
}

pub(super) fn indented<T: Serialize>(data: &T) -> Result<String, Failure> {
    let text = serde_json::to_string_pretty(data).map_err(|error| unprintable(&error))?;
    Ok(printable::json(&text).into_owned())
}

pub(super) fn yaml<T: Serialize>(data: &T) -> Result<String, Failure> {
    serde_norway::to_value(data).and_then(printable::yaml).map_err(|error| unprintable(&error))
}

pub(super) fn unprintable(error: &dyn std::error::Error) -> Failure {
    Failure::failed(format!("cannot write the result: {error}"))
}
