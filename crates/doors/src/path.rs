//! The one canonical path: refused rather than repaired, so that the gate and the service behind it mean the
//! same resource.
//!
//! Proxies and services decode, merge slashes, resolve dots and cut parameters, each in its own way. A target
//! is accepted only where all of them agree. Its segments are then decoded once and compared by bytes.

use std::borrow::Cow;

/// The longest target, in bytes.
pub const MAX_TARGET: usize = 8_192;

/// The rule that a target breaks: 400 `PATH_NOT_CANONICAL`. It names the rule and never the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Fault {
    /// `http://…`, `*` or nothing.
    #[error("the target must begin with /")]
    NotAbsolute,
    /// More than [`MAX_TARGET`] bytes.
    #[error("the target must have at most {MAX_TARGET} bytes")]
    TooLong,
    /// A space, a control byte, or a byte beyond ASCII.
    #[error("the target must be visible ASCII; encode other characters with %")]
    NotVisible,
    /// A `#`.
    #[error("the target must not have a #")]
    Fragment,
    /// `\`, `|`, quotes, braces and what else no segment has.
    #[error("a path segment has a character that must be encoded")]
    Character,
    /// A `;`, which some services take for the end of a segment.
    #[error("a path segment has a ;")]
    Parameter,
    /// `//`.
    #[error("the path has an empty segment")]
    Empty,
    /// `.` or `..`.
    #[error("the path has a . or .. segment")]
    Dot,
    /// A `%` without two hex digits.
    #[error("a % must be followed by two hex digits")]
    Escape,
    /// An encoded letter, digit, `-`, `.`, `_` or `~`.
    #[error("letters, digits and -._~ must not be encoded")]
    EscapedPlain,
    /// An encoded `/`.
    #[error("a path segment has an encoded /")]
    EscapedSlash,
    /// An encoded `\`, `%`, `;`, `?`, `#` or control byte.
    #[error("a path segment has an encoded \\, %, ;, ?, # or control character")]
    EscapedSpecial,
    /// What is encoded is not UTF-8.
    #[error("an encoded path segment must be UTF-8")]
    NotUtf8,
}

/// The path of a target that no two readers read differently; or one whose end is left to a service that says
/// that it reads it as it is ([`Path::opaque_after`]).
#[derive(Debug, Clone, Copy)]
pub struct Path<'a> {
    text: &'a str,
    is_escaped: bool,
    loose: Option<Loose>,
}

/// Where a path stops being canonical.
#[derive(Debug, Clone, Copy)]
struct Loose {
    fault: Fault,
    /// How many segments before are canonical.
    segments: usize,
    /// How many bytes they take.
    bytes: usize,
}

impl<'a> Path<'a> {
    /// Reads the target of a request: the path is what stands before the first `?`. Does not allocate unless
    /// something is encoded.
    ///
    /// # Errors
    /// The first rule that is broken in a way that even an opaque tail must not break.
    pub fn read(target: &'a str) -> Result<Self, Fault> {
        if !target.starts_with('/') {
            return Err(Fault::NotAbsolute);
        }
        if target.len() > MAX_TARGET {
            return Err(Fault::TooLong);
        }
        let mut end = target.len();
        for (at, byte) in target.bytes().enumerate() {
            match byte {
                b'#' => return Err(Fault::Fragment),
                b'?' if end == target.len() => end = at,
                0x21..=0x7E => {}
                _ => return Err(Fault::NotVisible),
            }
        }
        let mut path = Self { text: &target[..end], is_escaped: false, loose: None };
        let mut bytes = 0;
        let segments = path.text[1..].split('/');
        let last = path.text.bytes().filter(|byte| *byte == b'/').count() - 1;
        for (index, segment) in segments.enumerate() {
            path.is_escaped |= segment.contains('%');
            let fault = match (segment, check(segment)?) {
                ("", _) if index != last => Some(Fault::Empty),
                (_, fault) => fault,
            };
            if let (Some(fault), None) = (fault, path.loose) {
                path.loose = Some(Loose { fault, segments: index, bytes });
            }
            bytes += 1 + segment.len();
        }
        if path.loose.is_some() && hides_dots(path.text) {
            return Err(Fault::Dot);
        }
        Ok(path)
    }

    /// The rule that keeps the whole path from being canonical. Such a path reaches only a row with an opaque
    /// tail.
    #[must_use]
    pub fn fault(&self) -> Option<Fault> {
        self.loose.map(|loose| loose.fault)
    }

