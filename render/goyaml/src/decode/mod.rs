//! Node trees to values: merge keys, aliases, key types and duplicates, as each of the Go libraries has them.

mod go_syntax;
mod mapping;

use base64::Engine;
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};

use crate::Dialect;
use crate::error::Error;
use crate::limits::{MAX_DEPTH, MAX_TYPE_ERRORS};
use crate::node::{Kind, Node, Tag};
use crate::resolve::{Resolved, resolve_tagged};
use crate::value::Build;

/// How to decode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecodeOptions {
    /// Whose rules.
    pub dialect: Dialect,
    /// Whether a key may not repeat in yaml.v2 (`UnmarshalStrict`). In yaml.v3 it never may.
    pub strict: bool,
    /// Whether the root is decoded into a `map[string]interface{}`: it must be a map then, and its keys may have any scalar type.
    pub object: bool,
}

/// Decodes a tree to what `json.Marshal` makes of it: keys become strings, `!!binary` is decoded, NaN and infinities are errors.
///
/// This is `sigs.k8s.io/yaml.YAMLToJSON` with [`Dialect::V2`], and `yaml.Unmarshal` followed by `json.Marshal` (as kyaml's
/// `RNode.MarshalJSON` has it) with [`Dialect::V3`].
pub fn decode<B: Build>(
    node: &Node,
    options: DecodeOptions,
    build: &mut B,
) -> Result<B::Value, Error> {
    let mut decoder = Decoder {
        options,
        build,
        errors: Vec::new(),
        json_error: None,
        decoded: 0,
        aliased: 0,
        alias_depth: 0,
        depth: 0,
    };
    let value = if options.object {
        decoder.object(node)
    } else {
        decoder.value(node)
    }?;
    if !decoder.errors.is_empty() {
        return Err(Error::Type(decoder.errors));
    }
    match decoder.json_error {
        Some(error) => Err(error),
        None => Ok(value),
    }
}

struct Decoder<'b, B: Build> {
    options: DecodeOptions,
    build: &'b mut B,
    errors: Vec<String>,
    /// What JSON cannot hold. Go finds it after everything that is wrong with the YAML.
    json_error: Option<Error>,
    decoded: usize,
    aliased: usize,
    alias_depth: usize,
    depth: usize,
}

impl<B: Build> Decoder<'_, B> {
    fn object(&mut self, node: &Node) -> Result<B::Value, Error> {
        let target = node.target()?;
        if target.kind == Kind::Mapping {
            return self.mapping(target, true);
        }
        if target.kind == Kind::Scalar && self.scalar(target)? == Scalar::Resolved(Resolved::Null) {
            // Go leaves a nil map, which JSON writes as null.
            return Ok(self.build.null());
        }
        let message = unmarshal_error(target, "map[string]interface {}");
        self.add_error(message);
        Ok(self.build.null())
    }

    fn value(&mut self, node: &Node) -> Result<B::Value, Error> {
        self.count()?;
        match node.kind {
            Kind::Scalar => self.scalar_value(node),
            Kind::Alias => {
                let target = node.target()?;
                self.enter()?;
                self.alias_depth += 1;
                let value = self.value(target);
                self.alias_depth -= 1;
                self.depth -= 1;
                value
            }
            Kind::Sequence => {
                self.enter()?;
                let mut items = Vec::with_capacity(node.content.len());
                for item in &node.content {
                    items.push(self.value(item)?);
                }
                self.depth -= 1;
                Ok(self.build.sequence(items))
            }
            Kind::Mapping => {
                self.enter()?;
                let value = self.mapping(node, false);
                self.depth -= 1;
                value
            }
        }
    }

    fn enter(&mut self) -> Result<(), Error> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Error::Document(format!(
                "exceeded max depth of {MAX_DEPTH}"
            )));
        }
        Ok(())
    }

    /// Go's defence against aliases that multiply.
    fn count(&mut self) -> Result<(), Error> {
        self.decoded += 1;
        if self.alias_depth > 0 {
            self.aliased += 1;
            if self.aliased > 100
                && self.decoded > 1000
                && self.aliased as f64 / self.decoded as f64 > allowed_alias_ratio(self.decoded)
            {
                return Err(Error::Document(
                    "document contains excessive aliasing".to_owned(),
                ));
            }
        }
        Ok(())
    }

    fn scalar(&self, node: &Node) -> Result<Scalar, Error> {
        if is_string(node) {
            return Ok(Scalar::Resolved(Resolved::Str));
        }
        if node.tag == Tag::Binary {
            let text: String = node
                .value
                .chars()
                .filter(|c| !matches!(c, '\r' | '\n'))
                .collect();
            let bytes = BASE64.decode(text).map_err(|_| {
                Error::Document("!!binary value contains invalid base64 data".to_owned())
            })?;
            return Ok(Scalar::Bytes(go_utf8(&bytes)));
        }
        // `!` leaves the type open in yaml.v3 only.
        let open = self.options.dialect == Dialect::V3 && node.tag.is_open();
        let tag = if open { &Tag::None } else { &node.tag };
        resolve_tagged(self.options.dialect, tag, &node.value).map(Scalar::Resolved)
    }

    fn scalar_value(&mut self, node: &Node) -> Result<B::Value, Error> {
        Ok(match self.scalar(node)? {
            Scalar::Bytes(text) => self.build.string(&text),
            Scalar::Resolved(resolved) => match resolved {
                Resolved::Null => self.build.null(),
                Resolved::Bool(value) => self.build.bool(value),
                Resolved::Int(value) => self.build.int(value),
                Resolved::Uint(value) => self.build.uint(value),
                Resolved::Float(value) if value.is_finite() => self.build.float(value),
                Resolved::Float(value) => {
                    self.json_error(format!("json: unsupported value: {}", go_float(value)))
                }
                Resolved::Timestamp(time) if self.options.dialect == Dialect::V3 => {
                    if !time.is_json() {
                        let why = "Time.MarshalJSON: timezone hour outside of range [0,23]";
                        let what = "json: error calling MarshalJSON for type time.Time";
                        return Ok(self.json_error(format!("{what}: {why}")));
                    }
                    self.build.string(&time.to_string())
                }
                Resolved::Timestamp(_) | Resolved::Merge | Resolved::Str => {
                    self.build.string(&node.value)
                }
            },
        })
    }

    fn json_error(&mut self, message: String) -> B::Value {
        self.json_error.get_or_insert(Error::Json(message));
        self.build.null()
    }

    fn add_error(&mut self, message: String) {
        if self.errors.len() < MAX_TYPE_ERRORS {
            self.errors.push(message);
        }
    }
}

