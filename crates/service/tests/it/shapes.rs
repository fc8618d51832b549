//! The shapes on the wire, whole: what a client that is written against one of these answers can rely on.
//! What differs from run to run is redacted, everything else is as it is sent.

use serde_json::{Value, json};

use crate::support::{HERE, PASSWORD, REALM_A, on_both};

const TOKENS: &str = "/api/v1/auth/tokens";
const LOGIN: &str = "/api/v1/users/auth/login";
const KEY: &str = "a1b2c3d4e5f6789012345678901234567890abcdefabcdefabcdefabcdef1234";

/// Compares with the snapshot in place; the same one is met on both engines.
macro_rules! assert_shape {
    ($($arguments:tt)*) => { insta::allow_duplicates! { insta::assert_json_snapshot!($($arguments)*) } };
}

on_both! {
    async fn sessions_have_their_shape(app: TestApp) {
        app.service.create_user("ada", Some("ada@example.com"), PASSWORD).await;
        let login = app.anon().post(LOGIN, json!({ "username": "ada", "password": PASSWORD })).await.body;
        login_shape(&login);
        let client = app.with(login["data"]["token"].as_str().unwrap());
        me_shape(&client.get("/api/v1/users/auth/me").await.body);
        let body = json!({ "refreshToken": login["data"]["refreshToken"] });
        refresh_shape(&app.anon().post("/api/v1/users/auth/refresh", body).await.body);
        logout_shape(&client.post("/api/v1/users/auth/logout", json!({})).await.body);
    }

    async fn tokens_have_their_shape(app: TestApp) {
        let user = app.user("ada").await;
        let made = user
            .post(
                TOKENS,
                json!({
                    "alias": "Production API Key", "public_key": KEY, "public_storage": { "tier": "gold" },
                    "ip_whitelist": ["192.168.1.0/24", HERE], "realm_ids": [REALM_A], "allow_no_realm": false,
                    "vault_access": true, "expires_at": "2027-04-12T00:00:00Z", "permissions": {
                        "containers": { "read": true },
                        "resources": { "auth_token_public_profile": true, "read_account": false },
                    },
                }),
            )
            .await
            .body;
        create_shape(&made);
        let path = format!("{TOKENS}/{}", made["data"]["id"].as_str().unwrap());
        let token = app.with(made["data"]["token"].as_str().unwrap()).realm(REALM_A);
        token.check("").await;
        app.service.flush_usage().await;
        let got = user.get(&path).await.body;
        get_shape(&got);
        let list = user.get(TOKENS).await.body;
        list_shape(&list);
        assert_eq!(list["data"], json!([got["data"]]), "one shape for both");
        current_shape(&token.get("/api/v1/auth/tokens/me").await.body);
        token_account_shape(&token.get("/api/v1/users/auth/me").await.body);
        profile_shape(&user.get(&format!("{TOKENS}/public-profiles/{KEY}")).await.body);
        user.realm(REALM_A).mint(json!({})).await;
        truncated_shape(&token.get(TOKENS).await.body);
        update_shape(
            &user
                .put(&path, json!({ "alias": "Updated", "expires_at": null, "is_enabled": false }))
                .await
                .body,
        );
        delete_shape(&user.delete(&path).await.body);
    }

    async fn refusals_have_their_shape(app: TestApp) {
        let user = app.user("ada").await;
        error_shape(&app.anon().get(TOKENS).await.body);
        code_shape(&{
            user.mint(json!({ "alias": "ci" })).await;
            user.post(TOKENS, json!({ "alias": "ci" })).await.body
        });
        violations_shape(
            &user
                .post(TOKENS, json!({ "alias": 5, "permissions": { "projects": { "read": 1 } }, "x": null }))
                .await
                .body,
        );
    }
}

