//! The parser: items to templates, with every error that Go's gives.

pub(crate) mod ast;
mod control;
mod lex;
mod number;

use std::collections::BTreeMap;
use std::sync::Arc;

use ast::{Command, Expr, Node, Pipe, Source, Template, VarName};
use lex::{Item, Keyword, Kind, Lexer};
use number::Number;
use thiserror::Error;

use crate::exec::DOLLAR;
use crate::funcs::Funcs;
use crate::limits::{MAX_NESTING, MAX_TEMPLATE_BYTES};
use crate::stack::with_stack;
use crate::strconv::{quote, unquote};
use crate::value::Str;

pub(crate) use number::Number as NumberLiteral;

/// A template does not parse. The text is Go's: `template: NAME:LINE: what is wrong`.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct ParseError {
    message: String,
}

/// Parses a file. Gives the templates that it defines, the one named like the file among them.
pub(crate) fn parse(
    name: &str,
    text: &[u8],
    funcs: &Funcs,
) -> Result<BTreeMap<Str, Arc<Template>>, ParseError> {
    if text.len() > MAX_TEMPLATE_BYTES {
        return Err(ParseError {
            message: format!(
                "template: {name}:1: more than {MAX_TEMPLATE_BYTES} bytes of template text"
            ),
        });
    }
    let source = Arc::new(Source {
        name: Str::from(name),
        text: text.into(),
    });
    let text = Arc::clone(&source);
    let mut parser = Parser {
        source,
        funcs,
        lexer: Lexer::new(
            &text.text,
            funcs.get("break").is_none(),
            funcs.get("continue").is_none(),
        ),
        trees: BTreeMap::new(),
        symbols: BTreeMap::from([(Str::from_static("$"), DOLLAR)]),
        nesting: 0,
        tree: Tree::default(),
    };
    parser.file()?;
    Ok(parser.trees)
}

type Result<T, E = ParseError> = std::result::Result<T, E>;

struct Parser<'t> {
    source: Arc<Source>,
    funcs: &'t Funcs,
    lexer: Lexer<'t>,
    trees: BTreeMap<Str, Arc<Template>>,
    /// A number for each variable name of the file.
    symbols: BTreeMap<Str, u32>,
    /// How deep blocks and parentheses are nested here.
    nesting: usize,
    tree: Tree,
}

/// What belongs to one template of the file: `define` and `block` start another and come back.
struct Tree {
    /// Looked-ahead items. The first is the one that errors name the line of.
    tokens: [Option<Item>; 3],
    peeked: usize,
    vars: Vec<Str>,
    action_line: usize,
    range_depth: usize,
}

impl Default for Tree {
    fn default() -> Self {
        Self {
            tokens: [None, None, None],
            peeked: 0,
            vars: vec![Str::from_static("$")],
            action_line: 0,
            range_depth: 0,
        }
    }
}

/// What ends a list of nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Terminator {
    End,
    Else,
}

impl Terminator {
    const fn text(self) -> &'static str {
        match self {
            Self::End => "{{end}}",
            Self::Else => "{{else}}",
        }
    }
}

/// A node, or what ends the list of them.
enum Parsed {
    Node(Node),
    Terminator(Terminator),
}

