//! Letter case: Go's simple mappings, and the word splitting of `snakecase` and its relatives.

use capstan_gotemplate::strconv::{decode_rune, push_rune};
use unicode_properties::{GeneralCategoryGroup, UnicodeGeneralCategory};

/// `unicode.ToUpper`: one character for one.
pub(super) fn to_upper(rune: char) -> char {
    single(rune.to_uppercase(), rune)
}

/// `unicode.ToLower`: one character for one.
pub(super) fn to_lower(rune: char) -> char {
    if rune == 'İ' {
        'i'
    } else {
        single(rune.to_lowercase(), rune)
    }
}

fn single(mut mapped: impl ExactSizeIterator<Item = char>, rune: char) -> char {
    if mapped.len() == 1 {
        mapped.next().unwrap_or(rune)
    } else {
        rune
    }
}

/// `unicode.ToTitle`: as upper, but for the four letters that have three forms.
fn to_title(rune: char) -> char {
    match rune {
        'Ǆ' | 'ǅ' | 'ǆ' => 'ǅ',
        'Ǉ' | 'ǈ' | 'ǉ' => 'ǈ',
        'Ǌ' | 'ǋ' | 'ǌ' => 'ǋ',
        'Ǳ' | 'ǲ' | 'ǳ' => 'ǲ',
        other => to_upper(other),
    }
}

fn runes(mut text: &[u8]) -> impl Iterator<Item = char> {
    std::iter::from_fn(move || {
        let (rune, width) = decode_rune(text);
        text = &text[width..];
        (width > 0).then_some(rune)
    })
}

/// Maps each character; what is no UTF-8 becomes U+FFFD.
pub(super) fn map_runes(text: &[u8], mut map: impl FnMut(char) -> char) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for rune in runes(text) {
        push_rune(&mut out, map(rune));
    }
    out
}

/// `strings.Title`: a letter after something that is neither letter, digit nor underscore.
pub(super) fn title(text: &[u8]) -> Vec<u8> {
    let mut previous = ' ';
    map_runes(text, |rune| {
        let starts = is_separator(previous);
        previous = rune;
        if starts { to_title(rune) } else { rune }
    })
}

fn is_separator(rune: char) -> bool {
    if rune.is_ascii() {
        return !rune.is_ascii_alphanumeric() && rune != '_';
    }
    !capstan_gotemplate::strconv::is_letter(rune)
        && !capstan_gotemplate::strconv::is_digit(rune)
        && rune.is_whitespace()
}

/// The first letter of each word in lower case.
pub(super) fn untitle(text: &[u8]) -> Vec<u8> {
    let mut next = true;
    map_runes(text, |rune| {
        if rune.is_whitespace() {
            next = true;
            rune
        } else if std::mem::take(&mut next) {
            to_lower(rune)
        } else {
            rune
        }
    })
}

/// Upper to lower and back; a small letter that starts a word gets title case.
pub(super) fn swap_case(text: &[u8]) -> Vec<u8> {
    let mut after_space = true;
    map_runes(text, |rune| {
        if rune.is_uppercase() || to_title(rune) == rune && to_lower(rune) != rune {
            after_space = false;
            to_lower(rune)
        } else if rune.is_lowercase() {
            if std::mem::take(&mut after_space) {
                to_title(rune)
            } else {
                to_upper(rune)
            }
        } else {
            after_space = rune.is_whitespace();
            rune
        }
    })
}

fn is_connector(rune: char) -> bool {
    rune == '-' || rune == '_' || rune.is_whitespace()
}

fn is_punctuation(rune: char) -> bool {
    rune.general_category_group() == GeneralCategoryGroup::Punctuation
}

fn is_number(rune: char) -> bool {
    rune.general_category_group() == GeneralCategoryGroup::Number
}

/// Pascal case: connectors disappear, what follows them is capital.
pub(super) fn pascal(text: &str) -> String {
    let mut rest = text.chars();
    let mut out = String::with_capacity(text.len());
    let mut current = loop {
        let Some(rune) = rest.next() else {
            // Where there is nothing else, the library writes the last connector twice.
            out.extend(text.chars().next_back());
            return out;
        };
        if !is_connector(rune) {
            break rune;
        }
        out.push(rune);
    };
    let mut word_is_upper = current.is_uppercase();
    current = to_upper(current);
    for next in rest {
        let previous = std::mem::replace(&mut current, next);
        if is_connector(current) && is_connector(previous) {
            out.push(previous);
            continue;
        }
        if is_connector(previous) {
            word_is_upper = current.is_uppercase();
            current = to_upper(current);
            continue;
        }
        if word_is_upper {
            if current.is_uppercase() {
                current = to_lower(current);
            } else {
                word_is_upper = false;
            }
        }
        out.push(previous);
    }
    out.push(current);
    out
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    None,
    Number,
    Upper,
    Alphabet,
    Connector,
    Punctuation,
    Other,
}

