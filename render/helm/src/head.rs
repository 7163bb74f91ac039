//! The head of an object: what Helm reads of a document, and nothing that was read before is read again.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use capstan_goyaml::{JsonBuilder, unmarshal};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::HelmVersion;
use crate::chart::{Fields, mismatch};

/// The part of an object that Helm reads.
#[derive(Clone, Default)]
pub(crate) struct Head {
    pub(crate) api_version: String,
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) annotations: BTreeMap<String, String>,
}

impl Head {
    fn parse(text: &str, version: HelmVersion) -> Result<Self, String> {
        let package = match version {
            HelmVersion::V3 => "releaseutil",
            HelmVersion::V4 => "util",
        };
        let go_type = format!("{package}.SimpleHead");
        let root =
            unmarshal(text.as_bytes(), &mut JsonBuilder).map_err(|error| error.to_string())?;
        let mut head = Self::default();
        let object = match &root {
            Value::Object(object) => object,
            Value::Null => return Ok(head),
            other => return Err(whole_mismatch(other, &go_type)),
        };
        let fields = Fields {
            object,
            path: "SimpleHead.",
        };
        fields.text("apiVersion", &mut head.api_version)?;
        fields.text("kind", &mut head.kind)?;
        match fields.get("metadata") {
            None => {}
            Some(Value::Object(metadata)) => {
                let fields = Fields {
                    object: metadata,
                    path: ".metadata.",
                };
                fields.text("name", &mut head.name)?;
                head.annotations = fields.map("annotations")?.unwrap_or_default();
            }
            Some(other) => {
                let go_type = "struct { Name string \"json:\\\"name\\\"\"; Annotations map[string]string \"json:\\\"annotations\\\"\" }";
                return Err(mismatch(other, "SimpleHead.metadata", go_type));
            }
        }
        Ok(head)
    }
}

fn whole_mismatch(value: &Value, go_type: &str) -> String {
    mismatch(value, "", go_type).replace("Go struct field  of type", "Go value of type")
}

/// How many heads are kept for a chart. When there are more, all are let go: texts that no other release shares are of no use again.
const MAX_HEADS: usize = 4096;
/// The largest annotations of a head that is kept, in bytes.
const MAX_ANNOTATION_BYTES: usize = 4 << 10;
/// Shorter documents are read as fast as they are looked up.
const MIN_TEXT_BYTES: usize = 1 << 10;

/// The heads of documents that a chart gave before, by the digests of their texts. Many documents, definitions above all, are the same in
/// every render.
#[derive(Default)]
pub(crate) struct HeadCache(Mutex<BTreeMap<[u8; 32], Head>>);

impl HeadCache {
    /// The head of a document. Nothing of a sensitive one outlives its render.
    pub(crate) fn head(
        &self,
        text: &str,
        version: HelmVersion,
        is_sensitive: bool,
    ) -> Result<Head, String> {
        if text.len() < MIN_TEXT_BYTES || is_sensitive {
            return Head::parse(text, version);
        }
        let digest = Sha256::digest(text).into();
        // A panic while the lock is held leaves a map that is still good.
        let lock = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(head) = lock().get(&digest) {
            return Ok(head.clone());
        }
        let head = Head::parse(text, version)?;
        let bytes: usize = head
            .annotations
            .iter()
            .map(|(key, text)| key.len() + text.len())
            .sum();
        if bytes <= MAX_ANNOTATION_BYTES && head.kind != "Secret" {
            let mut heads = lock();
            if heads.len() >= MAX_HEADS {
                heads.clear();
            }
            heads.insert(digest, head.clone());
        }
        Ok(head)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_read_once_and_wrong_ones_each_time() {
        let cache = HeadCache::default();
        let filler = "#".repeat(MIN_TEXT_BYTES);
        for (text, kind) in [
            ("kind: A", Some("A")),
            ("kind: B", Some("B")),
            ("kind: [", None),
        ] {
            let text = format!("{text}\n{filler}");
            for is_sensitive in [true, false, false] {
                let head = cache.head(&text, HelmVersion::V4, is_sensitive).ok();
                assert_eq!(head.map(|head| head.kind).as_deref(), kind);
            }
        }
        assert_eq!(cache.0.lock().unwrap().len(), 2);
    }

    #[test]
    fn heads_are_read_as_go_reads_them() {
        let head = Head::parse(
            "KIND: Pod\nmetadata:\n  name: 5\n  annotations: {a: true, b: 1.50, c: null}",
            HelmVersion::V4,
        )
        .unwrap();
        assert_eq!((head.kind.as_str(), head.name.as_str()), ("Pod", "5"));
        assert_eq!(
            head.annotations,
            BTreeMap::from([
                ("a".into(), "true".into()),
                ("b".into(), "1.5".into()),
                ("c".into(), String::new())
            ])
        );
        let error = |text: &str| Head::parse(text, HelmVersion::V3).err().unwrap();
        assert_eq!(
            error("- a"),
            "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal array into Go value of type releaseutil.SimpleHead"
        );
        assert_eq!(
            error("metadata: {annotations: {a: {b: c}}}"),
            "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal object into Go struct field .metadata.annotations of type string"
        );
        assert_eq!(
            error("a: [b"),
            "error converting YAML to JSON: yaml: line 1: did not find expected ',' or ']'"
        );
    }
}
