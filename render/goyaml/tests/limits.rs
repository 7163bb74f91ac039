//! Inputs made to exhaust memory, time or the stack. Tests run on small stacks, which is what makes them tests.

use capstan_goyaml::limits::{MAX_ALIASED_NODES, MAX_DEPTH};
use capstan_goyaml::{
    DecodeOptions, Dialect, EmitOptions, Error, JsonBuilder, Node, decode, emit, marshal, parse,
    unmarshal,
};

fn error(text: &str) -> String {
    let by_value = unmarshal(text.as_bytes(), &mut JsonBuilder)
        .expect_err("sigs.k8s.io/yaml refuses it")
        .to_string();
    let by_tree = parse(text.as_bytes(), Dialect::V3).and_then(|documents| {
        let options = DecodeOptions {
            dialect: Dialect::V3,
            strict: false,
            object: false,
        };
        documents
            .iter()
            .map(|document| decode(&document.root, options, &mut JsonBuilder))
            .collect::<Result<Vec<_>, Error>>()
    });
    let by_tree = by_tree.expect_err("yaml.v3 refuses it").to_string();
    format!("{by_value}\n{by_tree}")
}

#[test]
fn nesting_is_bounded_however_it_is_written() {
    let deep = 100_000;
    let block: String = (0..MAX_DEPTH + 2)
        .map(|i| format!("{:i$}a:\n", ""))
        .collect();
    let indentless = (0..=MAX_DEPTH)
        .map(|i| format!("{:i$}a:\n{:i$}-\n", "", ""))
        .collect::<String>();
    for text in [
        "[".repeat(deep),
        "{a: ".repeat(deep),
        "- ".repeat(deep),
        "? ".repeat(deep),
        block,
        indentless,
    ] {
        let errors = error(&text);
        assert_eq!(
            errors
                .matches(&format!("exceeded max depth of {MAX_DEPTH}"))
                .count(),
            2,
            "{errors}"
        );
    }
}

#[test]
fn what_is_allowed_fits_the_stack() {
    let mut text: String = "[".repeat(MAX_DEPTH - 1) + &"]".repeat(MAX_DEPTH - 1);
    text.insert_str(0, "a: ");
    let value = unmarshal(text.as_bytes(), &mut JsonBuilder).unwrap();
    let written = marshal(&value).unwrap();
    assert_eq!(
        unmarshal(written.as_bytes(), &mut JsonBuilder).unwrap(),
        value
    );
    let maps = "{a: ".repeat(MAX_DEPTH) + &"}".repeat(MAX_DEPTH);
    let documents = parse(maps.as_bytes(), Dialect::V3).unwrap();
    let options = DecodeOptions {
        dialect: Dialect::V3,
        strict: false,
        object: false,
    };
    decode(&documents[0].root, options, &mut JsonBuilder).unwrap();
    let written = emit(&documents[0].root, EmitOptions::KYAML).unwrap();
    assert_eq!(written.matches("{a: ").count(), MAX_DEPTH);
}

#[test]
fn aliases_cannot_multiply() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for i in 1..12 {
        let aliases = vec![format!("*a{}", i - 1); 10].join(", ");
        bomb.push_str(&format!("a{i}: &a{i} [{aliases}]\n"));
    }
    let errors = error(&bomb);
    assert_eq!(
        errors
            .matches("document contains excessive aliasing")
            .count(),
        2,
        "{errors}"
    );
}

#[test]
fn nested_anchors_cannot_multiply_copies() {
    let width = 4_000;
    let depth = MAX_DEPTH - 10;
    let mut text = (0..depth).map(|i| format!("&a{i} [")).collect::<String>();
    text.push_str(&"x,".repeat(width));
    text.push_str(&"]".repeat(depth - 1));
    text.push_str(&(1..depth).map(|i| format!(",*a{i}")).collect::<String>());
    text.push(']');
    assert!(width * depth > MAX_ALIASED_NODES, "or this shows nothing");
    let errors = error(&text);
    assert_eq!(
        errors
            .matches("document contains excessive aliasing")
            .count(),
        2,
        "{errors}"
    );
}

#[test]
fn a_node_cannot_contain_itself() {
    let errors = error("a: &a\n  b: *a\n");
    assert_eq!(
        errors.matches("anchor 'a' value contains itself").count(),
        2,
        "{errors}"
    );
}

#[test]
fn a_tree_that_somebody_built_too_deep_is_not_written() {
    let mut node = Node::scalar("x");
    for _ in 0..=MAX_DEPTH + 1 {
        node = Node::sequence(vec![node]);
    }
    let error = emit(&node, EmitOptions::KYAML).unwrap_err();
    assert_eq!(
        error,
        Error::Emit(format!("exceeded max depth of {MAX_DEPTH}"))
    );
}

/// Each of these is a fifth of a megabyte that a careless scanner reads again and again.
#[test]
fn large_inputs_take_linear_time() {
    let lines = |line: &str| line.repeat(200_000 / line.len());
    for text in [
        lines("a"),
        lines("a "),
        lines("# comment\n"),
        lines("\n"),
        lines("- # c\n"),
        format!("[{}]", lines("a,")),
        format!("[{}]", lines("{},")),
        format!("\"{}\"", lines("\\n")),
        format!("'{}'", lines("a\n")),
        format!("a: |\n{}", lines("  text\n")),
        format!("a: >\n{}", lines("\n")),
        format!("a: {}", lines("é")),
        format!("- {}", lines("&a\n")),
        lines("- a: b # c\n"),
    ] {
        let _ = unmarshal(text.as_bytes(), &mut JsonBuilder);
        if let Ok(documents) = parse(text.as_bytes(), Dialect::V3) {
            for document in &documents {
                let written = emit(&document.root, EmitOptions::KYAML).unwrap();
                assert!(written.len() < 8 * text.len() + 64, "{written:.80}");
            }
        }
    }
    let keys: String = (0..20_000).map(|i| format!("key-{i}: {i}\n")).collect();
    let value = unmarshal(keys.as_bytes(), &mut JsonBuilder).unwrap();
    assert_eq!(marshal(&value).unwrap(), keys);
    let same = "a: 1\n".repeat(20_000);
    assert_eq!(
        unmarshal(same.as_bytes(), &mut JsonBuilder).unwrap(),
        serde_json::json!({"a": 1})
    );
    let documents = parse(same.as_bytes(), Dialect::V3).unwrap();
    let options = DecodeOptions {
        dialect: Dialect::V3,
        strict: false,
        object: false,
    };
    let Err(Error::Type(messages)) = decode(&documents[0].root, options, &mut JsonBuilder) else {
        panic!("keys repeat")
    };
    assert_eq!(
        messages[0],
        "line 2: mapping key \"a\" already defined at line 1"
    );
}
