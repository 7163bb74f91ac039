//! The parsed template, and how its nodes are written in error messages.

use std::sync::Arc;

use super::number::Number;
use crate::strconv::quote;
use crate::value::{Function, Str};

/// One named template of a file.
#[derive(Debug)]
pub(crate) struct Template {
    pub(crate) name: Str,
    pub(crate) source: Arc<Source>,
    pub(crate) root: Vec<Node>,
    /// Nothing but space: does not replace a template that has more.
    pub(crate) empty: bool,
}

/// A file that templates were parsed from, kept for its text and for places in messages.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) name: Str,
    pub(crate) text: Box<[u8]>,
}

impl Source {
    /// `name:line:column` as Go gives it: lines from 1, columns in bytes from 0.
    pub(crate) fn location(&self, pos: usize) -> String {
        let before = &self.text[..pos.min(self.text.len())];
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        let column = before
            .iter()
            .rev()
            .take_while(|byte| **byte != b'\n')
            .count();
        format!("{}:{line}:{column}", self.name)
    }
}

#[derive(Debug)]
pub(crate) enum Node {
    /// A range of the source.
    Text {
        pos: usize,
        end: usize,
    },
    Action {
        pos: usize,
        pipe: Pipe,
    },
    If(Branch),
    With(Branch),
    Range(Branch),
    Template {
        pos: usize,
        name: Str,
        pipe: Option<Pipe>,
    },
    Break {
        pos: usize,
    },
    Continue {
        pos: usize,
    },
}

#[derive(Debug)]
pub(crate) struct Branch {
    pub(crate) pos: usize,
    pub(crate) pipe: Pipe,
    pub(crate) list: Vec<Node>,
    pub(crate) else_list: Option<Vec<Node>>,
}

#[derive(Debug)]
pub(crate) struct Pipe {
    pub(crate) pos: usize,
    pub(crate) assign: bool,
    /// The variables declared or assigned.
    pub(crate) decl: Vec<VarName>,
    pub(crate) cmds: Vec<Command>,
}

#[derive(Debug)]
pub(crate) struct Command {
    pub(crate) pos: usize,
    pub(crate) args: Vec<Expr>,
}

/// A variable: its name, `$` included, and a number that stands for the name within its file.
#[derive(Debug, Clone)]
pub(crate) struct VarName {
    pub(crate) name: Str,
    pub(crate) symbol: u32,
}

#[derive(Debug)]
pub(crate) enum Expr {
    Dot {
        pos: usize,
    },
    Nil {
        pos: usize,
    },
    Bool {
        pos: usize,
        value: bool,
    },
    Number {
        pos: usize,
        number: Box<Number>,
    },
    String {
        pos: usize,
        quoted: Str,
        text: Str,
    },
    Field {
        pos: usize,
        names: Vec<Str>,
    },
    Variable {
        pos: usize,
        var: VarName,
        names: Vec<Str>,
    },
    Function {
        pos: usize,
        function: Function,
    },
    Chain {
        pos: usize,
        node: Box<Expr>,
        names: Vec<Str>,
    },
    Pipe(Box<Pipe>),
}

impl Expr {
    pub(crate) fn pos(&self) -> usize {
        match self {
            Self::Dot { pos }
            | Self::Nil { pos }
            | Self::Bool { pos, .. }
            | Self::Number { pos, .. }
            | Self::String { pos, .. }
            | Self::Field { pos, .. }
            | Self::Variable { pos, .. }
            | Self::Function { pos, .. }
            | Self::Chain { pos, .. } => *pos,
            Self::Pipe(pipe) => pipe.pos,
        }
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Dot { .. } => out.push(b'.'),
            Self::Nil { .. } => out.extend_from_slice(b"nil"),
            Self::Bool { value, .. } => {
                out.extend_from_slice(if *value { b"true" } else { b"false" })
            }
            Self::Number { number, .. } => out.extend_from_slice(number.text.as_bytes()),
            Self::String { quoted, .. } => out.extend_from_slice(quoted.as_bytes()),
            Self::Field { names, .. } => write_names(out, names),
            Self::Variable { var, names, .. } => {
                out.extend_from_slice(var.name.as_bytes());
                write_names(out, names);
            }
            Self::Function { function, .. } => out.extend_from_slice(function.name().as_bytes()),
            Self::Chain { node, names, .. } => {
                if let Self::Pipe(pipe) = &**node {
                    pipe.write_in_parentheses(out);
                } else {
                    node.write(out);
                }
                write_names(out, names);
            }
            Self::Pipe(pipe) => pipe.write(out),
        }
    }
}

fn write_names(out: &mut Vec<u8>, names: &[Str]) {
    for name in names {
        out.push(b'.');
        out.extend_from_slice(name.as_bytes());
    }
}

impl Command {
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        for (index, arg) in self.args.iter().enumerate() {
            if index > 0 {
                out.push(b' ');
            }
            if let Expr::Pipe(pipe) = arg {
                pipe.write_in_parentheses(out);
            } else {
                arg.write(out);
            }
        }
    }
}

impl Pipe {
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        for (index, var) in self.decl.iter().enumerate() {
            if index > 0 {
                out.extend_from_slice(b", ");
            }
            out.extend_from_slice(var.name.as_bytes());
        }
        if !self.decl.is_empty() {
            out.extend_from_slice(if self.assign { b" = " } else { b" := " });
        }
        for (index, command) in self.cmds.iter().enumerate() {
            if index > 0 {
                out.extend_from_slice(b" | ");
            }
            command.write(out);
        }
    }

    fn write_in_parentheses(&self, out: &mut Vec<u8>) {
        out.push(b'(');
        self.write(out);
        out.push(b')');
    }
}

impl Node {
    pub(crate) fn pos(&self) -> usize {
        match self {
            Self::Text { pos, .. }
            | Self::Action { pos, .. }
            | Self::Template { pos, .. }
            | Self::Break { pos }
            | Self::Continue { pos } => *pos,
            Self::If(branch) | Self::With(branch) | Self::Range(branch) => branch.pos,
        }
    }

    pub(crate) fn write(&self, source: &Source, out: &mut Vec<u8>) {
        match self {
            Self::Text { pos, end } => out.extend_from_slice(&source.text[*pos..*end]),
            Self::Action { pipe, .. } => {
                out.extend_from_slice(b"{{");
                pipe.write(out);
                out.extend_from_slice(b"}}");
            }
            Self::If(branch) => branch.write("if", source, out),
            Self::With(branch) => branch.write("with", source, out),
            Self::Range(branch) => branch.write("range", source, out),
            Self::Template { name, pipe, .. } => {
                out.extend_from_slice(b"{{template ");
                out.extend_from_slice(&quote(name));
                if let Some(pipe) = pipe {
                    out.push(b' ');
                    pipe.write(out);
                }
                out.extend_from_slice(b"}}");
            }
            Self::Break { .. } => out.extend_from_slice(b"{{break}}"),
            Self::Continue { .. } => out.extend_from_slice(b"{{continue}}"),
        }
    }
}

impl Branch {
    fn write(&self, name: &str, source: &Source, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{{");
        out.extend_from_slice(name.as_bytes());
        out.push(b' ');
        self.pipe.write(out);
        out.extend_from_slice(b"}}");
        write_list(&self.list, source, out);
        if let Some(list) = &self.else_list {
            out.extend_from_slice(b"{{else}}");
            write_list(list, source, out);
        }
        out.extend_from_slice(b"{{end}}");
    }
}

fn write_list(nodes: &[Node], source: &Source, out: &mut Vec<u8>) {
    for node in nodes {
        node.write(source, out);
    }
}
