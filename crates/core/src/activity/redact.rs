//! What never gets into a log: credentials that somebody put where they do not belong.

use std::borrow::Cow;

use crate::secret::PREFIX;

const REDACTED: &str = "[redacted]";
/// The longest path that is kept, in bytes.
pub const MAX_PATH: usize = 512;
/// The longest user agent that is kept, in bytes.
pub const MAX_AGENT: usize = 256;
/// A part that is longer is no name of anything of ours.
const MAX_PART: usize = 80;
/// So many letters and digits in a row, not all of them hex, are taken for a secret.
const LONG_RUN: usize = 40;

/// The path with `[redacted]` in place of each part that looks like a credential, at most [`MAX_PATH`]
/// bytes of it. Ids stay.
#[must_use]
pub fn path(path: &str) -> Cow<'_, str> {
    let kept = cut(path, MAX_PATH);
    if kept.split('/').all(|part| !is_suspicious(part)) {
        return Cow::Borrowed(kept);
    }
    let parts: Vec<_> =
        kept.split('/').map(|part| if is_suspicious(part) { REDACTED } else { part }).collect();
    Cow::Owned(parts.join("/"))
}

/// What a client calls itself: at most [`MAX_AGENT`] bytes, without control characters, and with
/// `[redacted]` in place of each word that looks like a credential. `None` when nothing is left.
#[must_use]
pub fn agent(bytes: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(MAX_AGENT)]);
    let clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let words: Vec<_> = clean
        .split(' ')
        .filter(|word| !word.is_empty())
        .map(|word| if is_suspicious(word) { REDACTED } else { word })
        .collect();
    let agent = words.join(" ");
    (!agent.is_empty()).then(|| cut(&agent, MAX_AGENT).to_owned())
}

/// At most `length` bytes of `text`, whole characters.
fn cut(text: &str, length: usize) -> &str {
    let mut end = length.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

fn is_suspicious(part: &str) -> bool {
    if !part.contains('%') {
        return looks_secret(part);
    }
    let mut decoded = part.as_bytes().to_vec();
    // However often it was encoded; what still has an escape then is nobody's path.
    for _ in 0..3 {
        if looks_secret(&String::from_utf8_lossy(&decoded)) {
            return true;
        }
        decoded = decode(&decoded);
    }
    decoded.contains(&b'%') || looks_secret(&String::from_utf8_lossy(&decoded))
}

fn looks_secret(part: &str) -> bool {
    part.len() > MAX_PART
        || part.len() >= PREFIX.len() && (has_token(part) || has_jwt(part) || has_long_run(part))
}

fn has_token(part: &str) -> bool {
    part.as_bytes().windows(PREFIX.len()).any(|window| window.eq_ignore_ascii_case(PREFIX.as_bytes()))
}

/// `eyJ` where a word begins: `{"` in Base64.
fn has_jwt(part: &str) -> bool {
    let bytes = part.as_bytes();
    bytes.windows(3).enumerate().any(|(at, window)| {
        window == b"eyJ" && at.checked_sub(1).is_none_or(|before| !bytes[before].is_ascii_alphanumeric())
    })
}

fn has_long_run(part: &str) -> bool {
    part.len() >= LONG_RUN
        && part
            .split(|c: char| !c.is_ascii_alphanumeric())
            .any(|run| run.len() >= LONG_RUN && !run.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn decode(bytes: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((first, after)) = rest.split_first() {
        let escape =
            after.get(..2).and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        match escape {
            Some(byte) if *first == b'%' => {
                decoded.push(byte);
                rest = &after[2..];
            }
            _ => {
                decoded.push(*first);
                rest = after;
            }
        }
    }
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_credential_in_the_path_is_not_repeated() {
        for (given, kept) in [
            ("/api/hdy_abc/x", "/api/[redacted]/x"),
            ("/api/HDY_abc/x", "/api/[redacted]/x"),
            ("/api/hdy%5Fabc/x", "/api/[redacted]/x"),
            ("/api/hdy%255Fabc/x", "/api/[redacted]/x"),
            ("/api/%68dy_abc", "/api/[redacted]"),
            ("/api/eyJhbGciOi/x", "/api/[redacted]/x"),
            ("/api/x;eyJhbGciOi", "/api/[redacted]"),
            ("/api/v1/projects", "/api/v1/projects"),
            ("/api/v1/vault/keys/keyJson", "/api/v1/vault/keys/keyJson"),
            ("/api/v1/auth/tokens/65a1b2c3d4e5f60718293a4b", "/api/v1/auth/tokens/65a1b2c3d4e5f60718293a4b"),
        ] {
            assert_eq!(path(given), kept, "{given}");
        }
        let key = "ab".repeat(32);
        assert_eq!(path(&format!("/public-profiles/{key}")), format!("/public-profiles/{key}"));
        assert_eq!(path(&format!("/x/{}", "a1Z".repeat(15))), "/x/[redacted]");
        assert_eq!(path(&format!("/x/{}", "a".repeat(81))), "/x/[redacted]");
        assert!(path(&"/x".repeat(1_000)).len() <= MAX_PATH);
    }

    #[test]
    fn an_agent_has_no_control_characters_and_no_credential() {
        assert_eq!(agent(b"curl/8.5.0").as_deref(), Some("curl/8.5.0"));
        assert_eq!(agent(b"a\r\nb\x1b[2J\x00c").as_deref(), Some("a b [2J c"));
        assert_eq!(agent(b"bot hdy_secret (x)").as_deref(), Some("bot [redacted] (x)"));
        assert_eq!(agent(b"bot (token=eyJhbGciOi)").as_deref(), Some("bot [redacted]"));
        assert_eq!(agent("agent \u{fc}ber".as_bytes()).as_deref(), Some("agent \u{fc}ber"));
        assert_eq!(agent(b" \t "), None);
        assert!(agent(&[b'x'; 5_000]).is_some_and(|agent| agent.len() <= MAX_AGENT));
    }

    proptest! {
        #[test]
        fn whatever_is_kept_is_bounded_and_without_controls(bytes: Vec<u8>, text in ".{0,700}") {
            if let Some(agent) = agent(&bytes) {
                prop_assert!(agent.len() <= MAX_AGENT && !agent.chars().any(char::is_control));
            }
            let kept = path(&text);
            prop_assert!(kept.len() <= MAX_PATH + 10 * 512);
        }

        #[test]
        fn a_token_is_never_kept(before in "[a-z/;=]{0,9}", secret in "[0-9A-Za-z]{20,60}", after in "[/a-z]{0,9}") {
            let text = format!("{before}hdy_{secret}{after}");
            prop_assert!(!path(&text).contains(&secret));
            prop_assert!(!agent(text.as_bytes()).unwrap_or_default().contains(&secret));
        }
    }
}
