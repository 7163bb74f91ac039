//! Runes as Go decodes them, and the classes that its lexer and printer ask for.

use unicode_properties::{GeneralCategory, GeneralCategoryGroup, UnicodeGeneralCategory};

/// The first character of `bytes` and its width. A byte that starts no UTF-8 is U+FFFD of width 1; no bytes at all are U+FFFD of width 0.
#[must_use]
pub fn decode_rune(bytes: &[u8]) -> (char, usize) {
    let Some(&first) = bytes.first() else {
        return (char::REPLACEMENT_CHARACTER, 0);
    };
    if first < 0x80 {
        return (char::from(first), 1);
    }
    let width = match first {
        0xC2..=0xDF => 2,
        0xE0..=0xEF => 3,
        0xF0..=0xF4 => 4,
        _ => return (char::REPLACEMENT_CHARACTER, 1),
    };
    let decoded = bytes
        .get(..width)
        .and_then(|run| std::str::from_utf8(run).ok())
        .and_then(|text| text.chars().next());
    decoded.map_or((char::REPLACEMENT_CHARACTER, 1), |rune| (rune, width))
}

/// The last character of `bytes` and its width.
#[must_use]
pub fn decode_last_rune(bytes: &[u8]) -> (char, usize) {
    let end = bytes.len();
    for width in 1..=4.min(end) {
        let start = end - width;
        if bytes[start] & 0xC0 != 0x80 {
            let (rune, decoded) = decode_rune(&bytes[start..]);
            if decoded == width {
                return (rune, width);
            }
            break;
        }
    }
    (char::REPLACEMENT_CHARACTER, end.min(1))
}

/// How many characters `bytes` holds, as `utf8.RuneCount`.
#[must_use]
pub fn rune_count(mut bytes: &[u8]) -> usize {
    if bytes.is_ascii() {
        return bytes.len();
    }
    let mut count = 0;
    while !bytes.is_empty() {
        bytes = &bytes[decode_rune(bytes).1..];
        count += 1;
    }
    count
}

/// Appends a character as UTF-8.
pub fn push_rune(out: &mut Vec<u8>, rune: char) {
    out.extend_from_slice(rune.encode_utf8(&mut [0; 4]).as_bytes());
}

/// `unicode.IsLetter`
#[must_use]
pub fn is_letter(rune: char) -> bool {
    if rune.is_ascii() {
        rune.is_ascii_alphabetic()
    } else {
        rune.general_category_group() == GeneralCategoryGroup::Letter
    }
}

/// `unicode.IsDigit`
#[must_use]
pub fn is_digit(rune: char) -> bool {
    if rune.is_ascii() {
        rune.is_ascii_digit()
    } else {
        rune.general_category() == GeneralCategory::DecimalNumber
    }
}

/// `strconv.IsPrint`: letters, marks, numbers, punctuation, symbols and the ASCII space.
#[must_use]
pub fn is_print(rune: char) -> bool {
    if rune.is_ascii() {
        return matches!(rune, ' '..='~');
    }
    matches!(
        rune.general_category_group(),
        GeneralCategoryGroup::Letter
            | GeneralCategoryGroup::Mark
            | GeneralCategoryGroup::Number
            | GeneralCategoryGroup::Punctuation
            | GeneralCategoryGroup::Symbol
    )
}
