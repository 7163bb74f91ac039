//! The emitter: events to text, with the layout, quoting and folding of Go's port of libyaml.
//!
//! It is driven by events like its models, but needs no queue: whoever starts a collection says whether it is empty.

mod block;
mod comments;
mod flow;
mod layout;
mod quoting;
mod scalar;

use crate::Dialect;
use crate::error::Error;
use crate::limits::MAX_DEPTH;
use crate::scan::ScalarStyle;
use scalar::Scalar;

/// How yaml.v3 lays a tree out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EmitOptions {
    /// Spaces per level, 2 to 9.
    pub indent: u8,
    /// Whether `- ` counts as indentation of a sequence under a key, so that the sequence is not indented further.
    pub compact_sequences: bool,
}

impl EmitOptions {
    /// What kyaml writes with, and so kustomize and Helm 4's post-renderers: two spaces, compact sequences.
    pub const KYAML: EmitOptions = EmitOptions {
        indent: 2,
        compact_sequences: true,
    };
    /// kyaml's "wide" style, which it keeps for files that came in it.
    pub const KYAML_WIDE: EmitOptions = EmitOptions {
        indent: 2,
        compact_sequences: false,
    };
    /// yaml.v3's own defaults.
    pub const V3: EmitOptions = EmitOptions {
        indent: 4,
        compact_sequences: false,
    };
}

/// The column after which yaml.v2 folds. yaml.v3 never does.
const V2_WIDTH: usize = 80;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    DocumentStart,
    DocumentContent,
    DocumentEnd,
    FlowSequenceFirstItem,
    FlowSequenceTrailItem,
    FlowSequenceItem,
    FlowMappingFirstKey,
    FlowMappingTrailKey,
    FlowMappingKey,
    FlowMappingSimpleValue,
    FlowMappingValue,
    BlockSequenceFirstItem,
    BlockSequenceItem,
    BlockMappingFirstKey,
    BlockMappingKey,
    BlockMappingSimpleValue,
    BlockMappingValue,
}

/// What to write next.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Write<'e> {
    DocumentStart,
    DocumentEnd,
    Alias(&'e str),
    Scalar { value: &'e str, style: ScalarStyle },
    SequenceStart { flow: bool, empty: bool },
    SequenceEnd,
    MappingStart { flow: bool, empty: bool },
    MappingEnd,
}

/// What few events have.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Properties<'e> {
    pub(crate) anchor: Option<&'e str>,
    /// In its long form; empty where it is implied.
    pub(crate) tag: &'e str,
    pub(crate) head: &'e str,
    pub(crate) line: &'e str,
    pub(crate) foot: &'e str,
    /// The foot of the key before, held back until its value was written.
    pub(crate) tail: &'e str,
}

pub(crate) struct Emitter {
    out: String,
    dialect: Dialect,
    best_indent: usize,
    best_width: usize,
    compact_sequences: bool,
    first_document: bool,
    state: State,
    states: Vec<State>,
    indent: Option<usize>,
    indents: Vec<Option<usize>>,
    flow_level: usize,
    mapping_context: bool,
    simple_key_context: bool,
    /// Characters in the current line.
    column: usize,
    /// Whether the last character was white space.
    whitespace: bool,
    /// Whether the line holds nothing but indentation so far (dashes count as that).
    indention: bool,
    /// Where a foot comment was written: an empty line follows before the next thing at this indentation.
    foot_indent: Option<usize>,
    pending: Pending,
}

/// Comments that wait to be written.
#[derive(Default)]
struct Pending {
    head: String,
    line: String,
    foot: String,
    tail: String,
    key_line: String,
}

impl Pending {
    fn is_trailing(&self) -> bool {
        !(self.line.is_empty() && self.foot.is_empty() && self.tail.is_empty())
    }
}

impl Emitter {
    pub(crate) fn v2() -> Self {
        Emitter::new(
            Dialect::V2,
            EmitOptions {
                indent: 2,
                compact_sequences: true,
            },
        )
    }

    pub(crate) fn v3(options: EmitOptions) -> Self {
        Emitter::new(Dialect::V3, options)
    }

    fn new(dialect: Dialect, options: EmitOptions) -> Self {
        let indent = usize::from(options.indent);
        Emitter {
            out: String::new(),
            dialect,
            best_indent: if (2..=9).contains(&indent) { indent } else { 2 },
            best_width: if dialect == Dialect::V2 {
                V2_WIDTH
            } else {
                usize::MAX
            },
            compact_sequences: options.compact_sequences,
            first_document: true,
            state: State::DocumentStart,
            states: Vec::new(),
            indent: None,
            indents: Vec::new(),
            flow_level: 0,
            mapping_context: false,
            simple_key_context: false,
            column: 0,
            whitespace: true,
            indention: true,
            foot_indent: None,
            pending: Pending::default(),
        }
    }

    /// The text so far.
    pub(crate) fn finish(self) -> String {
        self.out
    }

    pub(crate) fn write(&mut self, event: Write<'_>) -> Result<(), Error> {
        self.write_with(event, &Properties::default())
    }

    pub(crate) fn write_with(
        &mut self,
        event: Write<'_>,
        properties: &Properties<'_>,
    ) -> Result<(), Error> {
        check_names(event, properties)?;
        self.note_comments(properties);
        let scalar = match event {
            Write::Scalar { value, style } => Scalar::analyze(self.dialect, value, style),
            _ => Scalar::default(),
        };
        let event = Item {
            event,
            properties,
            scalar,
        };
        self.step(&event)
    }

