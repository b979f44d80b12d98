//! The procedural half of io-core's `register!` and `bitfield!`.
//!
//! Use the macros of io-core, which say there what they accept. This crate is only apart because a
//! procedural macro has to be, and procedural because a field `mode` becomes `with_mode` and `MODE_MASK`:
//! `macro_rules!` cannot put names together. It is written on `proc_macro` alone, so that a driver that
//! defines registers builds nothing else.
//!
//! - `cursor.rs` reads tokens, `definition.rs` and `field.rs` make definitions of them.
//! - `template.rs` fills in Rust code with tokens, `type_code.rs` and `register_code.rs` hold the code.
#![forbid(unsafe_code)]

mod attributes;
mod cursor;
mod definition;
mod field;
mod field_code;
mod register_code;
mod template;
mod type_code;

use cursor::{Cursor, Error};
use proc_macro::{TokenStream, TokenTree};
use register_code::RegisterTemplates;
use type_code::TypeTemplates;

/// Defines registers. io-core's `register!` documents it; the first token is the path of that crate.
#[proc_macro]
pub fn register(input: TokenStream) -> TokenStream {
    expand(input, |cursor, krate| {
        let templates = RegisterTemplates::new();
        let mut code = TokenStream::new();
        while !cursor.is_empty() {
            let register = cursor.register()?;
            code.extend(register_code::generate(&register, krate, &templates));
        }
        Ok(code)
    })
}

/// Defines bitfields. io-core's `bitfield!` documents it; the first token is the path of that crate.
#[proc_macro]
pub fn bitfield(input: TokenStream) -> TokenStream {
    expand(input, |cursor, krate| {
        let templates = TypeTemplates::new();
        let mut code = TokenStream::new();
        while !cursor.is_empty() {
            let definition = cursor.bitfield()?;
            code.extend(type_code::generate(&definition, krate, &templates));
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
