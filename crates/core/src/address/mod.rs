//! Addresses: from where a token may be used, and where a request comes from.
//!
//! There is one canonical form of everything (`design.md` 4, *Addresses*): networks are masked, IPv4
//! inside IPv6 (`::ffff:a.b.c.d`) is IPv4, and whatever can be read in two ways (leading zeros, zones,
//! short forms) is refused. [`AddressList`] is what a token carries; [`client_address`] finds the
//! caller behind trusted proxies.

mod forwarded;
mod network;
mod public;

use std::borrow::Cow;
use std::collections::HashSet;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use serde_json::Value;

pub use forwarded::{InvalidForwardedFor, TrustedProxies, client_address};
use network::{Network, Ranges};
pub use public::is_public;

use crate::invalid::{Invalid, Violation};
use crate::json::{MAX_VIOLATIONS, quoted};
use crate::memory::SHARED;

/// The most entries of a list.
pub const MAX_ENTRIES: usize = 1000;
/// The most bytes of a list that is sent as one comma separated string.
pub const MAX_TEXT: usize = 65_536;

const ANY: &str = "*";

/// The same address in its one form: `::ffff:a.b.c.d` is `a.b.c.d`. Other embeddings of IPv4
/// (`::a.b.c.d`, NAT64) are addresses of their own: what stands behind them is somebody else's claim.
#[must_use]
pub fn canonical_ip(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(address, IpAddr::V4),
    }
}

/// What is counted as one place: an IPv4 address, or the /64 of an IPv6 address, since who holds one of
/// its addresses holds them all.
#[must_use]
pub fn neighbourhood(address: IpAddr) -> IpAddr {
    match canonical_ip(address) {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64))),
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// The addresses from which a token may be used: `*`, or single addresses and networks.
///
/// `*` takes no room beside itself: most lists are that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressList(Option<Arc<Listed>>);

/// A list that names something.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Listed {
    /// As shown: canonical, in the order given, without duplicates. Empty where nothing is allowed.
    networks: Box<[Network]>,
    /// The same, compiled for matching.
    ranges: Ranges,
}

impl AddressList {
    /// The list `["*"]`: every address.
    #[must_use]
    pub const fn any() -> Self {
        Self(None)
    }

    fn of(networks: Vec<Network>) -> Self {
        let ranges = networks.iter().copied().collect();
        Self(Some(Arc::new(Listed { networks: networks.into(), ranges })))
    }

    fn networks(&self) -> &[Network] {
        self.0.as_ref().map_or(&[], |listed| &listed.networks)
    }

