//! Label and field selectors of lists and watches.

use serde_json::Value;

use super::status::Status;

#[derive(Debug, Clone, PartialEq)]
enum Test {
    In(Vec<String>),
    NotIn(Vec<String>),
    Exists,
    Absent,
}

/// Which objects a request is about.
#[derive(Debug, Clone, Default)]
pub(crate) struct Selector {
    labels: Vec<(String, Test)>,
    fields: Vec<(String, bool, String)>,
}

impl Selector {
    /// Reads both selectors of a request. Fields other than name and namespace are those that the kind declares.
    pub(crate) fn parse(
        labels: &str,
        fields: &str,
        selectable: &[String],
    ) -> Result<Selector, Status> {
        let labels = parse_labels(labels)
            .map_err(|e| Status::bad_request(format!("unable to parse requirement: {e}")))?;
        let mut parsed = Vec::new();
        for term in fields.split(',').filter(|t| !t.is_empty()) {
            let (path, equal, value) = if let Some((path, value)) = term.split_once("!=") {
                (path, false, value)
            } else if let Some((path, value)) =
                term.split_once("==").or_else(|| term.split_once('='))
            {
                (path, true, value)
            } else {
                return Err(Status::bad_request(format!(
                    "invalid selector: '{fields}'; can't understand '{term}'"
                )));
            };
            if !matches!(path, "metadata.name" | "metadata.namespace")
                && !selectable.iter().any(|s| s == path)
            {
                return Err(Status::bad_request(match selectable.is_empty() {
                    true => format!(
                        "{path:?} is not a known field selector: only \"metadata.name\", \"metadata.namespace\""
                    ),
                    false => format!("field label not supported: {path}"),
                }));
            }
            parsed.push((path.to_owned(), equal, value.to_owned()));
        }
        Ok(Selector {
            labels,
            fields: parsed,
        })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    /// Whether an object is selected.
    pub(crate) fn matches(&self, object: &Value) -> bool {
        let labels = object.pointer("/metadata/labels");
        let label = |key: &str| labels.and_then(|l| l.get(key)).and_then(Value::as_str);
        self.labels.iter().all(|(key, test)| match test {
            Test::In(values) => label(key).is_some_and(|v| values.iter().any(|x| x == v)),
            Test::NotIn(values) => label(key).is_none_or(|v| values.iter().all(|x| x != v)),
            Test::Exists => label(key).is_some(),
            Test::Absent => label(key).is_none(),
        }) && self
            .fields
            .iter()
            .all(|(path, equal, value)| (field(object, path) == *value) == *equal)
    }
}

fn field(object: &Value, path: &str) -> String {
    let mut at = object;
    for step in path.split('.') {
        match at.get(step) {
            Some(next) => at = next,
            None => return String::new(),
        }
    }
    match at {
        Value::String(s) => s.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// The fields of built-in kinds that can be selected by, besides name and namespace.
pub(crate) fn selectable_fields(group: &str, plural: &str) -> Vec<String> {
    let fields: &[&str] = match (group, plural) {
        ("", "pods") => &[
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.phase",
            "status.podIP",
            "status.nominatedNodeName",
        ],
        ("" | "events.k8s.io", "events") => &[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "source",
            "type",
            "regarding.name",
            "regarding.kind",
            "regarding.namespace",
            "regarding.uid",
        ],
        ("", "namespaces") => &["status.phase"],
        ("", "nodes") => &["spec.unschedulable"],
        ("", "secrets") => &["type"],
        ("", "services") => &["spec.clusterIP", "spec.type"],
        ("", "replicationcontrollers") | ("apps", "replicasets") => &["status.replicas"],
        ("batch", "jobs") => &["status.successful"],
        ("certificates.k8s.io", _) => &["spec.signerName"],
        _ => &[],
    };
    fields.iter().map(|f| (*f).to_owned()).collect()
}

fn parse_labels(text: &str) -> Result<Vec<(String, Test)>, String> {
    let mut out = Vec::new();
    for term in split_terms(text) {
        let term = term.trim();
        if term.is_empty() {
            continue;
        }
        let requirement = if let Some(key) = term.strip_prefix('!') {
            (key.trim().to_owned(), Test::Absent)
        } else if let Some((head, values)) = term.split_once('(') {
            let values = values
                .strip_suffix(')')
                .ok_or_else(|| format!("found '{term}', expected: ')'"))?;
            let values: Vec<String> = values.split(',').map(|v| v.trim().to_owned()).collect();
            let mut words = head.split_whitespace();
            match (words.next(), words.next()) {
                (Some(key), Some("in")) => (key.to_owned(), Test::In(values)),
                (Some(key), Some("notin")) => (key.to_owned(), Test::NotIn(values)),
                _ => return Err(format!("found '{head}', expected: in, notin")),
            }
        } else if let Some((key, value)) = term.split_once("!=") {
            (
                key.trim().to_owned(),
                Test::NotIn(vec![value.trim().to_owned()]),
            )
        } else if let Some((key, value)) = term.split_once("==").or_else(|| term.split_once('=')) {
            (
                key.trim().to_owned(),
                Test::In(vec![value.trim().to_owned()]),
            )
        } else {
            (term.to_owned(), Test::Exists)
        };
        if requirement.0.is_empty() {
            return Err(format!("found '{term}', expected: identifier"));
        }
        if let Some(next) = requirement.0.split_whitespace().nth(1) {
            return Err(format!(
                "found '{next}', expected: in, notin, =, ==, !=, gt, lt"
            ));
        }
        out.push(requirement);
    }
    Ok(out)
}

fn split_terms(text: &str) -> Vec<&str> {
    let mut depth = 0_u32;
    text.split(|c| {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0
    })
    .collect()
}

/// Whether a `LabelSelector` object selects these labels.
pub(crate) fn label_selector_matches(selector: &Value, labels: Option<&Value>) -> bool {
    let label = |key: &str| labels.and_then(|l| l.get(key)).and_then(Value::as_str);
    let exact = selector
        .get("matchLabels")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .all(|(k, v)| label(k) == v.as_str());
    let expressions = selector
        .get("matchExpressions")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    exact
        && expressions.into_iter().all(|e| {
            let value = e.get("key").and_then(Value::as_str).and_then(label);
            let listed = |v: &str| {
                e.get("values")
                    .and_then(Value::as_array)
                    .into_iter()
                    .flatten()
                    .any(|x| x.as_str() == Some(v))
            };
            match e.get("operator").and_then(Value::as_str) {
                Some("In") => value.is_some_and(listed),
                Some("NotIn") => value.is_none_or(|v| !listed(v)),
                Some("Exists") => value.is_some(),
                Some("DoesNotExist") => value.is_none(),
                _ => false,
            }
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn selectors_select() {
        let object = json!({"metadata": {"name": "n", "labels": {"app": "web", "tier": "front"}}, "status": {"phase": "Active"}});
        let table = [
            ("app=web", "", true),
            ("app==web,tier!=back", "", true),
            ("app in (web, api)", "", true),
            ("app notin (web)", "", false),
            ("app", "", true),
            ("!app", "", false),
            ("!other", "", true),
            ("", "metadata.name=n", true),
            ("", "metadata.name!=n", false),
            ("", "status.phase=Active", true),
            ("other!=x", "", true),
        ];
        for (labels, fields, expected) in table {
            let selector = Selector::parse(labels, fields, &["status.phase".into()]).unwrap();
            assert_eq!(selector.matches(&object), expected, "{labels} {fields}");
        }
        assert!(Selector::parse("app in web", "", &[]).is_err());
        assert!(Selector::parse("", "spec.x=1", &[]).is_err());
    }
}
