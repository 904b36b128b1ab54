//! Words of others on their way to a user: one line, and no longer than an Event can take.

/// The longest part of a message that is passed on: Events take 1 KiB.
const LONGEST: usize = 300;

/// One line without control characters, and cut where it is too long for a message.
pub fn cut(text: &str) -> String {
    within(text.trim(), LONGEST)
}

/// One line of at most `width` characters, without control characters.
pub fn within(text: &str, width: usize) -> String {
    let clean: Vec<char> = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if clean.len() <= width {
        return clean.into_iter().collect();
    }
    clean.into_iter().take(width.saturating_sub(1)).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_words_are_one_line_that_fits() {
        assert_eq!(cut(" a\nb\u{1b}[31mc\r\n"), "a b [31mc");
        assert_eq!(cut(&"é".repeat(400)).chars().count(), LONGEST);
    }
}
