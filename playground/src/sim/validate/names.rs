//! Names, labels and annotations.

use serde_json::Value;

use crate::sim::state::{Target, text};
use crate::sim::status::FieldError;

/// The most bytes that the annotations of an object may have together.
const MAX_ANNOTATIONS: usize = 256 * 1024;
const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const DNS_1035: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
const LABEL_VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
const QUALIFIED: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";

/// A label of a domain name, lower case.
pub(crate) fn is_dns_label(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 63
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
        && !name.starts_with('-')
        && !name.ends_with('-')
}

/// A domain name, lower case.
pub(crate) fn is_dns_subdomain(name: &str) -> bool {
    let part = |p: &str| {
        !p.is_empty()
            && p.chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
            && !p.starts_with('-')
            && !p.ends_with('-')
    };
    name.len() <= 253 && name.split('.').all(part)
}

pub(super) fn metadata(target: &Target, object: &Value, errors: &mut Vec<FieldError>) {
    let name = text(object, "/metadata/name");
    let wrong = match (
        target.resource.group.as_str(),
        target.resource.plural.as_str(),
    ) {
        ("rbac.authorization.k8s.io", _) => {
            (name == "." || name == ".." || name.contains(['/', '%']))
                .then_some("may not contain '/' or '%'")
        }
        ("", "namespaces") => (!is_dns_label(name)).then_some(LABEL),
        ("", "services") => (!is_dns_label(name) || name.starts_with(|c: char| c.is_ascii_digit()))
            .then_some(DNS_1035),
        _ => (!is_dns_subdomain(name)).then_some(SUBDOMAIN),
    };
    if let Some(rule) = wrong {
        errors.push(FieldError::invalid("metadata.name", &name.into(), rule));
    }
    labels_and_annotations(object, errors);
    owners(object, errors);
}

fn owners(object: &Value, errors: &mut Vec<FieldError>) {
    for owner in object
        .pointer("/metadata/ownerReferences")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        for field in ["apiVersion", "kind", "name", "uid"] {
            if text(owner, &format!("/{field}")).is_empty() {
                errors.push(FieldError::invalid(
                    &format!("metadata.ownerReferences.{field}"),
                    &"".into(),
                    if field == "apiVersion" {
                        "version must not be empty"
                    } else {
                        "must not be empty"
                    },
                ));
            }
        }
    }
}

fn qualified(key: &str) -> bool {
    let (prefix, name) = key
        .split_once('/')
        .map_or((None, key), |(p, n)| (Some(p), n));
    let word = |c: char| c.is_ascii_alphanumeric();
    let fits = !name.is_empty()
        && name.len() <= 63
        && name
            .chars()
            .all(|c| word(c) || matches!(c, '-' | '_' | '.'))
        && name.starts_with(word)
        && name.ends_with(word);
    fits && prefix.is_none_or(is_dns_subdomain)
}

/// What begins and ends with a letter or digit, as label values do.
fn label_word(value: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric();
    let inner = |c: char| word(c) || matches!(c, '-' | '_' | '.');
    value.chars().all(inner) && value.starts_with(word) && value.ends_with(word)
}

pub(super) fn labels_and_annotations(object: &Value, errors: &mut Vec<FieldError>) {
    for (key, value) in object
        .pointer("/metadata/labels")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        if !qualified(key) {
            errors.push(FieldError::invalid(
                "metadata.labels",
                &key.as_str().into(),
                QUALIFIED,
            ));
        }
        let value = value.as_str().unwrap_or_default();
        if value.len() > 63 {
            errors.push(FieldError::invalid(
                "metadata.labels",
                &value.into(),
                "must be no more than 63 bytes",
            ));
        } else if !value.is_empty() && !label_word(value) {
            errors.push(FieldError::invalid(
                "metadata.labels",
                &value.into(),
                LABEL_VALUE,
            ));
        }
    }
    let mut total = 0;
    for (key, value) in object
        .pointer("/metadata/annotations")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        total += key.len() + value.as_str().map_or(0, str::len);
        if !qualified(&key.to_lowercase()) {
            errors.push(FieldError::invalid(
                "metadata.annotations",
                &key.as_str().into(),
                QUALIFIED,
            ));
        }
    }
    if total > MAX_ANNOTATIONS {
        errors.push(FieldError::invalid(
            "metadata.annotations",
            &"".into(),
            &format!("Too long: may not be more than {MAX_ANNOTATIONS} bytes"),
        ));
    }
}
