//! What was asked of a cluster.

use std::collections::{BTreeMap, VecDeque};

/// Requests that are kept one by one; counts go on beyond.
const MAX_REQUESTS: usize = 100_000;

/// One request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recorded {
    /// The verb of the API, or the HTTP method in lower case for what is no resource.
    pub verb: String,
    /// The group.
    pub group: String,
    /// The plural, with a subresource as `deployments/status`; empty for what is no resource.
    pub resource: String,
    /// The namespace.
    pub namespace: String,
    /// The name.
    pub name: String,
    /// The path as it came, without parameters.
    pub path: String,
    /// The parameters as they came.
    pub query: String,
    /// The content type of the body, which tells patches apart.
    pub content_type: String,
    /// The user who asked, after impersonation.
    pub user: String,
    /// The code of the answer; 0 while there is none, or where a fault prevented one.
    pub code: u16,
}

/// The requests of a cluster.
#[derive(Debug, Default)]
pub(crate) struct Record {
    requests: VecDeque<Recorded>,
    first: u64,
    counts: BTreeMap<(String, String), u64>,
}

impl Record {
    /// Notes a request and gives its number.
    pub(crate) fn note(&mut self, request: Recorded) -> u64 {
        *self
            .counts
            .entry((request.verb.clone(), request.resource.clone()))
            .or_default() += 1;
        self.requests.push_back(request);
        if self.requests.len() > MAX_REQUESTS {
            self.requests.pop_front();
            self.first += 1;
        }
        self.first + self.requests.len() as u64 - 1
    }

    /// Notes the answer of a request.
    pub(crate) fn answered(&mut self, number: u64, code: u16) {
        if let Some(request) = number
            .checked_sub(self.first)
            .and_then(|i| usize::try_from(i).ok())
            .and_then(|i| self.requests.get_mut(i))
        {
            request.code = code;
        }
    }

    pub(crate) fn all(&self) -> Vec<Recorded> {
        self.requests.iter().cloned().collect()
    }

    /// How often each verb was asked of each resource.
    pub(crate) fn counts(&self) -> BTreeMap<(String, String), u64> {
        self.counts.clone()
    }

    pub(crate) fn clear(&mut self) {
        let next = self.first + self.requests.len() as u64;
        *self = Record {
            first: next,
            ..Record::default()
        };
    }
}
