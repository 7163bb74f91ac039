//! The OpenAPI document, made from the table of routes.

use axum::Json;
use serde_json::{Map, Value, json};

use super::{Need, routes};

/// The document.
pub(crate) async fn document() -> Json<Value> {
    Json(make())
}

/// Built anew for each request; it is asked for rarely.
pub(super) fn make() -> Value {
    let mut paths = Map::new();
    for route in routes::all().iter().filter(|it| !it.summary.is_empty()) {
        let parameters: Vec<Value> = route
            .path
            .split('/')
            .filter_map(|it| it.strip_prefix('{')?.strip_suffix('}'))
            .map(|it| json!({"name": it, "in": "path", "required": true, "schema": {"type": "string"}}))
            .collect();
        let mut operations = Map::new();
        for method in route.methods {
            operations.insert(
                (*method).to_owned(),
                operation(route.summary, method, &parameters, route.need),
            );
        }
        paths.insert(route.path.clone(), Value::Object(operations));
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Capstan hub",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Lists are Kubernetes-style: {\"items\": [...]}. Filters are query parameters: cluster, environment, unit, kind, namespace, name. An error is {\"reason\", \"message\"}.",
        },
        "components": {
            "securitySchemes": {"admin": {"type": "http", "scheme": "bearer"}},
            "schemas": {
                "List": {"type": "object", "required": ["items"], "properties": {"items": {"type": "array", "items": {"type": "object"}}}},
                "Error": {"type": "object", "required": ["reason", "message"], "properties": {"reason": {"type": "string"}, "message": {"type": "string"}}},
            },
        },
        "security": [{"admin": []}],
        "paths": paths,
    })
}

fn operation(summary: &str, method: &str, parameters: &[Value], need: Need) -> Value {
    let error = json!({"description": "Why not, and what to do", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}});
    let mut operation = json!({
        "summary": summary,
        "parameters": parameters,
        "responses": {
            "200": {"description": "Done", "content": {"application/json": {"schema": {"type": "object"}}}},
            "default": error,
        },
    });
    if need == Need::Nothing {
        operation["security"] = json!([]);
    }
    if method == "post" {
        operation["requestBody"] =
            json!({"content": {"application/json": {"schema": {"type": "object"}}}});
    }
    operation
}
