//! Go's `filepath.Match`: `*`, `?`, classes and escapes, none of which crosses a `/`.

/// The pattern has an open class, a bad range or ends in a backslash. The wording is Go's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("syntax error in pattern")]
pub(crate) struct BadPattern;

/// Whether the whole of `name` matches `pattern`.
///
/// As in Go, a mistake in the pattern is only found when matching gets there or fails before it.
pub(crate) fn matches(pattern: &str, name: &str) -> Result<bool, BadPattern> {
    let mut pattern = pattern;
    let mut name = name;
    while !pattern.is_empty() {
        let (star, chunk, rest) = scan_chunk(pattern);
        pattern = rest;
        if star && chunk.is_empty() {
            return Ok(!name.contains('/'));
        }
        if let Some(left) = match_chunk(chunk, name)? {
            // The last chunk must use up the name, others leave the rest to what follows.
            if left.is_empty() || !pattern.is_empty() {
                name = left;
                continue;
            }
        }
        if star && let Some(left) = match_later(chunk, name, pattern.is_empty())? {
            name = left;
            continue;
        }
        check(pattern)?;
        return Ok(false);
    }
    Ok(name.is_empty())
}

/// Lets a star take more and more of the name, but no `/`.
fn match_later<'a>(chunk: &str, name: &'a str, last: bool) -> Result<Option<&'a str>, BadPattern> {
    for (at, skipped) in name.char_indices() {
        if skipped == '/' {
            break;
        }
        let from = &name[at + skipped.len_utf8()..];
        if let Some(left) = match_chunk(chunk, from)? {
            if last && !left.is_empty() {
                continue;
            }
            return Ok(Some(left));
        }
    }
    Ok(None)
}

/// The rest of the pattern is read to find mistakes in it.
fn check(pattern: &str) -> Result<(), BadPattern> {
    let mut rest = pattern;
    while !rest.is_empty() {
        let (_, chunk, after) = scan_chunk(rest);
        match_chunk(chunk, "")?;
        rest = after;
    }
    Ok(())
}

/// Whether the pattern starts with stars, the text up to the next star outside a class, and what follows.
fn scan_chunk(pattern: &str) -> (bool, &str, &str) {
    let chunk = pattern.trim_start_matches('*');
    let star = chunk.len() < pattern.len();
    let mut in_class = false;
    let mut escaped = false;
    for (at, c) in chunk.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '[' => in_class = true,
            ']' => in_class = false,
            '*' if !in_class => return (star, &chunk[..at], &chunk[at..]),
            _ => {}
        }
    }
    (star, chunk, "")
}

/// Matches a chunk at the start of the name and gives the rest of the name. After a mismatch the chunk is read on, for its mistakes.
fn match_chunk<'a>(chunk: &str, name: &'a str) -> Result<Option<&'a str>, BadPattern> {
    let mut chunk = chunk;
    let mut name = name;
    let mut failed = false;
    while let Some(c) = chunk.chars().next() {
        if name.is_empty() {
            failed = true;
        }
        match c {
            '[' => {
                let subject = if failed { None } else { name.chars().next() };
                let (rest, matched) = match_class(&chunk[1..], subject)?;
                chunk = rest;
                match subject {
                    Some(r) if matched => name = &name[r.len_utf8()..],
                    _ => failed = true,
                }
            }
            '?' => {
                chunk = &chunk[1..];
                match name.chars().next() {
                    Some(r) if !failed && r != '/' => name = &name[r.len_utf8()..],
                    _ => failed = true,
                }
            }
            _ => {
                let literal = if c == '\\' {
                    chunk = &chunk[1..];
                    chunk.chars().next().ok_or(BadPattern)?
                } else {
                    c
                };
                chunk = &chunk[literal.len_utf8()..];
                if !failed {
                    match name.strip_prefix(literal) {
                        Some(rest) => name = rest,
                        None => failed = true,
                    }
                }
            }
        }
    }
    Ok((!failed).then_some(name))
}

