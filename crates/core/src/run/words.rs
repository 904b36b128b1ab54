//! Words of others on their way to a user: one line, and no longer than an Event can take.

/// The longest part of a message that is passed on: Events take 1 KiB.
const LONGEST: usize = 300;

/// One line without control characters, and cut where it is too long.
pub fn cut(text: &str) -> String {
    let text: String = text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().count() <= LONGEST {
        return text;
    }
    text.chars().take(LONGEST).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_words_are_one_line_that_fits() {
        assert_eq!(cut(" a\nb\u{1b}[31mc\r\n"), "a b [31mc");
        assert_eq!(cut(&"é".repeat(400)).chars().count(), LONGEST + 1);
    }
}
