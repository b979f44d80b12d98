//! The procedural half of io-core's `register!` and `bitfield!`.
//!
//! Use the macros of io-core, which say there what they accept. This crate is only apart because a
//! procedural macro has to be, and procedural because a field `mode` becomes `with_mode` and `MODE_MASK`:
//! `macro_rules!` cannot put names together. It is written on `proc_macro` alone, so that a driver that
//! defines registers builds nothing else.
//!
//! - `cursor.rs` reads tokens, `definition.rs` and `field.rs` make definitions of them.
//! - `code.rs` makes of those the calls of io-core's hidden macros, which hold the code: what the compiler does by
//!   itself takes it a third of the time.
#![forbid(unsafe_code)]

mod attributes;
mod code;
mod cursor;
mod definition;
mod field;
mod tokens;

use cursor::{Cursor, Error};
use proc_macro::{TokenStream, TokenTree};

/// Defines registers. io-core's `register!` documents it; the first token is the path of that crate.
#[proc_macro]
pub fn register(input: TokenStream) -> TokenStream {
    expand(input, |cursor, krate| {
        let mut code = TokenStream::new();
        while !cursor.is_empty() {
            code.extend(code::register(&cursor.register()?, krate));
        }
        Ok(code)
    })
}

/// Defines bitfields. io-core's `bitfield!` documents it; the first token is the path of that crate.
#[proc_macro]
pub fn bitfield(input: TokenStream) -> TokenStream {
    expand(input, |cursor, krate| {
        let mut code = TokenStream::new();
        while !cursor.is_empty() {
            code.extend(code::bitfield(&cursor.bitfield()?, krate));
        }
        Ok(code)
    })
}

/// Hands `input` without its first token to `body`, and that token too.
fn expand(
    input: TokenStream,
    body: impl FnOnce(&mut Cursor, &TokenTree) -> Result<TokenStream, Error>,
) -> TokenStream {
    let mut cursor = Cursor::new(input);
    let Some(krate) = cursor.next() else {
        return TokenStream::new();
    };
    body(&mut cursor, &krate).unwrap_or_else(Error::into_code)
}
