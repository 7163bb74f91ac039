//! What the crate promises, by example. The comparison with Go itself is in `integration`.

use capstan_goyaml::{
    Dialect, EmitOptions, JsonBuilder, emit_documents, marshal, parse, unmarshal,
};

#[test]
fn values_are_read_as_sigs_yaml_reads_them() {
    let text = b"a: yes\nb: 0644\nc: [1, 1.5, ~, \"x\", 'y']\nd: |\n  two\n  lines\n1: n\nbase: &b {x: 1}\ne: {<<: *b, y: on}\n";
    let value = unmarshal(text, &mut JsonBuilder).unwrap();
    let expected = serde_json::json!({
        "a": true, "b": 420, "c": [1, 1.5, null, "x", "y"], "d": "two\nlines\n", "1": false,
        "base": {"x": 1}, "e": {"x": 1, "true": true},
    });
    assert_eq!(value, expected);
}

#[test]
fn comments_stay_with_their_nodes() {
    let documents = parse(
        b"# head\na: 1 # line\n# foot\n\nb:\n- x # item\n",
        Dialect::V3,
    )
    .unwrap();
    let root = &documents[0].root;
    assert_eq!(root.content[0].comments().unwrap().head, "# head");
    assert_eq!(root.content[1].comments().unwrap().line, "# line");
    assert_eq!(root.content[0].comments().unwrap().foot, "# foot");
}

#[test]
fn errors_speak_as_go_does() {
    let error = unmarshal(b"a: {{ .Values.x }}\n", &mut JsonBuilder).unwrap_err();
    let expected = "error converting YAML to JSON: yaml: invalid map key: map[interface {}]interface {}{\".Values.x\":interface {}(nil)}";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn values_are_written_as_sigs_yaml_writes_them() {
    let value = serde_json::json!({
        "b": ["x", "yes", "1e3", "", "a: b", {"k": "v", "l": [1, 2]}, [], {}, [["n"]]],
        "a": {"n": null, "f": 1_000_000.0, "g": 1_234_567.8, "t": "two\nlines", "u": " x ", "w": "a\tb", "e": "\u{1F600}"},
        "long": "word ".repeat(30),
        "a10": 1, "a2": 2,
    });
    let expected = "a:\n  e: \"\\U0001F600\"\n  f: 1000000\n  g: 1.2345678e+06\n  \"n\": null\n  t: |-\n    two\n    lines\n  u: ' x '\n  w: \"a\\tb\"\na2: 2\na10: 1\nb:\n- x\n- \"yes\"\n- \"1e3\"\n- \"\"\n- 'a: b'\n- k: v\n  l:\n  - 1\n  - 2\n- []\n- {}\n- - - \"n\"\nlong: 'word word word word word word word word word word word word word word word\n  word word word word word word word word word word word word word word word '\n";
    assert_eq!(marshal(&value).unwrap(), expected);
}

#[test]
fn trees_are_written_back_as_kyaml_writes_them() {
    let text = "# head\na: 1 # line\n# foot\n\nb:\n- x # item\n- {k: v, l: [1, 2]}\n- &n 'q'\n- *n\n- c: |\n    t\n  d: \"\"\n";
    let documents = parse(text.as_bytes(), Dialect::V3).unwrap();
    assert_eq!(
        emit_documents(&documents, EmitOptions::KYAML).unwrap(),
        text
    );
}
