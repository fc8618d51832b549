//! What requests about projects and their members contain (`contract/projects.md`). Unknown keys are
//! ignored, `user_id` of a project among them: a project belongs to the account that makes it.

use hoody_core::id::{RealmId, UserId};
use hoody_core::invalid::Invalid;
use hoody_core::json::Fields;
use hoody_core::names;
use hoody_core::token::{MAX_REALMS, parse_realm_ids};
use hoody_core::wire::PermissionLevel;
use serde_json::Value;

use super::Project;

/// The largest `max_containers`: the largest whole number that every reader of JSON keeps exactly.
const MAX_QUOTA: i64 = (1 << 53) - 1;

/// A project to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewProject {
    pub alias: String,
    /// As it is stored; `None` for a random one.
    pub color: Option<String>,
    pub max_containers: Option<i64>,
    pub realm_ids: Vec<RealmId>,
}

/// A change of a project; `None` leaves a field as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectChange {
    alias: Option<String>,
    color: Option<String>,
    max_containers: Option<Option<i64>>,
    realm_ids: Option<Vec<RealmId>>,
}

/// An account that is to reach a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMember {
    pub user_id: UserId,
    pub level: PermissionLevel,
}

impl NewProject {
    /// Reads the body of `POST /projects`.
    pub fn parse(body: &Value) -> Result<Self, Invalid> {
        let given = ProjectChange::parse(body)?;
        Ok(Self {
            alias: given.alias.ok_or_else(|| Invalid::missing("alias"))?,
            color: given.color,
            max_containers: given.max_containers.flatten(),
            realm_ids: given.realm_ids.unwrap_or_default(),
        })
    }
}

impl ProjectChange {
    /// Reads the body of `PUT` or `PATCH /projects/{id}`. Both may leave out anything.
    pub fn parse(body: &Value) -> Result<Self, Invalid> {
        let mut fields = Fields::of_body(body)?;
        let alias = fields.string("alias").map(names::compose);
        let checked = alias.as_deref().map(|alias| names::project_alias(alias).map(drop));
        let alias = checked.and_then(|checked| fields.absorb(checked)).and(alias);
        let color = fields.string("color").map(names::color);
        let color = color.and_then(|color| fields.absorb(color));
        let max_containers = fields.value("max_containers").map(parse_quota);
        let max_containers = max_containers.and_then(|quota| fields.absorb(quota));
        let realm_ids = fields.array("realm_ids").map(parse_realm_ids);
        let realm_ids = realm_ids.and_then(|realm_ids| fields.absorb(realm_ids));
        fields.close_open()?;
        Ok(Self { alias, color, max_containers, realm_ids })
    }

    /// Puts what was asked for into the project.
    pub fn put_into(self, project: &mut Project) {
        fn set<T>(field: &mut T, value: Option<T>) {
            if let Some(value) = value {
                *field = value;
            }
        }
        set(&mut project.alias, self.alias);
        set(&mut project.color, self.color);
        set(&mut project.max_containers, self.max_containers);
        set(&mut project.realm_ids, self.realm_ids);
    }
}

impl NewMember {
    /// Reads the body of `POST /projects/{id}/permissions`.
    pub fn parse(body: &Value) -> Result<Self, Invalid> {
        let mut fields = Fields::of_body(body)?;
        let user_id = match fields.string("user_id") {
            Some(text) => text.parse().map_err(|_| Invalid::id_format("user_id")),
            None => Err(Invalid::missing("user_id")),
        };
        fields.absorb(user_id.clone());
        let level = parse_level(&mut fields);
        fields.close_open()?;
        Ok(Self { user_id: user_id?, level: level? })
    }
}

/// Reads the body of `PUT` or `PATCH /projects/{id}/permissions/{permission_id}`.
pub fn parse_new_level(body: &Value) -> Result<PermissionLevel, Invalid> {
    let mut fields = Fields::of_body(body)?;
    let level = parse_level(&mut fields);
    fields.close_open()?;
    level
}

/// The level that was sent; what is wrong with it is in `fields` too.
fn parse_level(fields: &mut Fields<'_>) -> Result<PermissionLevel, Invalid> {
    let level = match fields.string("permission_level") {
        Some(text) => {
            let words = PermissionLevel::ALL.map(PermissionLevel::as_str).join(", ");
            let wrong = |_| Invalid::schema("/permission_level", format!("must be one of {words}"));
            text.parse().map_err(wrong)
        }
        // Absent; of the wrong type is a violation by now, which comes first.
        None => Err(Invalid::missing("permission_level")),
    };
    fields.absorb(level.clone());
    level
}

fn parse_quota(value: &Value) -> Result<Option<i64>, Invalid> {
    let number = match value {
        Value::Null => return Ok(None),
        Value::Number(number) => number,
        _ => return Err(Invalid::schema("/max_containers", "must be a number or null")),
    };
    let quota = number.as_i64().filter(|quota| (0..=MAX_QUOTA).contains(quota));
    quota.map(Some).ok_or_else(|| {
        let message =
            format!("Invalid quota value: max_containers must be a whole number from 0 to {MAX_QUOTA}");
        Invalid::rule("INVALID_QUOTA_VALUE", message)
    })
}

