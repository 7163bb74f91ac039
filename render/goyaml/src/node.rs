//! The tree that a document is read into and written from, shaped like `yaml.Node` of yaml.v3.

use std::fmt;
use std::sync::Arc;

/// Text of a node: short values live in the node itself.
pub type Text = compact_str::CompactString;

/// What a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Kind {
    /// A single value.
    #[default]
    Scalar,
    /// A list; `content` holds its items.
    Sequence,
    /// A map; `content` holds key, value, key, value, in the order written.
    Mapping,
    /// A reference to an anchored node; `value` is the anchor's name.
    Alias,
}

/// How a node is written. A set of flags, as in yaml.v3.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Style(u8);

impl Style {
    /// The emitter's choice: plain where that is safe, block collections.
    pub const NONE: Style = Style(0);
    /// The tag is written even where it could be implied.
    pub const TAGGED: Style = Style(1);
    /// `"text"`
    pub const DOUBLE_QUOTED: Style = Style(2);
    /// `'text'`
    pub const SINGLE_QUOTED: Style = Style(4);
    /// `|`
    pub const LITERAL: Style = Style(8);
    /// `>`
    pub const FOLDED: Style = Style(16);
    /// `[a, b]` and `{a: b}`
    pub const FLOW: Style = Style(32);

    const NOT_PLAIN: Style = Style(2 | 4 | 8 | 16);

    /// The flags as yaml.v3 numbers them.
    pub fn bits(self) -> u8 {
        self.0
    }

    /// Whether any flag of `other` is set here.
    pub fn has(self, other: Style) -> bool {
        self.0 & other.0 != 0
    }

    /// The flags of both.
    #[must_use]
    pub fn with(self, other: Style) -> Style {
        Style(self.0 | other.0)
    }

    /// These flags less those of `other`.
    #[must_use]
    pub fn without(self, other: Style) -> Style {
        Style(self.0 & !other.0)
    }

    /// Whether the scalar was written in quotes or as a block, which makes it a string whatever it looks like.
    pub fn is_quoted_or_block(self) -> bool {
        self.has(Style::NOT_PLAIN)
    }
}

impl fmt::Debug for Style {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = ["tagged", "double", "single", "literal", "folded", "flow"];
        let set: Vec<_> = names
            .iter()
            .enumerate()
            .filter(|(i, _)| self.0 & (1 << i) != 0)
            .map(|(_, n)| *n)
            .collect();
        write!(f, "Style({})", set.join("|"))
    }
}

/// The type of a node, written or implied.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Tag {
    /// Not decided: the emitter and the decoders imply it. Parsed nodes always have one.
    #[default]
    None,
    /// `!!null`
    Null,
    /// `!!bool`
    Bool,
    /// `!!str`
    Str,
    /// `!!int`
    Int,
    /// `!!float`
    Float,
    /// `!!timestamp`
    Timestamp,
    /// `!!binary`
    Binary,
    /// `!!merge`, the tag of `<<`
    Merge,
    /// `!!seq`
    Seq,
    /// `!!map`
    Map,
    /// Any other tag, in its short form (`!name`, `!!name`) where it has one.
    Other(Box<str>),
}

const LONG_PREFIX: &str = "tag:yaml.org,2002:";

impl Tag {
    /// Reads a tag in short (`!!str`) or long (`tag:yaml.org,2002:str`) form.
    pub fn parse(text: &str) -> Tag {
        let short = text
            .strip_prefix("!!")
            .or_else(|| text.strip_prefix(LONG_PREFIX));
        match short {
            Some("null") => Tag::Null,
            Some("bool") => Tag::Bool,
            Some("str") => Tag::Str,
            Some("int") => Tag::Int,
            Some("float") => Tag::Float,
            Some("timestamp") => Tag::Timestamp,
            Some("binary") => Tag::Binary,
            Some("merge") => Tag::Merge,
            Some("seq") => Tag::Seq,
            Some("map") => Tag::Map,
            Some(other) => Tag::Other(format!("!!{other}").into()),
            None if text.is_empty() => Tag::None,
            None => Tag::Other(text.into()),
        }
    }

    /// The short form, as `yaml.Node.Tag` holds it: `!!str`, `!local`, or empty.
    pub fn as_str(&self) -> &str {
        match self {
            Tag::None => "",
            Tag::Null => "!!null",
            Tag::Bool => "!!bool",
            Tag::Str => "!!str",
            Tag::Int => "!!int",
            Tag::Float => "!!float",
            Tag::Timestamp => "!!timestamp",
            Tag::Binary => "!!binary",
            Tag::Merge => "!!merge",
            Tag::Seq => "!!seq",
            Tag::Map => "!!map",
            Tag::Other(other) => other,
        }
    }

    /// The long form, as the emitter takes it: `tag:yaml.org,2002:str`, or a local tag as it is.
    pub(crate) fn to_long(&self) -> String {
        match self.as_str().strip_prefix("!!") {
            Some(name) => format!("{LONG_PREFIX}{name}"),
            None => self.as_str().to_owned(),
        }
    }

