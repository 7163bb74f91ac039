//! Who a request comes from: bearer tokens, client certificates and impersonation.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// A user as authorisation sees it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct User {
    /// The name, `system:serviceaccount:NAMESPACE:NAME` for a service account.
    pub name: String,
    /// The groups, without `system:authenticated`, which everybody has who is known.
    pub groups: Vec<String>,
    /// The unique id, where there is one.
    pub uid: String,
    /// Further facts.
    pub extra: BTreeMap<String, Vec<String>>,
}

impl User {
    /// A user with a name and groups.
    #[must_use]
    pub fn new(name: &str, groups: &[&str]) -> User {
        User {
            name: name.to_owned(),
            groups: groups.iter().map(|g| (*g).to_owned()).collect(),
            ..User::default()
        }
    }

    /// The user of a service account.
    #[must_use]
    pub fn service_account(namespace: &str, name: &str) -> User {
        User::new(
            &format!("system:serviceaccount:{namespace}:{name}"),
            &[
                "system:serviceaccounts",
                &format!("system:serviceaccounts:{namespace}"),
            ],
        )
    }

    /// Somebody who may do everything.
    #[must_use]
    pub fn admin() -> User {
        User::new("kubernetes-admin", &["system:masters"])
    }

    pub(crate) fn system(name: &str) -> User {
        User::new(&format!("system:{name}"), &["system:masters"])
    }

    pub(crate) fn anonymous() -> User {
        User::new("system:anonymous", &["system:unauthenticated"])
    }

    /// All groups, with those that come by themselves.
    pub(crate) fn all_groups(&self) -> Vec<String> {
        let mut groups = self.groups.clone();
        if self.name != "system:anonymous" && !groups.iter().any(|g| g == "system:authenticated") {
            groups.push("system:authenticated".into());
        }
        groups
    }

    /// As reviews show a user.
    pub(crate) fn info(&self) -> Value {
        let mut info = Map::new();
        info.insert("username".into(), self.name.clone().into());
        if !self.uid.is_empty() {
            info.insert("uid".into(), self.uid.clone().into());
        }
        info.insert("groups".into(), self.all_groups().into());
        if !self.extra.is_empty() {
            info.insert("extra".into(), json!(self.extra));
        }
        Value::Object(info)
    }
}

/// The tokens that a cluster accepts.
#[derive(Default, Clone)]
pub(crate) struct Credentials {
    tokens: BTreeMap<String, User>,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Credentials({} tokens)", self.tokens.len())
    }
}

impl Credentials {
    /// Makes a token for a user.
    pub(crate) fn issue(&mut self, user: User) -> String {
        let token = format!(
            "sim.{}{}",
            uuid::Uuid::new_v4().simple(),
            uuid::Uuid::new_v4().simple()
        );
        self.tokens.insert(token.clone(), user);
        token
    }

    pub(crate) fn revoke(&mut self, token: &str) {
        self.tokens.remove(token);
    }

    pub(crate) fn user(&self, token: &str) -> Option<&User> {
        self.tokens.get(token)
    }
}
