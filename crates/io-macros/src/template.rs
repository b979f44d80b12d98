//! Rust code with places to fill in.

use proc_macro::{Delimiter, Group, Ident, Literal, Span, TokenStream, TokenTree};

/// Code in which `$name` stands for something.
pub(crate) struct Template(TokenStream);

/// What stands for the names of a template.
pub(crate) struct Values<'a>(Vec<(&'static str, TokenStream)>, Option<&'a Values<'a>>);

impl Template {
    pub(crate) fn new(code: &str) -> Self {
        Self(code.parse().expect("templates are Rust tokens"))
    }

    pub(crate) fn fill(&self, values: &Values<'_>) -> TokenStream {
        fill(self.0.clone(), values)
    }
}

impl<'a> Values<'a> {
    pub(crate) fn new() -> Self {
        Self(Vec::new(), None)
    }

    /// More values, for a part of the code.
    pub(crate) fn within(outer: &'a Self) -> Self {
        Self(Vec::new(), Some(outer))
    }

    pub(crate) fn tokens(mut self, name: &'static str, tokens: TokenStream) -> Self {
        self.0.push((name, tokens));
        self
    }

    pub(crate) fn token(self, name: &'static str, token: impl Into<TokenTree>) -> Self {
        self.tokens(name, token.into().into())
    }

    pub(crate) fn ident(self, name: &'static str, ident: &str, span: Span) -> Self {
        self.token(name, Ident::new(ident, span))
    }

    pub(crate) fn number(self, name: &'static str, number: u32) -> Self {
        self.token(name, Literal::u32_unsuffixed(number))
    }

    pub(crate) fn string(self, name: &'static str, text: &str) -> Self {
        self.token(name, Literal::string(text))
    }

    fn get(&self, name: &str) -> TokenStream {
        let own = self.0.iter().find(|(key, _)| *key == name);
        match (own, self.1) {
            (Some((_, tokens)), _) => tokens.clone(),
            (None, Some(outer)) => outer.get(name),
            (None, None) => unreachable!("a template has a name that nothing stands for: {name}"),
        }
    }
}

fn fill(code: TokenStream, values: &Values<'_>) -> TokenStream {
    let mut filled = Vec::new();
    let mut tokens = code.into_iter();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Punct(punct) if punct.as_char() == '$' => {
                let name = tokens.next().map(|name| name.to_string());
                filled.extend(values.get(&name.unwrap_or_default()));
            }
            TokenTree::Group(group) => {
                let delimiter = group.delimiter();
                debug_assert!(delimiter != Delimiter::None);
                let inner = fill(group.stream(), values);
                filled.push(Group::new(delimiter, inner).into());
            }
            token => filled.push(token),
        }
    }
    filled.into_iter().collect()
}