    /// How many segments at the beginning are canonical, where not all are: an opaque tail must begin there
    /// or before.
    #[must_use]
    pub fn opaque_after(&self) -> Option<usize> {
        self.loose.map(|loose| loose.segments)
    }

    /// The path as it was sent, without the query.
    #[must_use]
    pub fn as_str(&self) -> &'a str {
        self.text
    }

    /// The canonical part, decoded, with its segments behind a `/` each; in lower case where `folds`. Segments
    /// hold no `/`, since an encoded one is never canonical. Borrowed unless something changes.
    ///
    /// # Errors
    /// [`Fault::Character`] where `folds` and a letter beyond ASCII has an ASCII letter for its other case: a
    /// service that folds would read another path.
    pub fn decoded(&self, folds: bool) -> Result<Cow<'a, [u8]>, Fault> {
        let text = &self.text[..self.loose.map_or(self.text.len(), |loose| loose.bytes)];
        let decoded = match self.is_escaped {
            true => Cow::Owned(decode(text.as_bytes())),
            false => Cow::Borrowed(text.as_bytes()),
        };
        if !folds { Ok(decoded) } else { folded(decoded) }
    }
}

/// In lower case.
pub(crate) fn folded(bytes: Cow<'_, [u8]>) -> Result<Cow<'_, [u8]>, Fault> {
    if bytes.is_ascii() {
        return Ok(match bytes.iter().any(u8::is_ascii_uppercase) {
            true => Cow::Owned(bytes.to_ascii_lowercase()),
            false => bytes,
        });
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| Fault::NotUtf8)?;
    let crosses = |c: char| {
        !c.is_ascii() && (c.to_lowercase().any(|c| c.is_ascii()) || c.to_uppercase().any(|c| c.is_ascii()))
    };
    if text.contains(crosses) {
        return Err(Fault::Character);
    }
    Ok(Cow::Owned(text.to_lowercase().into_bytes()))
}

/// The faults of one segment: `Err` for what is never accepted, `Some` for what an opaque tail may have.
fn check(segment: &str) -> Result<Option<Fault>, Fault> {
    if segment == "." || segment == ".." {
        return Err(Fault::Dot);
    }
    let mut loose = None;
    let mut is_escaped = false;
    let mut bytes = segment.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => {
                is_escaped = true;
                let escaped = (bytes.next().and_then(hex), bytes.next().and_then(hex));
                let (Some(high), Some(low)) = escaped else { return Err(Fault::Escape) };
                match high << 4 | low {
                    b'/' => loose = loose.or(Some(Fault::EscapedSlash)),
                    b'\\' | b'%' | b';' | b'?' | b'#' | 0..=0x1F | 0x7F => return Err(Fault::EscapedSpecial),
                    byte if is_unreserved(byte) => return Err(Fault::EscapedPlain),
                    _ => {}
                }
            }
            b';' => loose = loose.or(Some(Fault::Parameter)),
            byte if is_segment(byte) => {}
            _ => return Err(Fault::Character),
        }
    }
    if is_escaped && std::str::from_utf8(&decode(segment.as_bytes())).is_err() {
        return Err(Fault::NotUtf8);
    }
    Ok(loose)
}

/// Whether a service that decodes twice, cuts parameters and merges slashes finds a dot segment, or a `\`.
fn hides_dots(path: &str) -> bool {
    let twice = decode(&decode(path.as_bytes()));
    let is_dots = |segment: &[u8]| {
        let name = segment.split(|byte| *byte == b';').next().unwrap_or(segment);
        name == b"." || name == b".."
    };
    twice.contains(&b'\\') || twice.split(|byte| *byte == b'/').any(is_dots)
}

/// Decodes each well-formed escape once; others stay.
pub(crate) fn decode(text: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((byte, after)) = rest.split_first() {
        match (byte, after) {
            (b'%', [high, low, after @ ..]) if hex(*high).is_some() && hex(*low).is_some() => {
                decoded.push(hex(*high).unwrap_or(0) << 4 | hex(*low).unwrap_or(0));
                rest = after;
            }
            _ => {
                decoded.push(*byte);
                rest = after;
            }
        }
    }
    decoded
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

pub(crate) fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

fn is_segment(byte: u8) -> bool {
    is_unreserved(byte)
        || matches!(byte, b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b'=' | b':' | b'@')
}

#[cfg(test)]
mod tests;
