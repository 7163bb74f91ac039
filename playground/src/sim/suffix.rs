//! The random end of generated names.

/// Letters of generated names, as the real server uses them.
const NAME_LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
/// Letters that are added to `generateName`.
const GENERATED_LETTERS: usize = 5;

pub(crate) fn generated_suffix() -> String {
    let random = uuid::Uuid::new_v4();
    random
        .as_bytes()
        .iter()
        .take(GENERATED_LETTERS)
        .map(|b| char::from(NAME_LETTERS[usize::from(*b) % NAME_LETTERS.len()]))
        .collect()
}
