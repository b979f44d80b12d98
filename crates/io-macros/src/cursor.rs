//! Reading tokens, one after the other.

use proc_macro::{Delimiter, Group, Ident, Literal, Span, TokenStream, TokenTree};
use std::{iter::Peekable, vec};

/// What is wrong with the input, and where.
pub(crate) struct Error {
    span: Span,
    message: String,
}

impl Error {
    pub(crate) fn new(span: Span, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { span, message }
    }

    /// The code that makes the compiler say so.
    pub(crate) fn into_code(self) -> TokenStream {
        let mut message = Literal::string(&self.message);
        message.set_span(self.span);
        let code: TokenStream = "::core::compile_error!".parse().unwrap_or_default();
        let group = Group::new(Delimiter::Brace, TokenTree::from(message).into());
        let tokens = code.into_iter().chain([group.into()]);
        tokens
            .map(|mut token| {
                token.set_span(self.span);
                token
            })
            .collect()
    }
}

/// The tokens that are still to be read.
pub(crate) struct Cursor {
    tokens: Peekable<vec::IntoIter<TokenTree>>,
    /// Where the last token was, for errors at the end of the input.
    span: Span,
}

impl Cursor {
    pub(crate) fn new(tokens: TokenStream) -> Self {
        let tokens: Vec<_> = tokens.into_iter().collect();
        Self {
            tokens: tokens.into_iter().peekable(),
            span: Span::call_site(),
        }
    }

    pub(crate) fn is_empty(&mut self) -> bool {
        self.tokens.peek().is_none()
    }

    pub(crate) fn next(&mut self) -> Option<TokenTree> {
        let token = self.tokens.next()?;
        self.span = token.span();
        Some(token)
    }

    /// The error that `wanted` is not what stands here.
    pub(crate) fn expected(&mut self, wanted: &str) -> Error {
        match self.tokens.peek() {
            Some(token) => Error::new(token.span(), format!("expected {wanted}, found `{token}`")),
            None => Error::new(self.span, format!("expected {wanted} after this")),
        }
    }

    pub(crate) fn is_punct(&mut self, punct: char) -> bool {
        matches!(self.tokens.peek(), Some(TokenTree::Punct(found)) if found.as_char() == punct)
    }

    /// Goes past the characters of `punct` if the first of them stands here.
    pub(crate) fn skip_punct(&mut self, punct: &str) -> Result<bool, Error> {
        let mut characters = punct.chars();
        if !characters.next().is_some_and(|first| self.is_punct(first)) {
            return Ok(false);
        }
        self.next();
        for character in characters {
            if !self.is_punct(character) {
                return Err(self.expected(&format!("`{punct}`")));
            }
            self.next();
        }
        Ok(true)
    }

    pub(crate) fn is_ident(&mut self, name: &str) -> bool {
        matches!(self.tokens.peek(), Some(TokenTree::Ident(found)) if found.to_string() == name)
    }

    pub(crate) fn ident(&mut self, wanted: &str) -> Result<Ident, Error> {
        match self.single() {
            Some(TokenTree::Ident(ident)) => {
                self.next();
                Ok(ident)
            }
            _ => Err(self.expected(wanted)),
        }
    }

    pub(crate) fn literal(&mut self, wanted: &str) -> Result<Literal, Error> {
        match self.single() {
            Some(TokenTree::Literal(literal)) => {
                self.next();
                Ok(literal)
            }
            _ => Err(self.expected(wanted)),
        }
    }

    /// The group with these delimiters, if it stands here.
    pub(crate) fn group(&mut self, delimiter: Delimiter) -> Option<Group> {
        match self.tokens.peek() {
            Some(TokenTree::Group(group)) if group.delimiter() == delimiter => {
                let group = group.clone();
                self.next();
                Some(group)
            }
            _ => None,
        }
    }

    /// All tokens before one that is `end`, which stays.
    pub(crate) fn until(&mut self, end: impl Fn(&TokenTree) -> bool) -> Vec<TokenTree> {
        let mut tokens = Vec::new();
        while let Some(token) = self.tokens.next_if(|token| !end(token)) {
            self.span = token.span();
            tokens.push(token);
        }
        tokens
    }

    /// The token that stands here. One that comes from a fragment of a `macro_rules!` macro (`$n:literal`)
    /// has invisible delimiters around it.
    fn single(&mut self) -> Option<TokenTree> {
        let token = self.tokens.peek()?;
        match token {
            TokenTree::Group(group) if group.delimiter() == Delimiter::None => {
                let mut inner = group.stream().into_iter();
                inner.next().filter(|_| inner.next().is_none())
            }
            _ => Some(token.clone()),
        }
    }
}
