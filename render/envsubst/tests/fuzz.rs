//! Texts with expressions that nobody wrote on purpose: they end within the limits, without a panic.

use std::borrow::Cow;

use capstan_envsubst::{Unset, substitute, variables};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

/// Pieces that expressions are made of.
const PIECES: [&str; 40] = [
    "${",
    "}",
    "$",
    "$$",
    "$${",
    "${#",
    "a",
    "b",
    "empty",
    "none",
    ":",
    ":-",
    ":=",
    ":?",
    ":+",
    "=",
    "-",
    "#",
    "##",
    "%",
    "%%",
    "/",
    "//",
    "/#",
    "/%",
    "^",
    "^^",
    ",",
    ",,",
    "0",
    "1",
    "-1",
    "9223372036854775807",
    "-9223372036854775808",
    "*",
    "?",
    "[a-c]",
    "[^",
    "\\",
    "é",
];

fn value(name: &str) -> Option<Cow<'static, str>> {
    match name {
        "a" => Some("héllo wörld, ÿǆß/a*[b]".into()),
        "b" => Some("aaaaaaaa".into()),
        "empty" => Some("".into()),
        _ => None,
    }
}

fn run(text: &str) {
    let names = variables(text);
    for unset in [Unset::Refuse, Unset::Empty] {
        if let Ok(done) = substitute(text, unset, value) {
            let names = names.as_ref().expect("what is substituted can be read");
            assert!(names.is_superset(&done.used) && names.is_superset(&done.missing));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_048, max_shrink_iters: 512, failure_persistence: None, rng_seed: RngSeed::Fixed(1), ..ProptestConfig::default() })]

    #[test]
    fn any_text_ends(text in any::<String>()) {
        run(&text);
        run(&format!("${{a{text}}}"));
    }

    #[test]
    fn any_pieces_end(pieces in proptest::collection::vec(proptest::sample::select(&PIECES[..]), 0..40)) {
        run(&pieces.concat());
    }

    #[test]
    fn any_expression_ends(pieces in proptest::collection::vec(proptest::sample::select(&PIECES[..]), 0..8)) {
        for name in ["a", "b"] {
            run(&format!("x${{{name}{}}}y", pieces.concat()));
        }
    }
}
