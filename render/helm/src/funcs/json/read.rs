//! JSON to values, with Go's words for what is no JSON.

use capstan_gotemplate::strconv::{decode_rune, push_rune};
use capstan_gotemplate::{Map, Str, Value};

/// Depth of JSON that Go takes.
const MAX_DEPTH: usize = 10_000;

/// Go's words about a text that is no JSON.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum JsonError {
    #[error("unexpected end of JSON input")]
    End,
    #[error("invalid character {shown} {context}")]
    Character {
        shown: String,
        context: &'static str,
    },
    #[error("exceeded max depth")]
    Depth,
    #[error("json: cannot unmarshal number {0} into Go value of type float64")]
    Number(String),
}

/// `json.Unmarshal` into an empty interface: numbers are `float64`.
pub(crate) fn parse(text: &[u8]) -> Result<Value, JsonError> {
    let mut reader = Reader { text, pos: 0 };
    reader.space();
    let value = reader.document()?;
    reader.space();
    match reader.peek() {
        None => Ok(value),
        Some(_) => Err(reader.bad("after top-level value")),
    }
}

struct Reader<'t> {
    text: &'t [u8],
    pos: usize,
}

/// A list or object that is being read. Kept on the heap, so that depth costs no stack.
enum Open {
    List(Vec<Value>),
    Object(Vec<(Str, Value)>, Str),
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.pos).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.pos += 1;
        }
    }

    /// An error about the character here, or the end.
    fn bad(&self, context: &'static str) -> JsonError {
        let Some(byte) = self.peek() else {
            return JsonError::End;
        };
        let shown = match byte {
            b'\'' => r"'\''".to_owned(),
            b'"' => "'\"'".to_owned(),
            byte => {
                // Go shows the byte as if it were a character.
                let quoted = capstan_gotemplate::strconv::quote(char::from(byte).to_string());
                let quoted = String::from_utf8_lossy(&quoted);
                format!("'{}'", &quoted[1..quoted.len() - 1])
            }
        };
        JsonError::Character { shown, context }
    }

    fn document(&mut self) -> Result<Value, JsonError> {
        let mut open: Vec<Open> = Vec::new();
        loop {
            let mut value = match self.peek() {
                Some(b'[') => {
                    self.pos += 1;
                    self.space();
                    if self.peek() != Some(b']') {
                        push(&mut open, Open::List(Vec::new()))?;
                        continue;
                    }
                    self.pos += 1;
                    Value::list(Vec::new())
                }
                Some(b'{') => {
                    self.pos += 1;
                    self.space();
                    if self.peek() != Some(b'}') {
                        let key = self.key()?;
                        push(&mut open, Open::Object(Vec::new(), key))?;
                        continue;
                    }
                    self.pos += 1;
                    Map::new().into()
                }
                _ => self.scalar()?,
            };
            // A value is complete; perhaps so is what it is in.
            loop {
                let Some(group) = open.pop() else {
                    return Ok(value);
                };
                self.space();
                match self.close(group, value)? {
                    Closed::Open(group) => {
                        open.push(group);
                        break;
                    }
                    Closed::Done(done) => value = done,
                }
            }
        }
    }

    /// Puts a value into its list or object, and sees what follows.
    fn close(&mut self, group: Open, value: Value) -> Result<Closed, JsonError> {
        match group {
            Open::List(mut items) => {
                items.push(value);
                match self.peek() {
                    Some(b',') => {
                        self.pos += 1;
                        self.space();
                        Ok(Closed::Open(Open::List(items)))
                    }
                    Some(b']') => {
                        self.pos += 1;
                        Ok(Closed::Done(Value::list(items)))
                    }
                    _ => Err(self.bad("after array element")),
                }
            }
            Open::Object(mut entries, key) => {
                entries.push((key, value));
                match self.peek() {
                    Some(b',') => {
                        self.pos += 1;
                        self.space();
                        let key = self.key()?;
                        Ok(Closed::Open(Open::Object(entries, key)))
                    }
                    Some(b'}') => {
                        self.pos += 1;
                        Ok(Closed::Done(entries.into_iter().collect::<Map>().into()))
                    }
                    _ => Err(self.bad("after object key:value pair")),
                }
            }
        }
    }

    /// A key and its colon.
    fn key(&mut self) -> Result<Str, JsonError> {
        if self.peek() != Some(b'"') {
            return Err(self.bad("looking for beginning of object key string"));
        }
        let key = self.string()?;
        self.space();
        if self.peek() != Some(b':') {
            return Err(self.bad("after object key"));
        }
        self.pos += 1;
        self.space();
        Ok(key)
    }

    fn scalar(&mut self) -> Result<Value, JsonError> {
        match self.peek() {
            Some(b'"') => self.string().map(Value::String),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word(b"true", Value::Bool(true)),
            Some(b'f') => self.word(b"false", Value::Bool(false)),
            Some(b'n') => self.word(b"null", Value::Nil),
            _ => Err(self.bad("looking for beginning of value")),
        }
    }

    fn word(&mut self, word: &[u8], value: Value) -> Result<Value, JsonError> {
        for (index, byte) in word.iter().enumerate() {
            if self.peek() != Some(*byte) {
                return Err(self.bad(word_context(word, index)));
            }
            self.pos += 1;
        }
        Ok(value)
    }

    fn digits(&mut self) {
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.pos += 1;
        }
    }

    fn number(&mut self) -> Result<Value, JsonError> {
        let start = self.pos;
        if self.peek() == Some(b'-') {
            self.pos += 1;
        }
        match self.peek() {
            Some(b'0') => self.pos += 1,
            Some(b'1'..=b'9') => self.digits(),
            _ => return Err(self.bad("in numeric literal")),
        }
        if self.peek() == Some(b'.') {
            self.pos += 1;
            if !self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
                return Err(self.bad("after decimal point in numeric literal"));
            }
            self.digits();
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.pos += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.pos += 1;
            }
            if !self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
                return Err(self.bad("in exponent of numeric literal"));
            }
            self.digits();
        }
        let text = String::from_utf8_lossy(&self.text[start..self.pos]);
        match text.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(Value::float64(number)),
            _ => Err(JsonError::Number(text.into_owned())),
        }
    }

    fn string(&mut self) -> Result<Str, JsonError> {
        self.pos += 1;
        let mut out = Vec::new();
        loop {
            match self.peek() {
                None => return Err(JsonError::End),
                Some(b'"') => {
                    self.pos += 1;
                    return Ok(Str::from(out));
                }
                Some(b'\\') => {
                    self.pos += 1;
                    self.escape(&mut out)?;
                }
                Some(0..=0x1f) => return Err(self.bad("in string literal")),
                Some(_) => {
                    let (rune, width) = decode_rune(&self.text[self.pos..]);
                    push_rune(&mut out, rune);
                    self.pos += width;
                }
            }
        }
    }

    fn escape(&mut self, out: &mut Vec<u8>) -> Result<(), JsonError> {
        let byte = match self.peek() {
            Some(b'u') => {
                self.pos += 1;
                let rune = self.unicode_escape()?;
                push_rune(out, rune);
                return Ok(());
            }
            Some(b'b') => 0x08,
            Some(b'f') => 0x0c,
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(byte @ (b'"' | b'\\' | b'/')) => byte,
            _ => return Err(self.bad("in string escape code")),
        };
        out.push(byte);
        self.pos += 1;
        Ok(())
    }

    /// Four digits, or two times four of a surrogate pair. Half a pair is U+FFFD.
    fn unicode_escape(&mut self) -> Result<char, JsonError> {
        let first = self.hex4()?;
        if (0xD800..0xDC00).contains(&first) && self.text[self.pos..].starts_with(b"\\u") {
            let before = self.pos;
            self.pos += 2;
            let second = self.hex4()?;
            if (0xDC00..0xE000).contains(&second) {
                let code = 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00);
                return Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            self.pos = before;
        }
        Ok(char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn hex4(&mut self) -> Result<u32, JsonError> {
        let mut code = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|byte| char::from(byte).to_digit(16));
            let Some(digit) = digit else {
                return Err(self.bad("in \\u hexadecimal character escape"));
            };
            code = code * 16 + digit;
            self.pos += 1;
        }
        Ok(code)
    }
}

enum Closed {
    Open(Open),
    Done(Value),
}

fn push(open: &mut Vec<Open>, group: Open) -> Result<(), JsonError> {
    if open.len() >= MAX_DEPTH {
        return Err(JsonError::Depth);
    }
    open.push(group);
    Ok(())
}

fn word_context(word: &[u8], index: usize) -> &'static str {
    match (word, index) {
        (b"true", 1) => "in literal true (expecting 'r')",
        (b"true", 2) => "in literal true (expecting 'u')",
        (b"true", _) => "in literal true (expecting 'e')",
        (b"false", 1) => "in literal false (expecting 'a')",
        (b"false", 2) => "in literal false (expecting 'l')",
        (b"false", 3) => "in literal false (expecting 's')",
        (b"false", _) => "in literal false (expecting 'e')",
        (_, 1) => "in literal null (expecting 'u')",
        _ => "in literal null (expecting 'l')",
    }
}
