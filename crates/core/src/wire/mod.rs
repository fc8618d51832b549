//! What goes over the wire, once, for the server, the client and the generated OpenAPI document.
//!
//! One file a noun, named as its page in the contract. Every object that an answer carries in `data`
//! is here, and every request body. A request's fields are optional where the contract has them so; a
//! field that may also be `null` is an `Option<Option<T>>`: `None` is left out, `Some(None)` is `null`.
//! Nothing here checks a rule: the server reads bodies with [`crate::json`] and judges them there.
//! A server may add fields at any time, so nothing here refuses an unknown one.

mod activity;
mod alerts;
mod containers;
mod envelope;
mod events;
mod gates;
mod history;
mod meta;
mod permissions;
mod projects;
mod realms;
mod secret;
mod sessions;
mod sign_in;
mod signup;
mod tokens;
mod two_factor;
mod users;
mod utilities;
mod vault;
mod verify;
mod webhooks;

pub use activity::{
    ActivityPage, ActivityRow, ActivityStats, AddressUses, PermissionUses, TokenUsage, UsesInTime,
};
pub use alerts::{Alert, AlertPage, AlertSetting, UpdateAlertSetting};
pub use containers::{
    Container, ContainerEnvironment, ContainerList, ContainerOperation, ContainerStats, CpuStats,
    CreateContainer, CreateSnapshot, CreatedSnapshot, DeletedSnapshot, Execute, Executed, MemoryStats,
    ProxyDefault, RestoredSnapshot, SetEnvironment, SetVariable, Snapshot, SnapshotAlias, SnapshotList,
    UpdateContainer,
};
pub use envelope::{Envelope, ErrorBody, Pagination};
pub use events::{
    CleanUpEvents, CleanedEvents, DeleteEvents, DeletedEvents, Event, EventActor, EventList, EventPagination,
    EventStats,
};
pub use gates::{
    Explain, Explanation, Gate, GateDefinition, GateObstacle, GateRoute, GateSummary, GateTest, TestGate,
};
pub use history::{PageMetadata, SecurityEvent, SecurityHistoryEnvelope};
pub use meta::{JsonWebKey, KeySet, PublicKey, PublicKeys, SigningFormat};
pub use permissions::{PermissionCatalogue, PermissionInfo, PermissionOrigin, PermissionState, TemplateInfo};
pub use projects::{
    CreateMember, CreateProject, DeletedContainer, DeletedCounts, DeletedItems, DeletedProject, MemberUser,
    PermissionLevel, PermissionList, Project, ProjectList, ProjectMember, ProjectStats, ProjectSummary,
    UpdateMember, UpdateProject,
};
pub use realms::{RealmList, RealmUsage};
pub use secret::Secret;
pub use sessions::{
    Challenge, Login, LoginAddress, LoginAnswer, LoginData, LoginProject, Refresh, RefreshData,
};
pub use sign_in::{
    AuthorizationCode, Authorize, DenyDevice, DeviceCode, DeviceLogin, DeviceLoginAnswer, DeviceStatus,
    Exchange, Intent, PendingDevice, PollDevice, PollRefusal, StartDevice, UserCodeAnswer, VerifyAnswer,
    VerifyUserCode,
};
pub use signup::{
    AuthConfig, MailRequest, PasswordReset, Region, Regions, ResetPassword, SignUp, SignedUp, VerifyEmail,
};
pub use tokens::{
    AuthToken, CopyToken, CreateToken, CurrentToken, EffectiveLimits, ExpiresAt, IpWhitelist,
    PermissionTemplate, PublicProfile, RealmChange, Restrictions, TokenListEnvelope, UpdateProfile,
    UpdateToken,
};
pub use two_factor::{
    BackupCodes, ConfirmTwoFactor, DisableTwoFactor, EnabledTwoFactor, EndedSessions, RegenerateBackupCodes,
    SetUpTwoFactor, TokenGate, TokenGateState, TwoFactorSetup, TwoFactorStatus, VerifyTwoFactor,
};
pub use users::{Me, Profile, ReducedMe, ReducedUser, UpdateUser, User, UserProfile};
pub use utilities::IpInfo;
pub use vault::{SetVaultKey, VaultCleared, VaultKey, VaultRecord, VaultStats};
pub use verify::{Verified, Verify, VerifyItem};
pub use webhooks::{CreateWebhook, UpdateWebhook, Webhook, WebhookDelivery};

use serde::{Deserialize, Deserializer};