#[derive(PartialEq)]
enum Scalar {
    Resolved(Resolved),
    /// What `!!binary` held.
    Bytes(String),
}

impl Node {
    /// What an alias stands for, through any number of them; the node itself where it is none.
    pub(crate) fn target(&self) -> Result<&Node, Error> {
        let mut node = self;
        while node.kind == Kind::Alias {
            node = node.alias().ok_or_else(|| {
                Error::Document(format!("anchor '{}' value contains itself", node.value))
            })?;
        }
        Ok(node)
    }
}

/// Whether quotes, a block or a tag make the scalar a string, whatever it looks like.
pub(crate) fn is_string(node: &Node) -> bool {
    node.tag == Tag::Str || node.tag == Tag::None && node.style.is_quoted_or_block()
        // `!` before quotes: yaml.v3 says string; yaml.v2 does too, since it resolves no local tag.
        || node.tag.is_open() && node.style.is_quoted_or_block()
}

fn unmarshal_error(node: &Node, go_type: &str) -> String {
    let tag = match node.tag.as_str() {
        "" if node.kind == Kind::Sequence => "!!seq",
        "" if node.kind == Kind::Mapping => "!!map",
        "" => "!!str",
        tag => tag,
    };
    let value = match tag {
        "!!seq" | "!!map" => String::new(),
        _ if node.value.len() > 10 => format!(" `{}...`", go_utf8(&node.value.as_bytes()[..7])),
        _ => format!(" `{}`", node.value),
    };
    format!(
        "line {}: cannot unmarshal {tag}{value} into {go_type}",
        node.line
    )
}

/// The share of decoded nodes that may come from aliases: nearly all in a small document, a tenth in a huge one.
fn allowed_alias_ratio(decoded: usize) -> f64 {
    const LOW: f64 = 400_000.0;
    const HIGH: f64 = 4_000_000.0;
    let decoded = (decoded as f64).clamp(LOW, HIGH);
    0.99 - 0.89 * (decoded - LOW) / (HIGH - LOW)
}

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
);

/// Bytes as Go's JSON encoder writes them: every byte that is not UTF-8 becomes U+FFFD.
fn go_utf8(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(std::iter::repeat_n('\u{FFFD}', chunk.invalid().len()));
    }
    text
}

fn go_float(value: f64) -> &'static str {
    match value {
        v if v.is_nan() => "NaN",
        v if v > 0.0 => "+Inf",
        _ => "-Inf",
    }
}
