//! A chart that keeps the password that it finds in the cluster: rendered until it has been given all that it looks up.

#![allow(clippy::print_stdout, reason = "an example for the command line")]

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;

use capstan_helm::{
    Chart, Files, HelmVersion, Lookup, Lookups, Now, Release, RenderInput, Secret, Values, render,
};
use serde_json::{Value, json};

const SECRET: &str = r#"
{{- $live := lookup "v1" "Secret" .Release.Namespace "db" }}
kind: Secret
apiVersion: v1
metadata: {name: db}
data: {password: {{ dig "data" "password" (randAlphaNum 20 | b64enc) $live }}}
"#;
const CONFIG: &str = "kind: ConfigMap\napiVersion: v1\nmetadata: {name: {{ .Release.Name }}}\n";

/// What stands for a cluster here: it has the Secret already.
fn ask(lookup: &Lookup) -> Option<Value> {
    (lookup.name == "db").then(|| json!({"kind": "Secret", "data": {"password": "bGl2ZQ=="}}))
}

fn main() -> Result<(), Box<dyn Error>> {
    let file = |text: &str| Arc::<[u8]>::from(text.as_bytes());
    let chart = Chart::load(&Files::from([
        (
            "Chart.yaml".to_owned(),
            file("{apiVersion: v2, name: db, version: 1.0.0}"),
        ),
        ("templates/db.yaml".to_owned(), file(SECRET)),
        ("templates/config.yaml".to_owned(), file(CONFIG)),
    ]))?;
    let release = Release::install("demo", "shop");
    let mut input = RenderInput::offline(
        HelmVersion::V4,
        release,
        Now::default(),
        Secret::new([7; 32]),
    );
    let mut known = BTreeMap::new();
    let rendered = loop {
        input.lookups = Lookups::Given(known.clone());
        let rendered = render(&chart, &Values::new(), &input)?;
        if rendered.wanted.is_empty() {
            break rendered;
        }
        for lookup in rendered.wanted {
            println!("asked the cluster for {lookup}");
            let answer = ask(&lookup);
            known.insert(lookup, answer);
        }
    };
    for manifest in &rendered.manifests {
        let shown = if manifest.sensitive {
            "not shown, it is sensitive"
        } else {
            manifest.text.trim()
        };
        println!("--- {} {}\n{shown}", manifest.kind, manifest.name);
    }
    Ok(())
}
