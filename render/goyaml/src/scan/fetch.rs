//! Which token comes next, and the bookkeeping of indentation and simple keys around it.

use super::{MAX_SIMPLE_KEY_CHARS, Mark, ScalarStyle, Scanner, SimpleKey, Token, TokenKind};
use crate::Dialect;
use crate::chars::{is_blank, is_blankz, is_break};
use crate::error::Error;
use crate::limits::MAX_DEPTH;

impl<'a> Scanner<'a> {
    /// Fetches until the token at the head is certain: no key that starts there can still turn up.
    pub(super) fn fetch_more_tokens(&mut self) -> Result<(), Error> {
        // yaml.v3 looks two tokens further, to see foot comments in time. It matters here because errors come earlier.
        let spare = if self.dialect == Dialect::V3 { 2 } else { 0 };
        while self.tokens.len() <= self.head + spare || self.head_may_be_key()? {
            self.fetch_next_token()?;
        }
        self.available = true;
        Ok(())
    }

    fn head_may_be_key(&mut self) -> Result<bool, Error> {
        let first = self
            .simple_keys
            .partition_point(|key| key.token_number < self.parsed);
        for i in first..self.simple_keys.len() {
            let key = self.simple_keys[i];
            if key.token_number != self.parsed {
                return Ok(false);
            }
            if key.listed {
                return self.is_key_valid(i);
            }
        }
        Ok(false)
    }

    fn is_key_valid(&mut self, i: usize) -> Result<bool, Error> {
        let key = self.simple_keys[i];
        if !key.possible {
            return Ok(false);
        }
        if key.mark.line == self.mark.line && !self.is_key_too_long(key.mark) {
            return Ok(true);
        }
        if key.required {
            return Err(self.error(key.mark, "could not find expected ':'"));
        }
        self.simple_keys[i].possible = false;
        Ok(false)
    }

    fn is_key_too_long(&self, start: Mark) -> bool {
        let (from, to) = (start.index as usize, self.pos());
        to - from > MAX_SIMPLE_KEY_CHARS
            && self.text[from..to].chars().count() > MAX_SIMPLE_KEY_CHARS
    }

    fn fetch_next_token(&mut self) -> Result<(), Error> {
        if !self.stream_start_produced {
            self.fetch_stream_start();
            return Ok(());
        }
        let scan_mark = self.mark;
        self.scan_to_next_token()?;
        self.unroll_indent(self.mark.column as i32, scan_mark);
        let c = self.here();
        if c == 0 {
            return self.fetch_stream_end();
        }
        if self.mark.column == 0 && c == b'%' {
            return self.fetch_directive();
        }
        if self.at_document_indicator() {
            let kind = if c == b'-' {
                TokenKind::DocumentStart
            } else {
                TokenKind::DocumentEnd
            };
            return self.fetch_document_indicator(kind);
        }
        let mut comment_mark = self.mark;
        let separator = if self.flow_level == 0 { b':' } else { b',' };
        if c == separator
            && let Some(last) = self.tokens.last()
        {
            comment_mark = last.start;
        }
        self.fetch_content(c)?;
        // A dash alone has no line comment: it becomes a head comment of what follows.
        if self.dialect == Dialect::V3
            && self
                .tokens
                .last()
                .is_none_or(|last| last.kind != TokenKind::BlockEntry)
        {
            self.scan_line_comment(comment_mark);
        }
        Ok(())
    }

    fn fetch_content(&mut self, c: u8) -> Result<(), Error> {
        let flow = self.flow_level > 0;
        let before_space = is_blankz(self.src, self.pos() + 1);
        match c {
            b'[' => self.fetch_flow_start(TokenKind::FlowSequenceStart),
            b'{' => self.fetch_flow_start(TokenKind::FlowMappingStart),
            b']' => self.fetch_flow_end(TokenKind::FlowSequenceEnd),
            b'}' => self.fetch_flow_end(TokenKind::FlowMappingEnd),
            b',' => self.fetch_flow_entry(),
            b'-' if before_space => self.fetch_block_entry(),
            b'?' if flow || before_space => self.fetch_key(),
            b':' if flow || before_space => self.fetch_value(),
            b'*' => self.fetch_property(TokenKind::Alias),
            b'&' => self.fetch_property(TokenKind::Anchor),
            b'!' => self.fetch_property(TokenKind::Tag),
            b'|' if !flow => self.fetch_block_scalar(ScalarStyle::Literal),
            b'>' if !flow => self.fetch_block_scalar(ScalarStyle::Folded),
            b'\'' => self.fetch_flow_scalar(ScalarStyle::SingleQuoted),
            b'"' => self.fetch_flow_scalar(ScalarStyle::DoubleQuoted),
            b'?' | b':' => self.fetch_flow_scalar(ScalarStyle::Plain),
            b'-' if !is_blank(self.src, self.pos() + 1) => {
                self.fetch_flow_scalar(ScalarStyle::Plain)
            }
            b'-' | b'#' | b'|' | b'>' | b'%' | b'@' | b'`' | b' ' | b'\t' => Err(self.no_token()),
            _ if is_break(self.src, self.pos()) => Err(self.no_token()),
            _ => self.fetch_flow_scalar(ScalarStyle::Plain),
        }
    }

