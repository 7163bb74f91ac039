//! Random YAML: documents that are well-formed by construction, the same with damage, and soups of indicators.

use serde_json::Value;

/// A small generator of random numbers (SplitMix64): the same seed gives the same document everywhere.
pub(crate) struct Random(u64);

/// Scalars with a meaning, or nearly.
const SCALARS: &[&str] = &[
    "",
    "~",
    "null",
    "Null",
    "nULL",
    "true",
    "False",
    "yes",
    "No",
    "on",
    "OFF",
    "y",
    "N",
    "0",
    "-0",
    "+1",
    "1_000",
    "0644",
    "0o17",
    "0O17",
    "0x1F",
    "0b11",
    "-0b11",
    "0b-1",
    "0o-7",
    "089",
    "1e3",
    "1E+3",
    "1e400",
    "1e-400",
    ".5",
    "5.",
    ".5_0",
    "._5",
    "-.5",
    ".e1",
    "1.5e",
    ".inf",
    "-.Inf",
    "+.INF",
    ".nan",
    "1:20",
    "1:20:30.5",
    "-1:2",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "-9223372036854775808",
    "-9223372036854775809",
    "2001-01-01",
    "2001-1-1",
    "2001-01-01T1:2:3Z",
    "2001-12-14t21:59:43.10-05:00",
    "2001-12-14 21:59:43.1",
    "2001-13-01",
    "2001-12-14T21:59:43,5+24:00",
    "<<",
    "=",
    "-",
    "--",
    "---",
    "...",
    "?",
    ":",
    "::",
    ":a",
    "-a",
    "?a",
    "a:b",
    "a#b",
    "@a",
    "`a",
    "%a",
    "!a",
    "&a",
    "*a",
    "|",
    ">",
    "'",
    "\"",
    "a b",
    "a  b",
    "é",
    "ü: ö",
    "\u{1F600}",
    "\u{A0}",
    "\u{FEFF}x",
    "a\u{2028}b",
    "a\u{85}b",
    "123e4567",
    "0x",
    "0b",
    "0b2",
    "08",
    "09",
    "1.0",
    "1_0.5",
    "_1",
    "1_",
    "12345678901234567890",
    "1234567.8",
    "1000000.0",
    "0.0001",
    "0.00001",
    "123456789012345678901234567890",
    "[a]",
    "{a: b}",
    "[",
    "]",
    "{",
    "}",
    ",",
    "a,b",
    "a, b",
    "#",
    "a #b",
    "a: b",
    "a:",
    "'a'",
    "\"a\"",
    "'it''s'",
    "\"\\u00e9\\n\"",
    "!!str 1",
    "!!int '1'",
    "!!float 1",
    "!!float 18446744073709551615",
    "!!int x",
    "!!bool yes",
    "!!null x",
    "!!null ''",
    "!!binary aGk=",
    "!!binary aGk",
    "!!binary gIGC",
    "!!timestamp 2001-01-01",
    "!local x",
    "! 1",
    "! 'x'",
    "!<tag:yaml.org,2002:int> 3",
    "!!set {a, b}",
    "!e!x 1",
    "!!merge x",
];

const WORDS: &[&str] = &[
    "a",
    "b",
    "c",
    "key",
    "name",
    "value",
    "x1",
    "x10",
    "x2",
    "Long-Name",
    "app.kubernetes.io/name",
    "on",
    "yes",
    "1",
    "1.5",
    "true",
    "é",
    "ключ",
    "<<",
    "n",
    "~",
];

const PIECES: &[&str] = &[
    ": ",
    ":",
    "- ",
    "-",
    "? ",
    "?",
    "\n",
    "\n",
    "\n",
    "\n  ",
    "\n    ",
    "  ",
    " ",
    "\t",
    "#c\n",
    " # c\n",
    "# c",
    "'",
    "\"",
    "|",
    ">",
    "|-\n",
    ">+\n",
    "|2\n",
    "&a ",
    "*a",
    "!!str ",
    "!t ",
    "! ",
    "{",
    "}",
    "[",
    "]",
    ",",
    ", ",
    "---\n",
    "--- ",
    "...\n",
    "%YAML 1.1\n",
    "%TAG ! tag:x,2000:\n",
    "a",
    "b",
    "a: b",
    "- a",
    "1",
    "yes",
    "<<: ",
    "é",
    "\u{1F600}",
    "\r\n",
    "\\",
    "\\n",
    "\u{85}",
    "\u{2028}",
    "@",
    "`",
    "x y",
];

