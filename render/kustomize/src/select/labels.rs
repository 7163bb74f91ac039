//! Label selectors, with the grammar and the errors of Kubernetes.

use crate::error::{Error, Result};

/// Longest name part of a key, and longest value, that Kubernetes takes.
const MAX_NAME: usize = 63;
/// Longest prefix of a key that Kubernetes takes.
const MAX_PREFIX: usize = 253;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LabelSelector {
    requirements: Vec<Requirement>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Requirement {
    key: String,
    operator: Operator,
    values: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    In,
    NotIn,
    Exists,
    Absent,
    Greater,
    Less,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    End,
    Close,
    Comma,
    Not,
    Equals,
    NotEquals,
    Greater,
    Less,
    In,
    NotIn,
    Open,
    Word(String),
    Unknown(String),
}

impl Token {
    fn literal(&self) -> &str {
        match self {
            Token::End => "",
            Token::Close => ")",
            Token::Comma => ",",
            Token::Not => "!",
            Token::Equals => "=",
            Token::NotEquals => "!=",
            Token::Greater => ">",
            Token::Less => "<",
            Token::In => "in",
            Token::NotIn => "notin",
            Token::Open => "(",
            Token::Word(text) | Token::Unknown(text) => text,
        }
    }

    /// In a place for values, the words for sets are values like any other.
    fn into_word(self) -> Token {
        match self {
            Token::In | Token::NotIn => Token::Word(self.literal().to_owned()),
            other => other,
        }
    }
}

impl LabelSelector {
    pub(crate) fn parse(text: &str) -> Result<LabelSelector> {
        let mut parser = Parser {
            tokens: tokens(text),
            at: 0,
        };
        parser.selector().map_err(Error::invalid)
    }

    /// Whether the labels that `value_of` gives satisfy all requirements.
    pub(crate) fn matches<'v>(&self, value_of: impl Fn(&str) -> Option<&'v str>) -> bool {
        self.requirements.iter().all(|r| {
            let value = value_of(&r.key);
            let number = || {
                Some((
                    value?.parse::<i64>().ok()?,
                    r.values.first()?.parse::<i64>().ok()?,
                ))
            };
            match r.operator {
                Operator::In => value.is_some_and(|v| r.values.iter().any(|wanted| wanted == v)),
                Operator::NotIn => value.is_none_or(|v| r.values.iter().all(|wanted| wanted != v)),
                Operator::Exists => value.is_some(),
                Operator::Absent => value.is_none(),
                Operator::Greater => number().is_some_and(|(have, bound)| have > bound),
                Operator::Less => number().is_some_and(|(have, bound)| have < bound),
            }
        })
    }
}

fn tokens(text: &str) -> Vec<Token> {
    let is_symbol = |c: char| "=!(),><".contains(c);
    let is_space = |c: char| " \t\r\n".contains(c);
    let mut out = Vec::new();
    let mut rest = text.trim_start_matches(is_space);
    while let Some(first) = rest.chars().next() {
        let (token, length) = if is_symbol(first) {
            symbol(rest)
        } else {
            let end = rest
                .find(|c| is_symbol(c) || is_space(c))
                .unwrap_or(rest.len());
            let token = match &rest[..end] {
                "in" => Token::In,
                "notin" => Token::NotIn,
                word => Token::Word(word.to_owned()),
            };
            (token, end)
        };
        out.push(token);
        rest = rest[length..].trim_start_matches(is_space);
    }
    out.push(Token::End);
    out
}

fn symbol(text: &str) -> (Token, usize) {
    let known = [
        ("==", Token::Equals),
        ("!=", Token::NotEquals),
        ("=", Token::Equals),
        ("!", Token::Not),
        ("(", Token::Open),
        (")", Token::Close),
        (",", Token::Comma),
        (">", Token::Greater),
        ("<", Token::Less),
    ];
    let found = known
        .into_iter()
        .find(|(symbol, _)| text.starts_with(symbol));
    found.map_or_else(
        || (Token::Unknown(text.to_owned()), text.len()),
        |(symbol, token)| (token, symbol.len()),
    )
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
}

impl Parser {
    fn peek(&self) -> Token {
        self.tokens.get(self.at).cloned().unwrap_or(Token::End)
    }

    fn next(&mut self) -> Token {
        let token = self.peek();
        self.at += 1;
        token
    }

    fn selector(&mut self) -> std::result::Result<LabelSelector, String> {
        let mut requirements = Vec::new();
        loop {
            match self.peek().into_word() {
                Token::Word(_) | Token::Not => {}
                Token::End => break,
                other => {
                    return Err(format!(
                        "found '{}', expected: !, identifier, or 'end of string'",
                        other.literal()
                    ));
                }
            }
            requirements.push(
                self.requirement()
                    .map_err(|e| format!("unable to parse requirement: {e}"))?,
            );
            match self.next().into_word() {
                Token::End => break,
                Token::Comma => match self.peek().into_word() {
                    Token::Word(_) | Token::Not => {}
                    other => {
                        return Err(format!(
                            "found '{}', expected: identifier after ','",
                            other.literal()
                        ));
                    }
                },
                other => {
                    return Err(format!(
                        "found '{}', expected: ',' or 'end of string'",
                        other.literal()
                    ));
                }
            }
        }
        Ok(LabelSelector { requirements })
    }