/// Refuses more realms than one thing may carry.
pub fn check_realm_count(count: usize) -> Result<(), Invalid> {
    if count <= MAX_REALMS {
        return Ok(());
    }
    Err(Invalid::validation(format!("realm_ids must not have more than {MAX_REALMS} entries")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn code<T: std::fmt::Debug>(result: Result<T, Invalid>) -> &'static str {
        match result {
            Err(Invalid::Rule { code, .. }) => code,
            other => panic!("{other:?}"),
        }
    }

    fn places<T: std::fmt::Debug>(result: Result<T, Invalid>) -> Vec<String> {
        match result {
            Err(Invalid::Schema(violations)) => violations.into_iter().map(|v| v.instance_path).collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_new_project_needs_an_alias_and_nothing_else() {
        let new = NewProject::parse(&json!({ "alias": "web" })).unwrap();
        let plain =
            NewProject { alias: "web".into(), color: None, max_containers: None, realm_ids: Vec::new() };
        assert_eq!(new, plain);
        assert_eq!(code(NewProject::parse(&json!({}))), "MISSING_REQUIRED_FIELD");
        let change = ProjectChange { alias: None, color: None, max_containers: None, realm_ids: None };
        assert_eq!(ProjectChange::parse(&json!({})), Ok(change));
    }

    #[test]
    fn every_field_is_read_in_its_stored_form() {
        let realm = "65a1b2c3d4e5f60718293a4b";
        let body =
            json!({ "alias": "Zürich", "color": "ff8800", "max_containers": 0, "realm_ids": [realm, realm] });
        let new = NewProject::parse(&body).unwrap();
        assert_eq!(new.color.as_deref(), Some("#FF8800"));
        assert_eq!(new.max_containers, Some(0));
        assert_eq!(new.realm_ids, [realm.parse().unwrap()]);
        let cleared = ProjectChange::parse(&json!({ "max_containers": null })).unwrap();
        assert_eq!(cleared.max_containers, Some(None));
    }

    #[test]
    fn threat_15_an_owner_in_the_body_is_ignored() {
        let body =
            json!({ "alias": "web", "user_id": "65a1b2c3d4e5f60718293a4b", "id": 7, "is_default": true });
        assert_eq!(NewProject::parse(&body), NewProject::parse(&json!({ "alias": "web" })));
    }

    #[test]
    fn each_broken_rule_has_its_code() {
        let many: Vec<_> = (0..501).map(|index| format!("{index:024x}")).collect();
        for (body, expected) in [
            (json!({ "alias": "" }), "INVALID_ALIAS_FORMAT"),
            (json!({ "alias": "a\u{0}" }), "INVALID_ALIAS_FORMAT"),
            (json!({ "alias": "x".repeat(101) }), "INVALID_ALIAS_FORMAT"),
            (json!({ "color": "red" }), "INVALID_COLOR_FORMAT"),
            (json!({ "max_containers": -1 }), "INVALID_QUOTA_VALUE"),
            (json!({ "max_containers": 1.5 }), "INVALID_QUOTA_VALUE"),
            (json!({ "max_containers": 1e300 }), "INVALID_QUOTA_VALUE"),
            (json!({ "max_containers": u64::MAX }), "INVALID_QUOTA_VALUE"),
            (json!({ "realm_ids": ["x"] }), "INVALID_REALM_ID_FORMAT"),
            (json!({ "realm_ids": ["65A1B2C3D4E5F60718293A4B"] }), "INVALID_REALM_ID_FORMAT"),
            (json!({ "realm_ids": many }), "VALIDATION_ERROR"),
        ] {
            assert_eq!(code(ProjectChange::parse(&body)), expected, "{body}");
        }
    }

    #[test]
    fn threat_25_wrong_types_are_violations_at_their_place() {
        let body =
            json!({ "alias": { "$ne": 1 }, "color": 7, "max_containers": "3", "realm_ids": ["x", 1, null] });
        let expected = ["/alias", "/color", "/max_containers", "/realm_ids/1", "/realm_ids/2"];
        assert_eq!(places(ProjectChange::parse(&body)), expected);
        assert_eq!(places(NewProject::parse(&json!([]))), [""]);
        assert_eq!(places(NewProject::parse(&json!({ "alias": null }))), ["/alias"]);
        assert_eq!(places(NewMember::parse(&json!({ "user_id": 1, "permission_level": [] }))).len(), 2);
    }

    #[test]
    fn a_member_is_an_id_and_one_of_three_words() {
        let id = "65a1b2c3d4e5f60718293a4b";
        let member = NewMember::parse(&json!({ "user_id": id, "permission_level": "edit" })).unwrap();
        assert_eq!(member, NewMember { user_id: id.parse().unwrap(), level: PermissionLevel::Edit });
        let missing = json!({ "user_id": id });
        assert_eq!(code(NewMember::parse(&missing)), "MISSING_REQUIRED_FIELD");
        let bad = json!({ "user_id": "me", "permission_level": "read" });
        assert_eq!(code(NewMember::parse(&bad)), "INVALID_ID_FORMAT");
        assert_eq!(places(parse_new_level(&json!({ "permission_level": "Owner" }))), ["/permission_level"]);
        assert_eq!(parse_new_level(&json!({ "permission_level": "delete" })), Ok(PermissionLevel::Delete));
    }
}
