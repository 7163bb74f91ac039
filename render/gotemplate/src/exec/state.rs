//! The walk over a template's nodes.

use std::sync::Arc;

use super::error::Cause;
use super::{Ctx, ExecError, Slot};
use crate::format;
use crate::limits::LimitError;
use crate::parse::ast::{Branch, Command, Expr, Node, Pipe, Template, VarName};
use crate::strconv::quote;
use crate::value::{IntKind, Str, Value};

/// Bytes of a value that an error message shows at most.
const MAX_SHOWN_VALUE_BYTES: usize = 4 << 10;

/// The execution of one template.
pub(super) struct State<'c, 'h, 't> {
    pub(super) ctx: &'c mut Ctx<'h>,
    pub(super) template: &'t Template,
    /// Variables in scope, the innermost last.
    pub(super) vars: Vec<(u32, Slot)>,
    /// The node that an error is reported at.
    pub(super) at: At<'t>,
}

#[derive(Clone, Copy)]
pub(super) enum At<'t> {
    Start,
    Node(&'t Node),
    Pipe(&'t Pipe),
    Command(&'t Command),
    Expr(&'t Expr),
}

/// How the walk goes on after a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    Next,
    Break,
    Continue,
}

/// The number that stands for `$` in every file.
pub(crate) const DOLLAR: u32 = 0;

pub(super) type Result<T, E = Box<ExecError>> = std::result::Result<T, E>;

impl<'c, 'h, 't> State<'c, 'h, 't> {
    pub(super) fn new(ctx: &'c mut Ctx<'h>, template: &'t Template, dot: Slot) -> Self {
        Self {
            ctx,
            template,
            vars: vec![(DOLLAR, dot)],
            at: At::Start,
        }
    }

    /// Executes the template with `$` as dot.
    pub(super) fn run(&mut self) -> Result<(), ExecError> {
        let dot = self.vars[0].1.clone();
        self.enter().map_err(|error| *error)?;
        let result = self.list(&dot, &self.template.root);
        self.ctx.depth -= 1;
        result.map(|_| ()).map_err(|error| *error)
    }

    fn enter(&mut self) -> Result<()> {
        let limit = self.ctx.meter.limits().template_depth;
        if self.ctx.depth >= limit {
            return Err(self.limit(LimitError::TemplateDepth(limit)));
        }
        self.ctx.depth += 1;
        Ok(())
    }

    /// An error at the current node.
    pub(super) fn error(&self, message: impl std::fmt::Display) -> Box<ExecError> {
        let template = self.template;
        let (pos, shown) = self.shown_node();
        let message = match pos {
            None => format!("template: {}: {message}", template.name),
            Some(pos) => {
                let location = template.source.location(pos);
                let name = quote(&template.name);
                let name = String::from_utf8_lossy(&name);
                format!(
                    "template: {location}: executing {name} at <{}>: {message}",
                    String::from_utf8_lossy(&shown)
                )
            }
        };
        Box::new(ExecError {
            template: template.name.clone(),
            message,
            cause: None,
        })
    }

    fn shown_node(&self) -> (Option<usize>, Vec<u8>) {
        let mut shown = Vec::new();
        let pos = match self.at {
            At::Start => return (None, shown),
            At::Node(node) => {
                node.write(&self.template.source, &mut shown);
                node.pos()
            }
            At::Pipe(pipe) => {
                pipe.write(&mut shown);
                pipe.pos
            }
            At::Command(command) => {
                command.write(&mut shown);
                command.pos
            }
            At::Expr(expr) => {
                expr.write(&mut shown);
                expr.pos()
            }
        };
        (Some(pos), shown)
    }

    pub(super) fn limit(&self, limit: LimitError) -> Box<ExecError> {
        let mut error = self.error(limit);
        error.cause = Some(Cause::Limit(limit));
        error
    }

    /// A value as a message shows it.
    pub(super) fn shown(value: &Value) -> String {
        let text = format::sprint(std::slice::from_ref(value), MAX_SHOWN_VALUE_BYTES);
        text.map_or_else(
            |_| "(a large value)".to_owned(),
            |text| String::from_utf8_lossy(&text).into_owned(),
        )
    }

    pub(super) fn step(&mut self) -> Result<()> {
        self.ctx.meter.step().map_err(|limit| self.limit(limit))
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.ctx
            .meter
            .output(bytes.len())
            .map_err(|limit| self.limit(limit))?;
        self.ctx.out.extend_from_slice(bytes);
        Ok(())
    }

    pub(super) fn set_var(&mut self, var: &VarName, value: Slot) -> Result<()> {
        match self
            .vars
            .iter_mut()
            .rev()
            .find(|(symbol, _)| *symbol == var.symbol)
        {
            Some((_, slot)) => {
                *slot = value;
                Ok(())
            }
            None => Err(self.error(format_args!("undefined variable: {}", var.name))),
        }
    }

    fn list(&mut self, dot: &Slot, nodes: &'t [Node]) -> Result<Flow> {
        for node in nodes {
            match self.walk(dot, node)? {
                Flow::Next => {}
                flow => return Ok(flow),
            }
        }
        Ok(Flow::Next)
    }

    fn nested_list(&mut self, dot: &Slot, nodes: &'t [Node]) -> Result<Flow> {
        crate::stack::with_stack(|| self.list(dot, nodes))
    }

    fn walk(&mut self, dot: &Slot, node: &'t Node) -> Result<Flow> {
        self.at = At::Node(node);
        self.step()?;
        match node {
            Node::Text { pos, end } => {
                let template = self.template;
                self.write(&template.source.text[*pos..*end])?;
            }
            Node::Action { pipe, .. } => {
                let value = self.pipeline(dot, pipe)?;
                if pipe.decl.is_empty() {
                    self.at = At::Node(node);
                    self.print(node, &value)?;
                }
            }
            Node::If(branch) => return self.if_or_with(dot, branch, false),
            Node::With(branch) => return self.if_or_with(dot, branch, true),
            Node::Range(branch) => self.range(dot, branch)?,
            Node::Template { name, pipe, .. } => self.call_template(dot, name, pipe.as_ref())?,
            Node::Break { .. } => return Ok(Flow::Break),
            Node::Continue { .. } => return Ok(Flow::Continue),
        }
        Ok(Flow::Next)
    }

    fn print(&mut self, node: &Node, slot: &Slot) -> Result<()> {
        match &slot.value {
            Value::Nil => self.write(b"<no value>"),
            Value::String(text) => self.write(text.as_bytes()),
            Value::Func(_) => {
                let mut shown = Vec::new();
                node.write(&self.template.source, &mut shown);
                let ty = slot.value.type_name();
                Err(self.error(format_args!(
                    "can't print {} of type {ty}",
                    String::from_utf8_lossy(&shown)
                )))
            }
            value => {
                let before = self.ctx.out.len();
                let left = self.ctx.meter.output_left();
                let out = std::mem::take(&mut self.ctx.out);
                self.ctx.out = format::append_value(out, value, left)
                    .map_err(|limit| self.limit(self.ctx.meter.output_error(limit)))?;
                let written = self.ctx.out.len() - before;
                self.ctx
                    .meter
                    .output(written)
                    .map_err(|limit| self.limit(limit))
            }
        }
    }

    fn if_or_with(&mut self, dot: &Slot, branch: &'t Branch, with: bool) -> Result<Flow> {
        let mark = self.vars.len();
        let value = self.pipeline(dot, &branch.pipe)?;
        let flow = if value.value.truth() {
            self.nested_list(if with { &value } else { dot }, &branch.list)
        } else if let Some(list) = &branch.else_list {
            self.nested_list(dot, list)
        } else {
            Ok(Flow::Next)
        };
        self.vars.truncate(mark);
        flow
    }

    fn range(&mut self, dot: &Slot, branch: &'t Branch) -> Result<()> {
        let outer = self.vars.len();
        let value = self.pipeline(dot, &branch.pipe)?.value;
        let done = self.range_over(&value, branch)?;
        if !done && let Some(list) = &branch.else_list {
            self.nested_list(dot, list)?;
        }
        self.vars.truncate(outer);
        Ok(())
    }

    /// True if there was anything to iterate over.
    fn range_over(&mut self, value: &Value, branch: &'t Branch) -> Result<bool> {
        match value {
            Value::Int(kind, count) => {
                self.range_over_ints(value, branch, *count, |index| Value::Int(*kind, index))
            }
            Value::Uint(kind, count) => {
                let end = i64::try_from(*count).unwrap_or(i64::MAX);
                self.range_over_ints(value, branch, end, |index| {
                    Value::Uint(*kind, index.unsigned_abs())
                })
            }
            Value::Bytes(bytes) => {
                for (index, byte) in bytes.as_bytes().iter().enumerate() {
                    let element =
                        Slot::concrete(Value::Uint(crate::value::UintKind::Uint8, (*byte).into()));
                    if self.iteration(index_slot(index), element, branch)? == Flow::Break {
                        break;
                    }
                }
                Ok(!bytes.is_empty())
            }
            Value::List(list) => {
                let elem = list.elem();
                for (index, element) in list.items().iter().enumerate() {
                    if self.iteration(
                        index_slot(index),
                        Slot::typed(element.clone(), elem),
                        branch,
                    )? == Flow::Break
                    {
                        break;
                    }
                }
                Ok(!list.is_empty())
            }
            Value::Map(map) => {
                let elem = map.elem();
                let entries = map.entries();
                let any = !entries.is_empty();
                for (key, element) in entries {
                    if self.iteration(
                        Slot::concrete(Value::String(key)),
                        Slot::typed(element, elem),
                        branch,
                    )? == Flow::Break
                    {
                        break;
                    }
                }
                Ok(any)
            }
            Value::Nil => Ok(false),
            other => Err(self.error(format_args!(
                "range can't iterate over {}",
                Self::shown(other)
            ))),
        }
    }

    fn range_over_ints(
        &mut self,
        value: &Value,
        branch: &'t Branch,
        end: i64,
        element: impl Fn(i64) -> Value,
    ) -> Result<bool> {
        if branch.pipe.decl.len() > 1 {
            let shown = Self::shown(value);
            return Err(self.error(format_args!(
                "can't use {shown} to iterate over more than one variable"
            )));
        }
        for index in 0..end {
            if self.iteration(Slot::INVALID, Slot::concrete(element(index)), branch)? == Flow::Break
            {
                break;
            }
        }
        Ok(end > 0)
    }

    /// One round of a loop: sets the variables and runs the body with the element as dot.
    fn iteration(&mut self, index: Slot, element: Slot, branch: &'t Branch) -> Result<Flow> {
        self.step()?;
        let pipe = &branch.pipe;
        let mark = self.vars.len();
        match (pipe.decl.as_slice(), pipe.assign) {
            ([], _) => {}
            ([var], true) => self.set_var(var, element.clone())?,
            ([first, second, ..], true) => {
                self.set_var(first, index)?;
                self.set_var(second, element.clone())?;
            }
            ([_], false) => self.vars[mark - 1].1 = element.clone(),
            ([..], false) => {
                self.vars[mark - 1].1 = element.clone();
                self.vars[mark - 2].1 = index;
            }
        }
        let flow = self.nested_list(&element, &branch.list);
        self.vars.truncate(mark);
        flow
    }

    fn call_template(&mut self, dot: &Slot, name: &Str, pipe: Option<&'t Pipe>) -> Result<()> {
        let set = Arc::clone(&self.ctx.set);
        let Some(template) = set.find(name.as_bytes()) else {
            let quoted = quote(name);
            return Err(self.error(format_args!(
                "template {} not defined",
                String::from_utf8_lossy(&quoted)
            )));
        };
        self.enter()?;
        let data = match pipe {
            None => Slot::INVALID,
            Some(pipe) => self.pipeline(dot, pipe)?,
        };
        let result = crate::stack::with_stack(|| {
            let mut inner = State::new(self.ctx, template, data.clone());
            inner.list(&data, &template.root)
        });
        self.ctx.depth -= 1;
        result.map(|_| ())
    }
}

fn index_slot(index: usize) -> Slot {
    Slot::concrete(Value::Int(
        IntKind::Int,
        i64::try_from(index).unwrap_or(i64::MAX),
    ))
}
