//! Events to node trees, without recursion.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::Dialect;
use crate::error::Error;
use crate::limits::{MAX_ALIASED_NODES, MAX_DEPTH};
use crate::node::{Comments, Document, Kind, Node, Style, Tag, Text};
use crate::parse::{Event, EventKind, Parser};
use crate::resolve;
use crate::scan::ScalarStyle;

/// An anchored node: where it is, or a copy once an alias needed one.
struct Anchor {
    /// Indices into `content`, from the root.
    path: Vec<usize>,
    copy: Option<Arc<Node>>,
}

/// Reads the documents of a stream one by one.
pub struct Documents<'a> {
    parser: Parser<'a>,
    dialect: Dialect,
    anchors: BTreeMap<String, Anchor>,
    aliased_nodes: usize,
    /// Collections that are open, outermost first.
    open: Vec<Node>,
    finished: bool,
}

impl<'a> Documents<'a> {
    /// Reads `text`, which holds no byte order mark and no control characters (see [`crate::decode_input`]).
    pub fn new(text: &'a str, dialect: Dialect) -> Self {
        Documents {
            parser: Parser::new(text, dialect),
            dialect,
            anchors: BTreeMap::new(),
            aliased_nodes: 0,
            open: Vec::new(),
            finished: false,
        }
    }

    fn next_document(&mut self) -> Result<Option<Document>, Error> {
        let mut document = Document::default();
        if self.dialect == Dialect::V2 {
            self.anchors.clear();
        }
        let mut root = None;
        while let Some(event) = self.parser.next_event()? {
            match event.kind {
                EventKind::StreamStart => {}
                EventKind::StreamEnd => return Ok(None),
                EventKind::DocumentStart => {
                    document.comments = event.comments.map(|c| *c).unwrap_or_default()
                }
                EventKind::DocumentEnd => {
                    document.root = root.unwrap_or_default();
                    self.keep_anchors(&document.root);
                    document.comments.foot = event.comments.map(|c| c.foot).unwrap_or_default();
                    return Ok(Some(document));
                }
                EventKind::SequenceStart | EventKind::MappingStart => self.start(event)?,
                EventKind::SequenceEnd | EventKind::MappingEnd => {
                    if let Some(node) = self.end(event) {
                        root = self.place(node);
                    }
                }
                EventKind::Scalar => {
                    let node = self.scalar(event);
                    root = self.place(node);
                }
                EventKind::Alias => {
                    let node = self.alias(event)?;
                    root = self.place(node);
                }
            }
        }
        Ok(None)
    }

    fn start(&mut self, event: Event<'_>) -> Result<(), Error> {
        let kind = if event.kind == EventKind::SequenceStart {
            Kind::Sequence
        } else {
            Kind::Mapping
        };
        if self.open.len() >= MAX_DEPTH {
            let line = Some(event.start.line + 1);
            return Err(Error::Syntax {
                line,
                problem: format!("exceeded max depth of {MAX_DEPTH}"),
            });
        }
        let flow = event.flow;
        let mut node = self.node(kind, event);
        if node.tag.is_open() {
            node.tag = if kind == Kind::Sequence {
                Tag::Seq
            } else {
                Tag::Map
            };
        }
        if flow {
            node.style = node.style.with(Style::FLOW);
        }
        self.open.push(node);
        Ok(())
    }

    fn end(&mut self, event: Event<'_>) -> Option<Node> {
        let mut node = self.open.pop()?;
        let ending = event.comments.map(|c| *c).unwrap_or_default();
        if node.extra.is_some() || !ending.is_empty() {
            let comments = node.comments_mut();
            comments.line = ending.line;
            comments.foot = ending.foot;
            // What stands at the end of a block mapping is the foot of its last key.
            if node.kind == Kind::Mapping
                && !node.style.has(Style::FLOW)
                && node.content.len() > 1
                && has_foot(&node)
            {
                let foot = std::mem::take(&mut node.comments_mut().foot);
                let key = node.content.len() - 2;
                node.content[key].comments_mut().foot = foot;
            }
        }
        Some(node)
    }

    /// Puts a complete node into the innermost open collection, or gives it back where it is the root.
    fn place(&mut self, node: Node) -> Option<Node> {
        let Some(parent) = self.open.last_mut() else {
            return Some(node);
        };
        let foot = has_foot(&node);
        parent.content.push(node);
        if foot && parent.kind == Kind::Mapping {
            move_foot(parent);
        }
        None
    }