    fn no_token(&self) -> Error {
        self.error(self.mark, "found character that cannot start any token")
    }

    // --- simple keys and indentation

    fn save_simple_key(&mut self) -> Result<(), Error> {
        if !self.simple_key_allowed {
            return Ok(());
        }
        let key = SimpleKey {
            possible: true,
            listed: true,
            required: self.flow_level == 0 && self.indent == self.mark.column as i32,
            token_number: self.parsed + (self.tokens.len() - self.head),
            mark: self.mark,
        };
        self.remove_simple_key()?;
        if let Some(last) = self.simple_keys.last_mut() {
            *last = key;
        }
        Ok(())
    }

    fn remove_simple_key(&mut self) -> Result<(), Error> {
        let Some(last) = self.simple_keys.last_mut() else {
            return Ok(());
        };
        if last.possible && last.required {
            let mark = last.mark;
            return Err(self.error(mark, "could not find expected ':'"));
        }
        last.possible = false;
        Ok(())
    }

    fn increase_flow_level(&mut self) -> Result<(), Error> {
        let token_number = self.parsed + (self.tokens.len() - self.head);
        self.simple_keys.push(SimpleKey {
            token_number,
            mark: self.mark,
            ..SimpleKey::default()
        });
        self.flow_level += 1;
        if self.flow_level > MAX_DEPTH {
            return Err(self.error(self.mark, format!("exceeded max depth of {MAX_DEPTH}")));
        }
        Ok(())
    }

    fn decrease_flow_level(&mut self) {
        if self.flow_level == 0 {
            return;
        }
        self.flow_level -= 1;
        let inner = self.simple_keys.pop();
        // Where nothing inside could be a key, Go takes the bracket itself off the list: `{}: x` is an error for it, not a map.
        if let (Some(inner), Some(outer)) = (inner, self.simple_keys.last_mut()) {
            outer.listed &= outer.token_number != inner.token_number;
        }
    }

    /// Opens a block collection where the column is deeper than the current one. `at` is the token number to insert before.
    fn roll_indent(
        &mut self,
        column: u32,
        at: Option<usize>,
        kind: TokenKind,
        mark: Mark,
    ) -> Result<(), Error> {
        if self.flow_level > 0 || self.indent >= column as i32 {
            return Ok(());
        }
        self.indents.push(self.indent);
        self.indent = column as i32;
        if self.indents.len() > MAX_DEPTH {
            let context = self.simple_keys.last().map_or(self.mark, |key| key.mark);
            return Err(self.error(context, format!("exceeded max depth of {MAX_DEPTH}")));
        }
        self.insert(at, Token::new(kind, mark, mark));
        Ok(())
    }

    fn insert(&mut self, at: Option<usize>, token: Token<'a>) {
        // What was given out already cannot be preceded any more.
        match at.and_then(|number| number.checked_sub(self.parsed)) {
            Some(ahead) => self.tokens.insert(self.head + ahead, token),
            None => self.tokens.push(token),
        }
    }

    /// Closes block collections that are deeper than the column.
    fn unroll_indent(&mut self, column: i32, scan_mark: Mark) {
        if self.flow_level > 0 {
            return;
        }
        // The index may wrap below zero only at the very start, where nothing is open.
        let mut block_mark = Mark {
            index: scan_mark.index.wrapping_sub(1),
            ..scan_mark
        };
        while self.indent > column {
            if self.dialect == Dialect::V3 {
                block_mark = self.before_foot_comments(block_mark);
            }
            self.tokens
                .push(Token::new(TokenKind::BlockEnd, block_mark, block_mark));
            self.indent = self.indents.pop().unwrap_or(-1);
        }
    }

    // --- one function per token

    fn fetch_stream_start(&mut self) {
        self.indent = -1;
        self.simple_keys.push(SimpleKey::default());
        self.simple_key_allowed = true;
        self.stream_start_produced = true;
        self.tokens
            .push(Token::new(TokenKind::StreamStart, self.mark, self.mark));
    }

    fn fetch_stream_end(&mut self) -> Result<(), Error> {
        if self.mark.column != 0 {
            self.mark.column = 0;
            self.mark.line += 1;
        }
        self.unroll_indent(-1, self.mark);
        self.remove_simple_key()?;
        self.simple_key_allowed = false;
        self.tokens
            .push(Token::new(TokenKind::StreamEnd, self.mark, self.mark));
        Ok(())
    }