/// A class without its opening bracket: what follows it, and whether the character is in it.
fn match_class(text: &str, subject: Option<char>) -> Result<(&str, bool), BadPattern> {
    let (mut rest, negated) = match text.strip_prefix('^') {
        Some(rest) => (rest, true),
        None => (text, false),
    };
    let mut found = false;
    let mut ranges = 0;
    loop {
        if ranges > 0
            && let Some(after) = rest.strip_prefix(']')
        {
            return Ok((after, found != negated));
        }
        let low;
        (low, rest) = class_char(rest)?;
        let mut high = low;
        if let Some(after) = rest.strip_prefix('-') {
            (high, rest) = class_char(after)?;
        }
        found |= subject.is_some_and(|c| low <= c && c <= high);
        ranges += 1;
    }
}

/// One possibly escaped character of a class; something must follow it.
fn class_char(text: &str) -> Result<(char, &str), BadPattern> {
    let text = match text.chars().next() {
        None | Some('-' | ']') => return Err(BadPattern),
        Some('\\') => &text[1..],
        Some(_) => text,
    };
    let c = text.chars().next().ok_or(BadPattern)?;
    let rest = &text[c.len_utf8()..];
    if rest.is_empty() {
        Err(BadPattern)
    } else {
        Ok((c, rest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_go() {
        // The table that Go's own documentation and tests spell out.
        for (pattern, name, expect) in [
            ("abc", "abc", Ok(true)),
            ("*", "abc", Ok(true)),
            ("*c", "abc", Ok(true)),
            ("a*", "a", Ok(true)),
            ("a*", "abc", Ok(true)),
            ("a*", "ab/c", Ok(false)),
            ("a*/b", "abc/b", Ok(true)),
            ("a*/b", "a/c/b", Ok(false)),
            ("a*b*c*d*e*/f", "axbxcxdxe/f", Ok(true)),
            ("a*b*c*d*e*/f", "axbxcxdxexxx/f", Ok(true)),
            ("a*b*c*d*e*/f", "axbxcxdxe/xxx/f", Ok(false)),
            ("a*b?c*x", "abxbbxdbxebxczzx", Ok(true)),
            ("a*b?c*x", "abxbbxdbxebxczzy", Ok(false)),
            ("ab[c]", "abc", Ok(true)),
            ("ab[b-d]", "abc", Ok(true)),
            ("ab[e-g]", "abc", Ok(false)),
            ("ab[^c]", "abc", Ok(false)),
            ("ab[^e-g]", "abc", Ok(true)),
            ("a\\*b", "a*b", Ok(true)),
            ("a\\*b", "ab", Ok(false)),
            ("a?b", "a☺b", Ok(true)),
            ("a[^a]b", "a☺b", Ok(true)),
            ("a???b", "a☺b", Ok(false)),
            ("[a-ζ]*", "α", Ok(true)),
            ("*[a-ζ]", "A", Ok(false)),
            ("a?b", "a/b", Ok(false)),
            ("a*b", "a/b", Ok(false)),
            ("[\\]a]", "]", Ok(true)),
            ("[\\-]", "-", Ok(true)),
            ("[x\\-]", "z", Ok(false)),
            ("[]a]", "]", Err(BadPattern)),
            ("[-]", "-", Err(BadPattern)),
            ("[x-]", "x", Err(BadPattern)),
            ("[a-b-c]", "a", Err(BadPattern)),
            ("[", "a", Err(BadPattern)),
            ("[^bc", "a", Err(BadPattern)),
            ("a[", "a", Err(BadPattern)),
            ("a[", "ab", Err(BadPattern)),
            ("a[", "x", Err(BadPattern)),
            ("a/b[", "x", Err(BadPattern)),
            ("*x", "xxx", Ok(true)),
            ("a\\", "a", Err(BadPattern)),
            ("", "", Ok(true)),
            ("", "a", Ok(false)),
        ] {
            assert_eq!(matches(pattern, name), expect, "{pattern:?} {name:?}");
        }
    }
}
