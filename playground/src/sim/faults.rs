//! Faults on demand: requests that are answered with an error, hang, or lose their connection.

use std::time::Duration;

use super::record::Recorded;

/// Which requests a fault is for. What is empty matches everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestMatch {
    /// The verb: `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`.
    pub verb: String,
    /// The group, `apps`; with `resource` set, empty means any group.
    pub group: String,
    /// The plural, `deployments`, with a subresource as `deployments/status`.
    pub resource: String,
    /// The namespace.
    pub namespace: String,
    /// The name.
    pub name: String,
    /// The beginning of the path, for what is no resource.
    pub path: String,
    /// The name of the user who asks.
    pub user: String,
}

impl RequestMatch {
    /// A verb on a resource.
    #[must_use]
    pub fn on(verb: &str, resource: &str) -> RequestMatch {
        RequestMatch {
            verb: verb.into(),
            resource: resource.into(),
            ..RequestMatch::default()
        }
    }

    /// The same for one name.
    #[must_use]
    pub fn named(mut self, name: &str) -> RequestMatch {
        self.name = name.into();
        self
    }

    /// Whether a request is meant.
    #[must_use]
    pub fn matches(&self, request: &Recorded) -> bool {
        let fits = |pattern: &str, value: &str| pattern.is_empty() || pattern == value;
        fits(&self.verb, &request.verb)
            && fits(&self.group, &request.group)
            && fits(&self.resource, &request.resource)
            && fits(&self.namespace, &request.namespace)
            && fits(&self.name, &request.name)
            && fits(&self.user, &request.user)
            && request.path.starts_with(&self.path)
    }
}

/// What happens to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// It is answered with a `Status` of this code; 429 and 503 can say when to come back.
    Status {
        /// The HTTP code.
        code: u16,
        /// Seconds for `Retry-After`.
        retry_after: Option<u64>,
        /// What the status says; empty for the usual text.
        message: String,
    },
    /// It is never answered.
    Hang,
    /// It is answered later.
    Delay(Duration),
    /// The connection is closed before anything is done.
    Reset,
    /// It is done, and the connection is closed before the answer.
    ResetAfter,
}

/// A fault: which requests, how many of them are let through first, how often, and what happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Which requests.
    pub requests: RequestMatch,
    /// Matching requests that pass before the first that is hit.
    pub skip: usize,
    /// How many are hit; nothing means all.
    pub times: Option<usize>,
    /// What happens.
    pub action: Action,
}

impl Fault {
    /// All matching requests are hit.
    #[must_use]
    pub fn always(requests: RequestMatch, action: Action) -> Fault {
        Fault {
            requests,
            skip: 0,
            times: None,
            action,
        }
    }

    /// The next matching request is hit.
    #[must_use]
    pub fn once(requests: RequestMatch, action: Action) -> Fault {
        Fault {
            requests,
            skip: 0,
            times: Some(1),
            action,
        }
    }
}

impl Action {
    /// 429 with a time to come back.
    #[must_use]
    pub fn too_many_requests(retry_after: u64) -> Action {
        Action::Status {
            code: 429,
            retry_after: Some(retry_after),
            message: String::new(),
        }
    }

    /// 500.
    #[must_use]
    pub fn internal_error() -> Action {
        Action::Status {
            code: 500,
            retry_after: None,
            message: String::new(),
        }
    }
}

/// The faults of a cluster.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    active: Vec<(u64, Fault, usize)>,
    next: u64,
}

impl Faults {
    pub(crate) fn add(&mut self, fault: Fault) -> u64 {
        self.next += 1;
        self.active.push((self.next, fault, 0));
        self.next
    }

    pub(crate) fn remove(&mut self, id: u64) {
        self.active.retain(|(other, _, _)| *other != id);
    }

    pub(crate) fn clear(&mut self) {
        self.active.clear();
    }

    /// What happens to a request: the first fault that hits it counts.
    pub(crate) fn hit(&mut self, request: &Recorded) -> Option<Action> {
        let mut action = None;
        for (_, fault, seen) in &mut self.active {
            if !fault.requests.matches(request) {
                continue;
            }
            *seen += 1;
            if *seen > fault.skip {
                action = Some(fault.action.clone());
                break;
            }
        }
        self.active
            .retain(|(_, fault, seen)| fault.times.is_none_or(|times| *seen < fault.skip + times));
        action
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_hits_as_often_as_it_says() {
        let mut faults = Faults::default();
        faults.add(Fault {
            requests: RequestMatch::on("get", "secrets"),
            skip: 1,
            times: Some(2),
            action: Action::Hang,
        });
        let get = Recorded {
            verb: "get".into(),
            resource: "secrets".into(),
            ..Recorded::default()
        };
        let other = Recorded {
            verb: "list".into(),
            ..get.clone()
        };
        assert!(faults.hit(&other).is_none());
        let hits: Vec<bool> = (0..5).map(|_| faults.hit(&get).is_some()).collect();
        assert_eq!(hits, [false, true, true, false, false]);
    }
}
