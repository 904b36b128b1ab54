//! Columns of text, each as wide as its widest cell, as kubectl prints them. Knows nothing of canaries.

/// Lines of cells, three spaces between columns; the last cell is cut where the line would be longer than `width`.
pub fn lines(rows: &[Vec<String>], width: usize) -> Vec<String> {
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
            text.push_str(&if cell.contains('\u{1b}') { cell.clone() } else { crate::words::within(cell, room) });
        } else {
            text.push_str(cell);
            let padding = widths.get(index).copied().unwrap_or_default().saturating_sub(length(cell)) + 3;
            text.extend(std::iter::repeat_n(' ', padding));
        }
    }
    text.trim_end().to_owned()
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
    fn colours_take_no_room() {
        assert_eq!(length("\u{1b}[31mRejected\u{1b}[0m"), 8);
    }
}
