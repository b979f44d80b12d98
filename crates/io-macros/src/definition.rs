//! The definitions of types with fields, and of registers.

use crate::{
    attributes::Attributes,
    cursor::{Cursor, Error},
    field::Field,
};
use proc_macro::{Delimiter, Group, Ident, TokenTree};

/// A type with fields: all of a `bitfield!`, and the half of a register that is not its location.
pub(crate) struct Definition {
    pub(crate) attributes: Attributes,
    pub(crate) vis: Vec<TokenTree>,
    pub(crate) name: Ident,
    pub(crate) storage: Ident,
    pub(crate) fields: Vec<Field>,
}

/// A register.
pub(crate) struct Register {
    pub(crate) definition: Definition,
    pub(crate) array: Option<Array>,
    /// `Base` of `@ Base + offset`.
    pub(crate) base: Option<Vec<TokenTree>>,
    pub(crate) location: Location,
}

/// `[len, stride = stride]`.
pub(crate) struct Array {
    pub(crate) len: Vec<TokenTree>,
    pub(crate) stride: Option<Vec<TokenTree>>,
}

pub(crate) enum Location {
    /// `@ offset`.
    Offset(Vec<TokenTree>),
    /// `=> other[index]`.
    Alias {
        other: Vec<TokenTree>,
        index: Option<Vec<TokenTree>>,
    },
}

impl Cursor {
    /// The `struct Name(u32) { … }` that stands here.
    pub(crate) fn bitfield(&mut self) -> Result<Definition, Error> {
        let attributes = self.attributes(&[])?;
        let vis = self.visibility();
        if !self.is_ident("struct") {
            return Err(self.expected("`struct`"));
        }
        self.next();
        let (name, storage, bits) = self.head()?;
        let fields = self.fields(bits)?;
        Ok(Definition {
            attributes,
            vis,
            name,
            storage,
            fields,
        })
    }

    /// The `NAME(u32) @ 0x10 { … }` that stands here.
    pub(crate) fn register(&mut self) -> Result<Register, Error> {
        let attributes = self.attributes(&["ro", "wo"])?;
        let vis = self.visibility();
        let (name, storage, bits) = self.head()?;
        let array = self.group(Delimiter::Bracket).map(array);
        let (base, location) = self.location()?;
        if let (Location::Alias { .. }, Some(_)) = (&location, &array) {
            let message = "an alias is one register, not an array";
            return Err(Error::new(name.span(), message));
        }
        let fields = self.fields(bits)?;
        let definition = Definition {
            attributes,
            vis,
            name,
            storage,
            fields,
        };
        Ok(Register {
            definition,
            array,
            base,
            location,
        })
    }

    fn visibility(&mut self) -> Vec<TokenTree> {
        if let Some(group) = self.group(Delimiter::None) {
            return vec![group.into()];
        }
        let mut vis = Vec::new();
        if self.is_ident("pub") {
            vis.extend(self.next());
            let scope = self.group(Delimiter::Parenthesis);
            vis.extend(scope.map(TokenTree::from));
        }
        vis
    }

    /// `NAME(u32)`, and how many bits that has.
    fn head(&mut self) -> Result<(Ident, Ident, u32), Error> {
        let name = self.ident("a name")?;
        let Some(group) = self.group(Delimiter::Parenthesis) else {
            return Err(self.expected("`(u8)`, `(u16)`, `(u32)` or `(u64)`"));
        };
        let mut inner = Self::new(group.stream());
        let storage = inner.ident("`u8`, `u16`, `u32` or `u64`")?;
        let bits = match storage.to_string().as_str() {
            "u8" => 8,
            "u16" => 16,
            "u32" => 32,
            "u64" => 64,
            _ => {
                let message = "a register is a `u8`, a `u16`, a `u32` or a `u64`";
                return Err(Error::new(storage.span(), message));
            }
        };
        Ok((name, storage, bits))
    }

    /// What stands between the name and the fields: where the register is.
    fn location(&mut self) -> Result<(Option<Vec<TokenTree>>, Location), Error> {
        let is_alias = self.is_punct('=');
        if !self.skip_punct("@")? && !self.skip_punct("=>")? {
            return Err(self.expected("`@` and an offset, or `=>` and a register"));
        }
        let mut tokens = self.until(|token| is_group(token, Delimiter::Brace));
        let plus = tokens
            .iter()
            .position(|token| matches!(token, TokenTree::Punct(punct) if punct.as_char() == '+'));
        // `BASE + 4`, but not `path::OFFSET + 4` or `(BASE) + 4`, which are numbers.
        let base = match plus {
            Some(plus) if is_alias || (plus == 1 && is_name(tokens.first())) => {
                let rest = tokens.split_off(plus + 1);
                tokens.pop();
                Some(std::mem::replace(&mut tokens, rest))
            }
            _ => None,
        };
        if tokens.is_empty() {
            return Err(self.expected("where the register is"));
        }
        let location = if is_alias {
            let index = match tokens.last() {
                Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Bracket => {
                    Some(group.stream().into_iter().collect())
                }
                _ => None,
            };
            if index.is_some() {
                tokens.pop();
            }
            Location::Alias {
                other: tokens,
                index,
            }
        } else {
            Location::Offset(tokens)
        };
        Ok((base, location))
    }

    fn fields(&mut self, bits: u32) -> Result<Vec<Field>, Error> {
        let Some(group) = self.group(Delimiter::Brace) else {
            return Err(self.expected("`{` and the fields"));
        };
        let mut inner = Self::new(group.stream());
        let mut fields = Vec::new();
        while !inner.is_empty() {
            fields.push(inner.field(bits)?);
        }
        Ok(fields)
    }
}

/// What is in the brackets of an array.
fn array(group: Group) -> Array {
    let tokens: Vec<_> = group.stream().into_iter().collect();
    let split = tokens.windows(3).position(|window| {
        matches!(window, [TokenTree::Punct(comma), TokenTree::Ident(stride), TokenTree::Punct(equals)]
            if comma.as_char() == ',' && stride.to_string() == "stride" && equals.as_char() == '=')
    });
    let mut tokens = tokens.into_iter();
    match split {
        Some(comma) => {
            let len = tokens.by_ref().take(comma).collect();
            let stride = Some(tokens.skip(3).collect());
            Array { len, stride }
        }
        None => Array {
            len: tokens.collect(),
            stride: None,
        },
    }
}

fn is_group(token: &TokenTree, delimiter: Delimiter) -> bool {
    matches!(token, TokenTree::Group(group) if group.delimiter() == delimiter)
}

fn is_name(token: Option<&TokenTree>) -> bool {
    matches!(token, Some(TokenTree::Ident(_)))
}
