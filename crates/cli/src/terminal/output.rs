//! Results go to standard output, all else to standard error; a reader that goes away is no error. What a
//! terminal may get of a server's text is in `printable.rs`.

use std::borrow::Cow;
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::sync::{Mutex, PoisonError};

use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;
use serde_json::Value;

use super::failure::{Exit, Failure};
use super::format::{compact, indented, unprintable, yaml};
use super::{printable, stdout};

pub use super::format::Format;

/// What people see of a result.
#[derive(Debug)]
pub enum View {
    /// Rows under titles; the titles after `narrow` are for `wide`. `empty` is said when there is no row.
    List { titles: &'static [&'static str], narrow: usize, rows: Vec<Vec<String>>, empty: &'static str },
    /// One thing, a field a line.
    Details(Vec<(&'static str, String)>),
    /// One line.
    Line(String),
    /// What was done; silent with `--quiet`.
    Done(String),
}

/// Where and how to print.
pub struct Output {
    format: Format,
    is_quiet: bool,
    has_color: bool,
    /// Whether standard output is one: results are not sent there as they are.
    is_terminal: bool,
    /// Whether it prints to the process's own streams.
    is_process: bool,
    width: Option<u16>,
    out: Mutex<Box<dyn Write + Send>>,
    err: Mutex<Box<dyn Write + Send>>,
}

impl std::fmt::Debug for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Output").field("format", &self.format).finish_non_exhaustive()
    }
}

impl Output {
    /// Prints to the process's own streams. Colour only on a terminal, and not when `is_plain`.
    pub fn to_process(format: Format, is_quiet: bool, is_plain: bool) -> Self {
        let is_terminal = io::stdout().is_terminal();
        let width = is_terminal
            .then(|| rustix::termios::tcgetwinsize(io::stdout()).ok())
            .flatten()
            .map(|size| size.ws_col)
            .filter(|width| *width > 0);
        let has_color = !is_plain && io::stderr().is_terminal();
        Self {
            width,
            has_color,
            is_terminal,
            is_process: true,
            ..Self::new(format, is_quiet, Box::new(io::stdout()), Box::new(io::stderr()))
        }
    }

    /// Prints to these two, without colour and at any width.
    pub(crate) fn new(
        format: Format,
        is_quiet: bool,
        out: Box<dyn Write + Send>,
        err: Box<dyn Write + Send>,
    ) -> Self {
        Self {
            format,
            is_quiet,
            has_color: false,
            is_terminal: false,
            is_process: false,
            width: None,
            out: Mutex::new(out),
            err: Mutex::new(err),
        }
    }

    /// The same, with what is not a result going to `err`.
    #[must_use]
    pub fn with_stderr(self, err: Box<dyn Write + Send>) -> Self {
        Self { err: Mutex::new(err), ..self }
    }

    /// How results look.
    pub(crate) fn format(&self) -> Format {
        self.format
    }

    /// A result: `data` for programs, `view` for people.
    pub fn show<T: Serialize>(&self, data: &T, view: impl FnOnce() -> View) -> Result<(), Failure> {
        let text = match self.format {
            Format::Table | Format::Wide => return self.show_view(view()),
            Format::Json | Format::Pretty => indented(data)?,
            Format::Yaml => yaml(data)?,
            Format::Raw => {
                let text = compact(data)?;
                serde_json::from_str::<String>(&text).unwrap_or(text)
            }
            Format::Ndjson => match serde_json::to_value(data).map_err(|error| unprintable(&error))? {
                Value::Array(things) => {
                    return things.iter().try_for_each(|thing| self.result(&compact(thing)?));
                }
                thing => compact(&thing)?,
            },
        };
        self.result(text.trim_end())
    }

    /// The next thing of a stream: a line for people; for programs JSON on a line or indented, or a document
    /// of YAML.
    pub(crate) fn show_next<T: Serialize>(
        &self,
        data: &T,
        line: impl FnOnce() -> String,
    ) -> Result<(), Failure> {
        let text = match self.format {
            Format::Table | Format::Wide => printable::line(&line()).into_owned(),
            Format::Json | Format::Ndjson | Format::Raw => compact(data)?,
            Format::Pretty => indented(data)?,
            Format::Yaml => format!("---\n{}", yaml(data)?),
        };
        self.result(text.trim_end())
    }

    /// What people see of a result.
    pub fn show_view(&self, view: View) -> Result<(), Failure> {
        match view {
            View::Done(_) if self.is_quiet => Ok(()),
            View::Line(text) | View::Done(text) => self.result(&printable::line(&text)),
            View::Details(fields) => {
                let rows = fields.into_iter().map(|(name, value)| vec![name.to_owned(), cell(&value)]);
                self.result(&self.table(None, rows.collect()))
            }
            View::List { rows, empty, .. } if rows.is_empty() => {
                self.note(empty);
                Ok(())
            }
            View::List { titles, narrow, rows, .. } => {
                let columns = if self.format == Format::Wide { titles.len() } else { narrow };
                let rows = rows.iter().map(|row| row.iter().take(columns).map(|text| cell(text)).collect());
                let titles = titles.iter().take(columns).map(|title| (*title).to_owned()).collect();
                self.result(&self.table(Some(titles), rows.collect()))
            }
        }
    }

