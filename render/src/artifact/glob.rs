//! Paths that a pattern names, segment by segment, as Go's `fs.Glob` finds them: `*`, `?` and `[…]` within one segment; `**`
//! is no more than `*`, and what lies below a folder that is found comes with it.

use capstan_kustomize::{Entry, Tree, TreeError};

/// Whether there is anything to find in it.
pub(super) fn is_pattern(path: &str) -> bool {
    path.contains(['*', '?', '[', ']'])
}

/// What is there that fits, in order.
pub(super) fn find(tree: &dyn Tree, pattern: &str) -> Result<Vec<String>, TreeError> {
    let mut found = vec![String::new()];
    for segment in pattern.split('/').filter(|it| !it.is_empty() && *it != ".") {
        let mut next = Vec::new();
        for folder in &found {
            if !folder.is_empty() && tree.entry(folder)? != Some(Entry::Folder) {
                continue;
            }
            for name in tree.list(folder)? {
                if fits(segment.as_bytes(), name.as_bytes()) {
                    next.push(super::join(folder, &name));
                }
            }
        }
        found = next;
    }
    Ok(found)
}

/// Whether a name fits one segment of a pattern.
fn fits(mut pattern: &[u8], mut name: &[u8]) -> bool {
    // What follows the last `*`, and the name from where that is tried. Only the last one ever has to take more.
    let mut star: Option<(&[u8], &[u8])> = None;
    loop {
        if let [b'*', rest @ ..] = pattern {
            star = Some((rest, name));
            pattern = rest;
            continue;
        }
        let next = match name.split_first() {
            None if pattern.is_empty() => return true,
            None => None,
            Some((first, others)) => behind(pattern, *first).map(|rest| (rest, others)),
        };
        (pattern, name) = match (next, star) {
            (Some(next), _) => next,
            (None, Some((rest, [_, left @ ..]))) => {
                star = Some((rest, left));
                (rest, left)
            }
            _ => return false,
        };
    }
}

/// The pattern behind what fits the byte.
fn behind(pattern: &[u8], byte: u8) -> Option<&[u8]> {
    match pattern {
        [] => None,
        [b'?', rest @ ..] => Some(rest),
        [b'[', rest @ ..] => {
            let end = rest.iter().position(|it| *it == b']')?;
            in_class(&rest[..end], byte).then(|| &rest[end + 1..])
        }
        [b'\\', one, rest @ ..] | [one, rest @ ..] => (byte == *one).then_some(rest),
    }
}

fn in_class(class: &[u8], byte: u8) -> bool {
    let (negated, mut class) = match class {
        [b'^', rest @ ..] => (true, rest),
        all => (false, all),
    };
    let mut found = false;
    while let [low, rest @ ..] = class {
        class = match rest {
            [b'-', high, rest @ ..] => {
                found |= (*low..=*high).contains(&byte);
                rest
            }
            rest => {
                found |= *low == byte;
                rest
            }
        };
    }
    found != negated
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn segments_fit_as_in_go() {
        let table = [
            ("*", "anything", true),
            ("**", "anything", true),
            ("*.yaml", "a.yaml", true),
            ("*.yaml", "a.yml", false),
            ("a?c", "abc", true),
            ("[a-c]1", "b1", true),
            ("[^a-c]1", "b1", false),
            ("a", "ab", false),
            ("\\*", "*", true),
            ("[", "[", false),
            ("*a*b*", "xaxbx", true),
            ("*a*b", "abab", true),
            ("*a*b", "aba", false),
            ("a*", "", false),
            ("*", "", true),
        ];
        for (pattern, name, expect) in table {
            assert_eq!(
                fits(pattern.as_bytes(), name.as_bytes()),
                expect,
                "{pattern} {name}"
            );
        }
    }

    #[test]
    fn many_stars_take_no_years() {
        let (pattern, name) = ("*a".repeat(100) + "b", "a".repeat(250));
        assert!(!fits(pattern.as_bytes(), name.as_bytes()));
    }
}
