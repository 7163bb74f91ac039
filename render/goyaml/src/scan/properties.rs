//! Directives, anchors, aliases and tags.

use std::borrow::Cow;

use super::{Mark, Scanner, Token, TokenKind};
use crate::chars::{is_alpha, is_blank, is_blankz, is_break, is_breakz, width};
use crate::error::Error;

/// Digits of a number in `%YAML`.
const MAX_VERSION_DIGITS: usize = 2;

impl<'a> Scanner<'a> {
    pub(super) fn scan_directive(&mut self) -> Result<Token<'a>, Error> {
        let start = self.mark;
        self.skip();
        let name = self.read_alpha();
        if name.is_empty() {
            return Err(self.error(start, "could not find expected directive name"));
        }
        if !is_blankz(self.src, self.pos()) {
            return Err(self.error(start, "found unexpected non-alphabetical character"));
        }
        let token = match name {
            "YAML" => self.scan_version_directive(start)?,
            "TAG" => self.scan_tag_directive(start)?,
            _ => return Err(self.error(start, "found unknown directive name")),
        };
        self.skip_blanks();
        if self.here() == b'#' {
            self.skip_to_break();
        }
        if !is_breakz(self.src, self.pos()) {
            return Err(self.error(start, "did not find expected comment or line break"));
        }
        if is_break(self.src, self.pos()) {
            self.read_line();
        }
        Ok(token)
    }

    fn read_alpha(&mut self) -> &'a str {
        let from = self.pos();
        while is_alpha(self.here()) {
            self.skip();
        }
        &self.text[from..self.pos()]
    }

    fn scan_version_directive(&mut self, start: Mark) -> Result<Token<'a>, Error> {
        self.skip_blanks();
        let from = self.pos();
        let major = self.scan_version_number(start)?;
        if self.here() != b'.' {
            return Err(self.error(start, "did not find expected digit or '.' character"));
        }
        self.skip();
        let minor = self.scan_version_number(start)?;
        let value = if (major, minor) == (1, 1) {
            Cow::Borrowed("1.1")
        } else {
            Cow::Borrowed(&self.text[from..self.pos()])
        };
        Ok(Token::with(
            TokenKind::VersionDirective,
            start,
            self.mark,
            value,
        ))
    }

    fn scan_version_number(&mut self, start: Mark) -> Result<u8, Error> {
        let (mut value, mut digits) = (0, 0);
        while self.here().is_ascii_digit() {
            digits += 1;
            if digits > MAX_VERSION_DIGITS {
                return Err(self.error(start, "found extremely long version number"));
            }
            value = value * 10 + (self.here() - b'0');
            self.skip();
        }
        if digits == 0 {
            return Err(self.error(start, "did not find expected version number"));
        }
        Ok(value)
    }

    fn scan_tag_directive(&mut self, start: Mark) -> Result<Token<'a>, Error> {
        self.skip_blanks();
        let handle = self.scan_tag_handle(true, start)?;
        if !is_blank(self.src, self.pos()) {
            return Err(self.error(start, "did not find expected whitespace"));
        }
        self.skip_blanks();
        let prefix = self.scan_tag_uri("", start)?;
        if !is_blankz(self.src, self.pos()) {
            return Err(self.error(start, "did not find expected whitespace or line break"));
        }
        let mut token = Token::with(
            TokenKind::TagDirective,
            start,
            self.mark,
            Cow::Borrowed(handle),
        );
        token.suffix = prefix;
        Ok(token)
    }

    pub(super) fn scan_anchor(&mut self, kind: TokenKind) -> Result<Token<'a>, Error> {
        let start = self.mark;
        self.skip();
        let name = self.read_alpha();
        let ends = is_blankz(self.src, self.pos())
            || matches!(
                self.here(),
                b'?' | b':' | b',' | b']' | b'}' | b'%' | b'@' | b'`'
            );
        if name.is_empty() || !ends {
            return Err(self.error(
                start,
                "did not find expected alphabetic or numeric character",
            ));
        }
        Ok(Token::with(kind, start, self.mark, Cow::Borrowed(name)))
    }

    pub(super) fn scan_tag(&mut self) -> Result<Token<'a>, Error> {
        let start = self.mark;
        let (handle, suffix);
        if self.ahead(1) == b'<' {
            self.skip();
            self.skip();
            handle = "";
            suffix = self.scan_tag_uri("", start)?;
            if self.here() != b'>' {
                return Err(self.error(start, "did not find the expected '>'"));
            }
            self.skip();
        } else {
            let head = self.scan_tag_handle(false, start)?;
            if head.len() > 1 && head.ends_with('!') {
                handle = head;
                suffix = self.scan_tag_uri("", start)?;
            } else {
                // "!suffix", or "!" alone, which is the suffix of an empty handle.
                let rest = self.scan_tag_uri(head, start)?;
                (handle, suffix) = if rest.is_empty() {
                    ("", "!".to_owned())
                } else {
                    ("!", rest)
                };
            }
        }
        if !is_blankz(self.src, self.pos()) {
            return Err(self.error(start, "did not find expected whitespace or line break"));
        }
        let mut token = Token::with(TokenKind::Tag, start, self.mark, Cow::Borrowed(handle));
        token.suffix = suffix;
        Ok(token)
    }

    fn scan_tag_handle(&mut self, directive: bool, start: Mark) -> Result<&'a str, Error> {
        if self.here() != b'!' {
            return Err(self.error(start, "did not find expected '!'"));
        }
        let from = self.pos();
        self.skip();
        self.read_alpha();
        if self.here() == b'!' {
            self.skip();
        } else if directive && self.pos() - from != 1 {
            return Err(self.error(start, "did not find expected '!'"));
        }
        Ok(&self.text[from..self.pos()])
    }

    fn scan_tag_uri(&mut self, head: &str, start: Mark) -> Result<String, Error> {
        let mut uri = head.get(1..).unwrap_or_default().to_owned();
        let mut has_tag = !head.is_empty();
        loop {
            match self.here() {
                b'%' => self.scan_uri_escape(&mut uri, start)?,
                c if is_alpha(c) || b";/?:@&=+$,.!~*'()[]".contains(&c) => {
                    uri.push(char::from(c));
                    self.skip();
                }
                _ => break,
            }
            has_tag = true;
        }
        if !has_tag {
            return Err(self.error(start, "did not find expected tag URI"));
        }
        Ok(uri)
    }

    fn scan_uri_escape(&mut self, uri: &mut String, start: Mark) -> Result<(), Error> {
        let mut octets = Vec::with_capacity(4);
        loop {
            let hex = [self.ahead(1), self.ahead(2)].map(|c| char::from(c).to_digit(16));
            let (b'%', [Some(high), Some(low)]) = (self.here(), hex) else {
                return Err(self.error(start, "did not find URI escaped octet"));
            };
            let octet = (high << 4 | low) as u8;
            if octets.is_empty() && ((0x80..0xC0).contains(&octet) || octet >= 0xF8) {
                return Err(self.error(start, "found an incorrect leading UTF-8 octet"));
            }
            if !octets.is_empty() && octet & 0xC0 != 0x80 {
                return Err(self.error(start, "found an incorrect trailing UTF-8 octet"));
            }
            octets.push(octet);
            self.skip_run(3, 3);
            if octets.len() == width(octets[0]) {
                break;
            }
        }
        uri.push_str(&String::from_utf8_lossy(&octets));
        Ok(())
    }
}
