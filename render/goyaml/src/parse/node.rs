//! A node: its properties, and which kind of content it has.

use std::borrow::Cow;

use super::{Ahead, Event, EventKind, Parser, State};
use crate::error::Error;
use crate::node::{Comments, Tag};
use crate::scan::{Mark, ScalarStyle, TokenKind};

#[derive(Default)]
struct Properties<'a> {
    anchor: Option<Cow<'a, str>>,
    tag: Tag,
}

impl<'a> Parser<'a> {
    pub(super) fn node(&mut self, block: bool, indentless: bool) -> Result<Event<'a>, Error> {
        let first = self.peek()?;
        if first.kind == TokenKind::Alias {
            self.pop_state();
            let mut event = Event::new(EventKind::Alias, first.start);
            event.value = self.scanner.take_value();
            event.comments = self.take_comments();
            self.skip();
            return Ok(event);
        }
        let start = first.start;
        let (properties, token) = match first.kind {
            TokenKind::Anchor | TokenKind::Tag => self.properties(first)?,
            _ => (Properties::default(), first),
        };
        self.content(block, indentless, start, properties, token)
    }

    fn properties(&mut self, first: Ahead) -> Result<(Properties<'a>, Ahead), Error> {
        let mut properties = Properties::default();
        let mut handle_and_suffix = None;
        let mut token = first;
        // One of each, in either order.
        for _ in 0..2 {
            match token.kind {
                TokenKind::Anchor if properties.anchor.is_none() => {
                    properties.anchor = Some(self.scanner.take_value());
                }
                TokenKind::Tag if handle_and_suffix.is_none() => {
                    handle_and_suffix = Some((
                        self.scanner.take_value(),
                        self.scanner.take_suffix(),
                        token.start,
                    ));
                }
                _ => break,
            }
            self.skip();
            token = self.peek()?;
        }
        if let Some((handle, suffix, mark)) = handle_and_suffix {
            properties.tag = self.resolve_handle(&handle, &suffix, first.start, mark)?;
        }
        Ok((properties, token))
    }

    fn resolve_handle(
        &self,
        handle: &str,
        suffix: &str,
        start: Mark,
        mark: Mark,
    ) -> Result<Tag, Error> {
        if handle.is_empty() {
            return Ok(Tag::parse(suffix));
        }
        match self
            .tag_directives
            .iter()
            .find(|(known, _)| known == handle)
        {
            Some((_, prefix)) => Ok(Tag::parse(&format!("{prefix}{suffix}"))),
            None => Err(self.error_in(start, "found undefined tag handle", mark)),
        }
    }

    fn content(
        &mut self,
        block: bool,
        indentless: bool,
        start: Mark,
        properties: Properties<'a>,
        token: Ahead,
    ) -> Result<Event<'a>, Error> {
        let Properties { anchor, tag } = properties;
        let bare = anchor.is_none() && tag == Tag::None;
        let event = |kind| Event {
            anchor,
            tag,
            ..Event::new(kind, start)
        };
        match token.kind {
            TokenKind::BlockEntry if indentless => {
                self.state = State::IndentlessSequenceEntry;
                Ok(event(EventKind::SequenceStart))
            }
            TokenKind::Scalar => {
                self.pop_state();
                let mut event = event(EventKind::Scalar);
                let untyped = event.tag == Tag::None;
                event.plain_implicit =
                    untyped && token.style == ScalarStyle::Plain || event.tag.as_str() == "!";
                event.style = token.style;
                event.value = self.scanner.take_value();
                event.comments = self.take_comments();
                self.skip();
                Ok(event)
            }
            TokenKind::FlowSequenceStart | TokenKind::FlowMappingStart => {
                let sequence = token.kind == TokenKind::FlowSequenceStart;
                self.state = if sequence {
                    State::FlowSequenceFirstEntry
                } else {
                    State::FlowMappingFirstKey
                };
                let mut event = event(if sequence {
                    EventKind::SequenceStart
                } else {
                    EventKind::MappingStart
                });
                event.flow = true;
                event.comments = self.take_comments();
                Ok(event)
            }
            TokenKind::BlockSequenceStart | TokenKind::BlockMappingStart if block => {
                let sequence = token.kind == TokenKind::BlockSequenceStart;
                self.state = if sequence {
                    State::BlockSequenceFirstEntry
                } else {
                    State::BlockMappingFirstKey
                };
                let mut event = event(if sequence {
                    EventKind::SequenceStart
                } else {
                    EventKind::MappingStart
                });
                if !self.stem_comment.is_empty() {
                    let head = std::mem::take(&mut self.stem_comment);
                    event.comments = Some(Box::new(Comments {
                        head,
                        ..Comments::default()
                    }));
                }
                Ok(event)
            }
            _ if !bare => {
                self.pop_state();
                let mut event = event(EventKind::Scalar);
                event.plain_implicit = event.tag == Tag::None;
                Ok(event)
            }
            _ => Err(self.error_in(start, "did not find expected node content", token.start)),
        }
    }
}
