//! The permissions that this server knows.

use std::sync::LazyLock;

use hoody_core::permissions::Catalogue;

/// The tree of permissions that this server knows.
#[must_use]
pub fn catalogue() -> &'static Catalogue {
    static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(Catalogue::hoody);
    &CATALOGUE
}