    fn table(&self, titles: Option<Vec<String>>, rows: Vec<Vec<String>>) -> String {
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        match self.width {
            Some(width) => table.set_width(width).set_content_arrangement(ContentArrangement::Dynamic),
            None => table.set_content_arrangement(ContentArrangement::Disabled),
        };
        if let Some(titles) = titles {
            table.set_header(titles);
        }
        table.add_rows(rows);
        for column in table.column_iter_mut() {
            column.set_padding((0, 2));
        }
        let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
        lines.join("\n")
    }

    /// A line of the result itself: a secret to be piped on, a path, a script. Exactly as it is, but on a
    /// terminal.
    pub(crate) fn result(&self, text: &str) -> Result<(), Failure> {
        self.write(&[self.fit(text).as_bytes(), b"\n"])
    }

    /// A result to its last byte, with no line end added; on a terminal as it may be shown there.
    pub fn exact(&self, text: &str) -> Result<(), Failure> {
        self.write(&[self.fit(text).as_bytes()])
    }

    /// Sees to it that a result can be written, before something is made that is shown only once.
    pub fn expect_to_show(&self) -> Result<(), Failure> {
        if !self.is_process {
            return Ok(());
        }
        stdout::check(&io::stdout()).map_err(|why| {
            Failure::failed(format!(
                "nothing was done: standard output cannot take the result, which is shown only once ({why})"
            ))
            .hint("send it to a terminal, a pipe that is read, or a file on a disk with room")
        })
    }

    /// Whether `text` is not shown as it is.
    pub(crate) fn escapes(&self, text: &str) -> bool {
        self.is_terminal && printable::is_changed(text)
    }

    fn fit<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if self.is_terminal { printable::lines(text) } else { Cow::Borrowed(text) }
    }

    fn write(&self, parts: &[&[u8]]) -> Result<(), Failure> {
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        let written = parts.iter().try_for_each(|part| out.write_all(part)).and_then(|()| out.flush());
        written.map_err(|error| not_written(&error))
    }

    /// Something worth knowing, for people; silent with `--quiet`.
    pub(crate) fn note(&self, text: &str) {
        if !self.is_quiet {
            self.say("", "", text);
        }
    }

    /// What a person must read to go on; said also with `--quiet`.
    pub fn must_say(&self, text: &str) {
        self.say("", "", text);
    }

    /// Something to beware of; said also with `--quiet`.
    pub(crate) fn warn(&self, text: &str) {
        self.say("\u{1b}[1;33m", "warning: ", text);
    }

    /// The end of a command that failed.
    pub fn fail(&self, failure: &Failure) {
        if failure.exit == Exit::PipeClosed {
            return;
        }
        self.say("\u{1b}[1;31m", "error: ", &failure.message);
        if let Some(hint) = &failure.hint {
            self.say("\u{1b}[1m", "hint: ", hint);
        }
    }

    fn say(&self, color: &str, label: &str, text: &str) {
        let text: Vec<_> = text.lines().map(printable::line).collect();
        let text = text.join("\n");
        let line = if self.has_color && !label.is_empty() {
            format!("{color}{label}\u{1b}[0m{text}\n")
        } else {
            format!("{label}{text}\n")
        };
        let mut err = self.err.lock().unwrap_or_else(PoisonError::into_inner);
        // Nobody is left to tell when standard error is gone.
        let _ = err.write_all(line.as_bytes()).and_then(|()| err.flush());
    }
}

pub(super) fn not_written(error: &io::Error) -> Failure {
    match error.kind() {
        ErrorKind::BrokenPipe => Failure::new(Exit::PipeClosed, ""),
        _ => {
            Failure::failed(format!("the command was carried out, but its result cannot be written: {error}"))
        }
    }
}

