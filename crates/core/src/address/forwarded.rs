//! Who is calling: the peer, or what a trusted proxy says about it.
//!
//! Only `X-Forwarded-For` is read, and only when the peer is a trusted proxy. Each proxy appends whom
//! it saw, so the header is read from the right, up to the first address that is no trusted proxy.
//! Everything left of that one could be anybody's invention and decides nothing, readable or not. An
//! unreadable entry before that is refused: a request whose caller cannot be told is not decided on a guess.

use std::net::{IpAddr, Ipv6Addr};

use super::network::{Network, Ranges};
use super::{ANY, canonical_ip};
use crate::json::quoted;

/// The most entries of all `X-Forwarded-For` lines together.
const MAX_HOPS: usize = 32;

/// The proxies whose `X-Forwarded-For` is believed. Empty by default: the header is never read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TrustedProxies(Ranges);

/// `X-Forwarded-For` from a trusted proxy does not tell the caller's address, or has more than 32 entries:
/// 400 `INVALID_FORWARDED_FOR`. The header is not repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "X-Forwarded-For must have at most {MAX_HOPS} entries, and the right-most that is no trusted proxy must be \
     an address"
)]
pub struct InvalidForwardedFor;

impl From<InvalidForwardedFor> for crate::invalid::Invalid {
    fn from(error: InvalidForwardedFor) -> Self {
        Self::rule("INVALID_FORWARDED_FOR", error.to_string())
    }
}

impl TrustedProxies {
    /// Reads a comma separated list of addresses and networks; empty text is the empty list.
    ///
    /// # Errors
    /// A sentence that names the entry that is neither, or says that every caller could choose its address,
    /// as with `*`, `0.0.0.0/0` and whatever else holds all of IPv4 or IPv6.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        let networks = text.split(',').map(|entry| match entry.trim() {
            ANY => Err(everybody("\"*\"")),
            entry => Network::parse(entry).ok_or_else(|| {
                format!("{} is neither an address nor a network like 10.0.0.0/8", quoted(entry))
            }),
        });
        let ranges = networks.collect::<Result<Ranges, String>>()?;
        for all in ["0.0.0.0/0", "::/0"] {
            if Network::parse(all).is_some_and(|network| ranges.hold(network)) {
                return Err(everybody(all));
            }
        }
        Ok(Self(ranges))
    }

    /// Whether this address is one of them.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contain(canonical_ip(address))
    }

    /// Whether no proxy is trusted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn everybody(what: &str) -> String {
    format!("{what} would let every caller choose its address: name the proxies")
}

/// The caller's address, canonical. `peer` is who opened the connection, `forwarded_for` the values of
/// all `X-Forwarded-For` lines in the order of the request.
///
/// From an untrusted peer it is the peer and the lines are not looked at. From a trusted proxy it is
/// the right-most entry that is no trusted proxy; the left-most when all are; the proxy's own when
/// there is no header. Ports and brackets are read. Does not allocate.
///
/// # Errors
/// When the peer is trusted and an entry is unreadable (also: empty) with only trusted proxies to the right
/// of it, or there are more than 32 entries.
pub fn client_address<'a, L>(
    peer: IpAddr,
    forwarded_for: L,
    trusted: &TrustedProxies,
) -> Result<IpAddr, InvalidForwardedFor>
where
    L: IntoIterator<Item = &'a [u8], IntoIter: DoubleEndedIterator>,
{
    let peer = canonical_ip(peer);
    if !trusted.contains(peer) {
        return Ok(peer);
    }
    let mut left_most = peer;
    let mut caller = None;
    let lines = forwarded_for.into_iter().rev();
    let entries = lines.flat_map(|line| line.rsplit(|byte| *byte == b','));
    for (index, entry) in entries.enumerate() {
        if index == MAX_HOPS {
            return Err(InvalidForwardedFor);
        }
        if caller.is_none() {
            left_most = parse_entry(entry).ok_or(InvalidForwardedFor)?;
            caller = (!trusted.contains(left_most)).then_some(left_most);
        }
    }
    Ok(caller.unwrap_or(left_most))
}

