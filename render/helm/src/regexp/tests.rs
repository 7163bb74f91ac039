//! What Go takes and refuses, and that both engines then agree.

use super::{compile, translate};

#[track_caller]
fn check(pattern: &str, yes: &[&str], no: &[&str]) {
    let translated = translate(pattern).unwrap();
    let regex =
        compile(pattern).unwrap_or_else(|error| panic!("{pattern} -> {translated}: {error}"));
    for text in yes {
        assert!(
            regex.is_match(text),
            "{pattern} -> {translated} should match {text:?}"
        );
    }
    for text in no {
        assert!(
            !regex.is_match(text),
            "{pattern} -> {translated} should not match {text:?}"
        );
    }
}

#[test]
fn classes_are_ascii() {
    check(r"^\d+$", &["123"], &["١٢٣", "a"]);
    check(r"^\w+$", &["a_9"], &["é"]);
    check(r"^\s$", &[" ", "\t"], &["\u{a0}", "\u{b}"]);
    check(r"^\D\W\S$", &["é-é"], &["1a "]);
    check(r"^[\d\w-]+$", &["a-1"], &["é"]);
    check(r"^[^\d\s]+$", &["aé"], &["1", " "]);
    check(r"\bfoo\b", &["a foo b", "éfooé"], &["xfoo"]);
    check(r"^[[:alpha:]_]+$", &["aB_"], &["1", "é"]);
    check(r"^[[:^digit:]]$", &["a"], &["1"]);
    check(r"^\p{Greek}\pL\PN$", &["αaa"], &["aaa"]);
    check(r"^[\p{Lu}\d]+$", &["AÉ1"], &["a"]);
}

#[test]
fn what_only_go_takes() {
    check(r"^[\w-\.]+$", &["a-b.c"], &["a b"]);
    check(r"{(v[0-9])*[^}]*}}$", &["{v1}}"], &["v1"]);
    check(r"\$(?:[a-z])?{[^}]+}", &["$a{b}", "${b}"], &["$a"]);
    check(r"a{,5}", &["a{,5}"], &["aaaa"]);
    check(r"^\Qa.b\E+$", &["a.bbb"], &["axb"]);
    check(r"^\101\x41\x{41}\a$", &["AAA\u{7}"], &["AAA"]);
    check(r"^[]a]+$", &["]a"], &["b"]);
    check(r"^[a&&b]+$", &["a&b"], &["c"]);
    check(r"^[+--b~~c[]+$", &["+,-~[c", "b"], &["z", "a"]);
    check(r"\<a\>", &["<a>"], &["a"]);
    check(r"^\_\-\/$", &["_-/"], &["a"]);
    check(r"(?i)ABC(?-i:d)", &["abcd"], &["abcD"]);
    check(r"(?s)^a.b$", &["a\nb"], &["acbb"]);
    check(r"^(?P<x>a)(?<y>b)$", &["ab"], &["a"]);
    check(r"^(?P<x>a)(?P<x>b)$", &["ab"], &["a"]);
    check("^ # a$", &[" # a"], &["a"]);
}

#[test]
fn mistakes_are_reported_in_gos_words() {
    for (pattern, expect) in [
        ("(", "missing closing ): `(`"),
        ("a)", "unexpected ): `a)`"),
        ("[a", "missing closing ]: `[a`"),
        ("*a", "missing argument to repetition operator: `*`"),
        ("a|*", "missing argument to repetition operator: `*`"),
        ("a**", "invalid nested repetition operator: `**`"),
        ("a{2}{3}", "invalid nested repetition operator: `{2}{3}`"),
        ("a{1001}", "invalid repeat count: `{1001}`"),
        ("a{3,2}", "invalid repeat count: `{3,2}`"),
        ("[z-a]", "invalid character class range: `z-a`"),
        ("[[:foo:]]", "invalid character class range: `[:foo:]`"),
        (r"a\p{Foo}(", r"invalid character class range: `\p{Foo}`"),
        (r"\q", r"invalid escape sequence: `\q`"),
        (r"\1", r"invalid escape sequence: `\1`"),
        (r"\Z", r"invalid escape sequence: `\Z`"),
        ("a\\", "trailing backslash at end of expression: ``"),
        ("(?=a)", "invalid or unsupported Perl syntax: `(?=`"),
        ("(?!a)", "invalid or unsupported Perl syntax: `(?!`"),
        ("(?x)a", "invalid or unsupported Perl syntax: `(?x`"),
        ("(?P<a-b>c)", "invalid named capture: `(?P<a-b>`"),
    ] {
        assert_eq!(
            translate(pattern).unwrap_err().to_string(),
            format!("error parsing regexp: {expect}"),
            "{pattern}"
        );
    }
}