    fn requirement(&mut self) -> std::result::Result<Requirement, String> {
        let negated = self.peek() == Token::Not;
        if negated {
            self.next();
        }
        let key = match self.next().into_word() {
            Token::Word(key) => key,
            other => return Err(format!("found '{}', expected: identifier", other.literal())),
        };
        check_key(&key)?;
        if negated {
            return Ok(Requirement {
                key,
                operator: Operator::Absent,
                values: Vec::new(),
            });
        }
        if matches!(self.peek(), Token::End | Token::Comma) {
            return Ok(Requirement {
                key,
                operator: Operator::Exists,
                values: Vec::new(),
            });
        }
        let (operator, values) = match self.next() {
            Token::In => (Operator::In, self.values()?),
            Token::NotIn => (Operator::NotIn, self.values()?),
            Token::Equals => (Operator::In, vec![self.value()?]),
            Token::NotEquals => (Operator::NotIn, vec![self.value()?]),
            Token::Greater => (Operator::Greater, vec![self.value()?]),
            Token::Less => (Operator::Less, vec![self.value()?]),
            other => {
                return Err(format!(
                    "found '{}', expected: '=', '!=', '==', 'in', notin'",
                    other.literal()
                ));
            }
        };
        let is_bound = matches!(operator, Operator::Greater | Operator::Less);
        if is_bound && values[0].parse::<i64>().is_err() {
            return Err("for 'Gt', 'Lt' operators, the value must be an integer".to_owned());
        }
        values
            .iter()
            .try_for_each(|value| check_value(&key, value))?;
        Ok(Requirement {
            key,
            operator,
            values,
        })
    }

    fn value(&mut self) -> std::result::Result<String, String> {
        match self.peek().into_word() {
            Token::End | Token::Comma => Ok(String::new()),
            Token::Word(word) => {
                self.next();
                Ok(word)
            }
            other => Err(format!("found '{}', expected: identifier", other.literal())),
        }
    }

    fn values(&mut self) -> std::result::Result<Vec<String>, String> {
        let open = self.next();
        if open != Token::Open {
            return Err(format!(
                "found '{}' expected: '('",
                open.into_word().literal()
            ));
        }
        let mut out = Vec::new();
        let mut wants_value = true;
        loop {
            match self.next().into_word() {
                Token::Word(word) if wants_value => {
                    out.push(word);
                    wants_value = false;
                }
                Token::Comma => {
                    if wants_value {
                        out.push(String::new());
                    }
                    wants_value = true;
                }
                Token::Close => {
                    if wants_value {
                        out.push(String::new());
                    }
                    return Ok(out);
                }
                other => return Err(format!("found '{}', expected: ',' or ')'", other.literal())),
            }
        }
    }
}

fn is_name(text: &str) -> bool {
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    text.len() <= MAX_NAME
        && edge(text.chars().next())
        && edge(text.chars().last())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
}

fn is_subdomain(text: &str) -> bool {
    let label = |l: &str| {
        !l.is_empty()
            && !l.starts_with('-')
            && !l.ends_with('-')
            && l.chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
    };
    text.len() <= MAX_PREFIX && text.split('.').all(label)
}

fn check_key(key: &str) -> std::result::Result<(), String> {
    let good = match key.split_once('/') {
        Some((prefix, name)) => is_subdomain(prefix) && is_name(name),
        None => is_name(key),
    };
    if good {
        return Ok(());
    }
    Err(format!(
        "invalid label key {key:?}: name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an \
         alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is \
         '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
    ))
}

fn check_value(key: &str, value: &str) -> std::result::Result<(), String> {
    if value.is_empty() || is_name(value) {
        return Ok(());
    }
    Err(format!(
        "invalid label value: {value:?}: at key: {key:?}: a valid label must be an empty string or consist of alphanumeric characters, \
         '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex \
         used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(selector: &str) -> bool {
        let labels = [("app", "web"), ("tier", "1"), ("in", "x")];
        let find = |key: &str| labels.iter().find(|(k, _)| *k == key).map(|(_, v)| *v);
        LabelSelector::parse(selector).unwrap().matches(find)
    }

    #[test]
    fn every_operator() {
        for yes in [
            "",
            "app",
            "app=web",
            "app==web",
            "app!=db",
            "!gone",
            "app in (web, db)",
            "app notin (db)",
            "tier>0",
            "tier<2",
            "x notin (a)",
            "app,tier=1",
            "in=x",
            "gone!=a",
        ] {
            assert!(matches(yes), "{yes}");
        }
        for no in [
            "gone",
            "app=db",
            "app!=web",
            "!app",
            "app in (db)",
            "app notin (web)",
            "tier>1",
            "app=web,gone",
            "app=",
        ] {
            assert!(!matches(no), "{no}");
        }
    }

    #[test]
    fn wrong_selectors_fail_with_the_words_of_kubernetes() {
        let error = |text| LabelSelector::parse(text).unwrap_err().to_string();
        assert_eq!(
            error("app web"),
            "unable to parse requirement: found 'web', expected: '=', '!=', '==', 'in', notin'"
        );
        assert_eq!(error("app,"), "found '', expected: identifier after ','");
        assert!(error("a$b=c").contains("invalid label key \"a$b\""));
        assert!(error("a=b/c").contains("invalid label value: \"b/c\""));
    }
}
