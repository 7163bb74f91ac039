//! The "natural" order in which the Go libraries write the keys of a map: numbers by value, letters after everything else.

use std::cmp::Ordering;

use unicode_properties::{GeneralCategory, GeneralCategoryGroup, UnicodeGeneralCategory};

use crate::Dialect;

/// Compares two keys as yaml.v2 or yaml.v3 sorts them.
///
/// It is no total order: some triples of odd keys go round in a circle. Sort with [`sort_keys`], which minds that.
pub fn compare_keys(dialect: Dialect, a: &str, b: &str) -> Ordering {
    if a == b {
        Ordering::Equal
    } else if less(dialect, a, b) {
        Ordering::Less
    } else {
        Ordering::Greater
    }
}

/// Sorts by key, stably. Go's own result is random only where its order is circular; any order will do there.
pub fn sort_keys<T>(dialect: Dialect, items: &mut Vec<T>, key: impl Fn(&T) -> &str) {
    // Merge sort over indices: the library's sort may panic where the order is circular.
    let mut order: Vec<usize> = (0..items.len()).collect();
    let mut merged = order.clone();
    let mut width = 1;
    while width < order.len() {
        for start in (0..order.len()).step_by(2 * width) {
            let middle = (start + width).min(order.len());
            let end = (start + 2 * width).min(order.len());
            let (mut left, mut right) = (start, middle);
            for slot in &mut merged[start..end] {
                let take_right = left == middle
                    || right < end
                        && less(dialect, key(&items[order[right]]), key(&items[order[left]]));
                let from = if take_right { &mut right } else { &mut left };
                *slot = order[*from];
                *from += 1;
            }
        }
        std::mem::swap(&mut order, &mut merged);
        width *= 2;
    }
    if order.is_sorted() {
        return;
    }
    let mut taken: Vec<Option<T>> = items.drain(..).map(Some).collect();
    items.extend(order.into_iter().filter_map(|i| taken[i].take()));
}

fn less(dialect: Dialect, a: &str, b: &str) -> bool {
    let (a_bytes, b_bytes) = (a.as_bytes(), b.as_bytes());
    let mut common = a_bytes
        .iter()
        .zip(b_bytes)
        .take_while(|(x, y)| x == y)
        .count();
    while !a.is_char_boundary(common) || !b.is_char_boundary(common) {
        common -= 1;
    }
    let (Some(ac), Some(bc)) = (a[common..].chars().next(), b[common..].chars().next()) else {
        return a.len() < b.len();
    };
    let (a_letter, b_letter) = (is_letter(ac), is_letter(bc));
    if a_letter && b_letter {
        return ac < bc;
    }
    if a_letter || b_letter {
        // After a number, yaml.v3 has it the other way round.
        let after_digit =
            dialect == Dialect::V3 && a[..common].chars().next_back().is_some_and(is_digit);
        return if after_digit { a_letter } else { b_letter };
    }
    let start = if ac == '0' || bc == '0' {
        leading_digit(&a[..common])
    } else {
        0
    };
    let (a_value, a_digits) = number(start, &a[common..]);
    let (b_value, b_digits) = number(start, &b[common..]);
    if a_value != b_value {
        return a_value < b_value;
    }
    if a_digits != b_digits {
        return a_digits < b_digits;
    }
    ac < bc
}

fn is_letter(c: char) -> bool {
    c.is_ascii_alphabetic()
        || (!c.is_ascii() && c.general_category_group() == GeneralCategoryGroup::Letter)
}

fn is_digit(c: char) -> bool {
    c.is_ascii_digit() || (!c.is_ascii() && c.general_category() == GeneralCategory::DecimalNumber)
}

/// 1 where the number that the common part ends with has a digit other than zero, so that zeros after it count.
fn leading_digit(common: &str) -> i64 {
    i64::from(
        common
            .chars()
            .rev()
            .take_while(|c| is_digit(*c))
            .any(|c| c != '0'),
    )
}

/// The number that the text starts with, after `start`, and how many digits it has.
fn number(start: i64, text: &str) -> (i64, usize) {
    let mut value = start;
    let mut digits = 0;
    for c in text.chars().take_while(|c| is_digit(*c)) {
        value = value
            .wrapping_mul(10)
            .wrapping_add(i64::from(c as u32) - i64::from(b'0'));
        digits += 1;
    }
    (value, digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_in_natural_order() {
        let expected = [
            "_x", "1", "2", "10", "A", "B", "a", "a-b", "a.b", "a1", "a2", "a10",
        ];
        let mut keys: Vec<&str> = expected.to_vec();
        keys.sort_unstable();
        sort_keys(Dialect::V2, &mut keys, |key| key);
        assert_eq!(keys, expected);
    }

    #[test]
    fn v3_puts_letters_first_after_a_number() {
        assert_eq!(compare_keys(Dialect::V2, "a1b", "a1."), Ordering::Greater);
        assert_eq!(compare_keys(Dialect::V3, "a1b", "a1."), Ordering::Less);
        assert_eq!(compare_keys(Dialect::V2, "a100", "a10"), Ordering::Greater);
        assert_eq!(compare_keys(Dialect::V2, "a010", "a10"), Ordering::Greater);
    }
}
