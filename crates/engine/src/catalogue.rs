//! The permissions that this server knows.

use std::sync::LazyLock;

use hoody_core::permissions::own::OwnCatalogue;
use hoody_core::permissions::{Catalogue, Catalogues};

/// The tree of permissions that this server knows.
#[must_use]
pub fn catalogue() -> &'static Catalogue {
    static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(Catalogue::hoody);
    &CATALOGUE
}

/// The tree that this server knows and the operator's leaves.
#[must_use]
pub fn catalogues(own: &OwnCatalogue) -> Catalogues<'_> {
    Catalogues { hoody: catalogue(), own }
}
