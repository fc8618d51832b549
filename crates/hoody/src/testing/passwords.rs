//! Passwords as older versions stored them.

use super::Service;
use crate::users::store;

impl Service {
    /// Sets a password whose hash is of the text as it is, which is how it was stored before texts were
    /// brought into one form.
    ///
    /// # Panics
    /// When there is no such account or the database fails.
    pub async fn set_password_as_typed(&self, username: &str, password: &str) {
        let user = store::find_by_username(&self.app.db, username).await.expect("the database answers");
        let hash = self.app.passwords.hash_as_typed(password).await.expect("a hash");
        let mut tx = self.app.db.begin().await.expect("a transaction");
        let now = self.app.now();
        store::set_password(&mut tx, user.expect("the account").id, &hash, now).await.expect("a statement");
        tx.commit().await.expect("a commit");
    }
}
