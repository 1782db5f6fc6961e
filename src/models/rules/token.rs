//! Splits the text of a rule into tokens, each with its place.
//!
//! On failure the place of the first character that begins no token is said, with what to write where it is known what was
//! meant.

use super::fault::RuleFault;
use std::ops::Range;
use winnow::ascii::{digit1, multispace0};
use winnow::combinator::{alt, opt};
use winnow::error::EmptyError;
use winnow::prelude::*;
use winnow::stream::{LocatingSlice, Location};
use winnow::token::{one_of, take_while};

/// One token. Words are as they were written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Token<'t> {
    /// A number without a unit.
    Number(f64),
    /// A number with letters behind it, such as `15min`.
    Quantity(&'t str),
    /// A name or a word of the language.
    Name(&'t str),
    /// An operator, a parenthesis or a comma.
    Sign(&'static str),
}

type Input<'t> = LocatingSlice<&'t str>;
type Lexed<O> = Result<O, EmptyError>;

fn is_in_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

fn quantity<'t>(input: &mut Input<'t>) -> Lexed<Token<'t>> {
    let exponent = (one_of(['e', 'E']), opt(one_of(['+', '-'])), digit1);
    let number = (digit1, opt(('.', digit1)), opt(exponent)).take();
    let (number, unit): (&str, &str) = (number, take_while(0.., is_in_name)).parse_next(input)?;
    if unit.is_empty() {
        return number.parse().map(Token::Number).map_err(|_| EmptyError);
    }
    Ok(Token::Quantity(number))
}

fn name<'t>(input: &mut Input<'t>) -> Lexed<Token<'t>> {
    let word = (one_of(|c: char| c.is_ascii_alphabetic() || c == '_'), take_while(0.., is_in_name)).take();
    word.map(Token::Name).parse_next(input)
}

fn sign<'t>(input: &mut Input<'t>) -> Lexed<Token<'t>> {
    let two = alt(("<=".value("<="), ">=".value(">="), "==".value("=="), "!=".value("!=")));
    let compared = alt(("<".value("<"), ">".value(">")));
    let one = alt(("(".value("("), ")".value(")"), ",".value(",")));
    let counted = alt(("+".value("+"), "-".value("-"), "*".value("*"), "/".value("/")));
    alt((two, compared, one, counted)).map(Token::Sign).parse_next(input)
}

/// Splits a text. The last token is followed by nothing.
///
/// # Errors
/// The first place at which no token begins.
pub fn tokens(text: &str) -> Result<Vec<(Token<'_>, Range<usize>)>, RuleFault> {
    let mut input = LocatingSlice::new(text);
    let mut found = Vec::new();
    loop {
        let _: Lexed<&str> = multispace0.parse_next(&mut input);
        let start = input.current_token_start();
        let Some(next) = text[start..].chars().next() else { return Ok(found) };
        let token: Lexed<(Token<'_>, Range<usize>)> =
            alt((quantity, name, sign)).with_span().parse_next(&mut input);
        match token {
            // A quantity is the number and its unit together.
            Ok((Token::Quantity(_), part)) => found.push((Token::Quantity(&text[part.clone()]), part)),
            Ok(token) => found.push(token),
            Err(EmptyError) => {
                let meant = match next {
                    '=' => "; to compare, write `==`",
                    '&' => "; write `and`",
                    '|' => "; write `or`",
                    '!' => "; write `not`",
                    '%' => "; a change in per cent is `pct_change(15min)`",
                    _ => "",
                };
                let reason = format!("`{next}` is no part of a rule{meant}");
                return Err(RuleFault::at(text, start..start + next.len_utf8(), reason));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_split_with_places() {
        let text = "rsi_14 <= 2.5e1 on 15min";
        let expected = [
            (Token::Name("rsi_14"), 0..6),
            (Token::Sign("<="), 7..9),
            (Token::Number(25.0), 10..15),
            (Token::Name("on"), 16..18),
            (Token::Quantity("15min"), 19..24),
        ];
        assert_eq!(tokens(text).expect("all tokens"), expected);
        assert_eq!(tokens(" \n").expect("nothing"), []);
    }

    #[test]
    fn what_begins_no_token_is_said_with_its_place() {
        let table = [("a = 1", 3, "write `=="), ("a & b", 3, "`and`"), ("a $", 3, "`$`"), ("é", 1, "`é`")];
        for (text, column, part) in table {
            let fault = tokens(text).expect_err(text);
            assert_eq!(fault.column, column, "{text}");
            assert!(fault.reason.contains(part), "{fault}");
        }
    }
}
