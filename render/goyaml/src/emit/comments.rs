//! Comments, which only yaml.v3 writes.

use super::{Emitter, Properties};
use crate::chars::is_break_char;

impl Emitter {
    pub(super) fn note_comments(&mut self, properties: &Properties<'_>) {
        let pending = &mut self.pending;
        for (to, from) in [
            (&mut pending.head, properties.head),
            (&mut pending.line, properties.line),
            (&mut pending.foot, properties.foot),
            (&mut pending.tail, properties.tail),
        ] {
            if !from.is_empty() {
                from.clone_into(to);
            }
        }
    }

    pub(super) fn head_comment(&mut self) {
        if !self.pending.tail.is_empty() {
            let tail = std::mem::take(&mut self.pending.tail);
            self.write_indent();
            self.comment(&tail);
            self.foot_indent = Some(self.indent.unwrap_or(0));
        }
        if !self.pending.head.is_empty() {
            let head = std::mem::take(&mut self.pending.head);
            self.write_indent();
            self.comment(&head);
        }
    }

    /// Whether there was one. It ends its line.
    pub(super) fn line_comment(&mut self) -> bool {
        if self.pending.line.is_empty() {
            return false;
        }
        let line = std::mem::take(&mut self.pending.line);
        if !self.whitespace {
            self.put(' ');
        }
        self.comment(&line);
        true
    }

    pub(super) fn foot_comment(&mut self) {
        if self.pending.foot.is_empty() {
            return;
        }
        let foot = std::mem::take(&mut self.pending.foot);
        self.write_indent();
        self.comment(&foot);
        self.foot_indent = Some(self.indent.unwrap_or(0));
    }

    fn comment(&mut self, text: &str) {
        let (mut breaks, mut pound) = (false, false);
        for c in text.chars() {
            if is_break_char(c) {
                self.write_break(c);
                breaks = true;
                pound = false;
                continue;
            }
            if breaks {
                self.write_indent();
            }
            if !pound {
                if c != '#' {
                    self.put_str("# ", 2);
                }
                pound = true;
            }
            self.put(c);
            self.indention = false;
            breaks = false;
        }
        if !breaks {
            self.put_break();
        }
        self.whitespace = true;
    }
}
