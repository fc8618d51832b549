//! The second factor: codes by time (RFC 6238 over RFC 4226) and backup codes.
//!
//! SHA-1, six digits, steps of thirty seconds, one step to either side for clocks that differ: what every
//! authenticator app speaks. A step is accepted once: [`verify`] takes the last one that was and gives the
//! one to remember. A backup code is ten letters or digits, shown with a hyphen; case, hyphens and white
//! space do not count. At rest there is only its keyed digest, which names the account and the key.

use std::fmt;
use std::fmt::Write as _;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;
use subtle::{Choice, ConditionallySelectable as _, ConstantTimeEq as _};
use zeroize::{Zeroize as _, Zeroizing};

use crate::id::UserId;
use crate::keys::{MacKey, MasterKey};
use crate::time::{MINUTE, SECOND, Timestamp};

/// How long a step is, in seconds.
pub const STEP_SECONDS: i64 = 30;
/// How many steps before and after the current one are accepted.
pub const WINDOW: i64 = 1;
/// How many random bytes a secret is: as many as SHA-1 gives (RFC 4226 4).
pub const SECRET_BYTES: usize = 20;
/// How many digits a code has.
pub const DIGITS: usize = 6;
/// How many backup codes an account gets at a time.
pub const BACKUP_CODES: usize = 10;
/// How many characters a backup code has, without its hyphen.
pub const BACKUP_LENGTH: usize = 10;
/// How many random bytes one backup code takes.
pub const BACKUP_RANDOM: usize = 16;

/// How many wrong codes lock the second factor of an account.
pub const MAX_FAILURES: i64 = 5;
/// For how long, in milliseconds.
pub const LOCKOUT: i64 = 15 * MINUTE;

const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
/// Letters and digits that are not mistaken for each other: no I, L, O, U, 0 or 1 among 30.
const BACKUP_ALPHABET: &[u8; 30] = b"23456789ABCDEFGHJKMNPQRSTVWXYZ";

/// What an account and its authenticator app share. Cannot be printed, wiped when dropped.
#[derive(Clone)]
pub struct TotpSecret(Zeroizing<Vec<u8>>);

/// A code as somebody typed it, told by its form.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// Six digits.
    Totp([u8; DIGITS]),
    /// Ten letters or digits, in capitals.
    Backup([u8; BACKUP_LENGTH]),
}

/// The key that backup codes are digested with, of one master key. Cannot be printed.
#[derive(Debug, Clone)]
pub struct BackupKey(MacKey);

/// The wrong codes of an account since the last right one, whatever route checked them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Failures {
    /// How many.
    pub count: i64,
    /// Until when no code is checked.
    pub locked_until: Option<Timestamp>,
}

impl Failures {
    /// For how many seconds still, rounded up, no code is checked; `None` when codes are.
    #[must_use]
    pub fn lockout_seconds(self, now: Timestamp) -> Option<u64> {
        let left = self.locked_until?.millis().saturating_sub(now.millis());
        (left > 0).then(|| u64::try_from(left).unwrap_or_default().div_ceil(SECOND.unsigned_abs()))
    }

    /// How it stands after one more, at `now`. A lock that is over counts from the beginning.
    #[must_use]
    pub fn failed(self, now: Timestamp) -> Self {
        let count = if self.locked_until.is_some() { 1 } else { self.count.saturating_add(1) };
        Self { count, locked_until: (count >= MAX_FAILURES).then(|| now.plus(LOCKOUT)) }
    }

    /// How many more may be wrong before the lock.
    #[must_use]
    pub fn remaining(self) -> i64 {
        (MAX_FAILURES - self.count).max(0)
    }
}