fn is_alphabet(rune: char) -> bool {
    // CJK has no case to split words at.
    let cjk = matches!(rune, '\u{3400}'..='\u{4db5}' | '\u{4e00}'..='\u{9fed}' | '\u{f900}'..='\u{fad9}' | '\u{20000}'..='\u{2fa1d}');
    !cjk && capstan_gotemplate::strconv::is_letter(rune)
}

/// The kind of the next word, the word, and what follows.
fn next_word(text: &str) -> (Word, &str, &str) {
    let Some(first) = text.chars().next() else {
        return (Word::None, "", "");
    };
    let run = |word: Word, accept: &dyn Fn(char) -> bool| {
        let end = text
            .char_indices()
            .skip(1)
            .find(|(_, rune)| !accept(*rune))
            .map_or(text.len(), |(index, _)| index);
        (word, &text[..end], &text[end..])
    };
    if is_connector(first) {
        return run(Word::Connector, &is_connector);
    }
    if is_punctuation(first) {
        return run(Word::Punctuation, &is_punctuation);
    }
    if first.is_uppercase() {
        return upper_word(text, first);
    }
    if is_alphabet(first) {
        return run(Word::Alphabet, &|rune| {
            is_alphabet(rune) && !rune.is_uppercase()
        });
    }
    if is_number(first) {
        return run(Word::Number, &is_number);
    }
    run(Word::Other, &|rune| {
        !(is_connector(rune) || is_alphabet(rune) || is_number(rune) || is_punctuation(rune))
    })
}

/// `HTTP` of `HTTPStatus`, or `Status` of `StatusCode`.
fn upper_word(text: &str, first: char) -> (Word, &str, &str) {
    let after_first = &text[first.len_utf8()..];
    let end_of = |accept: &dyn Fn(char) -> bool| {
        after_first
            .char_indices()
            .find(|(_, rune)| !accept(*rune))
            .map_or(text.len(), |(index, _)| first.len_utf8() + index)
    };
    let split = |end: usize| (Word::Upper, &text[..end], &text[end..]);
    match after_first.chars().next() {
        Some(second) if second.is_uppercase() => {
            let end = end_of(&|rune| rune.is_uppercase());
            // A small letter after capitals: the last of them starts the next word.
            let next_is_small = text[end..].chars().next().is_some_and(is_alphabet);
            let last = text[..end].chars().next_back().map_or(0, char::len_utf8);
            split(if next_is_small { end - last } else { end })
        }
        Some(second) if is_alphabet(second) => {
            split(end_of(&|rune| is_alphabet(rune) && !rune.is_uppercase()))
        }
        _ => split(first.len_utf8()),
    }
}

fn write_lower(out: &mut String, word: Word, text: &str, connector: char) {
    if !matches!(word, Word::Upper | Word::Connector) {
        out.push_str(text);
        return;
    }
    for rune in text.chars() {
        out.push(if is_connector(rune) {
            connector
        } else {
            to_lower(rune)
        });
    }
}

/// Words in lower case with a connector between: `HTTPServer2x` → `http_server_2x`.
pub(super) fn separated(text: &str, connector: char) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    let (mut kind, mut word, mut rest) = next_word(text);
    while !rest.is_empty() {
        if kind != Word::Connector {
            write_lower(&mut out, kind, word, connector);
        }
        let (previous, last) = (kind, word);
        (kind, word, rest) = next_word(rest);
        match previous {
            Word::Number => {
                (kind, word, rest) = write_letters(&mut out, (kind, word, rest), connector);
                if !matches!(kind, Word::None | Word::Punctuation | Word::Connector) {
                    out.push(connector);
                }
            }
            Word::Connector => write_lower(&mut out, previous, last, connector),
            Word::Punctuation => {}
            _ if kind != Word::Number => {
                if !matches!(kind, Word::Connector | Word::Punctuation) {
                    out.push(connector);
                }
            }
            _ if rest.is_empty() => {}
            _ => {
                let number = word;
                (kind, word, rest) = next_word(rest);
                if kind != Word::Alphabet {
                    // A number after a word belongs to it.
                    write_lower(&mut out, Word::Number, number, connector);
                    if !matches!(kind, Word::Connector | Word::Punctuation) {
                        out.push(connector);
                    }
                    continue;
                }
                // A number before small letters belongs to them.
                out.push(connector);
                write_lower(&mut out, Word::Number, number, connector);
                (kind, word, rest) = write_letters(&mut out, (kind, word, rest), connector);
                if !matches!(kind, Word::None | Word::Connector | Word::Punctuation) {
                    out.push(connector);
                }
            }
        }
    }
    write_lower(&mut out, kind, word, connector);
    out
}

/// Writes small letters and numbers, and gives the word after them.
fn write_letters<'t>(
    out: &mut String,
    mut next: (Word, &'t str, &'t str),
    connector: char,
) -> (Word, &'t str, &'t str) {
    while matches!(next.0, Word::Alphabet | Word::Number) {
        write_lower(out, next.0, next.1, connector);
        next = next_word(next.2);
    }
    next
}
