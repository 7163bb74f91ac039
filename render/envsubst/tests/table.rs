//! Every function and every error, by example.

use std::borrow::Cow;

use capstan_envsubst::{
    Error, Substituted, Unset, check_name, clean_value, limits, substitute, variables,
};

fn lookup(name: &str) -> Option<Cow<'static, str>> {
    Some(Cow::Borrowed(match name {
        "v" => "abcdef",
        "empty" => "",
        "caps" => "HeLLo",
        "url" => "https://example.com/a/b.tar.gz",
        "n" => "2",
        "umlaut" => "äöü",
        "twice" => "a-b-a-b",
        "name_1" => "x",
        "word" => "ab",
        "slash" => "a/b/a",
        _ => return None,
    }))
}

fn strict(text: &str) -> Result<String, Error> {
    substitute(text, Unset::Refuse, lookup).map(|substituted| substituted.text)
}

#[test]
fn texts() {
    for (text, expected) in [
        ("plain", "plain"),
        ("", ""),
        ("$v and $", "$v and $"),
        ("a ${v} b ${name_1}c", "a abcdef b xc"),
        ("$${v}", "${v}"),
        ("$$${v}", "$abcdef"),
        ("$$", "$"),
        ("a$$b$$$c", "a$b$$c"),
        ("${v}${v}", "abcdefabcdef"),
        ("{v} }", "{v} }"),
        ("x\0${v}", "x"),
    ] {
        assert_eq!(strict(text).as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn functions() {
    for (text, expected) in [
        ("${#v}", "6"),
        ("${#umlaut}", "6"),
        ("${caps^}", "HeLLo"),
        ("${v^}", "Abcdef"),
        ("${caps^^}", "HELLO"),
        ("${umlaut^^}", "ÄÖÜ"),
        ("${caps,}", "heLLo"),
        ("${caps,,}", "hello"),
        ("${empty^}", ""),
        ("${v:2}", "cdef"),
        ("${v:2:3}", "cde"),
        ("${v:${n}}", "cdef"),
        ("${v:0:${n}}", "ab"),
        ("${v: -2}", "abcdef"),
        ("${v:9}", ""),
        ("${v:9:1}", ""),
        ("${v:1:-2}", "bcd"),
        ("${v:4:-4}", ""),
        ("${v:2:99}", "cdef"),
        ("${v:x}", "abcdef"),
        ("${v:1:x}", "abcdef"),
        ("${v:9223372036854775807:9223372036854775807}", ""),
        ("${url#*/}", "/example.com/a/b.tar.gz"),
        ("${url##*/}", "b.tar.gz"),
        ("${url%.*}", "https://example.com/a/b.tar"),
        ("${url%%.*}", "https://example"),
        ("${v#abc}", "def"),
        ("${v#x}", "abcdef"),
        ("${v%def}", "abc"),
        ("${v#[}", "abcdef"),
        ("${v#${word}}", "cdef"),
        ("${twice/a/x}", "x-b-a-b"),
        ("${twice//a/x}", "x-b-x-b"),
        ("${twice//a/}", "-b--b"),
        ("${twice/#a/x}", "x-b-a-b"),
        ("${twice/#b/x}", "a-b-a-b"),
        ("${twice/%b/x}", "a-b-a-x"),
        ("${twice/%a/x}", "a-b-a-b"),
        ("${slash//\\//.}", "a.b.a"),
        ("${twice//-/$$}", "a$b$a$b"),
        ("${v=d}", "abcdef"),
        ("${v:-d}", "abcdef"),
        ("${empty=d}", "d"),
        ("${empty:=d}", "d"),
        ("${empty:-d}", "d"),
        ("${none:-d}", "d"),
        ("${none=d}", "d"),
        ("${none:-}", ""),
        ("${none:?d}", "d"),
        ("${none:+d}", "d"),
        ("${none:-a ${v} c}", "a abcdef c"),
        ("${none:-${other:=deep}}", "deep"),
    ] {
        assert_eq!(strict(text).as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn errors() {
    let not_set = |name: &str| Error::NotSet(name.to_owned());
    for (text, expected) in [
        ("${", Error::VariableName),
        ("${}", Error::VariableName),
        ("${-}", Error::VariableName),
        ("${v", Error::MissingClosingBrace),
        ("${v-d}", Error::MissingClosingBrace),
        ("${v d}", Error::MissingClosingBrace),
        ("${v.d}", Error::MissingClosingBrace),
        ("${v#}", Error::FunctionArgument),
        ("${v##", Error::FunctionArgument),
        ("${v:-", Error::FunctionArgument),
        ("${v:", Error::BadSubstitution),
        ("${v:é}", Error::BadSubstitution),
        ("${v:1", Error::BadSubstitution),
        ("${v:}", Error::FunctionArgument),
        ("${v/a}", Error::BadSubstitution),
        ("${v^^^}", Error::BadSubstitution),
        ("${#}", Error::BadSubstitution),
        ("${#v:1}", Error::BadSubstitution),
        ("${none}", not_set("none")),
        ("${none^}", not_set("none")),
        ("${v:-${none}}", not_set("none")),
        ("${umlaut:1}", Error::NotUtf8),
    ] {
        assert_eq!(strict(text), Err(expected), "{text}");
    }
    assert_eq!(
        not_set("none").to_string(),
        "variable not set (strict mode): \"none\""
    );
}

#[test]
fn without_strict_mode_nothing_stands_for_what_is_not_set() {
    let substituted = substitute(
        "[${none}] [${#none}] [${v:0:1}] [${none:-d}]",
        Unset::Empty,
        lookup,
    );
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let expected = Substituted {
        text: "[] [0] [a] [d]".to_owned(),
        used: names(&["v"]),
        missing: names(&["none"]),
    };
    assert_eq!(substituted, Ok(expected));
}

#[test]
fn the_variables_of_a_text_are_known_without_values() {
    let names: Vec<String> = variables("${a} $${b} ${c:-${d#${e}}} $f")
        .unwrap()
        .into_iter()
        .collect();
    assert_eq!(names, ["a", "c", "d", "e"]);
}

#[test]
fn names_and_values_are_checked_as_flux_checks_them() {
    for name in ["a", "_", "A_1"] {
        assert_eq!(check_name(name), Ok(()));
    }
    for name in ["", "1a", "a-b", "é", "a b"] {
        assert_eq!(check_name(name), Err(Error::InvalidName(name.to_owned())));
    }
    let message = "'a-b' var name is invalid, must match '^[_[:alpha:]][_[:alpha:][:digit:]]*$'";
    assert_eq!(check_name("a-b").unwrap_err().to_string(), message);
    assert_eq!(clean_value("a\nb\n"), "ab");
}

#[test]
fn nothing_is_unbounded() {
    let deep = "${a:-".repeat(limits::MAX_NESTING + 1);
    assert_eq!(
        strict(&deep),
        Err(Error::TooDeep {
            limit: limits::MAX_NESTING
        })
    );

    let large = "x".repeat(1 << 20);
    let many = "${a}".repeat(65);
    let answer = substitute(&many, Unset::Refuse, |_| {
        Some(Cow::Borrowed(large.as_str()))
    });
    assert_eq!(
        answer,
        Err(Error::TooLarge {
            limit: limits::MAX_RESULT_BYTES
        })
    );

    let answer = substitute("${a#*x}", Unset::Refuse, |_| {
        Some(Cow::Borrowed(large.as_str()))
    });
    let (length, limit) = (large.len(), limits::MAX_PATTERN_VALUE_BYTES);
    assert_eq!(answer, Err(Error::TooLongForPattern { length, limit }));

    // Each prefix is tried at each place, with a pattern that almost fits.
    let value = "a".repeat(limits::MAX_PATTERN_VALUE_BYTES);
    let limit = limits::MAX_PATTERN_STEPS;
    for text in [
        format!("${{a##*{}b}}", "a".repeat(2_000)),
        format!("${{a#*[{}]}}", "b".repeat(1 << 20)),
        "${a##*b}".repeat(1_000),
    ] {
        let answer = substitute(&text, Unset::Refuse, |_| Some(Cow::Borrowed(&*value)));
        assert_eq!(answer.err(), Some(Error::TooManySteps { limit }));
    }
    let value = "a".repeat(1 << 20);
    let text = format!("${{a//{}b/}}", "a".repeat(1 << 19));
    let answer = substitute(&text, Unset::Refuse, |_| Some(Cow::Borrowed(&*value)));
    assert_eq!(answer.map(|it| it.text.len()), Ok(1 << 20));

    // A million dollars are no recursion.
    assert_eq!(
        strict(&"$$".repeat(1 << 20)).map(|text| text.len()),
        Ok(1 << 20)
    );
    assert_eq!(
        strict(&"${v}".repeat(1 << 16)).map(|text| text.len()),
        Ok(6 << 16)
    );
}
