//! `configMapGenerator` and `secretGenerator`: objects out of files, lines and literals.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use capstan_goyaml::{Node, Style, Tag};

use crate::error::{Context, Error, Result};
use crate::kustomization::{GeneratorArgs, GeneratorOptions};
use crate::loader::Loader;
use crate::node::{self, NodeExt};
use crate::patch::go_quoted;
use crate::resource::{Behavior, Note, Resource};
use crate::schema::Schema;

/// Characters in a line of encoded data, as yaml.v3 breaks it.
const BASE64_LINE: usize = 70;
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Which of both kinds is generated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Generated {
    ConfigMap,
    Secret,
}

/// Makes the object that the arguments describe.
pub(crate) fn object(
    kind: Generated,
    args: &GeneratorArgs,
    loader: &Loader<'_>,
    schema: &Schema,
) -> Result<Resource> {
    let kind_name = if kind == Generated::ConfigMap {
        "ConfigMap"
    } else {
        "Secret"
    };
    let mut object = Node::mapping([
        (Node::scalar("apiVersion"), Node::scalar("v1")),
        (Node::scalar("kind"), Node::scalar(kind_name)),
    ]);
    if args.name.is_empty() {
        return Err(Error::invalid("a configmap must have a name"));
    }
    let metadata = node::mapping_at(&mut object, &["metadata"])?;
    node::set_field(metadata, "name", Node::string(&*args.name));
    if !args.namespace.is_empty() {
        node::set_field(metadata, "namespace", Node::string(&*args.namespace));
    }
    if kind == Generated::Secret {
        let secret_type = if args.secret_type.is_empty() {
            "Opaque"
        } else {
            &args.secret_type
        };
        node::set_field(&mut object, "type", Node::string(secret_type));
    }
    let mut data = BTreeMap::new();
    for (key, value) in pairs(args, loader)? {
        if data.insert(key.clone(), value).is_some() {
            return Err(Error::invalid(format!(
                "configmap {} illegally repeats the key `{key}`",
                args.name
            )));
        }
    }
    match kind {
        Generated::ConfigMap => set_config_map_data(&mut object, data)?,
        Generated::Secret => {
            let into = node::mapping_at(&mut object, &["data"])?;
            for (key, value) in data {
                node::set_field(into, &key, data_node(&encode(&value)));
            }
        }
    }
    if let Some(options) = &args.options {
        set_options(&mut object, options)?;
    }
    let mut resource = Resource::new(object, schema);
    resource.memory.generated = true;
    resource.memory.behavior = Behavior::parse(&args.behavior);
    resource.memory.needs_hash = !args
        .options
        .as_ref()
        .is_some_and(|o| o.disable_name_suffix_hash);
    resource.note(Note::Generated);
    Ok(resource)
}

/// Replaces a map of texts such as `data`; none removes it.
pub(crate) fn set_data(object: &mut Node, field: &str, data: BTreeMap<String, String>) {
    node::clear(object, field);
    if data.is_empty() {
        return;
    }
    let entries = data
        .into_iter()
        .map(|(key, value)| (Node::scalar(key), data_node(&value)));
    node::set_field(object, field, Node::mapping(entries));
}

fn set_config_map_data(object: &mut Node, data: BTreeMap<String, Arc<[u8]>>) -> Result<()> {
    for (key, value) in data {
        let (field, value) = match std::str::from_utf8(&value) {
            Ok(text) => ("data", data_node(text)),
            Err(_) => ("binaryData", data_node(&encode(&value))),
        };
        node::set_field(node::mapping_at(object, &[field])?, &key, value);
    }
    Ok(())
}

fn data_node(text: &str) -> Node {
    let style = if text.contains('\n') {
        Style::LITERAL
    } else {
        Style::NONE
    };
    Node::string(text).styled(style)
}

fn encode(value: &[u8]) -> String {
    let text = STANDARD.encode(value);
    if text.len() / BASE64_LINE == 0 {
        return text;
    }
    let lines = text
        .as_bytes()
        .chunks(BASE64_LINE)
        .map(|line| String::from_utf8_lossy(line).into_owned() + "\n");
    lines.collect()
}

fn set_options(object: &mut Node, options: &GeneratorOptions) -> Result<()> {
    for (field, entries) in [
        ("labels", &options.labels),
        ("annotations", &options.annotations),
    ] {
        for (key, value) in entries {
            let value = Node::string(&**value).styled(Style::SINGLE_QUOTED);
            node::set_field(node::mapping_at(object, &["metadata", field])?, key, value);
        }
    }
    if options.immutable {
        node::set_field(object, "immutable", Node::scalar("true").tagged(Tag::Bool));
    }
    Ok(())
}

