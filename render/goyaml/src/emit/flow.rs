//! Flow collections.

use super::{Emitter, Item, State, Write};
use crate::error::Error;

impl Emitter {
    fn open_flow(&mut self, bracket: &str) {
        self.indicator(bracket, true, true, false);
        self.increase_indent(true);
        self.flow_level += 1;
    }

    fn close_flow(&mut self, bracket: &str) {
        self.indicator(bracket, false, false, false);
        self.line_comment();
        self.foot_comment();
        self.pop_state();
    }

    /// Starts a new line where a comment ended the last one, or where the line is full.
    fn flow_line(&mut self) {
        if self.column == 0 {
            self.write_indent();
        }
        if self.column > self.best_width {
            self.write_indent();
        }
    }

    fn after_flow_item(&mut self) {
        if self.pending.is_trailing() {
            self.indicator(",", false, false, false);
        }
        self.line_comment();
        self.foot_comment();
    }

    pub(super) fn flow_sequence_item(
        &mut self,
        item: &Item<'_>,
        first: bool,
        trail: bool,
    ) -> Result<(), Error> {
        if first {
            self.open_flow("[");
        }
        if let Write::SequenceEnd = item.event {
            self.flow_level -= 1;
            self.decrease_indent();
            if self.column == 0 {
                self.write_indent();
            }
            self.close_flow("]");
            return Ok(());
        }
        if !first && !trail {
            self.indicator(",", false, false, false);
        }
        self.head_comment();
        self.flow_line();
        let trails = self.pending.is_trailing();
        self.states.push(if trails {
            State::FlowSequenceTrailItem
        } else {
            State::FlowSequenceItem
        });
        self.node(item, false, false)?;
        self.after_flow_item();
        Ok(())
    }

    pub(super) fn flow_mapping_key(
        &mut self,
        item: &Item<'_>,
        first: bool,
        trail: bool,
    ) -> Result<(), Error> {
        if first {
            self.open_flow("{");
        }
        if let Write::MappingEnd = item.event {
            let pending = &self.pending;
            let commented =
                !(pending.head.is_empty() && pending.foot.is_empty() && pending.tail.is_empty());
            if commented && !first && !trail {
                self.indicator(",", false, false, false);
            }
            self.head_comment();
            self.flow_level -= 1;
            self.decrease_indent();
            self.close_flow("}");
            return Ok(());
        }
        if !first && !trail {
            self.indicator(",", false, false, false);
        }
        self.head_comment();
        self.flow_line();
        if item.is_simple_key() {
            self.states.push(State::FlowMappingSimpleValue);
            return self.node(item, true, true);
        }
        self.indicator("?", true, false, false);
        self.states.push(State::FlowMappingValue);
        self.node(item, true, false)
    }

    pub(super) fn flow_mapping_value(
        &mut self,
        item: &Item<'_>,
        simple: bool,
    ) -> Result<(), Error> {
        if simple {
            self.indicator(":", false, false, false);
        } else {
            if self.column > self.best_width {
                self.write_indent();
            }
            self.indicator(":", true, false, false);
        }
        let trails = self.pending.is_trailing();
        self.states.push(if trails {
            State::FlowMappingTrailKey
        } else {
            State::FlowMappingKey
        });
        self.node(item, true, false)?;
        self.after_flow_item();
        Ok(())
    }
}