impl TotpSecret {
    /// A secret of these bytes, which must be random.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        Self(Zeroizing::new(bytes.to_vec()))
    }

    /// Its bytes: only for sealing them.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// The secret as it is typed into an app: base32 without padding (RFC 4648 6).
    #[must_use]
    pub fn to_base32(&self) -> Zeroizing<String> {
        Zeroizing::new(base32(&self.0))
    }

    /// The address that a QR code for an app holds, for `account` at `issuer`.
    #[must_use]
    pub fn uri(&self, issuer: &str, account: &str) -> Zeroizing<String> {
        let (issuer, account) = (percent(issuer), percent(account));
        let secret = self.to_base32();
        Zeroizing::new(format!(
            "otpauth://totp/{issuer}:{account}?secret={}&issuer={issuer}&algorithm=SHA1&digits={DIGITS}&period={STEP_SECONDS}",
            secret.as_str()
        ))
    }

    /// The code of a step.
    #[must_use]
    pub fn code(&self, step: i64) -> [u8; DIGITS] {
        digits(self.truncated(step))
    }

    /// Dynamic truncation (RFC 4226 5.3): 31 bits of the code's HMAC.
    fn truncated(&self, step: i64) -> u32 {
        let mut mac = Hmac::<Sha1>::new_from_slice(&self.0).expect("HMAC takes keys of any length");
        mac.update(&step.to_be_bytes());
        let mac = mac.finalize().into_bytes();
        let offset = usize::from(mac[19] & 0x0f);
        u32::from_be_bytes([mac[offset], mac[offset + 1], mac[offset + 2], mac[offset + 3]]) & 0x7fff_ffff
    }
}

fn digits(mut number: u32) -> [u8; DIGITS] {
    let mut code = [b'0'; DIGITS];
    for digit in code.iter_mut().rev() {
        *digit = b'0' + u8::try_from(number % 10).unwrap_or_default();
        number /= 10;
    }
    code
}

/// The step that an instant is in.
#[must_use]
pub fn step_at(now: Timestamp) -> i64 {
    now.seconds().div_euclid(STEP_SECONDS)
}

/// Whether `code` is good at `now`: the step that it belongs to, which must be remembered and given as
/// `last_step` from then on. A step at or before `last_step` is never accepted. Every step of the window is
/// tried, whichever matches.
#[must_use]
pub fn verify(
    secret: &TotpSecret,
    code: [u8; DIGITS],
    now: Timestamp,
    last_step: Option<i64>,
) -> Option<i64> {
    let current = step_at(now);
    let first_new = last_step.map_or(i64::MIN, |last| last.saturating_add(1));
    let mut found = Choice::from(0);
    let mut step = 0;
    for tried in (current - WINDOW)..=(current + WINDOW) {
        let matches = secret.code(tried).ct_eq(&code) & Choice::from(u8::from(tried >= first_new));
        // The earliest that matches, so that a later step with the same code stays usable.
        step = i64::conditional_select(&step, &tried, matches & !found);
        found |= matches;
    }
    bool::from(found).then_some(step)
}

impl Code {
    /// Reads a code: white space and hyphens are left out, letters are capitals. `None` for what can be
    /// neither kind.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut kept = Zeroizing::new(Vec::with_capacity(BACKUP_LENGTH));
        for c in text.chars().filter(|c| !c.is_whitespace() && *c != '-') {
            if !c.is_ascii_alphanumeric() || kept.len() == BACKUP_LENGTH {
                return None;
            }
            kept.push(u8::try_from(c.to_ascii_uppercase()).ok()?);
        }
        if let Ok(code) = <[u8; BACKUP_LENGTH]>::try_from(kept.as_slice()) {
            return Some(Self::Backup(code));
        }
        let code = <[u8; DIGITS]>::try_from(kept.as_slice()).ok()?;
        code.iter().all(u8::is_ascii_digit).then_some(Self::Totp(code))
    }
}

impl BackupKey {
    /// The key for backup codes of `master` in the database with this id.
    #[must_use]
    pub fn derive(master: &MasterKey, database_id: &[u8]) -> Self {
        Self(master.derive(database_id, "backup-code"))
    }

    /// What a backup code of `account` is stored and found by.
    #[must_use]
    pub fn digest(&self, account: UserId, code: &[u8; BACKUP_LENGTH]) -> [u8; 32] {
        let mut message = Zeroizing::new([0; 12 + BACKUP_LENGTH]);
        message[..12].copy_from_slice(account.bytes());
        message[12..].copy_from_slice(code);
        self.0.mac(&*message)
    }
}

