//! Who holds a credential, as the service behind a gate is told.

use hoody_core::extras::Label;
use hoody_core::grant::{Bounds, Grant};
use hoody_core::permissions::own::{OwnCatalogue, OwnSet};
use hoody_core::permissions::{Catalogues, PermissionSet};
use hoody_doors::answer::permissions;
use hoody_doors::judge::Holder;
use hoody_engine::catalogue::catalogue;
use http::HeaderValue;

/// How many texts are kept: most tokens are made by a few templates.
const TEXTS: usize = 2_048;

/// What the text of permissions depends on: when the catalogue was last forgotten, and what is held.
type Key = (u64, PermissionSet, OwnSet);

/// The texts of `X-Hoody-Permissions`. Each is made once, and shared by all tokens that hold the same.
#[derive(Debug, Default)]
pub struct Texts(papaya::HashMap<Key, HeaderValue>);

impl Texts {
    /// The text for what is held, if it was made since the catalogue was forgotten at `epoch`. Takes no lock.
    pub fn find(&self, epoch: u64, limits: &Bounds) -> Option<HeaderValue> {
        self.0.pin().get(&key(epoch, limits)).cloned()
    }

    /// The text of [`paths`]. `own` was read after `epoch` was noted.
    pub fn make(&self, epoch: u64, limits: &Bounds, own: &OwnCatalogue) -> HeaderValue {
        if let Some(known) = self.find(epoch, limits) {
            return known;
        }
        let text = permissions(paths(limits, own));
        let texts = self.0.pin();
        if texts.len() >= TEXTS {
            texts.clear();
        }
        texts.insert(key(epoch, limits), text.clone());
        text
    }
}

/// The permissions that are held: the operator's leaves, then hoody's.
#[must_use]
pub fn paths<'a>(limits: &Bounds, own: &'a OwnCatalogue) -> Vec<&'a str> {
    let catalogues = Catalogues { hoody: catalogue(), own };
    let of_hoody = catalogue().grantable(limits.permissions);
    let of_own = catalogues.paths(PermissionSet::EMPTY, limits.extras.own());
    of_own.chain(catalogues.paths(of_hoody, &OwnSet::EMPTY)).collect()
}

fn key(epoch: u64, limits: &Bounds) -> Key {
    (epoch, limits.permissions, limits.extras.own().clone())
}

/// Whom a grant is for.
#[must_use]
pub fn holder(grant: &Grant, label: Option<&Label>, permissions: HeaderValue) -> Holder {
    Holder {
        account: grant.account,
        token: grant.credential.token(),
        alias: label.map_or("", Label::alias).into(),
        external_id: label.and_then(Label::external_id).unwrap_or_default().into(),
        permissions,
    }
}
