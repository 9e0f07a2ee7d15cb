//! What the parser takes from the tokens of a statement.

use super::error::{Failure, code};
use super::lexer::{Placed, Token};

/// Deepest nesting.
const MAX_DEPTH: usize = 100;
/// Most operators of a statement: one within the other, they are as deep as they are many.
const MAX_OPERATORS: usize = 500;

/// The tokens that are left.
pub struct Tokens<'a> {
    tokens: &'a [Placed],
    at: usize,
    depth: usize,
    operators: usize,
}

impl<'a> Tokens<'a> {
    /// All of them.
    pub const fn new(tokens: &'a [Placed]) -> Self {
        Self { tokens, at: 0, depth: 0, operators: 0 }
    }

    pub(super) fn peek(&self) -> Option<&'a Token> {
        self.tokens.get(self.at).map(|(token, _)| token)
    }

    /// The next word in capitals.
    pub fn peek_word(&self) -> Option<String> {
        match self.peek() {
            Some(Token::Word(word)) => Some(word.to_ascii_uppercase()),
            _ => None,
        }
    }

    /// Whether none are left.
    pub fn at_end(&self) -> bool {
        self.peek().is_none() || (self.next_is_symbol(";") && self.at + 1 == self.tokens.len())
    }

    /// A failure at the next token.
    pub fn wrong(&self, reason: &str) -> Failure {
        let place = self.tokens.get(self.at);
        let place = place.map_or("the end".to_owned(), |(_, at)| format!("offset {at}"));
        Failure::new(code::SYNTAX, format!("Invalid input at {place}: {reason}"))
    }

    /// A failure at the token before.
    pub fn wrong_before(&self, reason: &str) -> Failure {
        Self { at: self.at.saturating_sub(1), ..*self }.wrong(reason)
    }

    /// Makes sure that none are left.
    pub fn end(&self) -> Result<(), Failure> {
        if self.peek().is_some() {
            Err(self.wrong("expected the end of the statement"))
        } else {
            Ok(())
        }
    }

    /// Where the next token is.
    pub const fn place(&self) -> usize {
        self.at
    }

    /// The tokens since a place, as the name of a column.
    pub fn written_since(&self, begin: usize) -> String {
        let written = self.tokens[begin..self.at].iter().map(|(token, _)| match token {
            Token::Word(word) | Token::Quoted(word) => word.clone(),
            Token::Parameter(name) => format!("${name}"),
            Token::Int(number) => number.to_string(),
            Token::Float(number) => format!("{number:?}"),
            Token::String(text) => format!("'{text}'"),
            Token::Symbol(symbol) => (*symbol).to_owned(),
        });
        written.collect()
    }

    /// Whether the next token is this symbol.
    pub fn next_is_symbol(&self, symbol: &str) -> bool {
        matches!(self.peek(), Some(Token::Symbol(next)) if *next == symbol)
    }

    /// Whether the next token is a parameter.
    pub fn next_is_parameter(&self) -> bool {
        matches!(self.peek(), Some(Token::Parameter(_)))
    }

    /// Takes this symbol, if it is next.
    pub fn take_symbol(&mut self, symbol: &str) -> bool {
        let taken = self.next_is_symbol(symbol);
        self.at += usize::from(taken);
        taken
    }

    /// Takes this symbol.
    pub fn expect_symbol(&mut self, symbol: &str) -> Result<(), Failure> {
        if self.take_symbol(symbol) {
            Ok(())
        } else {
            Err(self.wrong(&format!("expected `{symbol}`")))
        }
    }

    /// Takes this keyword, if it is next.
    pub fn take_word(&mut self, word: &str) -> bool {
        let taken = self.peek_word().as_deref() == Some(word);
        self.at += usize::from(taken);
        taken
    }

    /// Takes this keyword.
    pub fn expect_word(&mut self, word: &str) -> Result<(), Failure> {
        if self.take_word(word) { Ok(()) } else { Err(self.wrong(&format!("expected {word}"))) }
    }

    /// Takes a word.
    pub fn word(&mut self) -> Result<String, Failure> {
        match self.peek() {
            Some(Token::Word(word)) => {
                self.at += 1;
                Ok(word.clone())
            }
            _ => Err(self.wrong("expected a word")),
        }
    }

    /// Takes a name.
    pub fn name(&mut self) -> Result<String, Failure> {
        match self.peek() {
            Some(Token::Word(name) | Token::Quoted(name)) => {
                self.at += 1;
                Ok(name.clone())
            }
            _ => Err(self.wrong("expected a name")),
        }
    }

    /// Takes the operator that is next.
    pub(super) fn take_operator(&mut self) -> Result<(), Failure> {
        self.at += 1;
        self.operators += 1;
        if self.operators > MAX_OPERATORS {
            return Err(self.wrong("too many operators in one statement"));
        }
        Ok(())
    }

    /// Takes whatever is next.
    pub(super) fn next(&mut self) -> Result<&'a Token, Failure> {
        let token = self.peek().ok_or_else(|| self.wrong("expected an expression"))?;
        self.at += 1;
        Ok(token)
    }

    /// Goes back to a place.
    pub(super) const fn back_to(&mut self, place: usize) {
        self.at = place;
    }

    /// Goes one deeper into an expression; [`Self::rise`] comes back.
    pub(super) fn sink(&mut self) -> Result<(), Failure> {
        self.depth += 1;
        if self.depth > MAX_DEPTH { Err(self.wrong("nested too deeply")) } else { Ok(()) }
    }

    /// Comes back from one level of an expression.
    pub(super) const fn rise(&mut self) {
        self.depth -= 1;
    }
}
