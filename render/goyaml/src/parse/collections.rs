//! The entries of sequences and mappings, block and flow.

use super::{Event, EventKind, Parser, State};
use crate::error::Error;
use crate::scan::{Mark, TokenKind};

impl<'a> Parser<'a> {
    /// Steps over the token that opens a collection.
    fn open(&mut self) -> Result<(), Error> {
        let token = self.peek()?;
        self.marks.push(token.start);
        self.skip();
        Ok(())
    }

    /// Steps over the token that closes a collection.
    fn close(&mut self, kind: EventKind, at: Mark) -> Event<'a> {
        self.pop_state();
        self.marks.pop();
        Event::new(kind, at)
    }

    fn unexpected(&mut self, problem: &str, at: Mark) -> Error {
        let context = self.marks.pop().unwrap_or_default();
        self.error_in(context, problem, at)
    }

    // --- block

    pub(super) fn block_sequence_entry(&mut self, first: bool) -> Result<Event<'a>, Error> {
        if first {
            self.open()?;
        }
        let token = self.peek()?;
        match token.kind {
            TokenKind::BlockEntry => {
                self.skip_entry()?;
                let next = self.peek()?;
                if matches!(next.kind, TokenKind::BlockEntry | TokenKind::BlockEnd) {
                    self.state = State::BlockSequenceEntry;
                    return Ok(Event::empty_scalar(token.end));
                }
                self.states.push(State::BlockSequenceEntry);
                self.node(true, false)
            }
            TokenKind::BlockEnd => {
                let event = self.close(EventKind::SequenceEnd, token.start);
                self.skip();
                Ok(event)
            }
            _ => Err(self.unexpected("did not find expected '-' indicator", token.start)),
        }
    }

    pub(super) fn indentless_sequence_entry(&mut self) -> Result<Event<'a>, Error> {
        let token = self.peek()?;
        if token.kind != TokenKind::BlockEntry {
            self.pop_state();
            return Ok(Event::new(EventKind::SequenceEnd, token.start));
        }
        self.skip_entry()?;
        let next = self.peek()?;
        if matches!(
            next.kind,
            TokenKind::BlockEntry | TokenKind::Key | TokenKind::Value | TokenKind::BlockEnd
        ) {
            self.state = State::IndentlessSequenceEntry;
            return Ok(Event::empty_scalar(token.end));
        }
        self.states.push(State::IndentlessSequenceEntry);
        self.node(true, false)
    }

    /// Steps over a dash. Where a collection follows, the head comment so far belongs to the collection as a whole, not to its first
    /// entry.
    fn skip_entry(&mut self) -> Result<(), Error> {
        let stem = self.comments.head.len();
        self.skip();
        if stem == 0 {
            return Ok(());
        }
        let token = self.peek()?;
        if matches!(
            token.kind,
            TokenKind::BlockSequenceStart | TokenKind::BlockMappingStart
        ) {
            let head = &mut self.comments.head;
            // The separator between the two goes.
            let rest = if head.len() == stem {
                String::new()
            } else {
                head.split_off(stem + 1)
            };
            head.truncate(stem);
            self.stem_comment = std::mem::replace(head, rest);
        }
        Ok(())
    }

    pub(super) fn block_mapping_key(&mut self, first: bool) -> Result<Event<'a>, Error> {
        if first {
            self.open()?;
        }
        let token = self.peek()?;
        match token.kind {
            TokenKind::Key => {
                self.skip();
                self.block_mapping_part(token.end, State::BlockMappingValue)
            }
            TokenKind::BlockEnd => {
                let mut event = self.close(EventKind::MappingEnd, token.start);
                event.comments = self.take_comments();
                self.skip();
                Ok(event)
            }
            _ => Err(self.unexpected("did not find expected key", token.start)),
        }
    }

    pub(super) fn block_mapping_value(&mut self) -> Result<Event<'a>, Error> {
        let token = self.peek()?;
        if token.kind != TokenKind::Value {
            self.state = State::BlockMappingKey;
            return Ok(Event::empty_scalar(token.start));
        }
        self.skip();
        self.block_mapping_part(token.end, State::BlockMappingKey)
    }

    /// The node after `?` or `:`, or nothing where the next one follows at once.
    fn block_mapping_part(&mut self, mark: Mark, then: State) -> Result<Event<'a>, Error> {
        let next = self.peek()?;
        if matches!(
            next.kind,
            TokenKind::Key | TokenKind::Value | TokenKind::BlockEnd
        ) {
            self.state = then;
            return Ok(Event::empty_scalar(mark));
        }
        self.states.push(then);
        self.node(true, true)
    }

    // --- flow

    pub(super) fn flow_sequence_entry(&mut self, first: bool) -> Result<Event<'a>, Error> {
        if first {
            self.open()?;
        }
        let mut token = self.peek()?;
        if token.kind != TokenKind::FlowSequenceEnd {
            if !first {
                if token.kind != TokenKind::FlowEntry {
                    return Err(self.unexpected("did not find expected ',' or ']'", token.start));
                }
                self.skip();
                token = self.peek()?;
            }
            if token.kind == TokenKind::Key {
                self.state = State::FlowSequenceEntryMappingKey;
                self.skip();
                return Ok(Event {
                    flow: true,
                    ..Event::new(EventKind::MappingStart, token.start)
                });
            }
            if token.kind != TokenKind::FlowSequenceEnd {
                self.states.push(State::FlowSequenceEntry);
                return self.node(false, false);
            }
        }
        let mut event = self.close(EventKind::SequenceEnd, token.start);
        event.comments = self.take_comments();
        self.skip();
        Ok(event)
    }

    pub(super) fn flow_sequence_entry_mapping_key(&mut self) -> Result<Event<'a>, Error> {
        let token = self.peek()?;
        if !matches!(
            token.kind,
            TokenKind::Value | TokenKind::FlowEntry | TokenKind::FlowSequenceEnd
        ) {
            self.states.push(State::FlowSequenceEntryMappingValue);
            return self.node(false, false);
        }
        // The token goes, whatever it is, as in Go.
        self.skip();
        self.state = State::FlowSequenceEntryMappingValue;
        Ok(Event::empty_scalar(token.end))
    }

    pub(super) fn flow_sequence_entry_mapping_value(&mut self) -> Result<Event<'a>, Error> {
        let token = self.peek()?;
        if token.kind == TokenKind::Value {
            self.skip();
            let next = self.peek()?;
            if !matches!(next.kind, TokenKind::FlowEntry | TokenKind::FlowSequenceEnd) {
                self.states.push(State::FlowSequenceEntryMappingEnd);
                return self.node(false, false);
            }
        }
        self.state = State::FlowSequenceEntryMappingEnd;
        Ok(Event::empty_scalar(token.start))
    }

    pub(super) fn flow_sequence_entry_mapping_end(&mut self) -> Result<Event<'a>, Error> {
        let token = self.peek()?;
        self.state = State::FlowSequenceEntry;
        Ok(Event::new(EventKind::MappingEnd, token.start))
    }

    pub(super) fn flow_mapping_key(&mut self, first: bool) -> Result<Event<'a>, Error> {
        if first {
            self.open()?;
        }
        let mut token = self.peek()?;
        if token.kind != TokenKind::FlowMappingEnd {
            if !first {
                if token.kind != TokenKind::FlowEntry {
                    return Err(self.unexpected("did not find expected ',' or '}'", token.start));
                }
                self.skip();
                token = self.peek()?;
            }
            if token.kind == TokenKind::Key {
                self.skip();
                let next = self.peek()?;
                if matches!(
                    next.kind,
                    TokenKind::Value | TokenKind::FlowEntry | TokenKind::FlowMappingEnd
                ) {
                    self.state = State::FlowMappingValue;
                    return Ok(Event::empty_scalar(next.start));
                }
                self.states.push(State::FlowMappingValue);
                return self.node(false, false);
            }
            if token.kind != TokenKind::FlowMappingEnd {
                self.states.push(State::FlowMappingEmptyValue);
                return self.node(false, false);
            }
        }
        let mut event = self.close(EventKind::MappingEnd, token.start);
        event.comments = self.take_comments();
        self.skip();
        Ok(event)
    }

    pub(super) fn flow_mapping_value(&mut self, empty: bool) -> Result<Event<'a>, Error> {
        let mut token = self.peek()?;
        if !empty && token.kind == TokenKind::Value {
            self.skip();
            token = self.peek()?;
            if !matches!(token.kind, TokenKind::FlowEntry | TokenKind::FlowMappingEnd) {
                self.states.push(State::FlowMappingKey);
                return self.node(false, false);
            }
        }
        self.state = State::FlowMappingKey;
        Ok(Event::empty_scalar(token.start))
    }
}
