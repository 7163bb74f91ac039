//! Node trees to text, as yaml.v3's `Encoder` writes them.

use crate::Dialect;
use crate::emit::{EmitOptions, Emitter, Properties, Write};
use crate::error::Error;
use crate::limits::MAX_DEPTH;
use crate::node::{Comments, Document, Kind, Node, Style, Tag};
use crate::resolve::implied_tag;
use crate::scan::ScalarStyle;

/// Writes one tree as a document.
pub fn emit(root: &Node, options: EmitOptions) -> Result<String, Error> {
    let mut emitter = Emitter::v3(options);
    emitter.write(Write::DocumentStart)?;
    node(&mut emitter, root, "", 0)?;
    emitter.write(Write::DocumentEnd)?;
    Ok(emitter.finish())
}

/// Writes documents as a stream, each but the first after a `---` line.
pub fn emit_documents<'d>(
    documents: impl IntoIterator<Item = &'d Document>,
    options: EmitOptions,
) -> Result<String, Error> {
    let mut emitter = Emitter::v3(options);
    for Document { root, comments } in documents {
        emitter.write_with(
            Write::DocumentStart,
            &Properties {
                head: &comments.head,
                ..Properties::default()
            },
        )?;
        node(&mut emitter, root, "", 0)?;
        emitter.write_with(
            Write::DocumentEnd,
            &Properties {
                foot: &comments.foot,
                ..Properties::default()
            },
        )?;
    }
    Ok(emitter.finish())
}

static NO_COMMENTS: Comments = Comments {
    head: String::new(),
    line: String::new(),
    foot: String::new(),
};

fn node(emitter: &mut Emitter, node: &Node, tail: &str, depth: usize) -> Result<(), Error> {
    if depth > MAX_DEPTH {
        return Err(Error::Emit(format!("exceeded max depth of {MAX_DEPTH}")));
    }
    let comments = node.comments().unwrap_or(&NO_COMMENTS);
    let (tag, force_quotes) = written_tag(node);
    let flow = node.style.has(Style::FLOW);
    let empty = node.content.is_empty();
    let start = Properties {
        anchor: node.anchor(),
        tag: &tag,
        head: &comments.head,
        tail,
        ..Properties::default()
    };
    match node.kind {
        Kind::Scalar => {
            let style = scalar_style(node, force_quotes);
            // The foot of a key comes after its value: its mapping passes it on.
            let properties = Properties {
                line: &comments.line,
                foot: &comments.foot,
                ..start
            };
            emitter.write_with(
                Write::Scalar {
                    value: &node.value,
                    style,
                },
                &properties,
            )
        }
        Kind::Alias => {
            let properties = Properties {
                anchor: None,
                tag: "",
                line: &comments.line,
                foot: &comments.foot,
                tail: "",
                ..start
            };
            emitter.write_with(Write::Alias(&node.value), &properties)
        }
        Kind::Sequence => {
            emitter.write_with(Write::SequenceStart { flow, empty }, &start)?;
            for item in &node.content {
                self::node(emitter, item, "", depth + 1)?;
            }
            let end = Properties {
                line: &comments.line,
                foot: &comments.foot,
                ..Properties::default()
            };
            emitter.write_with(Write::SequenceEnd, &end)
        }
        Kind::Mapping => {
            emitter.write_with(Write::MappingStart { flow, empty }, &start)?;
            let tail = entries(emitter, node, depth)?;
            let end = Properties {
                tail,
                line: &comments.line,
                foot: &comments.foot,
                ..Properties::default()
            };
            emitter.write_with(Write::MappingEnd, &end)
        }
    }
}

/// Writes keys and values. The foot of each key is held back until its value, however deep, was written.
fn entries<'n>(emitter: &mut Emitter, mapping: &'n Node, depth: usize) -> Result<&'n str, Error> {
    let mut tail = "";
    for (key, value) in mapping.entries() {
        let foot = key.comments().map_or("", |comments| comments.foot.as_str());
        if foot.is_empty() {
            node(emitter, key, tail, depth + 1)?;
        } else {
            let mut footless = key.clone();
            footless.comments_mut().foot.clear();
            node(emitter, &footless, tail, depth + 1)?;
        }
        tail = foot;
        node(emitter, value, "", depth + 1)?;
    }
    Ok(tail)
}

/// The tag to write, in its long form, where dropping it would change the type; and whether quotes keep the type instead.
fn written_tag(node: &Node) -> (String, bool) {
    let tag = &node.tag;
    if *tag == Tag::None || node.kind == Kind::Alias {
        return (String::new(), false);
    }
    if !node.style.has(Style::TAGGED) {
        match (node.kind, tag) {
            (Kind::Scalar, Tag::Str) => {
                let quoted = node.style.is_quoted_or_block()
                    || implied_tag(Dialect::V3, &node.value) == Tag::Str;
                return (String::new(), !quoted);
            }
            (Kind::Scalar, _) if implied_tag(Dialect::V3, &node.value) == *tag => {
                return (String::new(), false);
            }
            (Kind::Sequence, Tag::Seq) | (Kind::Mapping, Tag::Map) => {
                return (String::new(), false);
            }
            _ => {}
        }
    }
    (tag.to_long(), false)
}

fn scalar_style(node: &Node, force_quotes: bool) -> ScalarStyle {
    let style = node.style;
    if style.has(Style::DOUBLE_QUOTED) {
        ScalarStyle::DoubleQuoted
    } else if style.has(Style::SINGLE_QUOTED) {
        ScalarStyle::SingleQuoted
    } else if style.has(Style::LITERAL) {
        ScalarStyle::Literal
    } else if style.has(Style::FOLDED) {
        ScalarStyle::Folded
    } else if node.value.contains('\n') {
        ScalarStyle::Literal
    } else if force_quotes {
        ScalarStyle::DoubleQuoted
    } else {
        ScalarStyle::Plain
    }
}
