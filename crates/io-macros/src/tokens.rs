//! Tokens that are put together.

use proc_macro::{Delimiter, Group, Ident, Literal, Punct, Spacing, Span, TokenStream, TokenTree};

/// Tokens, in the order in which they were added.
#[derive(Default)]
pub(crate) struct Tokens(Vec<TokenTree>);

impl Tokens {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn add(&mut self, token: impl Into<TokenTree>) -> &mut Self {
        self.0.push(token.into());
        self
    }

    pub(crate) fn all(&mut self, tokens: &[TokenTree]) -> &mut Self {
        self.0.extend_from_slice(tokens);
        self
    }

    pub(crate) fn append(&mut self, tokens: Self) -> &mut Self {
        self.0.extend(tokens.0);
        self
    }

    pub(crate) fn word(&mut self, word: &str) -> &mut Self {
        self.ident(word, Span::call_site())
    }

    pub(crate) fn ident(&mut self, ident: &str, span: Span) -> &mut Self {
        self.add(Ident::new(ident, span))
    }

    /// One or more characters of punctuation, such as `::`.
    pub(crate) fn punct(&mut self, punct: &str) -> &mut Self {
        let mut characters = punct.chars().peekable();
        while let Some(character) = characters.next() {
            let spacing = match characters.peek() {
                Some(_) => Spacing::Joint,
                None => Spacing::Alone,
            };
            self.add(Punct::new(character, spacing));
        }
        self
    }

    pub(crate) fn number(&mut self, number: u32) -> &mut Self {
        self.add(Literal::u32_unsuffixed(number))
    }

    pub(crate) fn string(&mut self, text: &str) -> &mut Self {
        self.add(Literal::string(text))
    }

    /// `(…)`.
    pub(crate) fn parentheses(&mut self, inner: Self) -> &mut Self {
        self.add(Group::new(Delimiter::Parenthesis, inner.into()))
    }

    /// `{…}`.
    pub(crate) fn braces(&mut self, inner: Self) -> &mut Self {
        self.add(Group::new(Delimiter::Brace, inner.into()))
    }

    /// `#[doc = text]`.
    pub(crate) fn documentation(&mut self, text: &str) -> &mut Self {
        let mut attribute = Self::new();
        attribute.word("doc").punct("=").string(text);
        let attribute = Group::new(Delimiter::Bracket, attribute.into());
        self.punct("#").add(attribute)
    }
}

impl From<Tokens> for TokenStream {
    fn from(tokens: Tokens) -> Self {
        tokens.0.into_iter().collect()
    }
}

/// `code`, as if it stood at `span`: that is where the compiler says what is wrong with it.
pub(crate) fn code_at(span: Span, code: &str) -> TokenStream {
    let code: TokenStream = code.parse().expect("what we write are Rust tokens");
    respanned(code, span)
}

fn respanned(code: TokenStream, span: Span) -> TokenStream {
    let tokens = code.into_iter().map(|mut token| {
        if let TokenTree::Group(group) = &token {
            token = Group::new(group.delimiter(), respanned(group.stream(), span)).into();
        }
        token.set_span(span);
        token
    });
    tokens.collect()
}
