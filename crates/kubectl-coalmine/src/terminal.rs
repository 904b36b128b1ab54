//! The terminal: how wide it is, whether it wants colours, and what is written to it. The only file that prints.

use std::io::{IsTerminal as _, Write as _};

use coalmine_core::view::{Colour, Screen};

/// Where there is no terminal, lines are as long as they are.
const UNLIMITED: usize = 10_000;

pub(crate) fn screen() -> Screen {
    if !is_terminal() {
        return Screen { width: UNLIMITED, colour: Colour::Plain };
    }
    // https://no-color.org: any value but the empty one.
    let plain =
        std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()) || std::env::var("TERM").is_ok_and(|term| term == "dumb");
    let width = rustix::termios::tcgetwinsize(std::io::stdout()).map_or(0, |size| usize::from(size.ws_col));
    Screen { width: if width == 0 { 80 } else { width }, colour: if plain { Colour::Plain } else { Colour::Ansi } }
}

pub(crate) fn is_terminal() -> bool {
    std::io::stdout().is_terminal()
}

/// A reader that went away (`| head`) is no failure.
pub(crate) fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes());
    if !text.is_empty() && !text.ends_with('\n') {
        let _ = out.write_all(b"\n");
    }
    let _ = out.flush();
}

pub(crate) fn complain(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "error: {text}");
}

pub(crate) fn remark(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Lines that are painted over by the next ones. No alternate screen: the last picture stays.
#[derive(Debug, Default)]
pub(crate) struct Picture {
    lines: usize,
}

impl Picture {
    pub(crate) fn paint(&mut self, lines: Vec<String>) {
        let rows = rustix::termios::tcgetwinsize(std::io::stdout()).map_or(0, |size| usize::from(size.ws_row));
        let lines = fitting(lines, rows);
        let up = if self.lines > 0 { format!("\u{1b}[{}A\u{1b}[J", self.lines) } else { String::new() };
        print(&format!("{up}{}", lines.join("\n")));
        self.lines = lines.len();
    }
}

/// What has scrolled away at the top can't be painted over, so the end is left out. The cursor stands below the last line. Zero: nobody knows.
fn fitting(mut lines: Vec<String>, rows: usize) -> Vec<String> {
    if rows > 2 && lines.len() >= rows {
        let more = lines.len() - (rows - 2);
        lines.truncate(rows - 2);
        lines.push(format!("... {more} more lines"));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_no_higher_than_the_terminal() {
        let all = |count: usize| (0..count).map(|line| line.to_string()).collect::<Vec<_>>();
        assert_eq!(fitting(all(4), 5), all(4));
        assert_eq!(fitting(all(5), 5), ["0", "1", "2", "... 2 more lines"]);
        assert_eq!((fitting(all(50), 0).len(), fitting(all(50), 2).len(), fitting(all(50), 24).len()), (50, 50, 23));
    }
}
