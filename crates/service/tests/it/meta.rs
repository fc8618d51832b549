//! The published keys: one of each master key, and what is signed is verified by them.

use http::StatusCode;
use serde_json::Value;

use crate::support::on_both;

const PUBLIC_KEY: &str = "/api/v1/meta/public-key";
const JWKS: &str = "/.well-known/jwks.json";

on_both! {
    async fn the_keys_are_published_in_both_forms(app: TestApp) {
        let shown = app.anon().get(PUBLIC_KEY).await;
        shown.expect(StatusCode::OK);
        let keys = shown.data()["keys"].as_array().unwrap();
        assert_eq!((keys.len(), &keys[0]["kid"]), (1, &shown.data()["active_kid"]));
        assert_eq!(
            (&keys[0]["algorithm"], keys[0]["public_key_hex"].as_str().unwrap().len()),
            (&"ed25519".into(), 64)
        );
        let set = app.anon().get(JWKS).await;
        set.expect(StatusCode::OK);
        let key = &set.body["keys"][0];
        assert_eq!(
            (&key["kty"], &key["crv"], &key["alg"], &key["use"]),
            (&"OKP".into(), &"Ed25519".into(), &"EdDSA".into(), &"sig".into())
        );
        assert_eq!((&key["kid"], &key["x"]), (&keys[0]["kid"], &keys[0]["public_key_b64url"]));
        assert_eq!(key["x"].as_str().unwrap().len(), 43);
        assert_eq!(set.headers["cache-control"], "public, max-age=60");
        // The private half is nowhere.
        assert!(key.get("d").is_none_or(Value::is_null));
    }
}
