//! The grammar: text, and expressions in `${}`.

use crate::error::Error;
use crate::limits::MAX_NESTING;
use crate::scan::{Accept, Mode, Scanner, Token};

/// A part of the text.
#[derive(Debug)]
pub(crate) enum Part {
    Text(String),
    Expression(Expression),
}

/// `${name operator arguments}`
#[derive(Debug)]
pub(crate) struct Expression {
    pub(crate) name: String,
    /// As written; empty where the value is taken as it is.
    pub(crate) operator: String,
    pub(crate) arguments: Vec<Part>,
}

const TEXT: Mode = Mode {
    text: true,
    open: false,
    close: false,
    dollar_escape: false,
    backslash_escape: false,
};
const ARGUMENT: Mode = Mode { open: true, ..TEXT };
const ESCAPED_ARGUMENT: Mode = Mode {
    dollar_escape: true,
    backslash_escape: true,
    ..ARGUMENT
};

pub(crate) fn parse(text: &str) -> Result<Vec<Part>, Error> {
    let mut parser = Parser {
        scanner: Scanner::new(text),
        depth: 0,
    };
    let mode = Mode {
        dollar_escape: true,
        ..ARGUMENT
    };
    let mut parts = Vec::new();
    loop {
        match parser.scanner.scan(|_, _| true, mode) {
            Token::Text(text) => parts.push(Part::Text(text)),
            Token::Open => parts.push(Part::Expression(parser.expression()?)),
            Token::End => return Ok(parts),
            Token::Close | Token::Illegal => return Err(Error::BadSubstitution),
        }
    }
}

struct Parser<'t> {
    scanner: Scanner<'t>,
    depth: usize,
}

impl Parser<'_> {
    /// What follows `${`.
    fn expression(&mut self) -> Result<Expression, Error> {
        self.depth += 1;
        if self.depth > MAX_NESTING {
            return Err(Error::TooDeep { limit: MAX_NESTING });
        }
        let expression = self.expression_inside();
        self.depth -= 1;
        expression
    }

    fn expression_inside(&mut self) -> Result<Expression, Error> {
        if self.scanner.peek() == Some('#') {
            return self.length();
        }
        let name = self.text(is_name, Error::VariableName)?;
        match self.scanner.peek() {
            Some(':') => self.default_or_substring(name),
            Some('=') => self.default(name, |c, length| length == 1 && c == '='),
            Some(',' | '^') => {
                let operator = self.text(
                    |c, length| matches!(c, ',' | '^') && length < 3,
                    Error::BadSubstitution,
                )?;
                self.closed(Expression {
                    name,
                    operator,
                    arguments: Vec::new(),
                })
            }
            Some('/') => self.replace(name),
            Some('#') => self.remove(name, |c, length| c == '#' && length < 3),
            Some('%') => self.remove(name, |c, length| c == '%' && length < 3),
            _ => match self.scanner.scan(
                is_name,
                Mode {
                    close: true,
                    ..Mode::default()
                },
            ) {
                Token::Close => Ok(Expression {
                    name,
                    operator: String::new(),
                    arguments: Vec::new(),
                }),
                _ => Err(Error::MissingClosingBrace),
            },
        }
    }

    /// `${#name}`
    fn length(&mut self) -> Result<Expression, Error> {
        let operator = self.text(|c, length| c == '#' && length == 1, Error::BadSubstitution)?;
        let name = self.text(is_name, Error::BadSubstitution)?;
        self.closed(Expression {
            name,
            operator,
            arguments: Vec::new(),
        })
    }

    fn default_or_substring(&mut self, name: String) -> Result<Expression, Error> {
        match self.scanner.peek_second() {
            Some('=' | '-' | '?' | '+') => self.default(name, |c, length| match length {
                1 => c == ':',
                2 => matches!(c, '=' | '-' | '?' | '+'),
                _ => false,
            }),
            Some(c) if c.is_ascii() => self.substring(name),
            // Flux loses its place here.
            _ => Err(Error::BadSubstitution),
        }
    }

    /// `${name:-text}`, where the text may hold expressions.
    fn default(&mut self, name: String, operator: Accept) -> Result<Expression, Error> {
        let operator = self.text(operator, Error::DefaultFunction)?;
        let mut arguments = Vec::new();
        while self.scanner.peek() != Some('}') {
            arguments.push(self.argument(|c, _| c != '}', ARGUMENT)?);
        }
        self.closed(Expression {
            name,
            operator,
            arguments,
        })
    }

    /// `${name:offset}` and `${name:offset:length}`
    fn substring(&mut self, name: String) -> Result<Expression, Error> {
        let operator = self.text(|c, length| c == ':' && length == 1, Error::BadSubstitution)?;
        let offset = self.argument(|c, _| c != ':' && c != '}', ARGUMENT)?;
        match self.scanner.scan(
            |c, _| c == ':',
            Mode {
                close: true,
                ..TEXT
            },
        ) {
            Token::Close => Ok(Expression {
                name,
                operator,
                arguments: vec![offset],
            }),
            Token::Text(_) => {
                let length = self.argument(|c, _| c != '}', ARGUMENT)?;
                self.closed(Expression {
                    name,
                    operator,
                    arguments: vec![offset, length],
                })
            }
            _ => Err(Error::BadSubstitution),
        }
    }

    /// `${name#pattern}` and its kin.
    fn remove(&mut self, name: String, operator: Accept) -> Result<Expression, Error> {
        let operator = self.text(operator, Error::BadSubstitution)?;
        let arguments = vec![self.argument(|c, _| c != '}', ARGUMENT)?];
        self.closed(Expression {
            name,
            operator,
            arguments,
        })
    }

    /// `${name/text/other}` and its kin.
    fn replace(&mut self, name: String) -> Result<Expression, Error> {
        let operator = self.text(
            |c, length| match length {
                1 => c == '/',
                2 => matches!(c, '/' | '#' | '%'),
                _ => false,
            },
            Error::BadSubstitution,
        )?;
        let mut arguments = vec![self.argument(|c, _| c != '/', ESCAPED_ARGUMENT)?];
        self.text(|c, _| c == '/', Error::BadSubstitution)?;
        if self.scanner.peek() != Some('}') {
            arguments.push(self.argument(|c, _| c != '}', ESCAPED_ARGUMENT)?);
        }
        self.closed(Expression {
            name,
            operator,
            arguments,
        })
    }

    /// Text, or one expression.
    fn argument(&mut self, accept: Accept, mode: Mode) -> Result<Part, Error> {
        match self.scanner.scan(accept, mode) {
            Token::Open => Ok(Part::Expression(self.expression()?)),
            Token::Text(text) => Ok(Part::Text(text)),
            _ => Err(Error::FunctionArgument),
        }
    }

    fn text(&mut self, accept: Accept, otherwise: Error) -> Result<String, Error> {
        match self.scanner.scan(accept, TEXT) {
            Token::Text(text) => Ok(text),
            _ => Err(otherwise),
        }
    }

    fn closed(&mut self, expression: Expression) -> Result<Expression, Error> {
        match self.scanner.scan(
            |_, _| false,
            Mode {
                close: true,
                ..Mode::default()
            },
        ) {
            Token::Close => Ok(expression),
            _ => Err(Error::BadSubstitution),
        }
    }
}

fn is_name(c: char, _: usize) -> bool {
    c == '_' || c.is_alphanumeric()
}
