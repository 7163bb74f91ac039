//! Go's own results (`tests/data`, made by the program in `tests/go`) against ours.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot read its data has failed"
)]

use std::path::Path;
use std::sync::Arc;

use capstan_gotemplate::format::sprintf;
use capstan_gotemplate::{
    Ctx, FloatKind, FuncError, Funcs, Function, IntKind, Limits, List, Map, MissingKey, Str,
    TemplateSet, Type, UintKind, Value,
};
use serde_json::Value as Json;

/// What templates are executed with: the same as in `tests/go/tables.go`.
const DATA: &str = include_str!("data/data.json");

fn lines(name: &str) -> Vec<Json> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(name);
    let text = std::fs::read_to_string(path).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// A value from its description: `{"int": 1}`, `{"list": [...]}` and so on.
fn value(json: &Json) -> Value {
    let (kind, body) = json.as_object().unwrap().iter().next().unwrap();
    let float = || {
        body.as_str()
            .unwrap()
            .to_lowercase()
            .parse::<f64>()
            .unwrap()
    };
    let text = || body.as_str().unwrap();
    match kind.as_str() {
        "nil" => Value::Nil,
        "bool" => Value::Bool(body.as_bool().unwrap()),
        "int" => Value::int(body.as_i64().unwrap()),
        "int64" => Value::int64(body.as_i64().unwrap()),
        "int8" => Value::Int(IntKind::Int8, body.as_i64().unwrap()),
        "uint8" => Value::Uint(UintKind::Uint8, body.as_u64().unwrap()),
        "uint64" => Value::Uint(UintKind::Uint64, body.as_u64().unwrap()),
        "float64" => Value::float64(float()),
        "float32" => Value::Float(FloatKind::Float32, f64::from(float() as f32)),
        "complex" => Value::Complex((body[0].as_f64().unwrap(), body[1].as_f64().unwrap()).into()),
        "string" => Value::string(text()),
        "bytes" => Value::Bytes(Str::from(text())),
        "list" => Value::list(body.as_array().unwrap().iter().map(value).collect()),
        "strings" => List::strings(
            body.as_array()
                .unwrap()
                .iter()
                .map(|item| item.as_str().unwrap()),
        )
        .into(),
        "map" => body
            .as_object()
            .unwrap()
            .iter()
            .map(|(key, item)| (key.as_str(), value(item)))
            .collect::<Map>()
            .into(),
        "stringmap" => {
            let entries = body.as_object().unwrap().iter().map(|(key, item)| {
                (
                    Str::from(key.as_str()),
                    Value::string(item.as_str().unwrap()),
                )
            });
            Map::from_entries(Type::STRING_MAP, entries).into()
        }
        "nilmap" => Map::nil(Type::MAP).into(),
        "nillist" => List::nil(Type::LIST).into(),
        other => panic!("unknown value {other}"),
    }
}

fn number(count: usize) -> Result<Value, FuncError> {
    Ok(Value::int(i64::try_from(count).unwrap()))
}

fn functions() -> Arc<Funcs> {
    const ANY: &[Type] = &[Type::Any];
    const S: &[Type] = &[Type::String];
    let mut funcs = Funcs::new();
    funcs.extend([
        Function::new("wantString", S, Type::String, |_, args| {
            Ok(Value::string(format!("s:{}", args[0].as_str().unwrap())))
        }),
        Function::new("wantInt", &[Type::INT], Type::INT, |_, args| {
            Ok(Value::int(args[0].as_i64().unwrap() + 1))
        }),
        Function::new(
            "wantFloat",
            &[Type::FLOAT64],
            Type::FLOAT64,
            |_, args| match args[0] {
                Value::Float(_, float) => Ok(Value::float64(float * 2.0)),
                _ => Err("not a float".into()),
            },
        ),
        Function::new("wantBool", &[Type::Bool], Type::Bool, |_, args| {
            Ok(Value::Bool(!args[0].truth()))
        }),
        Function::new("wantByte", &[Type::UINT8], Type::UINT8, |_, args| {
            Ok(args[0].clone())
        }),
        Function::new("wantMap", &[Type::MAP], Type::INT, |_, args| {
            number(args[0].as_map().unwrap().len())
        }),
        Function::new("wantList", &[Type::LIST], Type::INT, |_, args| {
            number(args[0].as_list().unwrap().len())
        }),
        Function::new("same", ANY, Type::Any, |_, args| Ok(args[0].clone())),
        Function::variadic("ints", &[Type::INT], Type::INT, |_, args| {
            number(args.len())
        }),
        Function::variadic(
            "two",
            &[Type::String, Type::String],
            Type::INT,
            |_, args| number(args.len() - 1),
        ),
        Function::new("failing", &[], Type::String, |_, _| Err("it failed".into())),
        Function::new("none", &[], Type::Any, |_, _| Ok(Value::Nil)),
        Function::new("nothing", &[], Type::MAP, |_, _| {
            Ok(Map::nil(Type::MAP).into())
        }),
        Function::new("typed", ANY, Type::String, |_, args| {
            Ok(args[0].type_name().into())
        }),
    ]);
    Arc::new(funcs)
}

/// Output and error of a template. Output before an error is not given by Go's table, nor here.
fn run(funcs: &Arc<Funcs>, template: &str, missing: &str, data: &Value) -> (String, String) {
    let mut set = TemplateSet::new(Arc::clone(funcs));
    set.set_missing_key(match missing {
        "zero" => MissingKey::Zero,
        "error" => MissingKey::Error,
        _ => MissingKey::Invalid,
    });
    if let Err(error) = set.parse("t", template) {
        return (String::new(), error.to_string());
    }
    let mut host = ();
    let mut ctx = Ctx::new(Arc::new(set), Limits::default(), &mut host);
    match ctx.execute("t", data) {
        Ok(out) => (out.to_str().into_owned(), String::new()),
        Err(error) => (String::new(), error.to_string()),
    }
}

fn check_exec(cases: &[Json]) {
    let funcs = functions();
    let data = value(&serde_json::from_str(DATA).unwrap());
    let mut failures = Vec::new();
    for case in cases {
        let text = |name: &str| case[name].as_str().unwrap_or_default();
        let got = run(&funcs, text("template"), text("missing"), &data);
        let want = (text("out").to_owned(), text("err").to_owned());
        if got != want {
            failures.push(format!(
                "{:?} ({})\n  want {want:?}\n  got  {got:?}",
                text("template"),
                text("missing")
            ));
        }
    }
    assert!(
        failures.is_empty(),
        "{} of {} differ from Go:\n{}",
        failures.len(),
        cases.len(),
        failures.join("\n")
    );
}

#[test]
fn templates_give_what_go_gives() {
    check_exec(&lines("exec.jsonl"));
}

#[test]
fn templates_made_at_random_give_what_go_gives() {
    check_exec(&lines("random.jsonl"));
}

#[test]
fn printf_gives_what_go_gives() {
    let cases = lines("printf.jsonl");
    let mut failures = Vec::new();
    for case in &cases {
        let format = case["format"].as_str().unwrap();
        let args: Vec<Value> = case["args"].as_array().unwrap().iter().map(value).collect();
        let got = String::from_utf8_lossy(&sprintf(format, &args, 1 << 20).unwrap()).into_owned();
        let want = case["out"].as_str().unwrap();
        if got != want {
            failures.push(format!(
                "{format:?} {}\n  want {want:?}\n  got  {got:?}",
                case["args"]
            ));
        }
    }
    assert!(
        failures.is_empty(),
        "{} of {} differ from Go:\n{}",
        failures.len(),
        cases.len(),
        failures.join("\n")
    );
}