/// Options of the kustomization hold where the generator's own say nothing.
pub(crate) fn merge_options(
    local: Option<&GeneratorOptions>,
    global: Option<&GeneratorOptions>,
) -> Option<GeneratorOptions> {
    let Some(global) = global else {
        return local.cloned();
    };
    let mut merged = local.cloned().unwrap_or_default();
    for (key, value) in &global.labels {
        merged
            .labels
            .entry(key.clone())
            .or_insert_with(|| value.clone());
    }
    for (key, value) in &global.annotations {
        merged
            .annotations
            .entry(key.clone())
            .or_insert_with(|| value.clone());
    }
    merged.disable_name_suffix_hash |= global.disable_name_suffix_hash;
    merged.immutable |= global.immutable;
    Some(merged)
}

type Pair = (String, Arc<[u8]>);

fn pairs(args: &GeneratorArgs, loader: &Loader<'_>) -> Result<Vec<Pair>> {
    let mut out = Vec::new();
    for path in &args.envs {
        let read = || -> Result<Vec<Pair>> {
            let file = loader.load(path)?;
            lines(&file.content).in_file(&file.path)
        };
        out.extend(
            read()
                .context(format_args!("env source files: [{}]", args.envs.join(" ")))
                .context("loading KV pairs")?,
        );
    }
    for literal in &args.literals {
        let pair = parse_literal(literal)
            .context(format_args!(
                "literal sources [{}]",
                args.literals.join(" ")
            ))
            .context("loading KV pairs")?;
        out.push(pair);
    }
    for source in &args.files {
        let read = || -> Result<Pair> {
            let (key, path) = parse_file_source(source)?;
            Ok((key.to_owned(), loader.load(path)?.content))
        };
        out.push(
            read()
                .context(format_args!("file sources: [{}]", args.files.join(" ")))
                .context("loading KV pairs")?,
        );
    }
    Ok(out)
}

fn lines(content: &[u8]) -> Result<Vec<Pair>> {
    let mut out = Vec::new();
    let content = content.strip_suffix(b"\n").unwrap_or(content);
    for (at, line) in content.split(|b| *b == b'\n').enumerate() {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let line = if at == 0 {
            line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line)
        } else {
            line
        };
        let Ok(text) = std::str::from_utf8(line) else {
            let message = format!(
                "line {} has invalid utf8 bytes : {}",
                at,
                String::from_utf8_lossy(line)
            );
            return Err(Error::invalid(message).at_line(u32::try_from(at + 1).ok()));
        };
        let text = text.trim_start();
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let (key, value) = text.split_once('=').unwrap_or((text, ""));
        if !key.is_empty() {
            out.push((key.to_owned(), value.as_bytes().into()));
        }
    }
    Ok(out)
}

fn parse_literal(source: &str) -> Result<Pair> {
    match source.split_once('=') {
        Some((key, value)) if !key.is_empty() => {
            Ok((key.to_owned(), without_quotes(value).as_bytes().into()))
        }
        _ => Err(Error::invalid(format!(
            "invalid literal source {source}, expected key=value"
        ))),
    }
}

fn without_quotes(text: &str) -> &str {
    let inner = |quote: char| text.strip_prefix(quote).and_then(|t| t.strip_suffix(quote));
    inner('"').or_else(|| inner('\'')).unwrap_or(text)
}

fn parse_file_source(source: &str) -> Result<(&str, &str)> {
    let mut parts = source.split('=');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(path), None, _) => {
            let name = path
                .trim_end_matches('/')
                .rsplit('/')
                .next()
                .unwrap_or(path);
            Ok((if path.is_empty() { "." } else { name }, path))
        }
        (Some(""), Some(path), None) => Err(Error::invalid(format!(
            "missing key name for file path {} in source {}",
            go_quoted(path),
            go_quoted(source)
        ))),
        (Some(key), Some(""), None) => Err(Error::invalid(format!(
            "missing file path for key name {} in source {}",
            go_quoted(key),
            go_quoted(source)
        ))),
        (Some(key), Some(path), None) => Ok((key, path)),
        _ => Err(Error::invalid(format!(
            "source {} key name or file path contains '='",
            go_quoted(source)
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_literals_and_files_become_pairs() {
        let read = |content: &[u8]| -> Vec<(String, String)> {
            let text = |v: Arc<[u8]>| String::from_utf8(v.to_vec()).unwrap();
            lines(content)
                .unwrap()
                .into_iter()
                .map(|(k, v)| (k, text(v)))
                .collect()
        };
        let own = |k: &str, v: &str| (k.to_owned(), v.to_owned());
        assert_eq!(
            read(b"\xEF\xBB\xBFA=1\n  # c\n\n B = \"x\" \r\nC\n=d"),
            [own("A", "1"), own("B ", " \"x\" "), own("C", "")]
        );
        assert_eq!(&*parse_literal("a='b=c'").unwrap().1, b"b=c");
        assert!(parse_literal("=x").is_err() && parse_literal("x").is_err());
        assert_eq!(parse_file_source("a/b.txt").unwrap(), ("b.txt", "a/b.txt"));
        assert_eq!(parse_file_source("k=a/b.txt").unwrap(), ("k", "a/b.txt"));
        assert_eq!(
            parse_file_source("=p").unwrap_err().to_string(),
            "missing key name for file path \"p\" in source \"=p\""
        );
        assert!(parse_file_source("a=b=c").is_err());
    }
}
