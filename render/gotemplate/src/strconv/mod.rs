//! Go's `strconv`: numbers and quoted strings, to text and back.

mod float;
mod parse;
mod quote;
mod runes;

pub use float::{FloatFormat, append_float, format_float};
pub use parse::{NumError, parse_float, parse_int, parse_uint};
pub use quote::{
    Unquoted, can_backquote, quote, quote_rune, quote_to_ascii, unquote, unquote_char,
};
pub use runes::{
    decode_last_rune, decode_rune, is_digit, is_letter, is_print, push_rune, rune_count,
};

#[cfg(test)]
mod tests;
