//! Splits a query as the parser does, only more coarsely. It refuses nothing.

use std::iter::Peekable;
use std::ops::Range;
use std::str::CharIndices;

/// The tokens of a text within bounds, as bytes of it.
pub(super) struct Tokens(pub(super) Vec<Token>);

pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) at: Range<usize>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Word,
    Number,
    Text,
    Sign,
    Operator,
    /// `=~` or `!~`.
    Matches,
    At,
    Opens,
    Closes,
    Other,
}

impl Tokens {
    /// Where tokens end, in bytes.
    pub(super) fn ends(&self) -> impl Iterator<Item = usize> {
        self.0.iter().map(|token| token.at.end)
    }

    /// The text with all that is quoted made letters, as many bytes as before.
    pub(super) fn without_strings(&self, text: &str) -> String {
        let mut plain = text.to_owned();
        for Token { at, .. } in self.0.iter().filter(|token| token.kind == Kind::Text && token.at.len() > 2) {
            let inner: String = text[at.start + 1..at.end - 1].chars().map(letter).collect();
            plain.replace_range(at.start + 1..at.end - 1, &inner);
        }
        plain
    }
}

/// A letter as long as this one, so that positions stay.
fn letter(character: char) -> char {
    match character.len_utf8() {
        1 => 'a',
        2 => 'é',
        3 => '€',
        _ => '🙂',
    }
}

/// Comments and blanks aside. Strings end where the parser thinks that they end.
pub(super) fn split(text: &str) -> Tokens {
    let mut tokens = Vec::new();
    let mut in_brackets = false;
    let mut reader = Reader { rest: text.char_indices().peekable(), end: 0 };
    while let Some((start, first)) = reader.rest.next() {
        reader.end = start + first.len_utf8();
        let kind = match first {
            _ if first.is_whitespace() => continue,
            '#' => {
                reader.take_while(|next| next != '\n' && next != '\r');
                continue;
            }
            '"' | '\'' | '`' => reader.string(first),
            '(' | '[' | '{' => {
                in_brackets |= first == '[';
                Kind::Opens
            }
            ')' | ']' | '}' => {
                in_brackets &= first != ']';
                Kind::Closes
            }
            // Elsewhere it is part of a name.
            ':' if in_brackets => Kind::Other,
            '+' | '-' => Kind::Sign,
            '@' => Kind::At,
            '=' | '!' | '<' | '>' => reader.comparison(),
            '*' | '/' | '%' | '^' => Kind::Operator,
            _ if first.is_ascii_digit() || first == '.' => reader.number(first),
            _ if first.is_ascii_alphabetic() || first == '_' || first == ':' => {
                reader.take_while(|next| next.is_ascii_alphanumeric() || next == '_' || next == ':');
                kind_of(&text[start..reader.end])
            }
            _ => Kind::Other,
        };
        tokens.push(Token { kind, at: start..reader.end });
    }
    Tokens(tokens)
}

fn kind_of(word: &str) -> Kind {
    match word.to_ascii_lowercase().as_str() {
        "inf" | "nan" => Kind::Number,
        "and" | "or" | "unless" | "atan2" => Kind::Operator,
        _ => Kind::Word,
    }
}

struct Reader<'a> {
    rest: Peekable<CharIndices<'a>>,
    /// Where the present token ends, in bytes.
    end: usize,
}

impl Reader<'_> {
    fn take_while(&mut self, mut is_part: impl FnMut(char) -> bool) {
        while let Some((_, next)) = self.rest.next_if(|(_, next)| is_part(*next)) {
            self.end += next.len_utf8();
        }
    }

    /// One that is never closed is no string.
    fn string(&mut self, quote: char) -> Kind {
        let (mut escaped, mut over) = (false, false);
        self.take_while(|next| {
            if over {
                return false;
            }
            over = !escaped && next == quote;
            escaped = !escaped && next == '\\';
            true
        });
        if over { Kind::Text } else { Kind::Other }
    }

    fn comparison(&mut self) -> Kind {
        let mut taken = None;
        self.take_while(|next| {
            let is_part = taken.is_none() && matches!(next, '=' | '~');
            taken = taken.or(is_part.then_some(next));
            is_part
        });
        if taken == Some('~') { Kind::Matches } else { Kind::Operator }
    }

    fn number(&mut self, first: char) -> Kind {
        let (mut last, mut is_hexadecimal) = (first, false);
        self.take_while(|next| {
            is_hexadecimal |= matches!(next, 'x' | 'X');
            let is_exponent = matches!(last, 'e' | 'E') && !is_hexadecimal && matches!(next, '+' | '-');
            last = next;
            next.is_ascii_alphanumeric() || next == '.' || next == '_' || is_exponent
        });
        Kind::Number
    }
}
