//! Block collections.

use super::{Emitter, Item, State, Write};
use crate::error::Error;

impl Emitter {
    pub(super) fn block_sequence_item(
        &mut self,
        item: &Item<'_>,
        first: bool,
    ) -> Result<(), Error> {
        if first {
            self.increase_sequence_indent();
        }
        if let Write::SequenceEnd = item.event {
            self.decrease_indent();
            self.pop_state();
            return Ok(());
        }
        self.head_comment();
        self.write_indent();
        self.indicator("-", true, false, true);
        self.states.push(State::BlockSequenceItem);
        self.node(item, false, false)?;
        self.line_comment();
        self.foot_comment();
        Ok(())
    }

    pub(super) fn block_mapping_key(&mut self, item: &Item<'_>, first: bool) -> Result<(), Error> {
        if first {
            self.increase_indent(false);
        }
        self.head_comment();
        if let Write::MappingEnd = item.event {
            self.decrease_indent();
            self.pop_state();
            return Ok(());
        }
        self.write_indent();
        if !self.pending.line.is_empty() {
            // Line comments belong to values. One of a key is kept for after the colon.
            self.pending.key_line = std::mem::take(&mut self.pending.line);
        }
        if item.is_simple_key() {
            self.states.push(State::BlockMappingSimpleValue);
            return self.node(item, true, true);
        }
        self.indicator("?", true, false, true);
        self.states.push(State::BlockMappingValue);
        self.node(item, true, false)
    }

    pub(super) fn block_mapping_value(
        &mut self,
        item: &Item<'_>,
        simple: bool,
    ) -> Result<(), Error> {
        if simple {
            self.indicator(":", false, false, false);
        } else {
            self.write_indent();
            self.indicator(":", true, false, true);
        }
        if !self.pending.key_line.is_empty() {
            self.place_key_comment(item.event);
        }
        self.states.push(State::BlockMappingKey);
        self.node(item, true, false)?;
        self.line_comment();
        self.foot_comment();
        Ok(())
    }

    /// The line comment of a key goes to a scalar value that has none, or right here where a block follows.
    fn place_key_comment(&mut self, event: Write<'_>) {
        match event {
            Write::Scalar { .. } if self.pending.line.is_empty() => {
                self.pending.line = std::mem::take(&mut self.pending.key_line);
            }
            Write::SequenceStart { flow: false, .. } | Write::MappingStart { flow: false, .. } => {
                let pending = &mut self.pending;
                std::mem::swap(&mut pending.line, &mut pending.key_line);
                self.line_comment();
                let pending = &mut self.pending;
                std::mem::swap(&mut pending.line, &mut pending.key_line);
            }
            _ => {}
        }
    }
}