/// A backup code of these random bytes: 49 bits. `None`, about once in 10^13, when they give too few.
#[must_use]
pub fn backup_code(random: [u8; BACKUP_RANDOM]) -> Option<[u8; BACKUP_LENGTH]> {
    // Bytes of 240 and more are left out, so that each of the 30 characters is as likely as the others.
    let mut random = Zeroizing::new(random);
    let mut characters =
        random.iter().filter(|byte| **byte < 240).map(|byte| BACKUP_ALPHABET[usize::from(byte % 30)]);
    let mut code = [0; BACKUP_LENGTH];
    let is_whole = code.iter_mut().all(|place| characters.next().map(|c| *place = c).is_some());
    random.zeroize();
    is_whole.then_some(code)
}

/// A backup code as it is shown: `ABCDE-FGHJK`.
#[must_use]
pub fn shown(code: &[u8; BACKUP_LENGTH]) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(BACKUP_LENGTH + 1));
    let (first, last) = code.split_at(BACKUP_LENGTH / 2);
    text.extend(first.iter().copied().map(char::from));
    text.push('-');
    text.extend(last.iter().copied().map(char::from));
    text
}

/// Base32 without padding (RFC 4648 6).
fn base32(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(5) * 8);
    for chunk in bytes.chunks(5) {
        let mut group = [0; 8];
        group[3..3 + chunk.len()].copy_from_slice(chunk);
        let group = u64::from_be_bytes(group);
        for place in 0..(chunk.len() * 8).div_ceil(5) {
            let index = usize::try_from(group >> (35 - 5 * place) & 31).unwrap_or_default();
            text.push(char::from(BASE32[index]));
        }
    }
    text
}

