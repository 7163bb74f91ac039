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
fn fits(pattern: &[u8], name: &[u8]) -> bool {
    match pattern {
        [] => name.is_empty(),
        [b'*', rest @ ..] => (0..=name.len()).any(|at| fits(rest, &name[at..])),
        [b'?', rest @ ..] => !name.is_empty() && fits(rest, &name[1..]),
        [b'[', rest @ ..] => {
            let (Some(end), Some((first, others))) =
                (rest.iter().position(|it| *it == b']'), name.split_first())
            else {
                return false;
            };
            in_class(&rest[..end], *first) && fits(&rest[end + 1..], others)
        }
        [b'\\', one, rest @ ..] | [one, rest @ ..] => {
            name.first() == Some(one) && fits(rest, &name[1..])
        }
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
        ];
        for (pattern, name, expect) in table {
            assert_eq!(
                fits(pattern.as_bytes(), name.as_bytes()),
                expect,
                "{pattern} {name}"
            );
        }
    }
}
