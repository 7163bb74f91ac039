//! Texts that are no templates, or hardly: parsing and executing them ends, within the limits, without a panic.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot make its templates has failed"
)]

use std::sync::Arc;

use capstan_gotemplate::format::sprintf;
use capstan_gotemplate::{Ctx, Funcs, Limits, List, Map, MissingKey, TemplateSet, Value};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

/// Pieces that templates are made of.
const PIECES: [&str; 64] = [
    "{{",
    "}}",
    "{{-",
    "-}}",
    " ",
    "\n",
    "{{- ",
    " -}}",
    "/*",
    "*/",
    "(",
    ")",
    "|",
    "$",
    "$x",
    "$x := ",
    "$x = ",
    ".",
    ".a",
    ".b.c",
    ".l",
    ".s",
    "if ",
    "{{else}}",
    "{{end}}",
    "{{if .a}}",
    "{{range .l}}",
    "{{range $x, $y := .l}}",
    "{{with .m}}",
    "{{break}}",
    "{{continue}}",
    "{{define \"d\"}}",
    "{{template \"d\" .}}",
    "{{block \"b\" .}}",
    "{{else if .a}}",
    "{{else with .a}}",
    "1",
    "-1",
    "1.5",
    "0x1F",
    "1e9",
    "'c'",
    "\"s\"",
    "`r`",
    "nil",
    "true",
    "print ",
    "printf \"%v %5d %q\" ",
    "index ",
    "slice ",
    "len ",
    "eq ",
    "lt ",
    "and ",
    "or ",
    "not ",
    "call ",
    "html ",
    "urlquery ",
    "text",
    "é",
    "\u{0}",
    "\u{feff}",
    "99999999999999999999",
];

fn limits() -> Limits {
    Limits {
        steps: 20_000,
        output_bytes: 1 << 16,
        value_bytes: 1 << 20,
        template_depth: 50,
        interrupt: None,
    }
}

fn data() -> Value {
    let list = || {
        Value::List(List::new(vec![
            Value::int(1),
            Value::Nil,
            Value::string("x"),
        ]))
    };
    let inner: Map = [("c", Value::float64(1.5)), ("l", list())]
        .into_iter()
        .collect();
    let map: Map = [
        ("a", Value::int(1)),
        ("b", inner.clone().into()),
        ("l", list()),
        ("s", Value::string("héllo")),
        ("m", inner.into()),
    ]
    .into_iter()
    .collect();
    map.into()
}

fn run(text: &[u8]) {
    for missing in [MissingKey::Invalid, MissingKey::Zero, MissingKey::Error] {
        let mut set = TemplateSet::new(Arc::new(Funcs::new()));
        set.set_missing_key(missing);
        if set.parse("t", text).is_err() {
            return;
        }
        let mut host = ();
        let _ = Ctx::new(Arc::new(set), limits(), &mut host).execute("t", &data());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, max_shrink_iters: 512, failure_persistence: None, rng_seed: RngSeed::Fixed(1), ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_end(text in proptest::collection::vec(any::<u8>(), 0..200)) {
        run(&text);
        run(&[b"{{", text.as_slice(), b"}}"].concat());
    }

    #[test]
    fn any_pieces_end(pieces in proptest::collection::vec(proptest::sample::select(&PIECES[..]), 0..60)) {
        run(pieces.concat().as_bytes());
    }

    #[test]
    fn any_action_ends(pieces in proptest::collection::vec(proptest::sample::select(&PIECES[36..]), 0..12)) {
        run(format!("{{{{{}}}}}", pieces.join(" ")).as_bytes());
    }

    #[test]
    fn any_format_ends(format in "[%a-zA-Z0-9 +#.*\\[\\]é-]{0,20}", number in any::<i64>(), float in any::<f64>(), text in ".{0,10}") {
        let args = [Value::int(number), Value::float64(float), Value::string(text), data()];
        let _ = sprintf(&format, &args, 1 << 16);
    }
}