fn cell(text: &str) -> String {
    printable::line(text).into_owned()
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;

    /// A stream that can be looked into.
    #[derive(Debug, Clone, Default)]
    pub(crate) struct Captured(Arc<Mutex<Vec<u8>>>);

    impl Captured {
        pub(crate) fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    struct Closed;
    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn shown(format: Format) -> (String, String) {
        let (out, err) = (Captured::default(), Captured::default());
        let output = Output::new(format, false, Box::new(out.clone()), Box::new(err.clone()));
        let data = json!([{"id": "1", "alias": "a\u{1b}[2J"}]);
        let view = || View::List {
            titles: &["ID", "ALIAS", "MORE"],
            narrow: 2,
            rows: vec![vec!["1".into(), "a\u{1b}[2J".into(), "x".into()]],
            empty: "No things.",
        };
        output.show(&data, view).unwrap();
        output.note("by the way");
        (out.text(), err.text())
    }

    #[test]
    fn a_table_has_titles_and_no_control_characters() {
        let (out, err) = shown(Format::Table);
        assert_eq!(out, "ID  ALIAS\n1   a\\u{1b}[2J\n");
        assert_eq!(err, "by the way\n");
        assert_eq!(shown(Format::Wide).0, "ID  ALIAS       MORE\n1   a\\u{1b}[2J  x\n");
    }

    #[test]
    fn json_yaml_and_raw_are_the_data() {
        let data = json!([{"id": "1", "alias": "a\u{1b}[2J"}]);
        assert_eq!(serde_json::from_str::<Value>(&shown(Format::Json).0).unwrap(), data);
        assert_eq!(serde_norway::from_str::<Value>(&shown(Format::Yaml).0).unwrap(), data);
        assert_eq!(shown(Format::Raw).0, format!("{data}\n"));
        let (out, none) = (Captured::default(), Captured::default());
        let output = Output::new(Format::Raw, false, Box::new(out.clone()), Box::new(none));
        output.show(&"text", || View::Line(String::new())).unwrap();
        assert_eq!(out.text(), "text\n");
    }

    /// On a terminal, as it may be shown; elsewhere to its last byte.
    #[test]
    fn a_value_is_exact_but_on_a_terminal() {
        let value = "a\u{1b}]0;x\u{7}\u{9b}2J\u{7f}\u{202e}\tb\r\n";
        for (is_terminal, shown) in
            [(false, value), (true, "a\\u{1b}]0;x\\u{7}\\u{9b}2J\\u{7f}\\u{202e}\tb\\u{d}\n")]
        {
            for format in [Format::Table, Format::Raw] {
                let (out, err) = (Captured::default(), Captured::default());
                let output = Output::new(format, false, Box::new(out.clone()), Box::new(err.clone()));
                let output = Output { is_terminal, ..output };
                output.exact(value).unwrap();
                output.result(value).unwrap();
                assert_eq!(out.text(), format!("{shown}{shown}\n"));
                assert_eq!(output.escapes(value), is_terminal);
            }
        }
    }

    #[test]
    fn json_carries_no_character_that_a_terminal_obeys() {
        let data = json!({"alias": "\u{9b}31m\u{7f}\u{202e}\u{e0001}"});
        for format in [Format::Json, Format::Pretty, Format::Raw, Format::Ndjson, Format::Yaml] {
            let (out, none) = (Captured::default(), Captured::default());
            let output = Output::new(format, false, Box::new(out.clone()), Box::new(none));
            output.show(&data, || View::Line(String::new())).unwrap();
            output.show_next(&data, String::new).unwrap();
            assert!(
                !out.text().contains(|c| hoody_core::names::changes_display(c) && c != '\n'),
                "{format:?}"
            );
            let first = out.text().split("---").next().unwrap().to_owned();
            if format == Format::Yaml {
                assert_eq!(serde_norway::from_str::<Value>(&first).unwrap(), data);
            } else {
                let mut values = serde_json::Deserializer::from_str(&first).into_iter::<Value>();
                assert_eq!(values.next().unwrap().unwrap(), data);
            }
        }
    }

    #[test]
    fn an_empty_list_is_said_and_not_shown() {
        let (out, err) = (Captured::default(), Captured::default());
        let output = Output::new(Format::Table, false, Box::new(out.clone()), Box::new(err.clone()));
        let view = || View::List { titles: &["ID"], narrow: 1, rows: vec![], empty: "No tokens." };
        output.show(&json!([]), view).unwrap();
        assert_eq!((out.text().as_str(), err.text().as_str()), ("", "No tokens.\n"));
    }

    #[test]
    fn a_reader_that_goes_away_is_no_error() {
        let output = Output::new(Format::Json, false, Box::new(Closed), Box::new(Closed));
        let failure = output.show(&json!({}), || View::Line(String::new())).unwrap_err();
        assert_eq!(failure.exit as u8, 0);
        output.fail(&Failure::failed("nobody hears this"));
    }

    #[test]
    fn quiet_silences_notes_but_not_warnings() {
        let (out, err) = (Captured::default(), Captured::default());
        let output = Output::new(Format::Table, true, Box::new(out.clone()), Box::new(err.clone()));
        output.note("chatter");
        output.warn("beware");
        output.show(&(), || View::Done("chatter".into())).unwrap();
        assert_eq!((out.text().as_str(), err.text().as_str()), ("", "warning: beware\n"));
    }
}