const COMMENTS: &[&str] = &["# one", "#two", "# three\n# four", "#"];

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Random(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    fn pick<'t>(&mut self, from: &[&'t str]) -> &'t str {
        from[self.below(from.len())]
    }

    /// A scalar with a meaning, sometimes altered.
    pub(crate) fn scalar(&mut self) -> String {
        let scalar = self.pick(SCALARS).to_owned();
        if self.one_in(3) {
            self.damage(scalar)
        } else {
            scalar
        }
    }

    /// Indicators, white space and words in any order.
    pub(crate) fn soup(&mut self) -> String {
        (0..self.below(24)).map(|_| self.pick(PIECES)).collect()
    }

    /// The text with a few changes: something cut, doubled or put in.
    pub(crate) fn damage(&mut self, text: String) -> String {
        let mut chars: Vec<char> = text.chars().collect();
        for _ in 0..=self.below(3) {
            let at = self.below(chars.len() + 1);
            let end = (at + self.below(6)).min(chars.len());
            match self.below(4) {
                0 => drop(chars.drain(at..end)),
                1 => {
                    let copy = chars[at..end].to_vec();
                    chars.splice(at..at, copy);
                }
                _ => {
                    let piece: Vec<char> = self.pick(PIECES).chars().collect();
                    chars.splice(at..at, piece);
                }
            }
        }
        chars.into_iter().collect()
    }

    /// One to three documents.
    pub(crate) fn document(&mut self) -> String {
        let mut out = String::new();
        if self.one_in(4) {
            self.comment(&mut out, 0);
        }
        for i in 0..=self.below(8) / 6 {
            if i > 0 || self.one_in(6) {
                out.push_str("---\n");
            }
            let depth = 1 + self.below(4);
            self.block(&mut out, 0, depth);
        }
        out
    }

    fn comment(&mut self, out: &mut String, indent: usize) {
        let indent = if self.one_in(4) {
            self.below(6)
        } else {
            indent
        };
        for line in self.pick(COMMENTS).lines() {
            out.push_str(&format!("{:indent$}{line}\n", ""));
        }
        if self.one_in(2) {
            out.push('\n');
        }
    }

    /// A collection, or a scalar, that starts on a line of its own.
    fn block(&mut self, out: &mut String, indent: usize, depth: usize) {
        if depth == 0 || self.one_in(8) {
            out.push_str(&format!("{:indent$}", ""));
            self.inline(out, indent, depth);
            return;
        }
        let sequence = self.one_in(3);
        for _ in 0..=self.below(4) {
            if self.one_in(8) {
                self.comment(out, indent);
            }
            out.push_str(&format!("{:indent$}", ""));
            if sequence {
                self.item(out, indent, depth - 1);
            } else {
                self.entry(out, indent, depth - 1);
            }
        }
        if self.one_in(8) {
            self.comment(out, indent);
        }
    }

    fn item(&mut self, out: &mut String, indent: usize, depth: usize) {
        out.push('-');
        if depth > 0 && self.one_in(2) {
            // The first entry on the line of the dash.
            out.push(' ');
            self.entry(out, indent + 2, depth - 1);
            for _ in 0..self.below(3) {
                out.push_str(&format!("{:1$}", "", indent + 2));
                self.entry(out, indent + 2, depth - 1);
            }
            return;
        }
        self.after_indicator(out, indent, depth);
    }

    fn entry(&mut self, out: &mut String, indent: usize, depth: usize) {
        let key = self.pick(WORDS);
        match self.below(12) {
            0 => out.push_str(&format!("\"{key}\"")),
            1 => out.push_str(&format!("'{key}'")),
            2 => out.push_str(&format!("? {key}\n{:indent$}", "")),
            _ => out.push_str(key),
        }
        out.push(':');
        self.after_indicator(out, indent, depth);
    }

    /// What follows a dash or a colon.
    fn after_indicator(&mut self, out: &mut String, indent: usize, depth: usize) {
        if self.one_in(10) {
            out.push_str(self.pick(&[" &a", " &b", " !!map", " !x", " !!str", " &c !!seq"]));
        }
        if depth > 0 && self.one_in(2) {
            if self.one_in(6) {
                out.push_str(&format!(" {}", self.pick(&["# after", "#", "# after it"])));
            }
            out.push('\n');
            let deeper = indent + self.pick(&["", " ", "  ", "  ", "    "]).len();
            self.block(out, deeper, depth);
        } else {
            out.push(' ');
            self.inline(out, indent, depth);
        }
    }

    /// A scalar or a flow collection, and the end of its line.
    fn inline(&mut self, out: &mut String, indent: usize, depth: usize) {
        match self.below(14) {
            0 => return self.block_scalar(out, indent),
            1 => self.flow(out, depth + 1),
            2 => out.push_str(self.pick(&["*a", "*b", "&a x", "&b {k: v}"])),
            3 => self.long_text(out, indent),
            4 => out.push_str(self.pick(SCALARS)),
            _ => out.push_str(self.pick(WORDS)),
        }
        if self.one_in(6) {
            out.push_str(&format!(" {}", self.pick(&["# note", "#x", "#  spaced"])));
        }
        out.push('\n');
    }

    fn block_scalar(&mut self, out: &mut String, indent: usize) {
        out.push_str(self.pick(&["|", ">", "|-", ">-", "|+", ">+", "|2", ">1-", "|  # note"]));
        out.push('\n');
        let indent = indent + 2;
        for _ in 0..self.below(5) {
            let line = self.pick(&["text", "  more", "", " ", "# none", "a: b", "word word word word word word word word word word word word word word word word word", "\ttab", "tail "]);
            out.push_str(&format!("{:indent$}{line}\n", ""));
        }
    }

    fn long_text(&mut self, out: &mut String, indent: usize) {
        let quote = self.pick(&["", "'", "\""]);
        out.push_str(quote);
        for i in 0..2 + self.below(30) {
            if i > 0 {
                let (space, deeper) = (self.pick(&[" ", " ", " ", "  ", "\n", "\n\n"]), indent + 2);
                out.push_str(space);
                if space.starts_with('\n') {
                    out.push_str(&format!("{:deeper$}", ""));
                }
            }
            out.push_str(self.pick(&["word", "text", "a", "https://example.com/a/b"]));
        }
        out.push_str(quote);
    }

    fn flow(&mut self, out: &mut String, depth: usize) {
        let sequence = self.one_in(2);
        out.push(if sequence { '[' } else { '{' });
        for i in 0..self.below(4) {
            if i > 0 {
                out.push_str(self.pick(&[", ", ",", " , "]));
            }
            if !sequence || self.one_in(6) {
                out.push_str(self.pick(WORDS));
                out.push_str(self.pick(&[": ", ": ", ": ", ":", ""]));
            }
            if depth > 0 && self.one_in(3) {
                self.flow(out, depth - 1);
            } else {
                out.push_str(self.pick(&[
                    "a",
                    "b",
                    "1",
                    "''",
                    "\"x\"",
                    "~",
                    "yes",
                    "1.5",
                    "x y",
                    "\u{1F600}",
                ]));
            }
        }
        out.push(if sequence { ']' } else { '}' });
    }

    /// A JSON value.
    pub(crate) fn value(&mut self, depth: usize) -> Value {
        match self.below(if depth == 0 { 6 } else { 9 }) {
            0 => Value::Null,
            1 => self.one_in(2).into(),
            2 => self.number(),
            3..6 => self.text().into(),
            6 => (0..self.below(4)).map(|_| self.value(depth - 1)).collect(),
            _ => Value::Object(
                (0..self.below(6))
                    .map(|_| (self.text(), self.value(depth - 1)))
                    .collect(),
            ),
        }
    }

    fn number(&mut self) -> Value {
        let bits = self.next();
        match self.below(5) {
            0 => (bits as i64).into(),
            1 => (bits as i16).into(),
            2 => (f64::from(bits as i32) / 1000.0).into(),
            3 => Some(f64::from(bits as u32).powi(1 + (bits >> 60) as i32 % 6))
                .filter(|f| reads_back(*f))
                .into(),
            // Only what serde_json reads back as it was, which is not every number.
            _ => Some(f64::from_bits(bits))
                .filter(|f| f.is_finite() && reads_back(*f))
                .into(),
        }
    }

    fn text(&mut self) -> String {
        match self.below(6) {
            0 => self.pick(SCALARS).to_owned(),
            1 => self.pick(WORDS).to_owned(),
            2 => self.soup(),
            3 => (0..self.below(40))
                .map(|_| {
                    self.pick(&[
                        "word ",
                        "a ",
                        "b",
                        "  ",
                        "it's ",
                        "\"q\" ",
                        "x: y ",
                        "https://example.com/",
                    ])
                })
                .collect(),
            4 => (0..self.below(6))
                .map(|_| {
                    self.pick(&[
                        "line\n", " lead\n", "trail \n", "\n", "\ttab\n", "last", "é\n",
                    ])
                })
                .collect(),
            _ => (0..self.below(8)).map(|_| self.odd_char()).collect(),
        }
    }

    fn odd_char(&mut self) -> char {
        let code = match self.below(5) {
            0 => self.below(0x20),
            1 => 0x20 + self.below(0x60),
            2 => 0x7F + self.below(0x24),
            3 => self.below(0x3000),
            _ => self.below(0x11_0000),
        };
        u32::try_from(code)
            .ok()
            .and_then(char::from_u32)
            .unwrap_or('x')
    }
}

fn reads_back(float: f64) -> bool {
    serde_json::from_str::<f64>(&serde_json::json!(float).to_string())
        .is_ok_and(|read| read == float)
}