/// Reads `1.2.3.4`, `1.2.3.4:80`, `::1`, `[::1]` or `[::1]:80`, with spaces and tabs around it.
fn parse_entry(entry: &[u8]) -> Option<IpAddr> {
    let entry = std::str::from_utf8(entry).ok()?.trim_matches([' ', '\t']);
    let address = if let Some(bracketed) = entry.strip_prefix('[') {
        let (address, rest) = bracketed.split_once(']')?;
        let port = rest.strip_prefix(':');
        if !rest.is_empty() && !port.is_some_and(is_port) {
            return None;
        }
        IpAddr::V6(address.parse::<Ipv6Addr>().ok()?)
    } else if let Ok(address) = entry.parse() {
        address
    } else {
        let (address, port) = entry.split_once(':')?;
        IpAddr::V4(is_port(port).then(|| address.parse().ok())??)
    };
    Some(canonical_ip(address))
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit()) && text.parse::<u16>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn proxies() -> TrustedProxies {
        TrustedProxies::parse("127.0.0.1, 10.0.0.0/8,2001:db8::/64").unwrap()
    }

    fn from(peer: &str, lines: &[&str]) -> Result<IpAddr, InvalidForwardedFor> {
        client_address(ip(peer), lines.iter().map(|line| line.as_bytes()), &proxies())
    }

    #[test]
    fn an_untrusted_peer_is_the_caller_whatever_it_says() {
        for line in ["203.0.113.10", "127.0.0.1", "", "garbage", "10.0.0.1, 10.0.0.2"] {
            assert_eq!(from("192.0.2.9", &[line]), Ok(ip("192.0.2.9")), "{line}");
        }
        assert_eq!(from("::ffff:192.0.2.9", &[]), Ok(ip("192.0.2.9")));
        let nobody = TrustedProxies::default();
        assert_eq!(client_address(ip("127.0.0.1"), [&b"203.0.113.10"[..]], &nobody), Ok(ip("127.0.0.1")));
    }

    #[test]
    fn from_a_trusted_proxy_the_right_most_stranger_is_the_caller() {
        assert_eq!(from("127.0.0.1", &["203.0.113.10, 198.51.100.7"]), Ok(ip("198.51.100.7")));
        assert_eq!(from("127.0.0.1", &["203.0.113.10, 198.51.100.7, 10.1.1.1"]), Ok(ip("198.51.100.7")));
        assert_eq!(
            from("127.0.0.1", &["203.0.113.10", "198.51.100.7", "10.1.1.1,10.2.2.2"]),
            Ok(ip("198.51.100.7"))
        );
        assert_eq!(from("::ffff:127.0.0.1", &["\t198.51.100.7 "]), Ok(ip("198.51.100.7")));
    }

    #[test]
    fn where_all_are_trusted_the_left_most_is_the_caller() {
        assert_eq!(from("127.0.0.1", &["10.9.9.9, 10.1.1.1", "2001:db8::5"]), Ok(ip("10.9.9.9")));
        assert_eq!(from("127.0.0.1", &[]), Ok(ip("127.0.0.1")));
    }

    #[test]
    fn ports_and_brackets_are_read() {
        for (entry, address) in [
            ("198.51.100.7:443", "198.51.100.7"),
            ("[2001:db8:1::1]:443", "2001:db8:1::1"),
            ("[2001:db8:1::1]", "2001:db8:1::1"),
            ("2001:db8:1::1", "2001:db8:1::1"),
            ("::ffff:198.51.100.7", "198.51.100.7"),
            ("[::ffff:198.51.100.7]:1", "198.51.100.7"),
        ] {
            assert_eq!(from("127.0.0.1", &[entry]), Ok(ip(address)), "{entry}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_refused_where_it_counts_and_nowhere_else() {
        for bad in [
            "",
            " ",
            "unknown",
            "_hidden",
            "example.com",
            "198.51.100.7:",
            "198.51.100.7:x",
            "198.51.100.7:65536",
            "198.51.100.7:+1",
            "198.51.100.7:80:80",
            "198.051.100.7",
            "127.1",
            "0x7f.0.0.1",
            "198.51.100.0/24",
            "*",
            "[198.51.100.7]",
            "[::1",
            "::1]",
            "[::1]80",
            "[::1]:",
            "[::1]:x",
            "fe80::1%eth0",
            "[fe80::1%1]:80",
            "\"198.51.100.7\"",
            "for=198.51.100.7",
            "198.51.100.7 198.51.100.8",
            "198.51.100.7;x",
            "198.51.100.7\0",
        ] {
            assert_eq!(from("127.0.0.1", &[bad]), Err(InvalidForwardedFor), "{bad}");
            for right in ["10.1.1.1", "127.0.0.1, 10.1.1.1"] {
                let line = format!("198.51.100.7, {bad}, {right}");
                assert_eq!(from("127.0.0.1", &[&line]), Err(InvalidForwardedFor), "{line}");
            }
            assert_eq!(from("127.0.0.1", &["198.51.100.7", bad]), Err(InvalidForwardedFor), "{bad}");
            for lines in [
                vec![format!("{bad},198.51.100.7")],
                vec![bad.to_owned(), "198.51.100.7, 10.1.1.1".to_owned()],
                vec![format!("10.2.2.2, {bad}, 198.51.100.7, 10.1.1.1, 127.0.0.1")],
            ] {
                let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
                assert_eq!(from("127.0.0.1", &lines), Ok(ip("198.51.100.7")), "{lines:?}");
            }
        }
        let latin: &[u8] = b"198.51.100.7\xff";
        assert_eq!(client_address(ip("127.0.0.1"), [latin], &proxies()), Err(InvalidForwardedFor));
    }

    #[test]
    fn more_than_32_entries_are_refused() {
        let hops = |n: usize| vec!["10.0.0.1"; n].join(",");
        assert_eq!(from("127.0.0.1", &[&hops(32)]), Ok(ip("10.0.0.1")));
        assert_eq!(from("127.0.0.1", &[&hops(33)]), Err(InvalidForwardedFor));
        assert_eq!(from("127.0.0.1", &vec!["10.0.0.1"; 33]), Err(InvalidForwardedFor));
        assert_eq!(from("127.0.0.1", &[&",".repeat(1_000_000)]), Err(InvalidForwardedFor));
        // Also where the entries that are too many decide nothing.
        let behind = |n: usize| format!("{}198.51.100.7", "unknown,".repeat(n));
        assert_eq!(from("127.0.0.1", &[&behind(31)]), Ok(ip("198.51.100.7")));
        assert_eq!(from("127.0.0.1", &[&behind(32)]), Err(InvalidForwardedFor));
    }

    #[test]
    fn trusted_proxies_are_named_one_by_one() {
        assert!(TrustedProxies::parse(" ").unwrap().is_empty());
        assert!(proxies().contains(ip("10.200.0.1")) && proxies().contains(ip("::ffff:10.200.0.1")));
        assert!(
            !proxies().contains(ip("11.0.0.1")) && !proxies().contains(ip("::1")) && !proxies().is_empty()
        );
        for everybody in
            ["*", "0.0.0.0/0", "::/0", "10.0.0.1, ::ffff:0:0/96", "0.0.0.0/1,128.0.0.0/1", "8000::/1,::/1"]
        {
            assert!(TrustedProxies::parse(everybody).unwrap_err().contains("every caller"), "{everybody}");
        }
        assert!(TrustedProxies::parse("0.0.0.0/1, 2000::/3").is_ok());
        for bad in ["localhost", "10.0.0.1,", "10.0.0.1;10.0.0.2", "10.0.0.0/33"] {
            assert!(TrustedProxies::parse(bad).unwrap_err().contains("neither"), "{bad}");
        }
    }

    fn address() -> impl Strategy<Value = IpAddr> {
        prop_oneof![
            any::<u32>().prop_map(|bits| IpAddr::V4(bits.into())),
            (0u32..0x0100_0000).prop_map(|low| IpAddr::V4((0x0a00_0000 | low).into())),
            any::<u128>().prop_map(|bits| IpAddr::V6(bits.into())),
            any::<u64>().prop_map(|low| IpAddr::V6((0x2001_0db8 << 96 | u128::from(low)).into())),
        ]
    }

    fn entry() -> impl Strategy<Value = String> {
        prop_oneof![
            address().prop_map(|address| address.to_string()),
            prop_oneof![Just("unknown"), Just(""), Just("_x"), Just("[::1")].prop_map(str::to_owned),
            "[ -+\\--~]{0,12}",
        ]
    }

    /// Addresses that are none of the proxies'.
    fn stranger() -> impl Strategy<Value = IpAddr> {
        prop_oneof![
            (0u32..0x4000_0000).prop_map(|low| IpAddr::V4((0xc000_0000 | low).into())),
            any::<u64>().prop_map(|low| IpAddr::V6((0x2001_0db9 << 96 | u128::from(low)).into())),
        ]
    }

    proptest! {
        /// What stands left of the entry that the last trusted proxy saw changes nothing, address or not.
        #[test]
        fn nobody_invents_the_callers_address(
            invented in proptest::collection::vec(entry(), 0..10),
            caller in stranger(),
            hops in proptest::collection::vec(0u32..0x0100_0000, 0..10),
        ) {
            let hops = hops.into_iter().map(|low| IpAddr::V4((0x0a00_0000 | low).into()));
            let entries: Vec<String> =
                invented.into_iter().chain([caller].into_iter().chain(hops).map(|hop| hop.to_string())).collect();
            let line = entries.join(", ");
            prop_assert_eq!(from("127.0.0.1", &[&line]), Ok(caller));
            let lines: Vec<&str> = entries.iter().map(String::as_str).collect();
            prop_assert_eq!(from("127.0.0.1", &lines), Ok(caller));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
            crate::properties::forwarded_for(&bytes);
        }

        #[test]
        fn any_text_of_address_characters_is_read_or_refused(text in r"[0-9a-f:.,\[\] \n]{0,60}") {
            crate::properties::forwarded_for(text.as_bytes());
        }
    }
}