    fn scalar(&mut self, event: Event<'_>) -> Node {
        let style = match event.style {
            ScalarStyle::Plain => Style::NONE,
            ScalarStyle::SingleQuoted => Style::SINGLE_QUOTED,
            ScalarStyle::DoubleQuoted => Style::DOUBLE_QUOTED,
            ScalarStyle::Literal => Style::LITERAL,
            ScalarStyle::Folded => Style::FOLDED,
        };
        let mut node = self.node(Kind::Scalar, event);
        node.style = node.style.with(style);
        if self.dialect == Dialect::V3 && node.tag.is_open() {
            node.tag = match style {
                Style::NONE if node.value == "<<" => Tag::Merge,
                Style::NONE => resolve::implied_tag(self.dialect, &node.value),
                _ => Tag::Str,
            };
        }
        node
    }

    fn node(&mut self, kind: Kind, event: Event<'_>) -> Node {
        let mut node = Node {
            kind,
            style: if event.tag.is_open() {
                Style::NONE
            } else {
                Style::TAGGED
            },
            tag: event.tag,
            value: Text::from(event.value),
            content: Vec::new(),
            line: event.start.line + 1,
            column: event.start.column + 1,
            extra: None,
        };
        if let Some(comments) = event.comments {
            *node.comments_mut() = *comments;
        }
        if let Some(anchor) = event.anchor {
            node.set_anchor(Some(&anchor));
            let path = self
                .open
                .iter()
                .map(|collection| collection.content.len())
                .collect();
            self.anchors
                .insert(anchor.into_owned(), Anchor { path, copy: None });
        }
        node
    }

    fn alias(&mut self, event: Event<'_>) -> Result<Node, Error> {
        let mut node = self.node(Kind::Alias, event);
        let Some(anchor) = self.anchors.get_mut(node.value.as_str()) else {
            return Err(Error::Document(format!(
                "unknown anchor '{}' referenced",
                node.value
            )));
        };
        if anchor.copy.is_none()
            && let Some(found) = find(&self.open, &anchor.path)
        {
            self.aliased_nodes += found.count();
            if self.aliased_nodes > MAX_ALIASED_NODES {
                return Err(Error::Document(
                    "document contains excessive aliasing".to_owned(),
                ));
            }
            anchor.copy = Some(Arc::new(found.clone()));
        }
        node.extra.get_or_insert_default().alias = anchor.copy.clone();
        Ok(node)
    }
}

impl Documents<'_> {
    /// In yaml.v3 an alias may name a node of an earlier document, so the anchors outlive the document that is given away.
    fn keep_anchors(&mut self, root: &Node) {
        if self.dialect == Dialect::V2 {
            return;
        }
        for anchor in self
            .anchors
            .values_mut()
            .filter(|anchor| anchor.copy.is_none())
        {
            let found = anchor
                .path
                .iter()
                .try_fold(root, |node, &index| node.content.get(index));
            let Some(found) = found else { continue };
            self.aliased_nodes += found.count();
            if self.aliased_nodes <= MAX_ALIASED_NODES {
                anchor.copy = Some(Arc::new(found.clone()));
            }
        }
    }
}

/// The node at `path`, unless it is still open: then an alias to it is inside of it.
fn find<'n>(open: &'n [Node], path: &[usize]) -> Option<&'n Node> {
    let mut level = 0;
    let mut complete: Option<&Node> = None;
    for &index in path {
        match complete {
            Some(node) => complete = Some(node.content.get(index)?),
            None => match open.get(level)?.content.get(index) {
                Some(node) => complete = Some(node),
                None => level += 1,
            },
        }
    }
    complete
}

fn has_foot(node: &Node) -> bool {
    node.comments()
        .is_some_and(|comments| !comments.foot.is_empty())
}

/// In a mapping, the foot of a value belongs to its key, and the foot that a block key seems to have to the key before it.
fn move_foot(mapping: &mut Node) {
    let len = mapping.content.len();
    if len % 2 == 1 {
        if !mapping.style.has(Style::FLOW) && len > 2 {
            let foot = std::mem::take(&mut mapping.content[len - 1].comments_mut().foot);
            mapping.content[len - 3].comments_mut().foot = foot;
        }
    } else if !has_foot(&mapping.content[len - 2]) {
        let foot = std::mem::take(&mut mapping.content[len - 1].comments_mut().foot);
        mapping.content[len - 2].comments_mut().foot = foot;
    }
}

impl Iterator for Documents<'_> {
    type Item = Result<Document, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.finished {
            return None;
        }
        let document = self.next_document().transpose();
        self.finished = !matches!(document, Some(Ok(_)));
        document
    }
}

impl Document {
    /// Comments of the document, where it has any.
    pub fn comments(&self) -> Option<&Comments> {
        (!self.comments.is_empty()).then_some(&self.comments)
    }
}
