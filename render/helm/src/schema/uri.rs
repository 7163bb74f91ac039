//! Just enough of URIs to resolve `$ref` and `$id`.

/// Splits a reference at `#`; the fragment's percent escapes are undone.
pub(super) fn split_fragment(reference: &str) -> (&str, String) {
    match reference.split_once('#') {
        Some((url, fragment)) => (url, unescape(fragment)),
        None => (reference, String::new()),
    }
}

fn unescape(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let mut ahead = bytes.clone();
        let escaped = if byte == b'%' {
            hex(ahead.next()).zip(hex(ahead.next()))
        } else {
            None
        };
        match escaped {
            Some((high, low)) => {
                out.push(high << 4 | low);
                bytes = ahead;
            }
            None => out.push(byte),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn hex(byte: Option<u8>) -> Option<u8> {
    char::from(byte?)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

/// A reference (without fragment) as seen from a base, by RFC 3986.
pub(super) fn resolve(base: &str, reference: &str) -> String {
    if reference.is_empty() {
        return base.to_owned();
    }
    if has_scheme(reference) {
        return reference.to_owned();
    }
    let Some((scheme, rest)) = base.split_once(':').filter(|_| has_scheme(base)) else {
        return reference.to_owned();
    };
    if let Some(network) = reference.strip_prefix("//") {
        return format!("{scheme}://{network}");
    }
    let Some(rest) = rest.strip_prefix("//") else {
        // An opaque base such as `urn:x:y` has no path to resolve against.
        return base.to_owned();
    };
    let (authority, path) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
    let path = path.split('?').next().unwrap_or(path);
    let (reference, query) = reference
        .find('?')
        .map_or((reference, ""), |at| reference.split_at(at));
    let joined = if reference.is_empty() {
        path.to_owned()
    } else if reference.starts_with('/') {
        reference.to_owned()
    } else {
        let folder = path.rfind('/').map_or("/", |at| &path[..=at]);
        format!("{folder}{reference}")
    };
    format!("{scheme}://{authority}{}{query}", without_dots(&joined))
}

fn has_scheme(url: &str) -> bool {
    let Some((scheme, _)) = url.split_once(':') else {
        return false;
    };
    scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
}

fn without_dots(path: &str) -> String {
    let mut out: Vec<&str> = Vec::new();
    let mut parts = path.split('/').peekable();
    while let Some(part) = parts.next() {
        let last = parts.peek().is_none();
        match part {
            "." | ".." => {
                if part == ".." && out.len() > 1 {
                    out.pop();
                }
                if last {
                    out.push("");
                }
            }
            _ => out.push(part),
        }
    }
    out.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_resolve() {
        for (base, reference, expect) in [
            ("http://a/b/c/d?q", "g", "http://a/b/c/g"),
            ("http://a/b/c/d", "./g/", "http://a/b/c/g/"),
            ("http://a/b/c/d", "/g", "http://a/g"),
            ("http://a/b/c/d", "//g", "http://g"),
            ("http://a/b/c/d", "../g", "http://a/b/g"),
            ("http://a/b/c/d", "../../../g", "http://a/g"),
            ("http://a/b/c/d", "g?y", "http://a/b/c/g?y"),
            ("http://a/b/c/d", "https://x/y", "https://x/y"),
            (
                "file:///values.schema.json",
                "other.json",
                "file:///other.json",
            ),
            (
                "file:///values.schema.json",
                "",
                "file:///values.schema.json",
            ),
            ("urn:x:y", "z", "urn:x:y"),
        ] {
            assert_eq!(resolve(base, reference), expect, "{base} {reference}");
        }
        assert_eq!(split_fragment("a#/x%20y/%zz"), ("a", "/x y/%zz".to_owned()));
    }
}
