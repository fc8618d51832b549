//! Aliases for tokens that were given none: an adjective and an animal, `clever-dolphin`.

const ADJECTIVES: [&str; 64] = [
    "able", "agile", "amber", "azure", "bold", "brave", "bright", "brisk", "calm", "careful", "cheerful",
    "clever", "cosy", "crisp", "curious", "daring", "eager", "early", "fair", "fancy", "fast", "fearless",
    "fond", "gentle", "glad", "golden", "graceful", "grand", "happy", "hardy", "honest", "humble", "jolly",
    "keen", "kind", "lively", "lucky", "mellow", "merry", "mighty", "modest", "neat", "nimble", "noble",
    "patient", "playful", "polite", "proud", "quick", "quiet", "ready", "robust", "serene", "sharp",
    "silver", "smart", "steady", "sunny", "swift", "tidy", "vivid", "warm", "wise", "witty",
];

const ANIMALS: [&str; 64] = [
    "albatross",
    "antelope",
    "badger",
    "bear",
    "beaver",
    "bison",
    "buffalo",
    "camel",
    "caribou",
    "cheetah",
    "cobra",
    "condor",
    "coyote",
    "crane",
    "deer",
    "dingo",
    "dolphin",
    "dragonfly",
    "eagle",
    "egret",
    "elk",
    "falcon",
    "ferret",
    "finch",
    "fox",
    "gazelle",
    "gecko",
    "giraffe",
    "hare",
    "hawk",
    "hedgehog",
    "heron",
    "ibex",
    "iguana",
    "jaguar",
    "kestrel",
    "koala",
    "lemur",
    "leopard",
    "lynx",
    "magpie",
    "marmot",
    "marten",
    "meerkat",
    "moose",
    "narwhal",
    "ocelot",
    "orca",
    "otter",
    "owl",
    "panda",
    "panther",
    "pelican",
    "penguin",
    "puffin",
    "raven",
    "salmon",
    "seal",
    "sparrow",
    "stork",
    "tiger",
    "turtle",
    "walrus",
    "wombat",
];

/// One of 4096 aliases of the form `clever-dolphin`.
#[must_use]
pub fn random_alias(random: [u8; 8]) -> String {
    // 256 is a multiple of 64: every word is as likely.
    let adjective = ADJECTIVES[usize::from(random[0]) % ADJECTIVES.len()];
    let animal = ANIMALS[usize::from(random[1]) % ANIMALS.len()];
    format!("{adjective}-{animal}")
}

/// One of 268 million aliases of the form `clever-dolphin-3fa9`: for accounts that have used up many of
/// the short ones.
#[must_use]
pub fn random_alias_suffixed(random: [u8; 8]) -> String {
    format!("{}-{:02x}{:02x}", random_alias(random), random[2], random[3])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::token_alias;
    use std::collections::HashSet;

    #[test]
    fn every_random_alias_is_its_own_and_valid() {
        let bytes = |a: u8, b: u8| [a, b, 0x3f, 0xa9, 0, 0, 0, 0];
        let all: HashSet<String> =
            (0..64).flat_map(|a| (0..64).map(move |b| random_alias(bytes(a, b)))).collect();
        assert_eq!(all.len(), 4096);
        assert!(all.iter().all(|alias| token_alias(alias).is_ok()));
        assert_eq!(random_alias(bytes(11, 16)), "clever-dolphin");
        assert_eq!(random_alias_suffixed(bytes(11 + 64, 16)), "clever-dolphin-3fa9");
    }
}