fn login_shape(body: &Value) {
    assert_shape!(body, {
        ".data.token" => "[jwt]", ".data.refreshToken" => "[jwt]", ".data.user.id" => "[id]",
    }, @r#"
    {
      "data": {
        "auth_token_count": 0,
        "client_ip": "203.0.113.7",
        "container": null,
        "expires_at": "2026-03-03T09:15:42.000Z",
        "expires_in": 86400,
        "project": null,
        "recent_login_ips": [],
        "refreshToken": "[jwt]",
        "refresh_expires_at": "2026-03-09T09:15:42.000Z",
        "refresh_expires_in": 604800,
        "server": null,
        "token": "[jwt]",
        "user": {
          "alias": "ada",
          "avatar_url": null,
          "created_at": "2026-03-02T09:15:42.118Z",
          "email": "ada@example.com",
          "email_verified": true,
          "free_tier_unlock_source": null,
          "free_tier_unlocked": false,
          "free_tier_unlocked_at": null,
          "id": "[id]",
          "is_banned": false,
          "metadata": null,
          "onboarding": {},
          "public_key": null,
          "signup_method": null,
          "updated_at": "2026-03-02T09:15:42.118Z",
          "username": "ada"
        }
      },
      "message": "Login successful",
      "statusCode": 200
    }
    "#);
}

fn refresh_shape(body: &Value) {
    assert_shape!(body, { ".data.token" => "[jwt]", ".data.refreshToken" => "[jwt]" }, @r#"
    {
      "data": {
        "expires_at": "2026-03-03T09:15:42.000Z",
        "expires_in": 86400,
        "refreshToken": "[jwt]",
        "refresh_expires_at": "2026-03-09T09:15:42.000Z",
        "refresh_expires_in": 604800,
        "token": "[jwt]"
      },
      "message": "Token refreshed successfully",
      "statusCode": 200
    }
    "#);
}

fn me_shape(body: &Value) {
    assert_shape!(body, { ".data.id" => "[id]" }, @r#"
    {
      "data": {
        "alias": "ada",
        "avatar_url": null,
        "created_at": "2026-03-02T09:15:42.118Z",
        "email": "ada@example.com",
        "email_verified": true,
        "free_tier_unlock_source": null,
        "free_tier_unlocked": false,
        "free_tier_unlocked_at": null,
        "id": "[id]",
        "is_banned": false,
        "metadata": null,
        "onboarding": {},
        "public_key": null,
        "signup_method": null,
        "updated_at": "2026-03-02T09:15:42.118Z",
        "username": "ada"
      },
      "message": "Current user retrieved successfully",
      "statusCode": 200
    }
    "#);
}

fn logout_shape(body: &Value) {
    assert_shape!(body, @r#"
    {
      "data": null,
      "message": "Logout successful",
      "statusCode": 200
    }
    "#);
}

fn create_shape(body: &Value) {
    assert_shape!(body, { ".data.id" => "[id]", ".data.token" => "[secret]", ".data.hint" => "[hint]" }, @r#"
    {
      "data": {
        "alias": "Production API Key",
        "allow_no_realm": false,
        "created_at": "2026-03-02T09:15:42.118Z",
        "created_by_token_id": null,
        "delegation_depth": 0,
        "event_access": true,
        "expires_at": "2027-04-12T00:00:00.000Z",
        "hint": "[hint]",
        "id": "[id]",
        "ip_whitelist": [
          "192.168.1.0/24",
          "203.0.113.7"
        ],
        "is_enabled": true,
        "last_used_at": null,
        "last_used_ip": null,
        "permissions": {
          "containers": {
            "read": true
          },
          "resources": {
            "auth_token_public_profile": true
          }
        },
        "prefix": "hdy_",
        "public_key": "a1b2c3d4e5f6789012345678901234567890abcdefabcdefabcdefabcdef1234",
        "public_storage": {
          "tier": "gold"
        },
        "realm_ids": [
          "aaaaaaaaaaaaaaaaaaaaaaaa"
        ],
        "token": "[secret]",
        "updated_at": "2026-03-02T09:15:42.118Z",
        "vault_access": true
      },
      "message": "Auth token created successfully",
      "statusCode": 201
    }
    "#);
}

fn get_shape(body: &Value) {
    assert_shape!(body, { ".data.id" => "[id]", ".data.hint" => "[hint]" }, @r#"
    {
      "data": {
        "alias": "Production API Key",
        "allow_no_realm": false,
        "created_at": "2026-03-02T09:15:42.118Z",
        "created_by_token_id": null,
        "delegation_depth": 0,
        "event_access": true,
        "expires_at": "2027-04-12T00:00:00.000Z",
        "hint": "[hint]",
        "id": "[id]",
        "ip_whitelist": [
          "192.168.1.0/24",
          "203.0.113.7"
        ],
        "is_enabled": true,
        "last_used_at": "2026-03-02T09:15:42.118Z",
        "last_used_ip": "203.0.113.7",
        "permissions": {
          "containers": {
            "read": true
          },
          "resources": {
            "auth_token_public_profile": true
          }
        },
        "prefix": "hdy_",
        "public_key": "a1b2c3d4e5f6789012345678901234567890abcdefabcdefabcdefabcdef1234",
        "public_storage": {
          "tier": "gold"
        },
        "realm_ids": [
          "aaaaaaaaaaaaaaaaaaaaaaaa"
        ],
        "updated_at": "2026-03-02T09:15:42.118Z",
        "vault_access": true
      },
      "message": "Auth token retrieved successfully",
      "statusCode": 200
    }
    "#);
}

fn list_shape(body: &Value) {
    assert_shape!(body, { ".data" => "[tokens]" }, @r#"
    {
      "data": "[tokens]",
      "message": "Auth tokens retrieved successfully",
      "statusCode": 200
    }
    "#);
}

fn current_shape(body: &Value) {
    assert_shape!(body, { ".data.token.id" => "[id]", ".data.token.hint" => "[hint]" }, @r#"
    {
      "data": {
        "restrictions": {
          "active_realm_id": "aaaaaaaaaaaaaaaaaaaaaaaa",
          "allow_no_realm": false,
          "allowed_realm_ids": [
            "aaaaaaaaaaaaaaaaaaaaaaaa"
          ],
          "has_realm_restrictions": true,
          "max_delegation_depth": 3,
          "requires_realm_scope": true
        },
        "token": {
          "alias": "Production API Key",
          "allow_no_realm": false,
          "created_at": "2026-03-02T09:15:42.118Z",
          "created_by_token_id": null,
          "delegation_depth": 0,
          "event_access": true,
          "expires_at": "2027-04-12T00:00:00.000Z",
          "hint": "[hint]",
          "id": "[id]",
          "ip_whitelist": [
            "192.168.1.0/24",
            "203.0.113.7"
          ],
          "is_enabled": true,
          "last_used_at": "2026-03-02T09:15:42.118Z",
          "last_used_ip": "203.0.113.7",
          "permissions": {
            "containers": {
              "read": true
            },
            "resources": {
              "auth_token_public_profile": true
            }
          },
          "prefix": "hdy_",
          "public_key": "a1b2c3d4e5f6789012345678901234567890abcdefabcdefabcdefabcdef1234",
          "public_storage": {
            "tier": "gold"
          },
          "realm_ids": [
            "aaaaaaaaaaaaaaaaaaaaaaaa"
          ],
          "updated_at": "2026-03-02T09:15:42.118Z",
          "vault_access": true
        }
      },
      "message": "Current auth token retrieved successfully",
      "statusCode": 200
    }
    "#);
}

fn token_account_shape(body: &Value) {
    // The token is as in `current_shape`.
    assert_shape!(body, { ".data.id" => "[id]", ".data.auth_token" => "[token and restrictions]" }, @r#"
    {
      "data": {
        "alias": "ada",
        "auth_token": "[token and restrictions]",
        "created_at": "2026-03-02T09:15:42.118Z",
        "id": "[id]",
        "public_key": null,
        "updated_at": "2026-03-02T09:15:42.118Z",
        "username": "ada"
      },
      "message": "Current user retrieved successfully",
      "statusCode": 200
    }
    "#);
}

fn profile_shape(body: &Value) {
    assert_shape!(body, @r#"
    {
      "data": {
        "public_key": "a1b2c3d4e5f6789012345678901234567890abcdefabcdefabcdefabcdef1234",
        "public_storage": {
          "tier": "gold"
        }
      },
      "message": "Public profile retrieved successfully",
      "statusCode": 200
    }
    "#);
}

fn truncated_shape(body: &Value) {
    assert_shape!(body, { ".data" => "[tokens]" }, @r#"
    {
      "data": "[tokens]",
      "message": "Auth tokens retrieved successfully",
      "statusCode": 200,
      "truncated": true
    }
    "#);
}

fn update_shape(body: &Value) {
    assert_shape!(body, { ".data.id" => "[id]", ".data.hint" => "[hint]" }, @r#"
    {
      "data": {
        "alias": "Updated",
        "allow_no_realm": false,
        "created_at": "2026-03-02T09:15:42.118Z",
        "created_by_token_id": null,
        "delegation_depth": 0,
        "event_access": true,
        "expires_at": null,
        "hint": "[hint]",
        "id": "[id]",
        "ip_whitelist": [
          "192.168.1.0/24",
          "203.0.113.7"
        ],
        "is_enabled": false,
        "last_used_at": "2026-03-02T09:15:42.118Z",
        "last_used_ip": "203.0.113.7",
        "permissions": {
          "containers": {
            "read": true
          },
          "resources": {
            "auth_token_public_profile": true
          }
        },
        "prefix": "hdy_",
        "public_key": "a1b2c3d4e5f6789012345678901234567890abcdefabcdefabcdefabcdef1234",
        "public_storage": {
          "tier": "gold"
        },
        "realm_ids": [
          "aaaaaaaaaaaaaaaaaaaaaaaa"
        ],
        "updated_at": "2026-03-02T09:15:42.118Z",
        "vault_access": true
      },
      "message": "Auth token updated successfully",
      "statusCode": 200
    }
    "#);
}

fn delete_shape(body: &Value) {
    assert_shape!(body, @r#"
    {
      "data": null,
      "message": "Auth token deleted successfully",
      "statusCode": 200
    }
    "#);
}

fn error_shape(body: &Value) {
    assert_shape!(body, @r#"
    {
      "code": "MISSING_TOKEN",
      "error": "Unauthorized",
      "message": "Authentication token required",
      "statusCode": 401
    }
    "#);
}

fn code_shape(body: &Value) {
    assert_shape!(body, @r#"
    {
      "code": "DUPLICATE_ALIAS",
      "error": "DUPLICATE_ALIAS",
      "message": "Alias \"ci\" already exists for this user",
      "statusCode": 400
    }
    "#);
}

fn violations_shape(body: &Value) {
    assert_shape!(body, @r#"
    {
      "code": "VALIDATION_ERROR",
      "data": [
        {
          "instancePath": "/permissions/projects/read",
          "message": "must be a boolean"
        },
        {
          "instancePath": "/alias",
          "message": "must be a string"
        },
        {
          "instancePath": "/x",
          "message": "unknown key"
        }
      ],
      "error": "Unprocessable Entity",
      "message": "Validation failed: /permissions/projects/read must be a boolean",
      "statusCode": 422
    }
    "#);
}
