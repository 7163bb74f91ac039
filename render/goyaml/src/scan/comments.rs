//! White space and comments between tokens. yaml.v3 keeps comments and decides here which token each belongs to.

use super::{Mark, Scanner, TokenKind};
use crate::Dialect;
use crate::chars::{at, is_blank, is_break, is_breakz};
use crate::error::Error;

/// Blanks that may stand before a comment for it still to be seen as one (yaml.v3 looks no further).
const MAX_PEEK: usize = 512;

/// A comment that waits for its token.
#[derive(Debug, Default)]
pub(crate) struct Comment {
    /// Where the white space before it starts.
    scan: Mark,
    /// The token it belongs to starts here.
    pub(crate) token: Mark,
    start: Mark,
    end: Mark,
    pub(crate) head: String,
    pub(crate) line: String,
    pub(crate) foot: String,
}

/// What `scan_comments` knows while it goes from line to line. Its columns count from one, as in yaml.v3.
struct Block {
    scan: Mark,
    token: Mark,
    start: Mark,
    text: String,
    next_indent: u32,
    recent_empty: bool,
    first_empty: bool,
    foot_line: i64,
    after_value: bool,
    line: u32,
    column: u32,
}

impl Scanner<'_> {
    /// Skips blanks, line breaks and comments.
    pub(super) fn scan_to_next_token(&mut self) -> Result<(), Error> {
        let scan_mark = self.mark;
        loop {
            if self.pos() == 0 && self.src.starts_with("\u{FEFF}".as_bytes()) {
                self.skip();
            }
            let tabs_allowed = self.flow_level > 0 || !self.simple_key_allowed;
            while self.here() == b' ' || (tabs_allowed && self.here() == b'\t') {
                self.skip();
            }
            if self.dialect == Dialect::V3 {
                self.reposition_sequence_comment();
            }
            if self.here() == b'#' {
                if self.dialect == Dialect::V3 {
                    self.scan_comments(scan_mark);
                } else {
                    self.skip_to_break();
                }
            }
            if !is_break(self.src, self.pos()) {
                return Ok(());
            }
            self.read_line();
            if self.flow_level == 0 {
                self.simple_key_allowed = true;
            }
        }
    }

    pub(super) fn skip_to_break(&mut self) {
        while !is_breakz(self.src, self.pos()) {
            self.skip();
        }
    }

    /// A line comment under a dash that holds a block is the head of that block:
    ///
    /// ```yaml
    /// - # this one
    ///   - data
    /// ```
    fn reposition_sequence_comment(&mut self) {
        let Some(comment) = self.comments.last_mut() else {
            return;
        };
        let [.., a, b] = &self.tokens[..] else { return };
        if a.kind == TokenKind::BlockSequenceStart
            && b.kind == TokenKind::BlockEntry
            && !comment.line.is_empty()
            && !is_break(self.src, self.mark.index as usize)
        {
            comment.head = std::mem::take(&mut comment.line);
            if comment.start.line + 1 == self.mark.line {
                comment.token = self.mark;
            }
        }
    }

    /// Where a block ends that is followed by comments at its own indentation: before them, so that they become its foot.
    pub(super) fn before_foot_comments(&self, mut block_mark: Mark) -> Mark {
        // Signed, since the mark before the start of the stream is -1.
        let mut stop = i64::from(block_mark.index as i32);
        for comment in self.comments.iter().rev() {
            if i64::from(comment.end.index) < stop {
                break;
            }
            if i64::from(comment.start.column) == i64::from(self.indent) + 1 {
                block_mark = comment.start;
            }
            stop = i64::from(comment.scan.index);
        }
        block_mark
    }

    /// A comment at the end of the line of the token just fetched.
    pub(super) fn scan_line_comment(&mut self, token: Mark) {
        if self.newlines > 0 {
            return;
        }
        let blanks = self.src[self.pos().min(self.src.len())..]
            .iter()
            .take_while(|c| matches!(c, b' ' | b'\t'))
            .count();
        if blanks >= MAX_PEEK || self.ahead(blanks) != b'#' {
            return;
        }
        for _ in 0..blanks {
            self.skip();
        }
        let start = self.mark;
        self.skip_to_break();
        let line = self.text[start.index as usize..self.pos()].to_owned();
        self.comments.push(Comment {
            token,
            start,
            line,
            ..Comment::default()
        });
    }

    /// Comments on lines of their own, from the `#` that the scanner is at.
    fn scan_comments(&mut self, scan_mark: Mark) {
        let mut block = self.start_block(scan_mark);
        let mut peek = 0;
        while peek < MAX_PEEK {
            block.column += 1;
            let i = self.pos() + peek;
            if is_blank(self.src, i) {
                peek += 1;
                continue;
            }
            let c = at(self.src, i);
            let close_flow = self.flow_level > 0 && (c == b']' || c == b'}');
            if close_flow || is_breakz(self.src, i) {
                self.end_comment_line(&mut block, close_flow, i);
                if !is_break(self.src, i) {
                    break;
                }
                block.first_empty = false;
                block.recent_empty = true;
                block.column = 0;
                block.line += 1;
                peek += 1;
                continue;
            }
            if !block.text.is_empty()
                && block.column - 1 < block.next_indent
                && block.column != block.start.column
            {
                // At another indentation it is a foot of what is before, not a head of what follows.
                self.push_foot(&mut block, i);
            }
            if c != b'#' {
                break;
            }
            if block.text.is_empty() {
                block.start = Mark {
                    index: i as u32,
                    line: block.line,
                    column: block.column,
                };
            } else {
                block.text.push('\n');
            }
            block.recent_empty = false;
            self.consume_comment_line(&mut block, i);
            // The counter was zero and then stepped on, as the loop does it.
            peek = 1;
        }
        if !block.text.is_empty() {
            let end = Mark {
                index: (self.pos() + peek).saturating_sub(1) as u32,
                line: block.line,
                column: block.column,
            };
            let head = std::mem::take(&mut block.text);
            let Block { scan, start, .. } = block;
            self.comments.push(Comment {
                scan,
                token: start,
                start,
                end,
                head,
                ..Comment::default()
            });
        }
    }

    fn start_block(&self, scan_mark: Mark) -> Block {
        let mut token = self.tokens.last();
        if token.is_some_and(|t| t.kind == TokenKind::FlowEntry) && self.tokens.len() > 1 {
            token = self.tokens.get(self.tokens.len() - 2);
        }
        // The line on which a comment must start to be the foot of what is before it.
        let mut foot_line = -1;
        if scan_mark.line > 0 {
            foot_line = i64::from(self.mark.line) - i64::from(self.newlines) + 1;
            if self.newlines == 0 && self.mark.column > 1 {
                foot_line += 1;
            }
        }
        Block {
            scan: scan_mark,
            token: token.map(|t| t.start).unwrap_or_default(),
            start: Mark::default(),
            text: String::new(),
            next_indent: self.indent.max(0) as u32,
            recent_empty: false,
            first_empty: self.newlines <= 1,
            foot_line,
            after_value: token.is_some_and(|t| t.kind == TokenKind::Value),
            line: self.mark.line,
            column: self.mark.column,
        }
    }

    /// At a line break, the end, or a bracket that closes the flow the comment is in.
    fn end_comment_line(&mut self, block: &mut Block, close_flow: bool, i: usize) {
        if !close_flow && block.recent_empty {
            return;
        }
        let dedented = i64::from(block.start.column) - 1 < i64::from(block.next_indent);
        let is_foot =
            i64::from(block.start.line) == block.foot_line && !block.after_value || dedented;
        if close_flow || block.first_empty && is_foot {
            if !block.text.is_empty() {
                if dedented {
                    block.token = block.start;
                }
                self.push_foot(block, i);
            }
        } else if !block.text.is_empty() && at(self.src, i) != 0 {
            block.text.push('\n');
        }
    }

    fn push_foot(&mut self, block: &mut Block, i: usize) {
        let end = Mark {
            index: i as u32,
            line: block.line,
            column: block.column,
        };
        let foot = std::mem::take(&mut block.text);
        self.comments.push(Comment {
            scan: block.scan,
            token: block.token,
            start: block.start,
            end,
            foot,
            ..Comment::default()
        });
        block.scan = end;
        block.token = end;
    }

    fn consume_comment_line(&mut self, block: &mut Block, hash: usize) {
        while self.pos() < hash {
            if is_break(self.src, self.pos()) {
                self.read_line();
            } else {
                self.skip();
            }
        }
        self.skip_to_break();
        block.text.push_str(&self.text[hash..self.pos()]);
        block.column = 0;
        block.line = self.mark.line;
        block.next_indent = self.indent.max(0) as u32;
    }
}