/// Reads a field that may be absent, `null` or a value. Use with `#[serde(default)]`, which covers
/// absence; whatever is present becomes `Some`.
fn nullable<'de, D, T>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn absent_and_null_differ_in_a_change() {
        let unchanged = UpdateToken::default();
        assert_eq!(serde_json::to_value(&unchanged).unwrap(), json!({}));
        let cleared =
            UpdateToken { public_key: Some(None), expires_at: Some(None), ..UpdateToken::default() };
        let body = serde_json::to_value(&cleared).unwrap();
        assert_eq!(body, json!({"public_key": null, "expires_at": null}));
        let read: UpdateToken = serde_json::from_value(body).unwrap();
        assert!(matches!(read.public_key, Some(None)));
        assert!(matches!(read.expires_at, Some(None)));
        assert!(read.alias.is_none());
    }

    #[test]
    fn a_key_of_the_vault_in_no_realm_says_so_with_an_empty_string() {
        let body = json!({
            "key": "db", "realm_id": "", "metadata": null, "size_bytes": 6, "value": "canary",
            "created_at": "2026-03-02T09:15:42.118Z", "updated_at": "2026-03-02T09:15:42.118Z"
        });
        let record: VaultRecord = serde_json::from_value(body.clone()).unwrap();
        assert_eq!((record.realm_id, record.value.expose()), (None, "canary"));
        assert_eq!(serde_json::to_value(&record).unwrap(), body);
        assert!(!format!("{record:?}").contains("canary"));
        let mut in_realm = body;
        in_realm["realm_id"] = json!("507f1f77bcf86cd799439012");
        let key: VaultKey = serde_json::from_value(in_realm).unwrap();
        assert_eq!(key.realm_id, Some("507f1f77bcf86cd799439012".parse().unwrap()));
        let cleared = SetVaultKey { metadata: Some(None), ..SetVaultKey::default() };
        assert_eq!(serde_json::to_value(&cleared).unwrap(), json!({"value": "", "metadata": null}));
    }

    #[test]
    fn a_secret_is_shown_by_nothing_but_the_wire() {
        let login = Login { password: Secret::new("correct horse"), ..Login::default() };
        assert!(!format!("{login:?}").contains("correct"));
        assert_eq!(serde_json::to_value(&login).unwrap(), json!({"password": "correct horse"}));
    }

    #[test]
    fn a_token_shows_its_secret_only_when_it_has_one() {
        let body = json!({
            "id": "65a1b2c3d4e5f60718293a4b", "alias": "ci-runner", "prefix": "hdy_",
            "public_key": null, "public_storage": null, "ip_whitelist": ["*"], "realm_ids": [],
            "allow_no_realm": true, "permissions": {"containers": {"read": true}}, "expires_at": null,
            "is_enabled": true, "vault_access": false, "event_access": true, "created_by_token_id": null,
            "delegation_depth": 0, "last_used_at": null, "last_used_ip": null,
            "created_at": "2026-03-02T09:15:42.118Z", "updated_at": "2026-03-02T09:15:42.118Z"
        });
        let token: AuthToken = serde_json::from_value(body.clone()).unwrap();
        assert_eq!(serde_json::to_value(&token).unwrap(), body);
        let made = AuthToken { token: Some(Secret::new("hdy_secret")), ..token };
        assert_eq!(serde_json::to_value(&made).unwrap()["token"], "hdy_secret");
        assert!(!format!("{made:?}").contains("hdy_secret"));
    }

    #[test]
    fn the_token_of_the_seeds_is_read_too() {
        let token: AuthToken = serde_json::from_value(json!({
            "token": "hdy_abc123XyZ456", "id": "63f8b0e5c9a1b2d3e4f5a6b7", "alias": "Production Automation Token",
            "prefix": "hdy_", "ip_whitelist": ["203.0.113.10"], "expires_at": "2027-04-12T00:00:00.000Z",
            "is_enabled": true, "last_used_at": null, "last_used_ip": null,
            "created_at": "2025-11-09T15:00:00.000Z", "updated_at": "2025-11-09T15:00:00.000Z"
        }))
        .unwrap();
        assert_eq!(token.token.as_ref().map(Secret::expose), Some("hdy_abc123XyZ456"));
        assert!(token.realm_ids.is_empty());
    }

    #[test]
    fn a_reduced_profile_is_told_from_a_full_one() {
        let reduced = json!({
            "id": "65a1b2c3d4e5f60718293a4b", "username": "ada", "alias": "Ada", "public_key": null,
            "created_at": "2026-03-02T09:15:42.118Z", "updated_at": "2026-03-02T09:15:42.118Z"
        });
        assert!(matches!(serde_json::from_value(reduced.clone()).unwrap(), UserProfile::Reduced(_)));
        assert!(matches!(serde_json::from_value(reduced.clone()).unwrap(), Profile::Reduced(_)));
        let mut full = reduced;
        full["is_banned"] = json!(false);
        assert!(matches!(serde_json::from_value(full.clone()).unwrap(), UserProfile::Full(_)));
        assert!(matches!(serde_json::from_value(full).unwrap(), Profile::Full(_)));
    }

    #[test]
    fn an_expiry_is_an_instant_a_number_a_word_or_null() {
        for (value, expected) in [
            (json!("2027-04-12T00:00:00.000Z"), json!("2027-04-12T00:00:00.000Z")),
            (json!(1_767_225_599_000_i64), json!(1_767_225_599_000_i64)),
            (json!("tomorrow"), json!("tomorrow")),
        ] {
            let expiry: ExpiresAt = serde_json::from_value(value).unwrap();
            assert_eq!(serde_json::to_value(&expiry).unwrap(), expected);
        }
    }
}
