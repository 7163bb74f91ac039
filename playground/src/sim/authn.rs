//! Authentication: whom a request comes from, and for whom it speaks.

use super::auth::User;
use super::rbac::{self, Attributes};
use super::route::Request;
use super::state::State;
use super::status::Status;

/// Who asks: a token, a certificate, or nobody; then whom they speak for.
pub(crate) fn authenticate(state: &State, request: &Request) -> Result<User, Status> {
    let header = request.header("authorization");
    let user = match header
        .strip_prefix("Bearer ")
        .or_else(|| header.strip_prefix("bearer "))
    {
        Some(token) => state
            .credentials
            .user(token.trim())
            .cloned()
            .ok_or_else(Status::unauthorized)?,
        None if !header.is_empty() => return Err(Status::unauthorized()),
        None => request.peer.clone().unwrap_or_else(User::anonymous),
    };
    impersonate(state, request, user)
}

fn impersonate(state: &State, request: &Request, user: User) -> Result<User, Status> {
    let name = request.header("impersonate-user").to_owned();
    let values = |header: &str| -> Vec<String> {
        request
            .headers
            .get_all(header)
            .iter()
            .filter_map(|v| v.to_str().ok())
            .map(str::to_owned)
            .collect()
    };
    let groups = values("impersonate-group");
    let extra: Vec<(String, Vec<String>)> = {
        let keys = request.headers.keys().filter_map(|k| {
            k.as_str()
                .strip_prefix("impersonate-extra-")
                .map(|e| (k.as_str().to_owned(), super::route::decode(e, false)))
        });
        keys.map(|(header, key)| (key, values(&header))).collect()
    };
    let uid = request.header("impersonate-uid").to_owned();
    if name.is_empty() {
        if groups.is_empty() && extra.is_empty() && uid.is_empty() {
            return Ok(user);
        }
        return Err(Status::bad_request(
            "requested [{Group  ...}] without impersonating a user",
        ));
    }
    let mut target = User {
        name: name.clone(),
        groups: groups.clone(),
        uid: uid.clone(),
        extra: extra.iter().cloned().collect(),
    };
    let asked = Impersonation { state, user: &user };
    asked.check(&mut target)?;
    Ok(target)
}

/// Somebody who wants to speak for somebody else.
struct Impersonation<'a> {
    state: &'a State,
    user: &'a User,
}

impl Impersonation<'_> {
    fn may(
        &self,
        group: &str,
        resource: &str,
        subresource: &str,
        namespace: &str,
        name: &str,
    ) -> Result<(), Status> {
        let attributes = Attributes {
            verb: "impersonate".into(),
            group: group.into(),
            resource: resource.into(),
            subresource: subresource.into(),
            namespace: namespace.into(),
            name: name.into(),
            path: None,
        };
        if rbac::allows(self.state, self.user, &attributes) {
            Ok(())
        } else {
            Err(rbac::refusal(self.user, &attributes))
        }
    }

    /// Each part of the other identity must be allowed; a service account gets its groups by itself.
    fn check(&self, target: &mut User) -> Result<(), Status> {
        let groups = target.groups.clone();
        match target
            .name
            .strip_prefix("system:serviceaccount:")
            .and_then(|rest| rest.split_once(':'))
        {
            Some((namespace, account)) => {
                self.may("", "serviceaccounts", "", namespace, account)?;
                if groups.is_empty() {
                    target.groups = User::service_account(namespace, account).groups;
                }
            }
            None => self.may("", "users", "", "", &target.name)?,
        }
        for group in &groups {
            self.may("", "groups", "", "", group)?;
        }
        for (key, values) in &target.extra {
            for value in values {
                self.may("authentication.k8s.io", "userextras", key, "", value)?;
            }
        }
        if !target.uid.is_empty() {
            self.may("authentication.k8s.io", "uids", "", "", &target.uid)?;
        }
        Ok(())
    }
}
