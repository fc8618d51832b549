//! Accounts, as the operator and other processes change them.

use std::net::IpAddr;

use hoody_core::secret::TokenSecret;
use hoody_core::time::DAY;
use hoody_engine::clock::entropy;
use hoody_engine::error::Error;
use hoody_engine::feed::{Actor, Change, Mutation};
use hoody_engine::grants::Forget;
use hoody_engine::limits::{SIGN_UP, Subject};

use super::Service;
use crate::sign_in::two_factor;
use crate::signup::invitations::{self, NewInvitation};
use crate::users::{first, store};

impl Service {
    /// Makes an account; its id.
    ///
    /// # Panics
    /// When the name is taken or the database fails.
    pub async fn create_user(&self, username: &str, email: Option<&str>, password: &str) -> String {
        let created = first::create(&self.nouns.users, Actor::Operator, username, email, password).await;
        created.expect("the account is made").expect("the name is free").to_string()
    }

    /// Makes an account if its name and address are free; its id.
    ///
    /// # Panics
    /// When the database fails.
    pub async fn try_create_user(
        &self,
        username: &str,
        email: Option<&str>,
        password: &str,
    ) -> Option<String> {
        let created = first::create(&self.nouns.users, Actor::Operator, username, email, password).await;
        created.expect("the account is made").map(|id| id.to_string())
    }

    /// Bans or unbans, as `hoody admin` does in another process: nothing is forgotten here until the
    /// feed is polled.
    ///
    /// # Panics
    /// When there is no such account or the database fails.
    pub async fn ban_elsewhere(&self, username: &str, is_banned: bool) {
        let user =
            store::find_by_username(&self.engine().db, username).await.expect("a read").expect("an account");
        self.elsewhere(async |mutation| {
            store::update_ban(&mut mutation.tx, user.id, is_banned, mutation.now).await.expect("a write");
            let event = if is_banned { "user.banned" } else { "user.unbanned" };
            let change = Change::new(event, user.id, "user", user.id);
            mutation.tell(change.forgetting(Forget::Account(user.id)));
        })
        .await;
    }

    async fn elsewhere(&self, work: impl AsyncFnOnce(&mut Mutation)) {
        let mut mutation = self.engine().feed.begin_as(Actor::Operator).await.expect("a transaction");
        work(&mut mutation).await;
        mutation.commit_elsewhere().await.expect("a commit");
    }

    /// Takes the second factor of an account away, as `hoody admin` does; whether there was one.
    ///
    /// # Panics
    /// When there is no such account or the database fails.
    pub async fn reset_two_factor(&self, username: &str) -> bool {
        let user =
            store::find_by_username(&self.engine().db, username).await.expect("a read").expect("an account");
        two_factor::reset(&self.nouns.sign_in, user.id).await.expect("a change")
    }

    /// Counts one sign-up of `address`; for how many seconds it is refused, if it is.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn count_sign_up(&self, address: IpAddr) -> Result<Option<u64>, String> {
        match self.engine().limits.count(&SIGN_UP, Subject::Address(address)).await {
            Ok(()) => Ok(None),
            Err(Error::RateLimited { seconds }) => Ok(Some(seconds)),
            Err(other) => Err(format!("{other:?}")),
        }
    }

    /// Makes an invitation of a week: its id and its code.
    ///
    /// # Panics
    /// When the database fails.
    pub async fn invite(&self, email: Option<&str>, max_uses: i64) -> (String, String) {
        let new = NewInvitation { email, max_uses, lifetime: 7 * DAY };
        let mut mutation = self.engine().feed.begin_as(Actor::Operator).await.expect("a transaction");
        let made = invitations::create(&self.nouns.signup, &mut mutation, &new).await.expect("a write");
        mutation.commit().await.expect("a commit");
        (made.0.to_string(), made.1.expose().to_owned())
    }

    /// Closes an invitation.
    ///
    /// # Panics
    /// When there is none, or the database fails.
    pub async fn revoke_invitation(&self, id: &str) {
        let mut mutation = self.engine().feed.begin_as(Actor::Operator).await.expect("a transaction");
        let id = id.parse().expect("an id");
        assert!(invitations::revoke(&mut mutation, id).await.expect("a write"));
        mutation.commit().await.expect("a commit");
    }

    /// A well-formed token that this server made and nobody knows.
    #[must_use]
    pub fn unknown_token(&self) -> String {
        TokenSecret::mint(entropy(), &self.engine().keys.minting().1).expose().to_owned()
    }

    /// How many password hashes were computed since the start.
    #[must_use]
    pub fn password_hashes(&self) -> u64 {
        self.nouns.users.passwords.computed()
    }

    /// Sets a password whose hash is of the text as it is, which is how it was stored before texts were
    /// brought into one form.
    ///
    /// # Panics
    /// When there is no such account or the database fails.
    pub async fn set_password_as_typed(&self, username: &str, password: &str) {
        let user = store::find_by_username(&self.engine().db, username).await.expect("the database answers");
        let hash = self.nouns.users.passwords.hash_as_typed(password).await.expect("a hash");
        let mut tx = self.engine().db.begin().await.expect("a transaction");
        let now = self.now();
        store::set_password(&mut tx, user.expect("the account").id, &hash, now).await.expect("a statement");
        tx.commit().await.expect("a commit");
    }
}
