//! Breaks, indentation, indicators, anchors and tags.

use super::{Emitter, Properties, State};
use crate::Dialect;
use crate::chars::is_alpha;

const DEFAULT_PREFIX: &str = "tag:yaml.org,2002:";

/// A long tag as handle and suffix. Without a handle it is written verbatim, as `!<suffix>`.
pub(super) fn split_tag(tag: &str) -> (&'static str, &str) {
    if let Some(suffix) = tag.strip_prefix('!') {
        ("!", suffix)
    } else if let Some(suffix) = tag.strip_prefix(DEFAULT_PREFIX) {
        ("!!", suffix)
    } else {
        ("", tag)
    }
}

impl Emitter {
    #[inline]
    pub(super) fn put(&mut self, c: char) {
        self.out.push(c);
        self.column += 1;
    }

    /// Writes text of one line.
    #[inline]
    pub(super) fn put_str(&mut self, text: &str, chars: usize) {
        self.out.push_str(text);
        self.column += chars;
    }

    pub(super) fn put_break(&mut self) {
        self.out.push('\n');
        self.column = 0;
        self.indention = true;
    }

    /// Writes a line break that is part of a value: as it is, but for what was read as a plain newline.
    pub(super) fn write_break(&mut self, c: char) {
        self.out.push(c);
        self.column = 0;
        self.indention = true;
    }

    pub(super) fn write_indent(&mut self) {
        let indent = self.indent.unwrap_or(0);
        if !self.indention || self.column > indent || (self.column == indent && !self.whitespace) {
            self.put_break();
        }
        if self.foot_indent == Some(indent) {
            self.put_break();
        }
        while self.column < indent {
            /// Enough for nearly all levels in one go.
            const SPACES: &str = "                                ";
            let chars = (indent - self.column).min(SPACES.len());
            self.put_str(&SPACES[..chars], chars);
        }
        self.whitespace = true;
        if self.dialect == Dialect::V2 {
            self.indention = true;
        }
        self.foot_indent = None;
    }

    pub(super) fn indicator(
        &mut self,
        text: &str,
        need_whitespace: bool,
        is_whitespace: bool,
        is_indention: bool,
    ) {
        if need_whitespace && !self.whitespace {
            self.put(' ');
        }
        self.put_str(text, text.len());
        self.whitespace = is_whitespace;
        self.indention = self.indention && is_indention;
    }

    /// An anchor or an alias.
    pub(super) fn name(&mut self, sigil: &str, name: &str) {
        self.indicator(sigil, true, false, false);
        self.put_str(name, name.len());
        self.whitespace = false;
        self.indention = false;
    }

    pub(super) fn node_properties(&mut self, properties: &Properties<'_>) {
        if let Some(anchor) = properties.anchor {
            self.name("&", anchor);
        }
        if properties.tag.is_empty() {
            return;
        }
        let (handle, suffix) = split_tag(properties.tag);
        if handle.is_empty() {
            self.indicator("!<", true, false, false);
            self.tag_content(suffix);
            self.indicator(">", false, false, false);
        } else {
            self.indicator(handle, true, false, false);
            if !suffix.is_empty() {
                self.tag_content(suffix);
            }
        }
    }

    fn tag_content(&mut self, text: &str) {
        for byte in text.bytes() {
            if is_alpha(byte) || b";/?:@&=+$,_.~*'()[]".contains(&byte) {
                self.put(char::from(byte));
            } else {
                let escaped = format!("%{byte:02X}");
                self.put_str(&escaped, escaped.len());
            }
        }
        self.whitespace = false;
        self.indention = false;
    }

    /// Indents one level further; `flow` is for flow collections and for the folded lines of scalars.
    pub(super) fn increase_indent(&mut self, flow: bool) {
        self.indents.push(self.indent);
        self.indent = Some(match self.indent {
            None if flow => self.best_indent,
            None => 0,
            Some(indent) => self.deeper(indent),
        });
    }

    fn deeper(&self, indent: usize) -> usize {
        if self.dialect == Dialect::V2 {
            indent + self.best_indent
        } else if self.states.last() == Some(&State::BlockSequenceItem) {
            // The first level inside of a sequence just skips the "- ".
            indent + 2
        } else {
            // Everything else aligns to the indentation chosen.
            self.best_indent * ((indent + self.best_indent) / self.best_indent)
        }
    }

    /// Indents for the items of a block sequence, which is not indented under a key where sequences are compact.
    pub(super) fn increase_sequence_indent(&mut self) {
        let parent = self.indent;
        let under_key = match self.dialect {
            Dialect::V2 => self.mapping_context && !self.indention,
            Dialect::V3 => {
                self.compact_sequences
                    && self.mapping_context
                    && (self.column == 0 || !self.indention)
            }
        };
        self.increase_indent(false);
        if let (true, Some(parent), Some(indent)) = (under_key, parent, self.indent) {
            self.indent = Some(match self.dialect {
                Dialect::V2 => parent,
                // As Go has it: only an aligned level gives the dash its two columns back.
                Dialect::V3 if self.states.last() == Some(&State::BlockSequenceItem) => indent,
                Dialect::V3 => indent - 2,
            });
        }
    }

    pub(super) fn decrease_indent(&mut self) {
        self.indent = self.indents.pop().flatten();
    }
}
