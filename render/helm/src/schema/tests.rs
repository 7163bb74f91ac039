//! Schemas and values, with the violations that Helm lists for them.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Schema;

#[track_caller]
fn check(schema: &str, value: &str, expect: &str) {
    let value: Value = serde_json::from_str(value).unwrap();
    let result = Schema::compile(schema.as_bytes(), &BTreeMap::new())
        .and_then(|schema| schema.validate(&value));
    assert_eq!(
        result.map_or_else(|error| error.to_string(), |()| String::new()),
        expect,
        "{schema} on {value}"
    );
}

const V7: &str = r#""$schema":"http://json-schema.org/draft-07/schema#""#;

#[test]
fn types() {
    check(r#"{"type":"object"}"#, "{}", "");
    check(
        r#"{"properties":{"a":{"type":"integer"}}}"#,
        r#"{"a":1.0}"#,
        "",
    );
    check(
        r#"{"properties":{"a":{"type":"integer"}}}"#,
        r#"{"a":1.5}"#,
        "- at '/a': got number, want integer",
    );
    check(
        r#"{"properties":{"a":{"type":["string","null"]}}}"#,
        r#"{"a":1}"#,
        "- at '/a': got number, want null or string",
    );
    check(
        r#"{"properties":{"a":false}}"#,
        r#"{"a":1}"#,
        "- at '/a': false schema",
    );
}

#[test]
fn every_violation_is_listed() {
    check(
        r#"{"properties":{"a":{"minimum":65536},"b":{"maximum":1.5},"c":{"multipleOf":0.1},"d":{"minLength":1000},"e":{"maximum":1e21}}}"#,
        r#"{"a":1000,"b":1234567.891,"c":0.35,"d":"x","e":1e22}"#,
        "- at '/a': minimum: got 1,000, want 65,536\n- at '/b': maximum: got 1.234567891 × 10⁰⁶, want 1.5\n- at '/c': multipleOf: got 0.35, want 0.1\n\
         - at '/d': minLength: got 1, want 1,000\n- at '/e': maximum: got 1 × 10²², want 1 × 10²¹",
    );
    check(
        r#"{"required":["x","y","z"],"minProperties":2,"properties":{"x":{"enum":[1,2.5,"a'b"]},"q/r~":{"const":null}},"additionalProperties":false}"#,
        r#"{"x":3,"q/r~":1,"u":1}"#,
        "- at '': missing properties 'y', 'z'\n- at '/x': value must be one of 1, 2.5, 'a\\'b'\n- at '/q~1r~0': value must be <nil>\n\
         - at '': additional properties 'u' not allowed",
    );
}

#[test]
fn combinations_show_their_causes() {
    check(
        r#"{"properties":{"a":{"anyOf":[{"type":"string"},{"type":"object","required":["x","y"]}]}}}"#,
        r#"{"a":{"x":3}}"#,
        "- at '/a': 'anyOf' failed\n  - at '/a': got object, want string\n  - at '/a': missing property 'y'",
    );
    check(
        r##"{"properties":{"a":{"$ref":"#/$defs/q"}},"$defs":{"q":{"oneOf":[{"type":"null"},{"type":"string"}],"required":["zz"]}}}"##,
        r#"{"a":{"b":1}}"#,
        "- at '/a': validation failed\n  - at '/a': missing property 'zz'\n  - at '/a': 'oneOf' failed, none matched\n    - at '/a': got object, want null\n    - at '/a': got object, want string",
    );
    check(
        r#"{"oneOf":[{"required":["a"]},{"required":["b"]}]}"#,
        r#"{"a":1,"b":2}"#,
        "- at '': 'oneOf' failed, subschemas 0, 1 matched",
    );
    check(
        r#"{"not":{"required":["a"]}}"#,
        r#"{"a":1}"#,
        "- at '': 'not' failed",
    );
    check(
        r#"{"if":{"required":["a"]},"then":{"required":["b"]},"else":{"required":["c"]}}"#,
        r#"{"a":1}"#,
        "- at '': missing property 'b'",
    );
    check(
        r#"{"if":{"required":["a"]},"then":{"required":["b"]},"else":{"required":["c"]}}"#,
        "{}",
        "- at '': missing property 'c'",
    );
}

#[test]
fn lists() {
    check(
        r#"{"properties":{"a":{"items":{"type":"string"},"uniqueItems":true,"maxItems":2}}}"#,
        r#"{"a":["x","x",1]}"#,
        "- at '/a': maxItems: got 3, want 2\n- at '/a': items at 0 and 1 are equal\n- at '/a/2': got number, want string",
    );
    check(
        &format!(
            r#"{{{V7},"properties":{{"a":{{"items":[{{"type":"string"}}],"additionalItems":false}}}}}}"#
        ),
        r#"{"a":["x",1,2]}"#,
        "- at '/a': last 2 additionalItem(s) not allowed",
    );
    check(
        r#"{"properties":{"a":{"prefixItems":[{"type":"string"}],"items":false}}}"#,
        r#"{"a":["x",1]}"#,
        "- at '/a/1': false schema",
    );
    check(
        r#"{"properties":{"a":{"contains":{"type":"string"},"minContains":2}}}"#,
        r#"{"a":["x",1]}"#,
        "- at '/a': min 2 items required to match contains schema, but matched 1 items at 0\n  - at '/a/1': got number, want string",
    );
    check(
        r#"{"properties":{"a":{"contains":{"const":1}}}}"#,
        r#"{"a":[]}"#,
        "- at '/a': no items match contains schema",
    );
}

#[test]
fn drafts_differ() {
    let four = r#""$schema":"http://json-schema.org/draft-04/schema#""#;
    check(
        &format!(r#"{{{four},"properties":{{"a":{{"minimum":1,"exclusiveMinimum":true}}}}}}"#),
        r#"{"a":1}"#,
        "- at '/a': exclusiveMinimum: got 1, want 1",
    );
    check(&format!(r#"{{{four},"const":1}}"#), "{}", "");
    // Beside `$ref` nothing counts before 2019-09.
    check(
        &format!(
            r##"{{{V7},"definitions":{{"s":{{"type":"object"}}}},"$ref":"#/definitions/s","required":["a"]}}"##
        ),
        "{}",
        "",
    );
    check(
        r##"{"$defs":{"s":{"type":"object"}},"$ref":"#/$defs/s","required":["a"]}"##,
        "{}",
        "- at '': missing property 'a'",
    );
    // Formats are rules up to draft 7, remarks later.
    check(
        &format!(r#"{{{V7},"properties":{{"a":{{"format":"ipv4"}}}}}}"#),
        r#"{"a":"1.2.3"}"#,
        "- at '/a': '1.2.3' is not valid ipv4: expected four decimals",
    );
    check(
        r#"{"properties":{"a":{"format":"ipv4"}}}"#,
        r#"{"a":"1.2.3"}"#,
        "",
    );
    check(
        &format!(r#"{{{V7},"properties":{{"a":{{"format":"made-up"}}}}}}"#),
        r#"{"a":"1.2.3"}"#,
        "",
    );
    check(
        &format!(r#"{{{V7},"dependencies":{{"a":["b"],"c":{{"required":["d"]}}}}}}"#),
        r#"{"a":1,"c":1}"#,
        "- at '': properties 'b' required, if 'a' exists\n- at '': missing property 'd'",
    );
    check(
        r#"{"dependentRequired":{"a":["b"]},"dependentSchemas":{"c":{"required":["d"]}}}"#,
        r#"{"a":1,"c":1}"#,
        "- at '': missing property 'd'\n- at '': properties 'b' required, if 'a' exists",
    );
}

#[test]
fn unevaluated_properties_see_through_references() {
    let schema = r##"{"$defs":{"base":{"properties":{"a":true}}},"allOf":[{"$ref":"#/$defs/base"}],"properties":{"b":true},"unevaluatedProperties":false}"##;
    check(schema, r#"{"a":1,"b":2}"#, "");
    check(schema, r#"{"a":1,"c":2}"#, "- at '/c': false schema");
    check(
        r#"{"properties":{"l":{"prefixItems":[true],"unevaluatedItems":false}}}"#,
        r#"{"l":[1,2]}"#,
        "- at '/l/1': false schema",
    );
}

#[test]
fn references_are_by_pointer_anchor_and_id() {
    check(
        r##"{"$defs":{"s":{"$anchor":"here","type":"null"}},"properties":{"a":{"$ref":"#here"}}}"##,
        r#"{"a":1}"#,
        "- at '/a': got number, want null",
    );
    check(
        r#"{"$id":"http://x/y.json","$defs":{"s":{"$id":"z.json","type":"null"}},"properties":{"a":{"$ref":"z.json"}}}"#,
        r#"{"a":1}"#,
        "- at '/a': got number, want null",
    );
    check(
        r##"{"properties":{"next":{"$ref":"#"},"v":{"type":"string"}}}"##,
        r#"{"next":{"next":{"v":1}}}"#,
        "- at '/next/next/v': got number, want string",
    );
    check(
        r##"{"$ref":"#"}"##,
        "{}",
        "- at '': \"file:///values.schema.json#\" refers to itself, causing reference cycle",
    );
    check(
        r##"{"$dynamicAnchor":"n","properties":{"c":{"$dynamicRef":"#n"},"v":{"type":"string"}}}"##,
        r#"{"c":{"v":1}}"#,
        "- at '/c/v': got number, want string",
    );
    let others = BTreeMap::from([(
        "https://example.com/x.json".to_owned(),
        br#"{"type":"string"}"#.to_vec(),
    )]);
    let schema = Schema::compile(
        br#"{"properties":{"a":{"$ref":"https://example.com/x.json"}}}"#,
        &others,
    )
    .unwrap();
    assert!(
        schema.validate(&serde_json::json!({"a": "x"})).is_ok()
            && schema.validate(&serde_json::json!({"a": 1})).is_err()
    );
}

#[test]
fn schemas_are_checked_themselves() {
    check(
        &format!(r#"{{{V7},"properties":{{"a":{{"type":"strng"}}}}}}"#),
        "{}",
        "\"file:///values.schema.json#\" is not valid against metaschema: jsonschema validation failed with 'http://json-schema.org/draft-07/schema#'\n\
         - at '/properties/a/type': 'anyOf' failed\n  - at '/properties/a/type': value must be one of 'array', 'boolean', 'integer', 'null', 'number', 'object', 'string'\n  \
         - at '/properties/a/type': got string, want array",
    );
    check(
        r#"{"properties":{"a":{"pattern":"("}}}"#,
        "{}",
        "\"file:///values.schema.json#\" is not valid against metaschema: jsonschema validation failed with 'https://json-schema.org/draft/2020-12/schema#'\n\
         - at '': 'allOf' failed\n  - at '/properties/a': 'allOf' failed\n    - at '/properties/a/pattern': '(' is not valid regex: error parsing regexp: missing closing ): `(`",
    );
    check(
        r#"{"properties":{"a":{"$ref":"https://example.com/x.json"}}}"#,
        "{}",
        "failing loading \"https://example.com/x.json\": nothing is fetched while rendering; give the document to the render, or skip schema validation",
    );
    check(
        r##"{"$ref":"#/definitions/x"}"##,
        "{}",
        "json-pointer in \"file:///values.schema.json#/definitions/x\" not found",
    );
    check(r#"{"$ref":"urn:x:y"}"#, "{}", "");
}

#[test]
fn formats() {
    for (format, good, bad) in [
        ("date", "2024-02-29", "2023-02-29"),
        ("date-time", "2024-02-29T10:00:00Z", "2024-02-29 10:00:00Z"),
        ("time", "23:59:60Z", "10:00:60Z"),
        ("time", "10:00:00.5+01:30", "10:00:00"),
        ("duration", "P1Y2DT3H", "P1D2Y"),
        ("email", "a.b@example.com", "a..b@example.com"),
        ("hostname", "a-b.c", "-a.b"),
        ("ipv6", "::1", "1"),
        ("uri", "https://example.com/a?b#c", "/relative"),
        ("uri-reference", "/relative", "a\\b"),
        (
            "uuid",
            "123e4567-e89b-12d3-a456-426614174000",
            "123e4567-e89b-12d3-a456-42661417400g",
        ),
        ("json-pointer", "/a~1b", "a"),
        ("relative-json-pointer", "1/a", "/a"),
        ("semver", "1.2.3-a.1+b", "1.2"),
        ("regex", "^a$", "["),
        ("period", "2024-02-29T10:00:00Z/P1D", "P1D"),
        ("uri-template", "/a/{b}", "/a/{b"),
    ] {
        let schema = format!(r#"{{{V7},"properties":{{"a":{{"format":"{format}"}}}}}}"#);
        let compiled = Schema::compile(schema.as_bytes(), &BTreeMap::new()).unwrap();
        assert!(
            compiled.validate(&serde_json::json!({"a": good})).is_ok(),
            "{format} {good}"
        );
        assert!(
            compiled.validate(&serde_json::json!({"a": bad})).is_err(),
            "{format} {bad}"
        );
    }
}

#[test]
fn hostile_schemas_end() {
    // Each level doubles the work; the step limit ends it.
    let mut schema = serde_json::json!({"type": "string"});
    for _ in 0..30 {
        schema = serde_json::json!({"anyOf": [schema.clone(), schema]});
        if schema.to_string().len() > 50_000 {
            break;
        }
    }
    assert!(
        Schema::compile(schema.to_string().as_bytes(), &BTreeMap::new())
            .unwrap()
            .validate(&Value::Null)
            .is_err()
    );
    let refs = r##"{"$defs":{"a":{"anyOf":[{"properties":{"x":{"$ref":"#/$defs/a"}}},{"properties":{"x":{"$ref":"#/$defs/a"}}}],"required":["y"]}},"$ref":"#/$defs/a"}"##;
    let mut value = serde_json::json!({});
    for _ in 0..40 {
        value = serde_json::json!({"x": value});
    }
    let error = Schema::compile(refs.as_bytes(), &BTreeMap::new())
        .unwrap()
        .validate(&value)
        .unwrap_err()
        .to_string();
    assert!(error.contains("steps"), "{}", &error[..200]);
}
