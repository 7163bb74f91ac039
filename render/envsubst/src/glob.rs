//! Patterns of `#` and `%`: shell globs in which `*` matches a slash too.

use Stop::BadPattern;

use crate::limits::MAX_PATTERN_STEPS;

/// Why there is no answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The pattern is none.
    BadPattern,
    /// There are no [`Steps`] left.
    TooManySteps,
}

/// How many characters may still be looked at.
#[derive(Debug)]
pub(crate) struct Steps(usize);

impl Steps {
    pub(crate) fn new() -> Self {
        Steps(MAX_PATTERN_STEPS)
    }

    fn take(&mut self) -> Result<(), Stop> {
        self.0 = self.0.checked_sub(1).ok_or(Stop::TooManySteps)?;
        Ok(())
    }
}

/// Whether the pattern matches all of the name.
pub(crate) fn matches(
    mut pattern: &[u8],
    mut name: &[u8],
    steps: &mut Steps,
) -> Result<bool, Stop> {
    'pattern: while !pattern.is_empty() {
        let (star, chunk, rest) = split_chunk(pattern);
        pattern = rest;
        if star && chunk.is_empty() {
            return Ok(true);
        }
        // The last chunk must use up the name.
        let fits = |after: &[u8]| after.is_empty() || !pattern.is_empty();
        if let Some(after) = match_chunk(chunk, name, steps)?.filter(|after| fits(after)) {
            name = after;
            continue;
        }
        if star {
            for i in 1..=name.len() {
                if let Some(after) = match_chunk(chunk, &name[i..], steps)? {
                    if pattern.is_empty() && !after.is_empty() {
                        continue;
                    }
                    name = after;
                    continue 'pattern;
                }
            }
        }
        return Ok(false);
    }
    Ok(name.is_empty())
}

/// Whether the first chunk follows a star, the chunk up to the next star, and the rest.
fn split_chunk(pattern: &[u8]) -> (bool, &[u8], &[u8]) {
    let stars = pattern.iter().take_while(|c| **c == b'*').count();
    let pattern = &pattern[stars..];
    let (mut in_range, mut i) = (false, 0);
    while i < pattern.len() {
        match pattern[i] {
            b'\\' if i + 1 < pattern.len() => i += 1,
            b'[' => in_range = true,
            b']' => in_range = false,
            b'*' if !in_range => break,
            _ => {}
        }
        i += 1;
    }
    (stars > 0, &pattern[..i], &pattern[i..])
}

/// What is left of the name after the chunk, which has no star.
fn match_chunk<'n>(
    mut chunk: &[u8],
    mut name: &'n [u8],
    steps: &mut Steps,
) -> Result<Option<&'n [u8]>, Stop> {
    while let Some(&c) = chunk.first() {
        steps.take()?;
        if name.is_empty() {
            return Ok(None);
        }
        match c {
            b'[' => {
                let (code, width) = decode(name);
                name = &name[width..];
                let (matched, rest) = match_class(&chunk[1..], code, steps)?;
                if !matched {
                    return Ok(None);
                }
                chunk = rest;
                continue;
            }
            b'?' => name = &name[decode(name).1..],
            _ => {
                if c == b'\\' {
                    chunk = &chunk[1..];
                }
                if *chunk.first().ok_or(BadPattern)? != name[0] {
                    return Ok(None);
                }
                name = &name[1..];
            }
        }
        chunk = &chunk[1..];
    }
    Ok(Some(name))
}

fn match_class<'c>(
    mut chunk: &'c [u8],
    code: u32,
    steps: &mut Steps,
) -> Result<(bool, &'c [u8]), Stop> {
    let negated = chunk.first() == Some(&b'^');
    if negated {
        chunk = &chunk[1..];
    }
    let (mut matched, mut ranges) = (false, 0);
    loop {
        steps.take()?;
        if chunk.first() == Some(&b']') && ranges > 0 {
            return Ok((matched != negated, &chunk[1..]));
        }
        let (low, rest) = class_character(chunk)?;
        chunk = rest;
        let mut high = low;
        if chunk[0] == b'-' {
            (high, chunk) = class_character(&chunk[1..])?;
        }
        matched |= low <= code && code <= high;
        ranges += 1;
    }
}

/// One character of a class; something always follows it.
fn class_character(chunk: &[u8]) -> Result<(u32, &[u8]), Stop> {
    let chunk = match chunk {
        [] | [b'-' | b']', ..] => return Err(BadPattern),
        [b'\\', rest @ ..] => rest,
        _ => chunk,
    };
    if chunk.is_empty() {
        return Err(BadPattern);
    }
    let (code, width) = decode(chunk);
    if (code == REPLACEMENT && width == 1) || chunk.len() == width {
        return Err(BadPattern);
    }
    Ok((code, &chunk[width..]))
}

const REPLACEMENT: u32 = 0xFFFD;

/// The first character and its width; U+FFFD and 1 where there is none.
fn decode(bytes: &[u8]) -> (u32, usize) {
    let chunk = bytes.get(..4).unwrap_or(bytes);
    match chunk
        .utf8_chunks()
        .next()
        .and_then(|chunk| chunk.valid().chars().next())
    {
        Some(c) => (u32::from(c), c.len_utf8()),
        None => (REPLACEMENT, 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs() {
        for (pattern, name, expected) in [
            ("abc", "abc", Ok(true)),
            ("*", "a/b", Ok(true)),
            ("*c", "abc", Ok(true)),
            ("a*", "ab/c", Ok(true)),
            ("a*b*c", "aXbYc", Ok(true)),
            ("a*b*c", "aXbY", Ok(false)),
            ("a?c", "aéc", Ok(true)),
            ("[a-c]x", "bx", Ok(true)),
            ("[^a-c]x", "bx", Ok(false)),
            ("[^a-c]x", "dx", Ok(true)),
            ("\\*", "*", Ok(true)),
            ("\\*", "x", Ok(false)),
            ("[", "a", Err(BadPattern)),
            ("[a", "a", Err(BadPattern)),
            ("[]a]", "]", Err(BadPattern)),
            ("[-]", "-", Err(BadPattern)),
            ("a\\", "ab", Err(BadPattern)),
            ("*.", "a.b.", Ok(true)),
            ("", "", Ok(true)),
            ("", "a", Ok(false)),
        ] {
            assert_eq!(
                matches(pattern.as_bytes(), name.as_bytes(), &mut Steps::new()),
                expected,
                "{pattern} {name}"
            );
        }
    }
}
