//! Columns of text, each as wide as its widest cell, as kubectl prints them. Knows nothing of canaries.

use crate::words::{one_line, within};

/// Lines of cells, three spaces between columns; the last cell is cut where the line would be longer than `width`. Whatever a cell says, it turns no
/// line and moves no cursor: a colour of its own is all that is left of escape codes.
pub fn lines(rows: &[Vec<String>], width: usize) -> Vec<String> {
    let rows: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(|cell| cleaned(cell)).collect()).collect();
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let widths: Vec<usize> = (0..columns)
        .map(|column| rows.iter().filter_map(|row| row.get(column)).map(|cell| length(cell)).max().unwrap_or_default())
        .collect();
    rows.iter().map(|row| line(row, &widths, width)).collect()
}

fn line(row: &[String], widths: &[usize], width: usize) -> String {
    let mut text = String::new();
    for (index, cell) in row.iter().enumerate() {
        if index + 1 == row.len() {
            let room = width.saturating_sub(length(&text)).max(8);
            // Colours end with the cell; a cell that has them is never the one that is cut.
            text.push_str(&if coloured(cell).is_some() { cell.clone() } else { within(cell, room) });
        } else {
            text.push_str(cell);
            let padding = widths.get(index).copied().unwrap_or_default().saturating_sub(length(cell)) + 3;
            text.extend(std::iter::repeat_n(' ', padding));
        }
    }
    text.trim_end().to_owned()
}

fn cleaned(cell: &str) -> String {
    match coloured(cell) {
        Some((code, words)) => format!("{START}{code}m{}{END}", one_line(words)),
        None => one_line(cell),
    }
}

const START: &str = "\u{1b}[";
const END: &str = "\u{1b}[0m";

/// The colour of a cell, and its words.
fn coloured(cell: &str) -> Option<(&str, &str)> {
    let (code, words) = cell.strip_prefix(START)?.strip_suffix(END)?.split_once('m')?;
    (code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_digit())).then_some((code, words))
}

/// In characters, escape codes aside.
fn length(text: &str) -> usize {
    let mut inside = false;
    text.chars()
        .filter(|c| {
            let counts = !inside && *c != '\u{1b}';
            inside = if inside { *c != 'm' } else { *c == '\u{1b}' };
            counts
        })
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_the_last_one_is_cut() {
        let rows = [vec!["NAME".to_owned(), "MESSAGE".to_owned()], vec!["app".to_owned(), "error rate 100%".to_owned()]];
        assert_eq!(lines(&rows, 18), ["NAME   MESSAGE", "app    error rate…"]);
    }

    #[test]
    fn words_of_others_turn_no_line_and_move_no_cursor() {
        let rows = ["a\u{1b}[2Jb\nc\u{202e}d", "\u{1b}[31mx\u{1b}[2J\u{1b}[0m", "\u{1b}[31mred\u{1b}[0m", "\u{1b}]0;title\u{7}"]
            .map(|cell| vec![cell.to_owned()]);
        assert_eq!(lines(&rows, 80), ["a [2Jb c d", "\u{1b}[31mx [2J\u{1b}[0m", "\u{1b}[31mred\u{1b}[0m", " ]0;title"]);
    }

    #[test]
    fn colours_take_no_room() {
        assert_eq!(length("\u{1b}[31mRejected\u{1b}[0m"), 8);
    }
}