    fn fetch_directive(&mut self) -> Result<(), Error> {
        self.unroll_indent(-1, self.mark);
        self.remove_simple_key()?;
        self.simple_key_allowed = false;
        let token = self.scan_directive()?;
        self.tokens.push(token);
        Ok(())
    }

    fn fetch_document_indicator(&mut self, kind: TokenKind) -> Result<(), Error> {
        self.unroll_indent(-1, self.mark);
        self.remove_simple_key()?;
        self.simple_key_allowed = false;
        self.push_indicator(kind, 3);
        Ok(())
    }

    fn push_indicator(&mut self, kind: TokenKind, bytes: usize) {
        let start = self.mark;
        self.skip_run(bytes, bytes);
        self.tokens.push(Token::new(kind, start, self.mark));
    }

    fn fetch_flow_start(&mut self, kind: TokenKind) -> Result<(), Error> {
        self.save_simple_key()?;
        self.increase_flow_level()?;
        self.simple_key_allowed = true;
        self.push_indicator(kind, 1);
        Ok(())
    }

    fn fetch_flow_end(&mut self, kind: TokenKind) -> Result<(), Error> {
        self.remove_simple_key()?;
        self.decrease_flow_level();
        self.simple_key_allowed = false;
        self.push_indicator(kind, 1);
        Ok(())
    }

    fn fetch_flow_entry(&mut self) -> Result<(), Error> {
        self.remove_simple_key()?;
        self.simple_key_allowed = true;
        self.push_indicator(TokenKind::FlowEntry, 1);
        Ok(())
    }

    fn fetch_block_entry(&mut self) -> Result<(), Error> {
        if self.flow_level == 0 {
            if !self.simple_key_allowed {
                return Err(self.error(
                    self.mark,
                    "block sequence entries are not allowed in this context",
                ));
            }
            self.roll_indent(
                self.mark.column,
                None,
                TokenKind::BlockSequenceStart,
                self.mark,
            )?;
        }
        self.remove_simple_key()?;
        self.simple_key_allowed = true;
        self.push_indicator(TokenKind::BlockEntry, 1);
        Ok(())
    }

    fn fetch_key(&mut self) -> Result<(), Error> {
        if self.flow_level == 0 {
            if !self.simple_key_allowed {
                return Err(self.error(self.mark, "mapping keys are not allowed in this context"));
            }
            self.roll_indent(
                self.mark.column,
                None,
                TokenKind::BlockMappingStart,
                self.mark,
            )?;
        }
        self.remove_simple_key()?;
        self.simple_key_allowed = self.flow_level == 0;
        self.push_indicator(TokenKind::Key, 1);
        Ok(())
    }

    fn fetch_value(&mut self) -> Result<(), Error> {
        let last = self.simple_keys.len() - 1;
        if self.is_key_valid(last)? {
            let key = self.simple_keys[last];
            self.insert(
                Some(key.token_number),
                Token::new(TokenKind::Key, key.mark, key.mark),
            );
            self.roll_indent(
                key.mark.column,
                Some(key.token_number),
                TokenKind::BlockMappingStart,
                key.mark,
            )?;
            self.simple_keys[last].possible = false;
            self.simple_key_allowed = false;
        } else {
            if self.flow_level == 0 {
                if !self.simple_key_allowed {
                    return Err(
                        self.error(self.mark, "mapping values are not allowed in this context")
                    );
                }
                self.roll_indent(
                    self.mark.column,
                    None,
                    TokenKind::BlockMappingStart,
                    self.mark,
                )?;
            }
            self.simple_key_allowed = self.flow_level == 0;
        }
        self.push_indicator(TokenKind::Value, 1);
        Ok(())
    }

    fn fetch_property(&mut self, kind: TokenKind) -> Result<(), Error> {
        self.save_simple_key()?;
        self.simple_key_allowed = false;
        let token = if kind == TokenKind::Tag {
            self.scan_tag()?
        } else {
            self.scan_anchor(kind)?
        };
        self.tokens.push(token);
        Ok(())
    }

    fn fetch_block_scalar(&mut self, style: ScalarStyle) -> Result<(), Error> {
        self.remove_simple_key()?;
        self.simple_key_allowed = true;
        let token = self.scan_block_scalar(style)?;
        self.tokens.push(token);
        Ok(())
    }

    fn fetch_flow_scalar(&mut self, style: ScalarStyle) -> Result<(), Error> {
        self.save_simple_key()?;
        self.simple_key_allowed = false;
        let token = match style {
            ScalarStyle::Plain => self.scan_plain_scalar()?,
            _ => self.scan_quoted_scalar(style)?,
        };
        self.tokens.push(token);
        Ok(())
    }
}