    fn step(&mut self, item: &Item<'_>) -> Result<(), Error> {
        match self.state {
            State::DocumentStart => self.document_start(),
            State::DocumentContent => return self.document_content(item),
            State::DocumentEnd => self.document_end(),
            State::FlowSequenceFirstItem => return self.flow_sequence_item(item, true, false),
            State::FlowSequenceTrailItem => return self.flow_sequence_item(item, false, true),
            State::FlowSequenceItem => return self.flow_sequence_item(item, false, false),
            State::FlowMappingFirstKey => return self.flow_mapping_key(item, true, false),
            State::FlowMappingTrailKey => return self.flow_mapping_key(item, false, true),
            State::FlowMappingKey => return self.flow_mapping_key(item, false, false),
            State::FlowMappingSimpleValue => return self.flow_mapping_value(item, true),
            State::FlowMappingValue => return self.flow_mapping_value(item, false),
            State::BlockSequenceFirstItem => return self.block_sequence_item(item, true),
            State::BlockSequenceItem => return self.block_sequence_item(item, false),
            State::BlockMappingFirstKey => return self.block_mapping_key(item, true),
            State::BlockMappingKey => return self.block_mapping_key(item, false),
            State::BlockMappingSimpleValue => return self.block_mapping_value(item, true),
            State::BlockMappingValue => return self.block_mapping_value(item, false),
        }
        Ok(())
    }

    fn document_start(&mut self) {
        if !self.first_document {
            self.write_indent();
            self.indicator("---", true, false, false);
            self.write_indent();
        }
        self.first_document = false;
        if !self.pending.head.is_empty() {
            self.head_comment();
            self.put_break();
        }
        self.state = State::DocumentContent;
    }

    fn document_content(&mut self, item: &Item<'_>) -> Result<(), Error> {
        self.states.push(State::DocumentEnd);
        self.head_comment();
        self.node(item, false, false)?;
        self.line_comment();
        self.foot_comment();
        Ok(())
    }

    fn document_end(&mut self) {
        if self.dialect == Dialect::V3 {
            // Sets the document's foot apart.
            self.foot_indent = Some(0);
            self.foot_comment();
            self.foot_indent = None;
        }
        self.write_indent();
        self.state = State::DocumentStart;
    }

    /// Writes a node, or the start of one.
    fn node(&mut self, item: &Item<'_>, mapping: bool, simple_key: bool) -> Result<(), Error> {
        self.mapping_context = mapping;
        self.simple_key_context = simple_key;
        match item.event {
            Write::Alias(name) => {
                self.name("*", name);
                self.pop_state();
            }
            Write::Scalar { value, .. } => {
                let style = self.select_style(item);
                self.node_properties(item.properties);
                self.increase_indent(true);
                self.scalar(value, style, &item.scalar);
                self.decrease_indent();
                self.pop_state();
            }
            Write::SequenceStart { flow, empty } => {
                self.node_properties(item.properties);
                let flow = self.flow_level > 0 || flow || empty;
                self.state = if flow {
                    State::FlowSequenceFirstItem
                } else {
                    State::BlockSequenceFirstItem
                };
            }
            Write::MappingStart { flow, empty } => {
                self.node_properties(item.properties);
                let flow = self.flow_level > 0 || flow || empty;
                self.state = if flow {
                    State::FlowMappingFirstKey
                } else {
                    State::BlockMappingFirstKey
                };
            }
            _ => {
                return Err(Error::Emit(format!(
                    "expected SCALAR, SEQUENCE-START, MAPPING-START, or ALIAS, but got {:?}",
                    item.event
                )));
            }
        }
        if self.states.len() > 2 * MAX_DEPTH {
            return Err(Error::Emit(format!(
                "exceeded max depth of {}",
                2 * MAX_DEPTH
            )));
        }
        Ok(())
    }

    fn pop_state(&mut self) {
        self.state = self.states.pop().unwrap_or(State::DocumentEnd);
    }
}

/// An event with what is known of it.
struct Item<'e> {
    event: Write<'e>,
    properties: &'e Properties<'e>,
    scalar: Scalar,
}

impl Item<'_> {
    /// Whether a key can be written without `?`: short, and on one line.
    fn is_simple_key(&self) -> bool {
        /// Bytes of a key, its anchor and its tag.
        const MAX_SIMPLE_KEY: usize = 128;
        let (handle, suffix) = layout::split_tag(self.properties.tag);
        let properties = self.properties.anchor.map_or(0, str::len) + handle.len() + suffix.len();
        match self.event {
            Write::Alias(name) => name.len() <= MAX_SIMPLE_KEY,
            Write::Scalar { value, .. } => {
                !self.scalar.multiline && properties + value.len() <= MAX_SIMPLE_KEY
            }
            Write::SequenceStart { empty, .. } | Write::MappingStart { empty, .. } => {
                empty && properties <= MAX_SIMPLE_KEY
            }
            _ => false,
        }
    }
}

fn check_names(event: Write<'_>, properties: &Properties<'_>) -> Result<(), Error> {
    let (what, name) = match (event, properties.anchor) {
        (Write::Alias(name), _) => ("alias", name),
        (_, Some(name)) => ("anchor", name),
        _ => return Ok(()),
    };
    if name.is_empty() {
        return Err(Error::Emit(format!("{what} value must not be empty")));
    }
    if !name.bytes().all(crate::chars::is_alpha) {
        return Err(Error::Emit(format!(
            "{what} value must contain alphanumerical characters only"
        )));
    }
    Ok(())
}
