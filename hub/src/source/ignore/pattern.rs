//! One line of an ignore file.

use regex::Regex;

/// Stands for any number of folders.
const ANY_FOLDERS: &str = "**";

/// What of a path one segment of a pattern fits.
#[derive(Debug)]
enum Segment {
    /// An empty one, as a leading `/` makes it: the pattern begins at its folder.
    Here,
    AnyFolders,
    Exactly(String),
    Fits(Regex),
    /// It cannot be understood, and fits nothing.
    Never,
}

/// A pattern.
#[derive(Debug)]
pub(super) struct Pattern {
    /// It takes back what others exclude.
    pub(super) includes: bool,
    /// The folder that it counts for.
    domain: Vec<String>,
    folders_only: bool,
    /// One segment fits at any depth, several only from the domain on.
    segments: Vec<Segment>,
}

impl Pattern {
    pub(super) fn parse(line: &str, domain: &str) -> Self {
        let (includes, mut rest) = match line.strip_prefix('!') {
            Some(rest) => (true, rest),
            None => (false, line),
        };
        if !rest.ends_with("\\ ") {
            rest = rest.trim_end_matches(' ');
        }
        let (folders_only, rest) = match rest.strip_suffix('/') {
            Some(rest) => (true, rest),
            None => (false, rest),
        };
        Self {
            includes,
            domain: domain
                .split('/')
                .filter(|it| !it.is_empty())
                .map(str::to_owned)
                .collect(),
            folders_only,
            segments: match rest.contains('/') {
                true => rest.split('/').map(segment).collect(),
                false => vec![name(rest)],
            },
        }
    }

    /// Whether it says something about the path.
    pub(super) fn fits(&self, path: &[&str], is_folder: bool) -> bool {
        let Some((domain, rest)) = path.split_at_checked(self.domain.len()) else {
            return false;
        };
        if rest.is_empty() || domain != self.domain {
            return false;
        }
        match &self.segments[..] {
            [one] => {
                let at = rest.iter().position(|it| one.fits(it));
                at.is_some_and(|at| is_folder || !self.folders_only || at + 1 < rest.len())
            }
            several => match fits_from(several, rest) {
                Some(left) => is_folder || !self.folders_only || !left.is_empty(),
                None => false,
            },
        }
    }
}

/// Follows the segments down the path, and gives what is left of it.
fn fits_from<'a, 'b>(segments: &[Segment], path: &'a [&'b str]) -> Option<&'a [&'b str]> {
    let mut path = path;
    let mut any_depth = false;
    let mut fitted = false;
    for (at, segment) in segments.iter().enumerate() {
        match segment {
            Segment::Here => any_depth = false,
            Segment::AnyFolders if at + 1 == segments.len() => break,
            Segment::AnyFolders => any_depth = true,
            _ => {
                let found = if any_depth {
                    path.iter().position(|it| segment.fits(it))?
                } else {
                    path.first().filter(|it| segment.fits(it)).map(|_| 0)?
                };
                any_depth = false;
                fitted = true;
                path = &path[found + 1..];
            }
        }
    }
    fitted.then_some(path)
}

impl Segment {
    fn fits(&self, name: &str) -> bool {
        match self {
            Self::Exactly(text) => text == name,
            Self::Fits(regex) => regex.is_match(name),
            Self::Here | Self::AnyFolders | Self::Never => false,
        }
    }
}

/// One segment of several.
fn segment(text: &str) -> Segment {
    match text {
        "" => Segment::Here,
        ANY_FOLDERS => Segment::AnyFolders,
        _ if text.contains(ANY_FOLDERS) => Segment::Never,
        _ => name(text),
    }
}

/// What fits one name, wherever it stands.
fn name(text: &str) -> Segment {
    match text {
        "" => Segment::Never,
        _ if !text.contains(['*', '?', '[', '\\']) => Segment::Exactly(text.to_owned()),
        _ => regex_of(text).map_or(Segment::Never, Segment::Fits),
    }
}

/// Go's `path.Match`: `*`, `?`, `[a-z]`, `[^a-z]`, and `\` before what is meant literally.
fn regex_of(glob: &str) -> Option<Regex> {
    let mut out = String::from("^(?s:");
    let mut rest = glob.chars();
    while let Some(it) = rest.next() {
        match it {
            '*' => out.push_str(".*"),
            '?' => out.push('.'),
            '\\' => out.push_str(&regex::escape(&rest.next()?.to_string())),
            '[' => class(&mut rest, &mut out)?,
            other => out.push_str(&regex::escape(&other.to_string())),
        }
    }
    out.push_str(")$");
    Regex::new(&out).ok()
}

fn class(rest: &mut std::str::Chars<'_>, out: &mut String) -> Option<()> {
    out.push('[');
    let mut first = true;
    loop {
        match rest.next()? {
            '^' if first => out.push('^'),
            ']' if !first => break,
            '-' => out.push('-'),
            '\\' => out.push_str(&regex::escape(&rest.next()?.to_string())),
            other => out.push_str(&regex::escape(&other.to_string())),
        }
        first = false;
    }
    out.push(']');
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_as_in_flux() {
        let table = [
            ("a", "a", false, true),
            ("a", "x/a/y", false, true),
            ("a/", "a", false, false),
            ("a/", "a", true, true),
            ("a/", "x/a/y", false, true),
            ("/a", "a", false, true),
            ("/a", "a/b", false, true),
            ("/a", "x/a", false, false),
            ("a/b", "a/b/c", false, true),
            ("a/b", "x/a/b", false, false),
            ("**/b", "b", false, true),
            ("**/b", "x/y/b", false, true),
            ("a/**/b", "a/x/y/b", false, true),
            ("a/**", "a/x", false, true),
            ("a/**", "a", true, true),
            ("/*", "anything/below", false, true),
            ("*.md", "docs/README.md", false, true),
            ("[a-c].yaml", "b.yaml", false, true),
            ("[^a-c].yaml", "b.yaml", false, false),
            ("a?c", "abc", false, true),
            ("\\*", "*", false, true),
            ("\\*", "x", false, false),
            ("a**b/c", "axb/c", false, false),
            ("a**b", "axb", false, true),
            ("**", "x/y", false, true),
            ("/", "x", true, false),
            ("[", "[", false, false),
            ("trailing  ", "trailing", false, true),
        ];
        for (pattern, path, is_folder, expect) in table {
            let segments: Vec<&str> = path.split('/').collect();
            let fits = Pattern::parse(pattern, "").fits(&segments, is_folder);
            assert_eq!(fits, expect, "{pattern} {path} {is_folder}");
        }
    }

    #[test]
    fn a_pattern_counts_below_its_own_folder() {
        let pattern = Pattern::parse("/x", "a/b");
        for (path, expect) in [
            ("a/b/x", true),
            ("x", false),
            ("a/c/x", false),
            ("a/b", false),
        ] {
            let segments: Vec<&str> = path.split('/').collect();
            assert_eq!(pattern.fits(&segments, true), expect, "{path}");
        }
    }
}