    fn ranges(&self) -> Cow<'_, Ranges> {
        self.0
            .as_ref()
            .map_or_else(|| Cow::Owned(Ranges::everything()), |listed| Cow::Borrowed(&listed.ranges))
    }

    /// Reads 1 to 1000 entries, each `*`, an address or a network in CIDR form.
    ///
    /// # Errors
    /// `IP_WHITELIST_TOO_LARGE`; `INVALID_IP_FORMAT` with index and text of the first bad entry, or
    /// when there is none.
    pub fn parse_entries<'a>(entries: impl IntoIterator<Item = &'a str>) -> Result<Self, Invalid> {
        let entries: Vec<&str> = entries.into_iter().take(MAX_ENTRIES + 1).collect();
        if entries.len() > MAX_ENTRIES {
            return Err(too_large(&format!("must not contain more than {MAX_ENTRIES} entries")));
        }
        if entries.is_empty() {
            return Err(Invalid::rule(
                "INVALID_IP_FORMAT",
                "Invalid IP address or CIDR format: ip_whitelist must have at least one entry (\"*\" for any address)",
            ));
        }
        let mut networks = Vec::with_capacity(entries.len());
        let mut seen = HashSet::new();
        let mut any = false;
        for (index, entry) in entries.into_iter().enumerate() {
            if entry == ANY {
                any = true;
                continue;
            }
            let network = Network::parse(entry).ok_or_else(|| bad_entry(index, entry))?;
            if seen.insert(network) {
                networks.push(network);
            }
        }
        if any {
            return Ok(Self::any());
        }
        Ok(Self::of(networks))
    }

    /// Reads the field `ip_whitelist` of a request: an array of entries, or one string of entries
    /// separated by commas with spaces around them.
    ///
    /// # Errors
    /// As [`parse_entries`](Self::parse_entries); `IP_WHITELIST_TOO_LARGE` for a string of more than
    /// 65536 bytes; [`Invalid::Schema`] below `/ip_whitelist` for other types.
    pub fn parse_json(value: &Value) -> Result<Self, Invalid> {
        match value {
            Value::String(text) if text.len() > MAX_TEXT => {
                Err(too_large(&format!("must not be longer than {MAX_TEXT} characters")))
            }
            Value::String(text) => Self::parse_entries(text.split(',').map(|entry| entry.trim_matches(' '))),
            Value::Array(entries) => {
                let violations = not_strings(entries);
                if violations.is_empty() {
                    Self::parse_entries(entries.iter().filter_map(Value::as_str))
                } else {
                    Err(Invalid::Schema(violations))
                }
            }
            _ => Err(Invalid::schema("/ip_whitelist", "must be an array of strings or a string")),
        }
    }

    /// Reads the stored form: the entries joined by commas.
    ///
    /// # Errors
    /// As [`parse_entries`](Self::parse_entries), when the text is not what
    /// [`to_stored`](Self::to_stored) wrote.
    pub fn parse_stored(stored: &str) -> Result<Self, Invalid> {
        Self::parse_entries(stored.split(','))
    }

    /// The stored form: the entries joined by commas.
    #[must_use]
    pub fn to_stored(&self) -> String {
        self.entries().join(",")
    }

    /// The entries as shown.
    #[must_use]
    pub fn entries(&self) -> Vec<String> {
        if self.is_any() {
            return vec![ANY.to_owned()];
        }
        self.networks().iter().map(ToString::to_string).collect()
    }

    /// Whether this is `["*"]`.
    #[must_use]
    pub fn is_any(&self) -> bool {
        self.0.is_none()
    }

    /// Whether it allows no address at all: what [`meet`](Self::meet) leaves of lists that share none.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.0.as_ref().is_some_and(|listed| listed.ranges.is_empty())
    }

    /// The addresses that both allow. Its entries are entries of the two lists, at most all of them.
    #[must_use]
    pub fn meet(&self, other: &Self) -> Self {
        if self.within(other) {
            return self.clone();
        }
        if other.within(self) {
            return other.clone();
        }
        // Of two networks one holds the other or they share nothing: the smaller ones are what is left.
        let (mine, theirs) = (self.ranges(), other.ranges());
        let of_mine = self.networks().iter().filter(|network| theirs.hold(**network));
        let mut networks: Vec<_> = of_mine.copied().collect();
        let kept: Ranges = networks.iter().copied().collect();
        let of_theirs = other.networks().iter().filter(|network| mine.hold(**network));
        networks.extend(of_theirs.filter(|network| !kept.hold(**network)));
        Self::of(networks)
    }

    /// Whether an address may use the token. IPv4 inside IPv6 counts as IPv4. Does not allocate.
    #[must_use]
    pub fn allows(&self, address: IpAddr) -> bool {
        self.0.as_ref().is_none_or(|listed| listed.ranges.contain(canonical_ip(address)))
    }

    /// How many bytes it has beside itself.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        let held = |listed: &Listed| {
            SHARED + size_of::<Listed>() + size_of_val(&*listed.networks) + listed.ranges.held_bytes()
        };
        self.0.as_deref().map_or(0, held)
    }

    /// Whether `other` allows every address that this allows.
    #[must_use]
    pub fn within(&self, other: &Self) -> bool {
        other.is_any() || self.ranges().within(&other.ranges())
    }
}

fn not_strings(entries: &[Value]) -> Vec<Violation> {
    let wrong = entries.iter().enumerate().filter(|(_, entry)| !entry.is_string()).take(MAX_VIOLATIONS);
    wrong
        .map(|(index, _)| Violation {
            instance_path: format!("/ip_whitelist/{index}"),
            message: "must be a string".to_owned(),
        })
        .collect()
}

fn too_large(rule: &str) -> Invalid {
    Invalid::rule("IP_WHITELIST_TOO_LARGE", format!("ip_whitelist {rule}"))
}

