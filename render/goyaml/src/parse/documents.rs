//! The stream and its documents.

use super::{Event, EventKind, Parser, State};
use crate::error::Error;
use crate::node::Comments;
use crate::scan::{Mark, TokenKind};

const DEFAULT_TAG_DIRECTIVES: [(&str, &str); 2] = [("!", "!"), ("!!", "tag:yaml.org,2002:")];

impl<'a> Parser<'a> {
    pub(super) fn stream_start(&mut self) -> Result<Event<'a>, Error> {
        let token = self.peek()?;
        self.state = State::ImplicitDocumentStart;
        self.skip();
        Ok(Event::new(EventKind::StreamStart, token.start))
    }

    pub(super) fn document_start(&mut self, implicit: bool) -> Result<Event<'a>, Error> {
        let mut token = self.peek()?;
        if !implicit {
            while token.kind == TokenKind::DocumentEnd {
                self.skip();
                token = self.peek()?;
            }
        }
        match token.kind {
            TokenKind::StreamEnd => {
                self.state = State::End;
                self.skip();
                Ok(Event::new(EventKind::StreamEnd, token.start))
            }
            kind if implicit
                && !matches!(
                    kind,
                    TokenKind::VersionDirective
                        | TokenKind::TagDirective
                        | TokenKind::DocumentStart
                ) =>
            {
                self.process_directives()?;
                self.states.push(State::DocumentEnd);
                self.state = State::BlockNode;
                let mut event = Event::new(EventKind::DocumentStart, token.start);
                event.comments = self.split_document_head();
                Ok(event)
            }
            _ => {
                self.process_directives()?;
                let start = self.peek()?;
                if start.kind != TokenKind::DocumentStart {
                    return Err(self.error("did not find expected <document start>", start.start));
                }
                self.states.push(State::DocumentEnd);
                self.state = State::DocumentContent;
                self.skip();
                Ok(Event::new(EventKind::DocumentStart, token.start))
            }
        }
    }

    /// A comment at the top belongs to the document up to its last empty line, and to the first node from there on.
    fn split_document_head(&mut self) -> Option<Box<Comments>> {
        let head = &mut self.comments.head;
        let bytes = head.as_bytes();
        let at = (1..bytes.len())
            .rev()
            .find(|&i| bytes[i] == b'\n' && (i + 1 == bytes.len() || bytes[i - 1] == b'\n'))?;
        let rest = head.split_off(at + 1);
        head.truncate(if at + 1 == head.len() && rest.is_empty() {
            at
        } else {
            at - 1
        });
        let head = std::mem::replace(head, rest);
        Some(Box::new(Comments {
            head,
            ..Comments::default()
        }))
    }

    pub(super) fn document_content(&mut self) -> Result<Event<'a>, Error> {
        let token = self.peek()?;
        match token.kind {
            TokenKind::VersionDirective
            | TokenKind::TagDirective
            | TokenKind::DocumentStart
            | TokenKind::DocumentEnd
            | TokenKind::StreamEnd => {
                self.pop_state();
                Ok(Event::empty_scalar(token.start))
            }
            _ => self.node(true, false),
        }
    }

    pub(super) fn document_end(&mut self) -> Result<Event<'a>, Error> {
        let token = self.peek()?;
        if token.kind == TokenKind::DocumentEnd {
            self.skip();
        }
        self.tag_directives.clear();
        self.state = State::DocumentStart;
        let mut event = Event::new(EventKind::DocumentEnd, token.start);
        event.comments = self.take_comments();
        if let Some(comments) = &mut event.comments
            && comments.foot.is_empty()
        {
            comments.foot = std::mem::take(&mut comments.head);
        }
        Ok(event)
    }

    fn process_directives(&mut self) -> Result<(), Error> {
        let mut has_version = false;
        let mut token = self.peek()?;
        loop {
            match token.kind {
                TokenKind::VersionDirective => {
                    if has_version {
                        return Err(self.error("found duplicate %YAML directive", token.start));
                    }
                    if self.scanner.take_value() != "1.1" {
                        return Err(self.error("found incompatible YAML document", token.start));
                    }
                    has_version = true;
                }
                TokenKind::TagDirective => {
                    let (handle, prefix) = (
                        self.scanner.take_value().into_owned(),
                        self.scanner.take_suffix(),
                    );
                    self.add_tag_directive(handle, prefix, false, token.start)?;
                }
                _ => break,
            }
            self.skip();
            token = self.peek()?;
        }
        for (handle, prefix) in DEFAULT_TAG_DIRECTIVES {
            self.add_tag_directive(handle.to_owned(), prefix.to_owned(), true, token.start)?;
        }
        Ok(())
    }

    fn add_tag_directive(
        &mut self,
        handle: String,
        prefix: String,
        repeats: bool,
        at: Mark,
    ) -> Result<(), Error> {
        if !self
            .tag_directives
            .iter()
            .any(|(known, _)| *known == handle)
        {
            self.tag_directives.push((handle, prefix));
        } else if !repeats {
            return Err(self.error("found duplicate %TAG directive", at));
        }
        Ok(())
    }
}
