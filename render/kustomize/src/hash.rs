//! The suffix that the content of a generated object gives its name.

use capstan_goyaml::{Kind, Node};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::gojson;
use crate::gonode;
use crate::node;
use crate::resource::Resource;
use crate::yaml;

/// Characters of the suffix.
const LENGTH: usize = 10;

/// The suffix for an object as it is now.
pub(crate) fn suffix(resource: &Resource) -> Result<String> {
    let object = resource.node();
    let kind = node::top_text(object, "kind");
    let encoded = match kind {
        "ConfigMap" => encoded(object, kind, &["data"], "binaryData")?,
        "Secret" => encoded(object, kind, &["type", "data"], "stringData")?,
        _ => gonode::encoded(resource),
    };
    let digest = hex::encode(Sha256::digest(encoded.as_bytes()));
    Ok(digest[..LENGTH].chars().map(without_vowels).collect())
}

/// So that no suffix spells a word.
fn without_vowels(c: char) -> char {
    match c {
        '0' => 'g',
        '1' => 'h',
        '3' => 'k',
        'a' => 'm',
        'e' => 't',
        other => other,
    }
}

fn encoded(object: &Node, kind: &str, fields: &[&str], optional: &str) -> Result<String> {
    let mut map = Map::new();
    map.insert("kind".to_owned(), kind.into());
    // kustomize looks for a field with this very name, which there is not: the name counts as empty.
    map.insert("name".to_owned(), value_of(object.get("metadata/name"))?);
    for field in fields {
        map.insert((*field).to_owned(), value_of(object.get(field))?);
    }
    if let Some(value) = object.get(optional).filter(|v| v.kind == Kind::Mapping) {
        map.insert(optional.to_owned(), value_of(Some(value))?);
    }
    Ok(gojson::to_string(&Value::Object(map)))
}

fn value_of(field: Option<&Node>) -> Result<Value> {
    match field {
        None => Ok("".into()),
        Some(scalar) if scalar.kind == Kind::Scalar => Ok((&*scalar.value).into()),
        Some(other) => yaml::object_to_json(other).map_err(|e| Error::invalid(e.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::Schema;

    #[test]
    fn suffixes_as_kustomize_has_them() {
        let check = |object: &str, expected: &str| {
            let node = yaml::parse_one(object).unwrap().unwrap();
            let resource = Resource::new(node, &Schema::builtin());
            assert_eq!(suffix(&resource).unwrap(), expected)
        };
        check(
            "kind: ConfigMap\nmetadata: {name: cm}\ndata: {a: '1', b: '2'}\n",
            "7gdc49gk6d",
        );
        check("kind: ConfigMap\nmetadata: {name: cm}\n", "6ct58987ht");
    }
}
