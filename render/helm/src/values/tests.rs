//! Tables of assignments and of values files, with what Helm makes of them.

use super::{MAX_SET_INDEXES, Values};
use crate::HelmVersion;
use crate::tree::to_json;

fn json(values: &Values) -> String {
    let value = to_json(&values.tree().to_value());
    // Sorted, so that the tables need not follow the order of assignment.
    let sorted: std::collections::BTreeMap<String, serde_json::Value> =
        serde_json::from_value(value).unwrap();
    serde_json::to_string(&sorted).unwrap()
}

#[track_caller]
fn set(assignment: &str, expect: &str) {
    let result = Values::new().set(assignment).map(|values| json(&values));
    assert_eq!(
        result.unwrap_or_else(|error| format!("error: {error}")),
        expect,
        "--set {assignment}"
    );
}

#[test]
fn set_assigns_by_name() {
    set("", "{}");
    set("a=1", r#"{"a":1}"#);
    set("a=b,c=d", r#"{"a":"b","c":"d"}"#);
    set("a.b.c=1,a.d=2", r#"{"a":{"b":{"c":1},"d":2}}"#);
    set("a=", r#"{"a":""}"#);
    set("a= x", r#"{"a":" x"}"#);
    set("a=b=c", r#"{"a":"b=c"}"#);
    set(r"a\.b=1", r#"{"a.b":1}"#);
    set(r"a=b\,c", r#"{"a":"b,c"}"#);
    set("a=1,", r#"{"a":1}"#);
    set("a", "error: key \"a\" has no value");
    set("a,b=1", "error: key \"a\" has no value (cannot end with ,)");
    set("a.=1", "error: key map \"a\" has no value");
    set(
        &format!("{}=1", vec!["a"; 32].join(".")),
        "error: value name nested level is greater than maximum supported nested level of 30",
    );
    set(
        "a=1,a.b=2",
        "error: unable to parse key: interface conversion: interface {} is int64, not map[string]interface {}",
    );
}

#[test]
fn set_types_by_looks() {
    for (text, expect) in [
        ("true", "true"),
        ("TRUE", "true"),
        ("False", "false"),
        ("null", "null"),
        ("0", "0"),
        ("-1", "-1"),
        ("1000000", "1000000"),
        ("00", "\"00\""),
        ("012", "\"012\""),
        ("1.5", "\"1.5\""),
        ("1e6", "\"1e6\""),
        ("0x1F", "\"0x1F\""),
        ("12345678901234567890", "\"12345678901234567890\""),
        ("yes", "\"yes\""),
        ("'q'", "\"'q'\""),
    ] {
        set(&format!("a={text}"), &format!("{{\"a\":{expect}}}"));
    }
    assert_eq!(
        json(&Values::new().set_string("a=true,b=1").unwrap()),
        r#"{"a":"true","b":"1"}"#
    );
}

#[test]
fn set_makes_lists() {
    set("a={1,b,true}", r#"{"a":[1,"b",true]}"#);
    set("a={}", r#"{"a":[""]}"#);
    set("a={1,2},b=3", r#"{"a":[1,2],"b":3}"#);
    set("a={1", "error: list must terminate with '}'");
    set("a[2]=x", r#"{"a":[null,null,"x"]}"#);
    set("a[0].b=1,a[0].c=2", r#"{"a":[{"b":1,"c":2}]}"#);
    set("a[0][1]=x", r#"{"a":[[null,"x"]]}"#);
    set("a[0]=", r#"{"a":[""]}"#);
    set("a[-1]=x", "error: negative -1 index not allowed");
    set(
        "a[x]=1",
        "error: error parsing index: strconv.Atoi: parsing \"x\": invalid syntax",
    );
    set(
        "a[0]b=1",
        "error: unexpected data at end of array index: ['b']",
    );
    set(
        "a[65537]=1",
        "error: index of 65537 is greater than maximum supported index of 65536",
    );
    set(
        "a=1,a[0]=2",
        "error: unable to parse key: interface conversion: interface {} is int64, not []interface {}",
    );
    set("a[", "error: error parsing index: EOF");
}

#[test]
fn names_are_only_so_deep() {
    let name = |count: usize| format!("a{}.b=1", "[0]".repeat(count));
    assert!(Values::new().set(&name(MAX_SET_INDEXES)).is_ok());
    let error = "value name has more than 100 indexes";
    for count in [MAX_SET_INDEXES + 1, 1 << 18] {
        set(&name(count), &format!("error: {error}"));
        let literal = Values::new().set_literal(&name(count));
        assert_eq!(literal.unwrap_err().to_string(), error);
        let mixed = Values::new().set(&format!("a{}=1", "[0].b".repeat(count)));
        assert_eq!(mixed.unwrap_err().to_string(), error);
    }
}

#[test]
fn other_flags_take_their_own_values() {
    let set_json = |text: &str, version| {
        Values::new()
            .set_json(text, version)
            .map(|values| json(&values))
            .map_err(|error| error.to_string())
    };
    assert_eq!(
        set_json(r#"a={"b":[1,null]},c="x",d="#, HelmVersion::V3),
        Ok(r#"{"a":{"b":[1,null]},"c":"x","d":null}"#.to_owned())
    );
    assert_eq!(
        set_json(r#"a[0]={"b":1}"#, HelmVersion::V3),
        Ok(r#"{"a":[{"b":1}]}"#.to_owned())
    );
    assert_eq!(
        set_json(r#"{"a":{"b":1}}"#, HelmVersion::V4),
        Ok(r#"{"a":{"b":1}}"#.to_owned())
    );
    assert!(set_json(r#"a={"#, HelmVersion::V4).is_err());
    let mut read = |path: &str| {
        if path == "x.txt" {
            Ok(b"content,1".to_vec())
        } else {
            Err(format!("no file {path}"))
        }
    };
    assert_eq!(
        json(&Values::new().set_file("a.b=x.txt", &mut read).unwrap()),
        r#"{"a":{"b":"content,1"}}"#
    );
    assert_eq!(
        Values::new()
            .set_file("a=y.txt", &mut read)
            .unwrap_err()
            .to_string(),
        "no file y.txt"
    );
    assert_eq!(
        json(&Values::new().set_literal(r"a.b[1]=x,y={z}\").unwrap()),
        r#"{"a":{"b":[null,"x,y={z}\\"]}}"#
    );
}

#[test]
fn files_merge_and_versions_read_documents_differently() {
    let text = b"a: {b: 1, c: 2}\n---\na: {b: 3}\nd: yes\n";
    assert_eq!(
        json(&Values::parse(text, HelmVersion::V3).unwrap()),
        r#"{"a":{"b":1,"c":2}}"#
    );
    assert_eq!(
        json(&Values::parse(text, HelmVersion::V4).unwrap()),
        r#"{"a":{"b":3,"c":2},"d":true}"#
    );
    assert_eq!(
        json(&Values::parse(b"# nothing\n", HelmVersion::V4).unwrap()),
        "{}"
    );
    assert!(
        Values::parse(b"- a\n", HelmVersion::V4)
            .unwrap_err()
            .contains("cannot unmarshal array into Go value of type map[string]interface {}")
    );
    assert!(
        Values::parse(b"a: 1\n--- b\n", HelmVersion::V4)
            .unwrap_err()
            .contains("invalid Yaml document separator: b")
    );
    let low = Values::parse(b"a: {b: 1}\nl: [1]\n", HelmVersion::V4).unwrap();
    let high = Values::parse(b"a: {c: 2}\nl: [2]\n", HelmVersion::V4).unwrap();
    assert_eq!(json(&low.merged(&high)), r#"{"a":{"b":1,"c":2},"l":[2]}"#);
}

#[test]
fn values_show_nothing() {
    assert_eq!(
        format!("{:?}", Values::new().set("password=secret").unwrap()),
        "Values(…)"
    );
}