/// Everything but letters, digits and `-._~` as `%XX` (RFC 3986 2).
fn percent(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

impl fmt::Debug for TotpSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TotpSecret(..)")
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Totp(_) => "Totp(..)",
            Self::Backup(_) => "Backup(..)",
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The secret of RFC 6238 appendix B and RFC 4226 appendix D.
    fn secret() -> TotpSecret {
        TotpSecret::from_bytes(b"12345678901234567890")
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1_000)
    }

    fn totp(text: &str) -> [u8; DIGITS] {
        text.as_bytes().try_into().unwrap()
    }

    /// RFC 6238 appendix B has eight digits; six are their end.
    #[test]
    fn the_codes_of_rfc_6238_come_out() {
        for (seconds, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(secret().code(seconds / 30), totp(code), "{seconds}");
            assert_eq!(verify(&secret(), totp(code), at(seconds), None), Some(seconds / 30));
        }
    }

    #[test]
    fn the_codes_of_rfc_4226_come_out() {
        let codes = [
            "755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871",
            "520489",
        ];
        for (step, code) in codes.into_iter().enumerate() {
            assert_eq!(secret().code(step as i64), totp(code), "{step}");
        }
    }

    #[test]
    fn base32_is_that_of_rfc_4648_without_padding() {
        for (text, encoded) in [
            ("", ""),
            ("f", "MY"),
            ("fo", "MZXQ"),
            ("foo", "MZXW6"),
            ("foob", "MZXW6YQ"),
            ("fooba", "MZXW6YTB"),
            ("foobar", "MZXW6YTBOI"),
        ] {
            assert_eq!(base32(text.as_bytes()), encoded);
        }
        assert_eq!(secret().to_base32().as_str(), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
    }

    #[test]
    fn the_address_for_an_app_escapes_what_it_must() {
        assert_eq!(
            secret().uri("hoody", "ada lovelace@example.com").as_str(),
            "otpauth://totp/hoody:ada%20lovelace%40example.com\
             ?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=hoody&algorithm=SHA1&digits=6&period=30"
        );
    }

    /// Threat 14: what was accepted, and everything before it, is refused.
    #[test]
    fn threat_14_a_step_is_accepted_once() {
        let now = at(1_111_111_109);
        let step = verify(&secret(), totp("081804"), now, None).unwrap();
        assert_eq!(verify(&secret(), totp("081804"), now, Some(step)), None);
        assert_eq!(verify(&secret(), secret().code(step - 1), now, Some(step)), None);
        assert_eq!(verify(&secret(), secret().code(step + 1), now, Some(step)), Some(step + 1));
    }

    /// Threat 14: five in all, then a quarter of an hour of nothing, then five again.
    #[test]
    fn threat_14_the_fifth_wrong_code_locks_for_a_quarter_of_an_hour() {
        let now = at(1_111_111_109);
        let mut failures = Failures::default();
        for remaining in [4, 3, 2, 1] {
            failures = failures.failed(now);
            assert_eq!((failures.remaining(), failures.lockout_seconds(now)), (remaining, None));
        }
        failures = failures.failed(now);
        assert_eq!((failures.remaining(), failures.lockout_seconds(now)), (0, Some(900)));
        assert_eq!(failures.lockout_seconds(now.plus(1)), Some(900));
        assert_eq!(failures.lockout_seconds(now.plus(LOCKOUT - 1)), Some(1));
        assert_eq!(failures.lockout_seconds(now.plus(LOCKOUT)), None);
        assert_eq!(failures.failed(now.plus(LOCKOUT)), Failures { count: 1, locked_until: None });
    }

    #[test]
    fn spaces_hyphens_and_case_do_not_count() {
        for text in ["287082", " 287 082 ", "287-082", "2 8 7 0 8 2\u{a0}\t"] {
            assert_eq!(Code::parse(text), Some(Code::Totp(*b"287082")), "{text:?}");
        }
        for text in ["ABCDE-23456", "abcde23456", " abcde - 23456 ", "A-B-C-D-E-2-3-4-5-6"] {
            assert_eq!(Code::parse(text), Some(Code::Backup(*b"ABCDE23456")), "{text:?}");
        }
        for text in [
            "",
            "28708",
            "2870822",
            "28708a",
            "ABCDE-2345",
            "ABCDE-234567",
            "２８７０８２",
            "287082\0",
            "28708é",
        ] {
            assert_eq!(Code::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn nothing_secret_can_be_printed() {
        let shown = format!("{:?} {:?}", secret(), Code::parse("287082"));
        assert_eq!(shown, "TotpSecret(..) Some(Totp(..))");
    }

    #[test]
    fn a_digest_is_of_its_account_and_key() {
        let key = |seed| BackupKey::derive(&MasterKey::from_bytes([seed; 32]), b"database");
        let account = |byte| UserId::from_bytes([byte; 12]);
        let digest = key(1).digest(account(1), b"ABCDE23456");
        assert_ne!(digest, key(2).digest(account(1), b"ABCDE23456"));
        assert_ne!(digest, key(1).digest(account(2), b"ABCDE23456"));
        assert_ne!(digest, key(1).digest(account(1), b"ABCDE23457"));
    }

    proptest! {
        #[test]
        fn a_code_is_good_for_its_step_and_one_to_either_side(
            bytes in any::<[u8; SECRET_BYTES]>(), seconds in 0_i64..4_000_000_000, off in -4_i64..=4,
        ) {
            let secret = TotpSecret::from_bytes(&bytes);
            let code = secret.code(seconds / 30 + off);
            let found = verify(&secret, code, at(seconds), None);
            if off.abs() <= WINDOW {
                // Another step of the window may have the same code.
                prop_assert!(found.is_some_and(|step| secret.code(step) == code));
            } else if let Some(step) = found {
                prop_assert_eq!(secret.code(step), code);
            }
        }

        /// Whatever is tried, in whatever order, while time goes on: no step is accepted twice, and none
        /// before one that was.
        #[test]
        fn accepted_steps_only_rise(tries in prop::collection::vec((0_i64..40, -2_i64..=2), 1..60)) {
            let (mut now, mut last) = (1_111_111_109, None);
            for (wait, off) in tries {
                now += wait;
                let code = secret().code(now / 30 + off);
                if let Some(step) = verify(&secret(), code, at(now), last) {
                    prop_assert!(last.is_none_or(|last| step > last));
                    prop_assert!((step - now / 30).abs() <= WINDOW);
                    last = Some(step);
                }
            }
        }

        #[test]
        fn a_backup_code_is_read_as_it_is_shown(random in any::<[u8; BACKUP_RANDOM]>()) {
            if let Some(code) = backup_code(random) {
                prop_assert!(code.iter().all(|c| BACKUP_ALPHABET.contains(c)));
                let text = shown(&code);
                prop_assert_eq!(Code::parse(&text), Some(Code::Backup(code)));
                prop_assert_eq!(Code::parse(&text.to_lowercase()), Some(Code::Backup(code)));
            }
        }

        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,24}") {
            let _ = Code::parse(&text);
        }
    }
}
