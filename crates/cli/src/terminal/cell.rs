//! What stands in a cell of a table, for people.

/// A value, or `word` where there is none.
pub fn text_or(value: Option<impl ToString>, word: &str) -> String {
    value.map_or_else(|| word.to_owned(), |value| value.to_string())
}

/// Yes or no.
pub fn yes_no(is_so: bool) -> String {
    if is_so { "yes" } else { "no" }.to_owned()
}

/// What a list has, with commas between, or `word` where it is empty.
pub(crate) fn list_or(values: &[impl ToString], word: &str) -> String {
    let texts: Vec<_> = values.iter().map(ToString::to_string).collect();
    if texts.is_empty() { word.to_owned() } else { texts.join(",") }
}
