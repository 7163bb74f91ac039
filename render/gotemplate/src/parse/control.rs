//! Blocks: files, definitions, `if`, `with`, `range` and the rest.

use std::sync::Arc;

use super::ast::{Branch, Node, Template};
use super::{Item, Keyword, Kind, ParseError, Parsed, Parser, Result, Terminator};
use crate::strconv::quote;
use crate::value::Str;

impl Parser<'_> {
    /// The whole file: as a list, but with definitions between.
    pub(super) fn file(&mut self) -> Result<()> {
        let mut root = Vec::new();
        loop {
            match self.peek().kind {
                Kind::Eof => break,
                Kind::LeftDelim => {
                    let delim = self.next();
                    if self.next_non_space().kind == Kind::Keyword(Keyword::Define) {
                        self.definition()?;
                        continue;
                    }
                    self.backup2(delim);
                }
                _ => {}
            }
            match self.text_or_action()? {
                Parsed::Node(node) => root.push(node),
                Parsed::Terminator(terminator) => {
                    return self.error(format_args!("unexpected {}", terminator.text()));
                }
            }
        }
        let name = self.source.name.clone();
        self.add(name, root)
    }

    /// `{{define "name"}} … {{end}}`; `define` has been read.
    fn definition(&mut self) -> Result<()> {
        const CONTEXT: &str = "define clause";
        self.in_new_tree(|parser| {
            let item = parser.next_non_space();
            let name = parser.template_name(&item, CONTEXT)?;
            parser.expect(Kind::RightDelim, CONTEXT)?;
            parser.definition_body(name, CONTEXT)
        })
    }

    fn definition_body(&mut self, name: Str, context: &str) -> Result<()> {
        let (root, terminator) = self.list()?;
        if terminator == Terminator::Else {
            return self.error(format_args!(
                "unexpected {} in {context}",
                terminator.text()
            ));
        }
        self.add(name, root)
    }

    fn in_new_tree<T>(&mut self, parse: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let outer = std::mem::take(&mut self.tree);
        let result = self.nested("max nesting depth exceeded", parse);
        self.tree = outer;
        result
    }

    /// Adds a template of the file. An empty one may be defined again.
    fn add(&mut self, name: Str, root: Vec<Node>) -> Result<()> {
        let empty = root.iter().all(|node| self.is_empty(node));
        if self.trees.get(&name).is_some_and(|old| !old.empty) {
            if empty {
                return Ok(());
            }
            let quoted = quote(&name);
            return self.error(format_args!(
                "template: multiple definition of template {}",
                String::from_utf8_lossy(&quoted)
            ));
        }
        let template = Template {
            name: name.clone(),
            source: Arc::clone(&self.source),
            root,
            empty,
        };
        self.trees.insert(name, Arc::new(template));
        Ok(())
    }

    fn is_empty(&self, node: &Node) -> bool {
        match node {
            Node::Text { pos, end } => String::from_utf8_lossy(&self.source.text[*pos..*end])
                .trim()
                .is_empty(),
            _ => false,
        }
    }

    /// Text and actions up to `{{end}}` or `{{else}}`.
    fn list(&mut self) -> Result<(Vec<Node>, Terminator)> {
        let mut nodes = Vec::new();
        while self.peek_non_space().kind != Kind::Eof {
            match self.text_or_action()? {
                Parsed::Node(node) => nodes.push(node),
                Parsed::Terminator(terminator) => return Ok((nodes, terminator)),
            }
        }
        self.error("unexpected EOF")
    }

    fn text_or_action(&mut self) -> Result<Parsed> {
        let item = self.next_non_space();
        match item.kind {
            Kind::Text => Ok(Parsed::Node(Node::Text {
                pos: item.pos,
                end: item.end,
            })),
            Kind::LeftDelim => {
                self.tree.action_line = item.line;
                let parsed = self.action()?;
                self.tree.action_line = 0;
                Ok(parsed)
            }
            _ => self.unexpected(&item, "input"),
        }
    }

    /// What follows `{{`.
    fn action(&mut self) -> Result<Parsed> {
        let item = self.next_non_space();
        let Kind::Keyword(keyword) = item.kind else {
            return self.pipeline_action();
        };
        Ok(Parsed::Node(match keyword {
            Keyword::Block => self.block()?,
            Keyword::Break => self.loop_control(&item, "{{break}}")?,
            Keyword::Continue => self.loop_control(&item, "{{continue}}")?,
            Keyword::Else => return self.else_control(),
            Keyword::End => {
                self.expect(Kind::RightDelim, "end")?;
                return Ok(Parsed::Terminator(Terminator::End));
            }
            Keyword::If => Node::If(self.branch("if")?),
            Keyword::Range => Node::Range(self.branch("range")?),
            Keyword::With => Node::With(self.branch("with")?),
            Keyword::Template => self.template()?,
            Keyword::Define => return self.pipeline_action(),
        }))
    }

    /// An action that is no keyword. Variables that it declares stay until the block ends.
    fn pipeline_action(&mut self) -> Result<Parsed> {
        self.backup();
        let pos = self.peek().pos;
        let pipe = self.pipeline("command", Kind::RightDelim)?;
        Ok(Parsed::Node(Node::Action { pos, pipe }))
    }

    /// `{{break}}` and `{{continue}}`.
    fn loop_control(&mut self, keyword: &Item, context: &str) -> Result<Node> {
        let item = self.next_non_space();
        if item.kind != Kind::RightDelim {
            return self.unexpected(&item, context);
        }
        if self.tree.range_depth == 0 {
            return self.error(format_args!("{context} outside {{{{range}}}}"));
        }
        let pos = keyword.pos;
        Ok(if context == "{{break}}" {
            Node::Break { pos }
        } else {
            Node::Continue { pos }
        })
    }

    /// `{{else}}`; of `{{else if` and `{{else with` the keyword stays for the branch to see.
    fn else_control(&mut self) -> Result<Parsed> {
        let next = self.peek_non_space();
        if !matches!(next.kind, Kind::Keyword(Keyword::If | Keyword::With)) {
            self.expect(Kind::RightDelim, "else")?;
        }
        Ok(Parsed::Terminator(Terminator::Else))
    }

    /// `if`, `with` or `range` with its blocks.
    fn branch(&mut self, context: &str) -> Result<Branch> {
        let vars = self.tree.vars.len();
        let branch = self.nested("max nesting depth exceeded", |parser| {
            parser.branch_body(context)
        })?;
        self.tree.vars.truncate(vars);
        Ok(branch)
    }

    fn branch_body(&mut self, context: &str) -> Result<Branch> {
        let pipe = self.pipeline(context, Kind::RightDelim)?;
        let is_range = usize::from(context == "range");
        self.tree.range_depth += is_range;
        let (list, terminator) = self.list()?;
        self.tree.range_depth -= is_range;
        let else_list = match terminator {
            Terminator::End => None,
            Terminator::Else => Some(self.else_list(context)?),
        };
        Ok(Branch {
            pos: pipe.pos,
            pipe,
            list,
            else_list,
        })
    }

    /// After `{{else`. An `else if` takes the rest, the `{{end}}` included.
    fn else_list(&mut self, context: &str) -> Result<Vec<Node>> {
        let keyword = self.peek().kind;
        if context == "if" && keyword == Kind::Keyword(Keyword::If) {
            self.next();
            return Ok(vec![Node::If(self.branch("if")?)]);
        }
        if context == "with" && keyword == Kind::Keyword(Keyword::With) {
            self.next();
            return Ok(vec![Node::With(self.branch("with")?)]);
        }
        let (list, terminator) = self.list()?;
        if terminator == Terminator::Else {
            return self.error(format_args!("expected end; found {}", terminator.text()));
        }
        Ok(list)
    }

    /// `{{block "name" pipeline}} … {{end}}`: a definition, and its use in the same place.
    fn block(&mut self) -> Result<Node> {
        const CONTEXT: &str = "block clause";
        let item = self.next_non_space();
        let name = self.template_name(&item, CONTEXT)?;
        let pipe = self.pipeline(CONTEXT, Kind::RightDelim)?;
        self.in_new_tree(|parser| parser.definition_body(name.clone(), CONTEXT))?;
        Ok(Node::Template {
            pos: item.pos,
            name,
            pipe: Some(pipe),
        })
    }

    /// `{{template "name" pipeline?}}`
    fn template(&mut self) -> Result<Node> {
        const CONTEXT: &str = "template clause";
        let item = self.next_non_space();
        let name = self.template_name(&item, CONTEXT)?;
        let mut pipe = None;
        if self.next_non_space().kind != Kind::RightDelim {
            self.backup();
            pipe = Some(self.pipeline(CONTEXT, Kind::RightDelim)?);
        }
        Ok(Node::Template {
            pos: item.pos,
            name,
            pipe,
        })
    }

    fn template_name(&mut self, item: &Item, context: &str) -> Result<Str, ParseError> {
        match item.kind {
            Kind::String | Kind::RawString => self.unquote(item),
            _ => self.unexpected(item, context),
        }
    }
}