impl Parser<'_> {
    fn error<T>(&self, message: impl std::fmt::Display) -> Result<T> {
        let line = self.tree.tokens[0].as_ref().map_or(0, |item| item.line);
        Err(ParseError {
            message: format!("template: {}:{line}: {message}", self.source.name),
        })
    }

    fn next(&mut self) -> Item {
        if self.tree.peeked > 0 {
            self.tree.peeked -= 1;
        } else {
            self.tree.tokens[0] = Some(self.lexer.next_item());
        }
        self.tree.tokens[self.tree.peeked]
            .clone()
            .expect("looked-ahead items are there")
    }

    fn backup(&mut self) {
        self.tree.peeked += 1;
    }

    /// Puts back an item before the one that was read last.
    fn backup2(&mut self, item: Item) {
        self.tree.tokens[1] = Some(item);
        self.tree.peeked = 2;
    }

    fn backup3(&mut self, second: Item, first: Item) {
        self.tree.tokens[1] = Some(first);
        self.tree.tokens[2] = Some(second);
        self.tree.peeked = 3;
    }

    fn peek(&mut self) -> &Item {
        if self.tree.peeked == 0 {
            self.tree.peeked = 1;
            self.tree.tokens[0] = Some(self.lexer.next_item());
        }
        self.tree.tokens[self.tree.peeked - 1]
            .as_ref()
            .expect("looked-ahead items are there")
    }

    fn next_non_space(&mut self) -> Item {
        loop {
            let item = self.next();
            if item.kind != Kind::Space {
                return item;
            }
        }
    }

    fn peek_non_space(&mut self) -> Item {
        let item = self.next_non_space();
        self.backup();
        item
    }

    fn expect(&mut self, kind: Kind, context: &str) -> Result<Item> {
        let item = self.next_non_space();
        if item.kind == kind {
            Ok(item)
        } else {
            self.unexpected(&item, context)
        }
    }

    fn text(&self, item: &Item) -> &[u8] {
        &self.source.text[item.pos..item.end]
    }

    /// An item as messages show it.
    fn describe(&self, item: &Item) -> String {
        let text = String::from_utf8_lossy(self.text(item));
        match item.kind {
            Kind::Eof => "EOF".to_owned(),
            Kind::Error => item.error.as_deref().unwrap_or_default().to_owned(),
            Kind::Keyword(_) | Kind::Dot | Kind::Nil => format!("<{text}>"),
            _ => {
                let long = item.end - item.pos > 10;
                let shown: String = if long {
                    text.chars().take(10).collect()
                } else {
                    text.into_owned()
                };
                let quoted = quote(shown);
                format!(
                    "{}{}",
                    String::from_utf8_lossy(&quoted),
                    if long { "..." } else { "" }
                )
            }
        }
    }

    fn unexpected<T>(&self, item: &Item, context: &str) -> Result<T> {
        let shown = self.describe(item);
        if item.kind != Kind::Error {
            return self.error(format_args!("unexpected {shown} in {context}"));
        }
        let line = self.tree.action_line;
        if line == 0 || line == item.line {
            return self.error(shown);
        }
        let joint = if shown.ends_with(" action") {
            ""
        } else {
            " in action"
        };
        self.error(format_args!(
            "{shown}{joint} started at {}:{line}",
            self.source.name
        ))
    }

    fn symbol(&mut self, name: &Str) -> u32 {
        let next = u32::try_from(self.symbols.len()).unwrap_or(u32::MAX);
        *self.symbols.entry(name.clone()).or_insert(next)
    }

    /// `declarations? command ('|' command)*` up to the item `end`.
    fn pipeline(&mut self, context: &str, end: Kind) -> Result<Pipe> {
        let mut pipe = Pipe {
            pos: self.peek_non_space().pos,
            assign: false,
            decl: Vec::new(),
            cmds: Vec::new(),
        };
        while self.declaration(&mut pipe, context)? {}
        loop {
            let item = self.next_non_space();
            match item.kind {
                kind if kind == end => break,
                Kind::Bool
                | Kind::CharConstant
                | Kind::Complex
                | Kind::Dot
                | Kind::Field
                | Kind::Identifier
                | Kind::Number
                | Kind::Nil
                | Kind::RawString
                | Kind::String
                | Kind::Variable
                | Kind::LeftParen => {
                    self.backup();
                    let command = self.command()?;
                    pipe.cmds.push(command);
                }
                _ => return self.unexpected(&item, context),
            }
        }
        self.check_pipeline(&pipe, context)?;
        Ok(pipe)
    }

    /// Reads one `$x :=` or `$x,`. True if another may follow.
    fn declaration(&mut self, pipe: &mut Pipe, context: &str) -> Result<bool> {
        let variable = self.peek_non_space();
        if variable.kind != Kind::Variable {
            return Ok(false);
        }
        self.next();
        // In "$x foo" it takes "foo" to know that $x is an argument, and the space before it has to come back then.
        let after = self.peek().clone();
        let next = self.peek_non_space();
        let comma = next.kind == Kind::Char && self.text(&next) == b",";
        if matches!(next.kind, Kind::Assign | Kind::Declare) || comma {
            self.next_non_space();
            let name = Str::from(self.text(&variable));
            let symbol = self.symbol(&name);
            self.tree.vars.push(name.clone());
            pipe.decl.push(VarName { name, symbol });
            if !comma {
                pipe.assign = next.kind == Kind::Assign;
                return Ok(false);
            }
            if context == "range" && pipe.decl.len() < 2 {
                return match self.peek_non_space().kind {
                    Kind::Variable | Kind::RightDelim | Kind::RightParen => Ok(true),
                    _ => self.error("range can only initialize variables"),
                };
            }
            return self.error(format_args!("too many declarations in {context}"));
        }
        if after.kind == Kind::Space {
            self.backup3(variable, after);
        } else {
            self.backup2(variable);
        }
        Ok(false)
    }

    fn check_pipeline(&self, pipe: &Pipe, context: &str) -> Result<()> {
        if pipe.cmds.is_empty() {
            return self.error(format_args!("missing value for {context}"));
        }
        for (index, command) in pipe.cmds.iter().enumerate().skip(1) {
            if matches!(
                command.args[0],
                Expr::Bool { .. }
                    | Expr::Dot { .. }
                    | Expr::Nil { .. }
                    | Expr::Number { .. }
                    | Expr::String { .. }
            ) {
                return self.error(format_args!(
                    "non executable command in pipeline stage {}",
                    index + 1
                ));
            }
        }
        Ok(())
    }

    /// Operands up to a pipe or the end of the pipeline. The pipe is consumed.
    fn command(&mut self) -> Result<Command> {
        let mut command = Command {
            pos: self.peek_non_space().pos,
            args: Vec::new(),
        };
        loop {
            self.peek_non_space();
            if let Some(operand) = self.operand()? {
                command.args.push(operand);
            }
            let item = self.next();
            match item.kind {
                Kind::Space => continue,
                Kind::RightDelim | Kind::RightParen => self.backup(),
                Kind::Pipe => {}
                _ => return self.unexpected(&item, "operand"),
            }
            break;
        }
        if command.args.is_empty() {
            self.error("empty command")
        } else {
            Ok(command)
        }
    }

    /// A term and the fields after it.
    fn operand(&mut self) -> Result<Option<Expr>> {
        let Some(term) = self.term()? else {
            return Ok(None);
        };
        if self.peek().kind != Kind::Field {
            return Ok(Some(term));
        }
        let chain_pos = self.peek().pos;
        let mut fields = Vec::new();
        while self.peek().kind == Kind::Field {
            let item = self.next();
            fields.push(Str::from(&self.text(&item)[1..]));
        }
        Ok(Some(match term {
            Expr::Field { mut names, .. } => {
                names.append(&mut fields);
                Expr::Field {
                    pos: chain_pos,
                    names,
                }
            }
            Expr::Variable { var, mut names, .. } => {
                names.append(&mut fields);
                Expr::Variable {
                    pos: chain_pos,
                    var,
                    names,
                }
            }
            Expr::Bool { .. }
            | Expr::String { .. }
            | Expr::Number { .. }
            | Expr::Nil { .. }
            | Expr::Dot { .. } => {
                let mut shown = Vec::new();
                term.write(&mut shown);
                let quoted = quote(shown);
                return self.error(format_args!(
                    "unexpected . after term {}",
                    String::from_utf8_lossy(&quoted)
                ));
            }
            other => Expr::Chain {
                pos: chain_pos,
                node: Box::new(other),
                names: fields,
            },
        }))
    }

    /// A literal, function, variable, field or parenthesis. `None` if the next item is none of them.
    fn term(&mut self) -> Result<Option<Expr>> {
        let item = self.next_non_space();
        let pos = item.pos;
        Ok(Some(match item.kind {
            Kind::Identifier => {
                let name = String::from_utf8_lossy(self.text(&item));
                match self.funcs.find(&name) {
                    Some(function) => Expr::Function { pos, function },
                    None => return self.error(format_args!("function {name:?} not defined")),
                }
            }
            Kind::Dot => Expr::Dot { pos },
            Kind::Nil => Expr::Nil { pos },
            Kind::Variable => return self.use_variable(&item).map(Some),
            Kind::Field => Expr::Field {
                pos,
                names: vec![Str::from(&self.text(&item)[1..])],
            },
            Kind::Bool => Expr::Bool {
                pos,
                value: self.text(&item) == b"true",
            },
            Kind::CharConstant | Kind::Complex | Kind::Number => {
                match Number::parse(self.text(&item), item.kind) {
                    Ok(number) => Expr::Number {
                        pos,
                        number: Box::new(number),
                    },
                    Err(message) => return self.error(message),
                }
            }
            Kind::LeftParen => {
                let pipe = self.nested("max expression depth exceeded", |parser| {
                    parser.pipeline("parenthesized pipeline", Kind::RightParen)
                })?;
                Expr::Pipe(Box::new(pipe))
            }
            Kind::String | Kind::RawString => {
                let text = self.unquote(&item)?;
                Expr::String {
                    pos,
                    quoted: Str::from(self.text(&item)),
                    text,
                }
            }
            _ => {
                self.backup();
                return Ok(None);
            }
        }))
    }

    fn unquote(&self, item: &Item) -> Result<Str> {
        match unquote(self.text(item)) {
            Some(text) => Ok(Str::from(text)),
            None => self.error("invalid syntax"),
        }
    }

    fn use_variable(&mut self, item: &Item) -> Result<Expr> {
        let name = Str::from(self.text(item));
        if !self.tree.vars.contains(&name) {
            return self.error(format_args!(
                "undefined variable {}",
                String::from_utf8_lossy(&quote(&name))
            ));
        }
        let symbol = self.symbol(&name);
        Ok(Expr::Variable {
            pos: item.pos,
            var: VarName { name, symbol },
            names: Vec::new(),
        })
    }

    /// Goes one level down, within the limit and with enough stack.
    fn nested<T>(
        &mut self,
        too_deep: &str,
        parse: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<T> {
        if self.nesting >= MAX_NESTING {
            return self.error(too_deep);
        }
        self.nesting += 1;
        let result = with_stack(|| parse(self));
        self.nesting -= 1;
        result
    }
}

#[cfg(test)]
mod tests;