fn bad_entry(index: usize, entry: &str) -> Invalid {
    let entry = quoted(entry);
    Invalid::rule(
        "INVALID_IP_FORMAT",
        format!(
            "Invalid IP address or CIDR format: ip_whitelist entry {index} is {entry}; it must be *, an address, \
             or a network such as 10.0.0.0/8"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn list(entries: &[&str]) -> AddressList {
        AddressList::parse_entries(entries.iter().copied()).unwrap_or_else(|e| panic!("{entries:?}: {e:?}"))
    }

    fn shown(entries: &[&str]) -> Vec<String> {
        list(entries).entries()
    }

    fn code(result: Result<AddressList, Invalid>) -> (&'static str, String) {
        match result {
            Err(Invalid::Rule { code, message }) => (code, message),
            other => panic!("{other:?}"),
        }
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn entries_are_shown_in_one_form() {
        assert_eq!(shown(&["10.1.2.3/8", "203.0.113.10", "203.0.113.10/32"]), ["10.0.0.0/8", "203.0.113.10"]);
        assert_eq!(shown(&["2001:DB8:0::1/128", "2001:db8::ff/64"]), ["2001:db8::1", "2001:db8::/64"]);
        assert_eq!(
            shown(&["::ffff:10.1.2.3", "::FFFF:0a01:0203", "::ffff:10.1.2.3/104"]),
            ["10.1.2.3", "10.0.0.0/8"]
        );
        assert_eq!(shown(&["::ffff:0:0/96", "::ffff:1.2.3.4/95"]), ["0.0.0.0/0", "::fffe:0:0/95"]);
        assert_eq!(shown(&["::/0", "1.2.3.4/0"]), ["::/0", "0.0.0.0/0"]);
        assert_eq!(shown(&["10.0.0.1", "*", "bad".replace("bad", "::1").as_str()]), ["*"]);
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_refused() {
        for bad in [
            "",
            " ",
            "10.0.0.1 ",
            " 10.0.0.1",
            "010.0.0.1",
            "10.0.0.01",
            "0x7f.1",
            "0x7f000001",
            "127.1",
            "2130706433",
            "10.0.0",
            "10.0.0.0.0",
            "10.0.0.256",
            "10.0.0.1/33",
            "10.0.0.1/",
            "10.0.0.1/08",
            "10.0.0.1/+8",
            "10.0.0.1/-1",
            "10.0.0.1/8/8",
            "10.0.0.1/255.0.0.0",
            "10.0.0.0-10.0.0.9",
            "10.0.0.*",
            "**",
            "* ",
            "fe80::1%eth0",
            "fe80::1%1/64",
            "[::1]",
            "[::1]:80",
            "10.0.0.1:80",
            "::1/129",
            "::1/0x8",
            "::g",
            ":::",
            "1:2:3:4:5:6:7:8:9",
            "::ffff:010.0.0.1",
            "::00001",
            "localhost",
            "１０.0.0.1",
            "10.0.0.1\0",
            "/8",
        ] {
            let (code, message) = code(AddressList::parse_entries(["10.0.0.1", bad]));
            assert_eq!(code, "INVALID_IP_FORMAT", "{bad}");
            assert!(message.contains("entry 1"), "{message}");
        }
    }

    #[test]
    fn bad_entries_are_echoed_cut() {
        let (_, message) = code(AddressList::parse_entries(["x".repeat(60_000).as_str()]));
        assert!(message.chars().count() < 240, "{message}");
    }

    #[test]
    fn sizes_are_bounded() {
        let many = vec!["10.0.0.1"; 1000];
        assert_eq!(AddressList::parse_entries(many.iter().copied()).unwrap().entries(), ["10.0.0.1"]);
        let (too_large, message) = code(AddressList::parse_entries(vec!["10.0.0.1"; 1001]));
        assert_eq!(too_large, "IP_WHITELIST_TOO_LARGE");
        assert_eq!(message, "ip_whitelist must not contain more than 1000 entries");
        assert_eq!(code(AddressList::parse_json(&json!(" ".repeat(65_537)))).0, "IP_WHITELIST_TOO_LARGE");
        assert_eq!(
            code(AddressList::parse_json(&json!("10.0.0.1,".repeat(2000)))).0,
            "IP_WHITELIST_TOO_LARGE"
        );
        assert_eq!(code(AddressList::parse_json(&json!([]))).0, "INVALID_IP_FORMAT");
        assert_eq!(code(AddressList::parse_json(&json!(""))).0, "INVALID_IP_FORMAT");
        assert_eq!(code(AddressList::parse_json(&json!("10.0.0.1,,10.0.0.2"))).0, "INVALID_IP_FORMAT");
    }

    #[test]
    fn json_takes_an_array_or_one_string() {
        let expected = list(&["192.168.1.0/24", "10.0.0.1"]);
        assert_eq!(AddressList::parse_json(&json!(["192.168.1.0/24", "10.0.0.1"])), Ok(expected.clone()));
        assert_eq!(AddressList::parse_json(&json!("192.168.1.0/24 ,  10.0.0.1")), Ok(expected));
        assert_eq!(AddressList::parse_json(&json!("*")), Ok(AddressList::any()));
        for wrong in [json!(null), json!(1), json!(true), json!({ "0": "*" })] {
            assert!(
                matches!(AddressList::parse_json(&wrong), Err(Invalid::Schema(v)) if v[0].instance_path == "/ip_whitelist")
            );
        }
        assert!(matches!(
            AddressList::parse_json(&json!(["*", 1, ["10.0.0.1"]])),
            Err(Invalid::Schema(v)) if v.len() == 2 && v[1].instance_path == "/ip_whitelist/2"
        ));
    }

    #[test]
    fn what_two_lists_share() {
        let meet = |a: &[&str], b: &[&str]| list(a).meet(&list(b)).entries();
        assert_eq!(meet(&["*"], &["10.0.0.0/8"]), ["10.0.0.0/8"]);
        assert_eq!(meet(&["10.0.0.0/8"], &["*"]), ["10.0.0.0/8"]);
        assert_eq!(meet(&["*"], &["*"]), ["*"]);
        assert_eq!(meet(&["10.0.0.0/8", "::1"], &["10.1.0.0/16", "192.0.2.1"]), ["10.1.0.0/16"]);
        assert_eq!(
            meet(&["10.0.0.0/8", "192.0.2.9"], &["10.0.0.0/9", "10.128.0.0/9", "::1"]),
            ["10.0.0.0/8"]
        );
        let nothing = list(&["10.0.0.0/8"]).meet(&list(&["192.0.2.1"]));
        assert!(nothing.is_nothing() && !nothing.is_any() && nothing.entries().is_empty());
        assert!(!nothing.allows(ip("10.0.0.1")) && !nothing.allows(ip("192.0.2.1")));
        assert!(nothing.within(&list(&["::1"])) && !list(&["::1"]).within(&nothing));
        assert!(AddressList::parse_stored(&nothing.to_stored()).is_err(), "never stored");
        assert!(nothing.meet(&AddressList::any()).is_nothing());
    }

    #[test]
    fn networks_admit_their_addresses_and_no_others() {
        let office = list(&["10.0.0.0/8", "203.0.113.10", "2001:db8::/32"]);
        for inside in
            ["10.1.2.3", "10.0.0.0", "10.255.255.255", "203.0.113.10", "::ffff:10.1.2.3", "2001:db8:ffff::1"]
        {
            assert!(office.allows(ip(inside)), "{inside}");
        }
        for outside in [
            "9.255.255.255",
            "11.0.0.0",
            "203.0.113.11",
            "::10.1.2.3",
            "64:ff9b::10.1.2.3",
            "64:ff9b:1::a01:203",
            "::ffff:11.0.0.1",
            "::ffff:0:10.1.2.3",
            "2001:db9::1",
            "::1",
            "2002:0a01:0203::1",
        ] {
            assert!(!office.allows(ip(outside)), "{outside}");
        }
    }

    #[test]
    fn the_widest_networks_stay_in_their_family() {
        let (v4, v6) = (list(&["0.0.0.0/0"]), list(&["::/0"]));
        assert!(v4.allows(ip("1.2.3.4")) && v4.allows(ip("::ffff:1.2.3.4")) && !v4.allows(ip("::1.2.3.4")));
        assert!(v6.allows(ip("::1.2.3.4")) && !v6.allows(ip("1.2.3.4")) && !v6.allows(ip("::ffff:1.2.3.4")));
        let any = AddressList::any();
        assert!(any.allows(ip("1.2.3.4")) && any.allows(ip("::1")));
        assert!(v4.within(&any) && v6.within(&any) && !any.within(&v4) && !any.within(&v6));
        assert!(
            any.within(&list(&["::/0", "0.0.0.0/0"]))
                && any.within(&list(&["::/1", "8000::/1", "0.0.0.0/1", "128.0.0.0/1"]))
        );
    }

    #[test]
    fn within_sees_through_adjacent_networks() {
        let halves = list(&["10.0.1.0/24", "10.0.0.0/24", "::1", "::2"]);
        assert!(list(&["10.0.0.0/23"]).within(&halves));
        assert!(list(&["10.0.0.0/23", "::1"]).within(&halves));
        assert!(!list(&["10.0.0.0/22"]).within(&halves));
        assert!(!list(&["10.0.0.1", "::3"]).within(&halves));
        assert!(!AddressList::any().within(&halves));
    }

    /// Addresses close to each other, so that random lists overlap and random addresses hit them.
    fn near() -> impl Strategy<Value = IpAddr> {
        prop_oneof![
            (0u32..64, 0u32..4).prop_map(|(low, high)| IpAddr::V4((0x0a00_0000 | high << 24 | low).into())),
            (0u128..64, 0u128..4)
                .prop_map(|(low, high)| IpAddr::V6((0x2001 << 112 | high << 64 | low).into())),
            (0u32..64)
                .prop_map(|low| IpAddr::V6(std::net::Ipv4Addr::from(0x0a00_0000 | low).to_ipv6_mapped())),
            any::<u32>().prop_map(|bits| IpAddr::V4(bits.into())),
            any::<u128>().prop_map(|bits| IpAddr::V6(bits.into())),
        ]
    }

    fn entry() -> impl Strategy<Value = String> {
        (near(), any::<proptest::sample::Index>(), any::<bool>()).prop_map(|(address, at, single)| {
            let (top, low) = if address.is_ipv4() { (32, 6) } else { (128, 8) };
            let length = if at.index(4) == 0 { at.index(top + 1) } else { top - at.index(low) };
            if single { address.to_string() } else { format!("{address}/{length}") }
        })
    }

    fn lists() -> impl Strategy<Value = Vec<String>> {
        proptest::collection::vec(entry(), 1..12)
    }

    /// The definition: an entry matches when the first bits agree, both seen as canonical addresses.
    fn naive(entry: &str, address: IpAddr) -> bool {
        let (base, length) =
            entry.split_once('/').map_or((entry, None), |(base, length)| (base, Some(length)));
        let length = |full: u32| length.map_or(full, |text| text.parse::<u32>().unwrap());
        match (ip(base), canonical_ip(address)) {
            (IpAddr::V4(base), IpAddr::V4(address)) => {
                length(32) == 0 || (base.to_bits() ^ address.to_bits()) >> (32 - length(32)) == 0
            }
            (IpAddr::V6(base), IpAddr::V4(address)) => {
                let mapped = address.to_ipv6_mapped().to_bits();
                length(128) >= 96 && (base.to_bits() ^ mapped) >> (128 - length(128)) == 0
            }
            (IpAddr::V6(base), IpAddr::V6(address)) => {
                length(128) == 0 || (base.to_bits() ^ address.to_bits()) >> (128 - length(128)) == 0
            }
            (IpAddr::V4(_), IpAddr::V6(_)) => false,
        }
    }

    proptest! {
        #[test]
        fn the_canonical_form_is_its_own(entries in lists()) {
            let read = AddressList::parse_entries(entries.iter().map(String::as_str)).unwrap();
            let shown = read.entries();
            let again = AddressList::parse_entries(shown.iter().map(String::as_str)).unwrap();
            prop_assert_eq!(&again, &read);
            prop_assert_eq!(again.entries(), shown);
            prop_assert_eq!(AddressList::parse_stored(&read.to_stored()), Ok(read));
        }

        #[test]
        fn a_list_allows_what_any_of_its_entries_matches(
            entries in lists(),
            addresses in proptest::collection::vec(near(), 1..20),
        ) {
            let list = AddressList::parse_entries(entries.iter().map(String::as_str)).unwrap();
            for address in addresses {
                let expected = entries.iter().any(|entry| naive(entry, address));
                prop_assert_eq!(list.allows(address), expected, "{:?} {}", entries, address);
            }
        }

        #[test]
        fn within_is_never_wrong_about_an_address(
            some in lists(),
            more in lists(),
            addresses in proptest::collection::vec(near(), 1..20),
        ) {
            let read = |entries: &[String]| AddressList::parse_entries(entries.iter().map(String::as_str)).unwrap();
            let (a, b) = (read(&some), read(&more));
            let both = read(&[some.clone(), more].concat());
            prop_assert!(a.within(&a) && a.within(&both) && b.within(&both) && a.within(&AddressList::any()));
            prop_assert!(!AddressList::any().within(&a) || a.allows(ip("1.2.3.4")) && a.allows(ip("::1")));
            let met = a.meet(&b);
            prop_assert!(met.within(&a) && met.within(&b) && met == met.meet(&a));
            for address in addresses {
                prop_assert!(!a.within(&b) || !a.allows(address) || b.allows(address));
                prop_assert_eq!(met.allows(address), a.allows(address) && b.allows(address));
            }
        }

        #[test]
        fn any_text_is_read_or_refused(text in ".{0,60}") {
            crate::properties::address_list(&text);
        }

        #[test]
        fn any_text_of_address_characters_is_read_or_refused(text in "[0-9a-f:./, *]{0,60}") {
            crate::properties::address_list(&text);
        }
    }
}
