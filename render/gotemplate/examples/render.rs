//! Renders a template file with data from a JSON file: `render TEMPLATE [DATA.json]`.

#![allow(clippy::print_stdout, reason = "an example for the command line")]

use std::error::Error;
use std::sync::Arc;

use capstan_gotemplate::{Ctx, Funcs, Limits, Map, TemplateSet, Value};

/// JSON as Go's `encoding/json` decodes it: every number is a float64.
fn value(json: serde_json::Value) -> Value {
    match json {
        serde_json::Value::Null => Value::Nil,
        serde_json::Value::Bool(yes) => Value::Bool(yes),
        serde_json::Value::Number(number) => Value::float64(number.as_f64().unwrap_or(f64::NAN)),
        serde_json::Value::String(text) => Value::string(text),
        serde_json::Value::Array(items) => Value::list(items.into_iter().map(value).collect()),
        serde_json::Value::Object(entries) => Value::Map(
            entries
                .into_iter()
                .map(|(key, item)| (key, value(item)))
                .collect::<Map>(),
        ),
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let path = args.next().ok_or("usage: render TEMPLATE [DATA.json]")?;
    let data = match args.next() {
        Some(data) => value(serde_json::from_slice(&std::fs::read(data)?)?),
        None => Value::Nil,
    };
    let mut set = TemplateSet::new(Arc::new(Funcs::new()));
    set.parse(&path, std::fs::read(&path)?)?;
    let mut host = ();
    let mut ctx = Ctx::new(Arc::new(set), Limits::default(), &mut host);
    print!("{}", ctx.execute(&path, &data)?);
    Ok(())
}