    /// Whether the tag leaves the type open, as no tag and `!` do.
    pub(crate) fn is_open(&self) -> bool {
        match self {
            Tag::None => true,
            Tag::Other(other) => &**other == "!",
            _ => false,
        }
    }
}

/// Comments around a node, each with its `#` and, where it has several lines, line breaks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Comments {
    /// Lines before the node.
    pub head: String,
    /// The end of the node's own line.
    pub line: String,
    /// Lines after the node, before an empty line.
    pub foot: String,
}

impl Comments {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.head.is_empty() && self.line.is_empty() && self.foot.is_empty()
    }
}

/// What few nodes have, kept out of the node so that the many stay small.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Extra {
    pub(crate) anchor: Option<Box<str>>,
    pub(crate) alias: Option<Arc<Node>>,
    pub(crate) comments: Comments,
}

/// One node of a document.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Node {
    /// What it is.
    pub kind: Kind,
    /// How it was or will be written.
    pub style: Style,
    /// Its type.
    pub tag: Tag,
    /// A scalar's text without quotes and escapes, or an alias' name.
    pub value: Text,
    /// Items of a sequence; keys and values of a mapping, alternating.
    pub content: Vec<Node>,
    /// The line it starts at, from one; 0 where it was not read from a text.
    pub line: u32,
    /// The column it starts at, in characters, from one.
    pub column: u32,
    pub(crate) extra: Option<Box<Extra>>,
}

/// One document of a stream.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Document {
    /// The document's only node.
    pub root: Node,
    /// Comments that belong to the document, not to its root.
    pub comments: Comments,
}

impl Node {
    /// A scalar without tag and style: the emitter and the decoders see what it looks like.
    pub fn scalar(value: impl Into<Text>) -> Node {
        Node {
            value: value.into(),
            ..Node::default()
        }
    }

    /// A string, as `yaml.NewStringRNode` of kyaml makes it: quoted on output where it would otherwise read as something else.
    pub fn string(value: impl Into<Text>) -> Node {
        Node {
            value: value.into(),
            tag: Tag::Str,
            ..Node::default()
        }
    }

    /// A `null`.
    pub fn null() -> Node {
        Node {
            value: "null".into(),
            tag: Tag::Null,
            ..Node::default()
        }
    }

    /// A sequence of these items.
    pub fn sequence(items: Vec<Node>) -> Node {
        Node {
            kind: Kind::Sequence,
            tag: Tag::Seq,
            content: items,
            ..Node::default()
        }
    }

    /// A mapping of these entries, in this order.
    pub fn mapping(entries: impl IntoIterator<Item = (Node, Node)>) -> Node {
        let content = entries.into_iter().flat_map(|(k, v)| [k, v]).collect();
        Node {
            kind: Kind::Mapping,
            tag: Tag::Map,
            content,
            ..Node::default()
        }
    }

    /// The entries of a mapping.
    pub fn entries(
        &self,
    ) -> impl DoubleEndedIterator<Item = (&Node, &Node)> + ExactSizeIterator + Clone {
        let content = if self.kind == Kind::Mapping {
            &self.content[..]
        } else {
            &[]
        };
        content.chunks_exact(2).map(|pair| (&pair[0], &pair[1]))
    }

    /// The value of the first entry whose key has this text.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entries().find(|(k, _)| k.value == key).map(|(_, v)| v)
    }

    /// The value of the first entry whose key has this text.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Node> {
        if self.kind != Kind::Mapping {
            return None;
        }
        self.content
            .chunks_exact_mut(2)
            .find(|pair| pair[0].value == key)
            .map(|pair| &mut pair[1])
    }

    /// The name that aliases use for this node.
    pub fn anchor(&self) -> Option<&str> {
        self.extra.as_ref()?.anchor.as_deref()
    }

    /// Names this node, or takes its name away.
    pub fn set_anchor(&mut self, anchor: Option<&str>) {
        if anchor.is_some() || self.extra.is_some() {
            self.extra.get_or_insert_default().anchor = anchor.map(Into::into);
        }
    }

    /// The node that an alias stands for. An alias inside of the very node that it names has none, and cannot be decoded.
    pub fn alias(&self) -> Option<&Node> {
        self.extra.as_ref()?.alias.as_deref()
    }

    /// Comments around this node.
    pub fn comments(&self) -> Option<&Comments> {
        self.extra
            .as_ref()
            .map(|extra| &extra.comments)
            .filter(|comments| !comments.is_empty())
    }

    /// Comments around this node, to be changed.
    pub fn comments_mut(&mut self) -> &mut Comments {
        &mut self.extra.get_or_insert_default().comments
    }

    /// The number of nodes in this tree, aliases not followed.
    pub fn count(&self) -> usize {
        1 + self.content.iter().map(Node::count).sum::<usize>()
    }
}
