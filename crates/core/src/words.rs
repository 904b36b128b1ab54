//! Texts that others wrote, on their way to a user: each becomes one line without hidden characters, cut to the length that its place can take.

/// The longest part of a message that is passed on, in characters: Events take 1 KiB.
const LONGEST: usize = 300;

/// Whatever breaks a line, hides a part of it or turns it around becomes a blank.
pub fn one_line(text: &str) -> String {
    text.chars().map(|c| if is_hidden(c) { ' ' } else { c }).collect()
}

/// Controls, marks of direction, and what takes no place: soft hyphens, joiners, tags.
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
        || matches!(c, '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// One line of at most `width` characters.
pub fn within(text: &str, width: usize) -> String {
    let line = one_line(text);
    if line.chars().count() <= width {
        return line;
    }
    line.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

/// The first `most` characters, for a text that is quoted.
pub fn start(text: &str, most: usize) -> String {
    text.chars().take(most).collect()
}

/// One line that fits into a message beside others.
pub fn cut(text: &str) -> String {
    within(one_line(text).trim(), LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_words_are_one_line_that_fits() {
        assert_eq!(cut(" a\nb\u{1b}[31mc\r\n"), "a b [31mc");
        assert_eq!(cut("a\u{2028}b\u{202e}c\u{200b}d"), "a b c d");
        assert_eq!(cut("a\u{61c}b\u{2063}c\u{e0041}d\u{ad}e"), "a b c d e");
        assert_eq!(cut(&"é".repeat(400)).chars().count(), LONGEST);
        assert_eq!((within("abc", 3), within("abcd", 3), within("ab", 0)), ("abc".to_owned(), "ab…".to_owned(), "…".to_owned()));
    }
}
