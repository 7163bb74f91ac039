//! The parser: tokens to events, one state at a time, with Go's productions and errors.

mod collections;
mod documents;
mod event;
mod node;

pub(crate) use event::{Event, EventKind};

use crate::Dialect;
use crate::error::Error;
use crate::node::Comments;
use crate::scan::{Mark, ScalarStyle, Scanner, TokenKind};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    StreamStart,
    ImplicitDocumentStart,
    DocumentStart,
    DocumentContent,
    DocumentEnd,
    BlockNode,
    BlockSequenceFirstEntry,
    BlockSequenceEntry,
    IndentlessSequenceEntry,
    BlockMappingFirstKey,
    BlockMappingKey,
    BlockMappingValue,
    FlowSequenceFirstEntry,
    FlowSequenceEntry,
    FlowSequenceEntryMappingKey,
    FlowSequenceEntryMappingValue,
    FlowSequenceEntryMappingEnd,
    FlowMappingFirstKey,
    FlowMappingKey,
    FlowMappingValue,
    FlowMappingEmptyValue,
    End,
}

/// What the parser needs to know of the token ahead, without holding on to it.
#[derive(Clone, Copy)]
struct Ahead {
    kind: TokenKind,
    style: ScalarStyle,
    start: Mark,
    end: Mark,
}

pub(crate) struct Parser<'a> {
    scanner: Scanner<'a>,
    dialect: Dialect,
    state: State,
    states: Vec<State>,
    /// Where the open collections start, for errors.
    marks: Vec<Mark>,
    tag_directives: Vec<(String, String)>,
    comments_seen: usize,
    comments: Comments,
    /// The head comment of a collection that is an item of a sequence.
    stem_comment: String,
}

impl<'a> Parser<'a> {
    pub(crate) fn new(text: &'a str, dialect: Dialect) -> Self {
        Parser {
            scanner: Scanner::new(text, dialect),
            dialect,
            state: State::StreamStart,
            states: Vec::new(),
            marks: Vec::new(),
            tag_directives: Vec::new(),
            comments_seen: 0,
            comments: Comments::default(),
            stem_comment: String::new(),
        }
    }

    /// The next event; nothing after the end of the stream.
    pub(crate) fn next_event(&mut self) -> Result<Option<Event<'a>>, Error> {
        if self.scanner.at_end() || self.state == State::End {
            return Ok(None);
        }
        self.step().map(Some)
    }

    fn step(&mut self) -> Result<Event<'a>, Error> {
        match self.state {
            State::StreamStart => self.stream_start(),
            State::ImplicitDocumentStart => self.document_start(true),
            State::DocumentStart => self.document_start(false),
            State::DocumentContent => self.document_content(),
            State::DocumentEnd => self.document_end(),
            State::BlockNode => self.node(true, false),
            State::BlockSequenceFirstEntry => self.block_sequence_entry(true),
            State::BlockSequenceEntry => self.block_sequence_entry(false),
            State::IndentlessSequenceEntry => self.indentless_sequence_entry(),
            State::BlockMappingFirstKey => self.block_mapping_key(true),
            State::BlockMappingKey => self.block_mapping_key(false),
            State::BlockMappingValue => self.block_mapping_value(),
            State::FlowSequenceFirstEntry => self.flow_sequence_entry(true),
            State::FlowSequenceEntry => self.flow_sequence_entry(false),
            State::FlowSequenceEntryMappingKey => self.flow_sequence_entry_mapping_key(),
            State::FlowSequenceEntryMappingValue => self.flow_sequence_entry_mapping_value(),
            State::FlowSequenceEntryMappingEnd => self.flow_sequence_entry_mapping_end(),
            State::FlowMappingFirstKey => self.flow_mapping_key(true),
            State::FlowMappingKey => self.flow_mapping_key(false),
            State::FlowMappingValue => self.flow_mapping_value(false),
            State::FlowMappingEmptyValue => self.flow_mapping_value(true),
            State::End => Ok(Event::new(EventKind::StreamEnd, Mark::default())),
        }
    }

    // --- tokens

    fn peek(&mut self) -> Result<Ahead, Error> {
        let token = self.scanner.peek()?;
        let ahead = Ahead {
            kind: token.kind,
            style: token.style,
            start: token.start,
            end: token.end,
        };
        if self.comments_seen < self.scanner.comments.len() {
            self.unfold_comments(ahead);
        }
        Ok(ahead)
    }

    fn skip(&mut self) {
        self.scanner.skip_token();
    }

    /// Joins the comments that stand before this token to those that wait for an event.
    fn unfold_comments(&mut self, token: Ahead) {
        while let Some(comment) = self.scanner.comments.get_mut(self.comments_seen) {
            if token.start.index < comment.token.index {
                break;
            }
            // No heads on ends: they stay for the token that follows.
            if !comment.head.is_empty() && token.kind == TokenKind::BlockEnd {
                break;
            }
            join(&mut self.comments.head, &comment.head);
            join(&mut self.comments.foot, &comment.foot);
            join(&mut self.comments.line, &comment.line);
            *comment = Default::default();
            self.comments_seen += 1;
        }
    }

    fn take_comments(&mut self) -> Option<Box<Comments>> {
        self.stem_comment.clear();
        if self.comments.is_empty() {
            return None;
        }
        Some(Box::new(std::mem::take(&mut self.comments)))
    }

    fn pop_state(&mut self) {
        self.state = self.states.pop().unwrap_or(State::End);
    }

    // --- errors

    #[cold]
    fn error(&self, problem: &str, at: Mark) -> Error {
        parser_error(at.line, problem)
    }

    #[cold]
    fn error_in(&self, context: Mark, problem: &str, at: Mark) -> Error {
        let (first, second) = match self.dialect {
            Dialect::V2 => (at.line, context.line),
            Dialect::V3 => (context.line, at.line),
        };
        parser_error(if first != 0 { first } else { second }, problem)
    }
}

fn parser_error(line: u32, problem: &str) -> Error {
    Error::Syntax {
        line: (line != 0).then_some(line),
        problem: problem.to_owned(),
    }
}

fn join(to: &mut String, comment: &str) {
    if comment.is_empty() {
        return;
    }
    if !to.is_empty() {
        to.push('\n');
    }
    to.push_str(comment);
}
