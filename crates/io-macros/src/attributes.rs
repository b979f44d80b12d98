//! The attributes of a definition, sorted by what becomes of them.

use crate::cursor::{Cursor, Error};
use proc_macro::{Delimiter, Ident, TokenTree};

/// The attributes that stand before a register or a field.
#[derive(Default)]
pub(crate) struct Attributes {
    /// Doc comments.
    pub(crate) docs: Vec<TokenTree>,
    /// `#[cfg(…)]`, which holds for everything that the definition generates.
    pub(crate) cfg: Vec<TokenTree>,
    /// Lint levels and deprecation, which also make sense on a constant and on a method.
    pub(crate) lints: Vec<TokenTree>,
    /// The others.
    pub(crate) others: Vec<TokenTree>,
    /// `#[ro]`, `#[wo]`, `#[w1c]` or `#[rc]`.
    pub(crate) access: Option<Ident>,
}

impl Cursor {
    /// The attributes that stand here. `accesses` are those of ours that may be among them.
    pub(crate) fn attributes(&mut self, accesses: &[&str]) -> Result<Attributes, Error> {
        let mut attributes = Attributes::default();
        while self.is_punct('#') {
            let hash = self.next();
            let Some(group) = self.group(Delimiter::Bracket) else {
                return Err(self.expected("`[`"));
            };
            let inner: Vec<_> = group.stream().into_iter().take(2).collect();
            let name = inner.first().map(ToString::to_string).unwrap_or_default();
            let target = match (name.as_str(), inner.as_slice()) {
                ("ro" | "wo" | "w1c" | "rc", [TokenTree::Ident(access)]) => {
                    if !accesses.contains(&name.as_str()) {
                        let message = format!("only a field can be `#[{name}]`");
                        return Err(Error::new(access.span(), message));
                    }
                    if attributes.access.replace(access.clone()).is_some() {
                        let message = "`#[ro]`, `#[wo]`, `#[w1c]` and `#[rc]` exclude each other";
                        return Err(Error::new(access.span(), message));
                    }
                    continue;
                }
                ("doc", _) => &mut attributes.docs,
                ("cfg", _) => &mut attributes.cfg,
                ("allow" | "expect" | "warn" | "deny" | "deprecated", _) => &mut attributes.lints,
                _ => &mut attributes.others,
            };
            target.extend(hash.into_iter().chain([group.into()]));
        }
        Ok(attributes)
    }
}
