//! First signs of life.

use capstan_goyaml::{Dialect, JsonBuilder, parse, unmarshal};

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
