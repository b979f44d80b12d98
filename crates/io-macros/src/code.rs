//! What a definition becomes: a call of io-core's `__bitfield!`, and for a register one of `__location!`. The code is
//! there.

use crate::{
    definition::{Definition, Location, Register},
    field::{Access, Field, Value},
    tokens::{Tokens, code_at},
};
use proc_macro::{Literal, TokenStream, TokenTree};

/// The code of a type with fields; `krate` is the path of io-core.
pub(crate) fn bitfield(definition: &Definition, krate: &TokenTree) -> TokenStream {
    let attributes = &definition.attributes;
    let mut all = documentation(definition);
    all.all(&attributes.cfg)
        .all(&attributes.lints)
        .all(&attributes.others);
    let mut input = Tokens::new();
    input
        .parentheses(all)
        .all(&attributes.cfg)
        .all(&definition.vis)
        .add(definition.name.clone())
        .add(definition.storage.clone())
        .string(&definition.name.to_string());
    let mut lists = Lists::default();
    for field in &definition.fields {
        lists.add(field);
    }
    lists.write(&mut input);
    input.word("table").braces(table(&definition.fields));
    let mut code = call(krate, "__bitfield", input);
    code.extend(definition.fields.iter().filter_map(error));
    code
}

/// The code of a register; `krate` is the path of io-core.
pub(crate) fn register(register: &Register, krate: &TokenTree) -> TokenStream {
    let definition = &register.definition;
    let attributes = &definition.attributes;
    let mut input = Tokens::new();
    input
        .all(&attributes.cfg)
        .all(&definition.vis)
        .add(definition.name.clone());
    match &register.base {
        Some(base) => input.all(base),
        None => input
            .add(krate.clone())
            .punct("::")
            .word("register")
            .punct("::")
            .word("Absolute"),
    };
    input.punct(";");
    location(register, &mut input);
    if let Some(array) = &register.array {
        input.word("array").all(&attributes.cfg).all(&array.len);
        if let Some(stride) = &array.stride {
            input.punct(",").all(stride);
        }
        input.punct(";");
    } else if register.base.is_none() {
        input
            .word("constant")
            .append(documentation(definition))
            .all(&attributes.cfg)
            .all(&attributes.lints)
            .punct(";");
    }
    for name in traits(register) {
        input
            .all(&attributes.cfg)
            .word("impl")
            .word(name)
            .punct(";");
    }
    let mut code = bitfield(definition, krate);
    code.extend(call(krate, "__location", input));
    code
}

/// `krate::name! { input }`.
fn call(krate: &TokenTree, name: &str, input: Tokens) -> TokenStream {
    let mut code = Tokens::new();
    code.add(krate.clone())
        .punct("::")
        .word(name)
        .punct("!")
        .braces(input);
    code.into()
}

/// Where `register` is.
fn location(register: &Register, input: &mut Tokens) {
    let cfg = &register.definition.attributes.cfg;
    match &register.location {
        Location::Offset(offset) => input.word("offset").all(offset),
        Location::Alias { other, index: None } => input.word("alias").all(cfg).all(other),
        Location::Alias {
            other,
            index: Some(index),
        } => input
            .word("element")
            .all(cfg)
            .all(other)
            .punct(",")
            .all(index),
    };
    input.punct(";");
}

/// What `register` implements that says how it is accessed.
fn traits(register: &Register) -> Vec<&'static str> {
    let access = register.definition.attributes.access.as_ref();
    let access = access.map(ToString::to_string);
    let mut traits = Vec::new();
    if access.as_deref() != Some("wo") {
        traits.push("Readable");
    }
    if access.as_deref() != Some("ro") {
        traits.push("Writable");
    }
    if register.array.is_none() {
        traits.push("Single");
    }
    if register.base.is_some() {
        traits.push("WithBase");
    }
    traits
}

/// The documentation of what is defined, a line if there is none.
fn documentation(definition: &Definition) -> Tokens {
    let mut docs = Tokens::new();
    if definition.attributes.docs.is_empty() {
        docs.documentation(&format!("`{}`.", definition.name));
    } else {
        docs.all(&definition.attributes.docs);
    }
    docs
}

/// What `__bitfield!` gets for the fields: lists of what is to be made.
#[derive(Default)]
struct Lists {
    constants: Tokens,
    get: Tokens,
    get_bool: Tokens,
    get_into: Tokens,
    get_try_into: Tokens,
    set: Tokens,
    set_bool: Tokens,
    set_from: Tokens,
}

impl Lists {
    fn add(&mut self, field: &Field) {
        let name = field.plain_name();
        let high = field.low + field.width - 1;
        let bits = format!("`{name}`, bits {high}:{}.", field.low);
        self.add_constants(field, &name, &bits);
        if field.access != Access::WriteOnly {
            self.add_getter(field, &bits);
        }
        if !matches!(field.access, Access::ReadOnly | Access::ReadToClear) {
            self.add_setters(field, &name, &bits);
        }
    }

    fn add_constants(&mut self, field: &Field, name: &str, bits: &str) {
        let (upper, span) = (name.to_uppercase(), field.name.span());
        let mut entry = Tokens::new();
        entry
            .all(&field.attributes.cfg)
            .ident(&format!("{upper}_RANGE"), span)
            .ident(&format!("{upper}_MASK"), span)
            .ident(&format!("{upper}_SHIFT"), span)
            .number(field.low)
            .number(field.low + field.width - 1)
            .add(mask(field))
            .string(bits);
        self.constants.parentheses(entry);
    }

    fn add_getter(&mut self, field: &Field, bits: &str) {
        let attributes = &field.attributes;
        let mut entry = Tokens::new();
        if attributes.docs.is_empty() {
            entry.documentation(bits);
        }
        entry
            .all(&attributes.docs)
            .all(&attributes.cfg)
            .all(&attributes.lints)
            .all(&attributes.others)
            .add(field.name.clone());
        if matches!(field.value, Value::Plain | Value::TryInto(_)) {
            entry.word(&format!("Bits{}", field.width));
        }
        if !field.is_bool() {
            entry.word(&format!("get{}", field.width));
        }
        entry.number(field.low);
        let list = match &field.value {
            Value::Plain => &mut self.get,
            Value::Into(ty) if field.is_bool() => {
                entry.all(ty);
                &mut self.get_bool
            }
            Value::Into(ty) => {
                entry.all(ty);
                &mut self.get_into
            }
            Value::TryInto(ty) => {
                entry.all(ty);
                &mut self.get_try_into
            }
        };
        list.parentheses(entry);
    }

    fn add_setters(&mut self, field: &Field, name: &str, bits: &str) {
        let (attributes, span) = (&field.attributes, field.name.span());
        let does = match field.access {
            Access::WriteOneToClear => "Sets the bits to write to",
            _ => "Replaces",
        };
        let mut entry = Tokens::new();
        entry
            .all(&attributes.cfg)
            .all(&attributes.lints)
            .all(&attributes.others)
            .ident(&format!("with_{name}"), span);
        let width = field.width;
        if let Value::Plain = field.value {
            entry
                .ident(&format!("with_const_{name}"), span)
                .ident(&format!("try_with_{name}"), span)
                .word(&format!("Bits{width}"))
                .word(&format!("put{width}"))
                .word(&format!("put_const{width}"))
                .number(width);
        } else if !field.is_bool() {
            entry
                .word(&format!("put{width}"))
                .word(&format!("Bits{width}"));
        }
        entry.number(field.low).string(&format!("{does} {bits}"));
        let list = match &field.value {
            Value::Plain => &mut self.set,
            Value::Into(ty) if field.is_bool() => {
                entry.all(ty);
                &mut self.set_bool
            }
            Value::Into(ty) | Value::TryInto(ty) => {
                entry.all(ty);
                &mut self.set_from
            }
        };
        list.parentheses(entry);
    }

    fn write(self, input: &mut Tokens) {
        for (name, list) in [
            ("constants", self.constants),
            ("get", self.get),
            ("get_bool", self.get_bool),
            ("get_into", self.get_into),
            ("get_try_into", self.get_try_into),
            ("set", self.set),
            ("set_bool", self.set_bool),
            ("set_from", self.set_from),
        ] {
            input.word(name).braces(list);
        }
    }
}

/// The fields as the text that io-core's `Fields` reads; one for each, if some are there under conditions.
fn table(fields: &[Field]) -> Tokens {
    let mut table = Tokens::new();
    if fields.iter().all(|field| field.attributes.cfg.is_empty()) {
        let plain = |field: &Field| matches!(field.access, Access::ReadWrite | Access::ReadOnly);
        let start = if fields.iter().all(plain) { "=" } else { "" };
        let fields = fields.iter().map(text).collect::<String>();
        table.string(&format!("{start}{fields}"));
        return table;
    }
    let mut parts = Tokens::new();
    for field in fields {
        let mut part = Tokens::new();
        part.all(&field.attributes.cfg).string(&text(field));
        parts.parentheses(part);
    }
    table.string("").word("parts").braces(parts);
    table
}

/// A field in the table: `0804-mode;`.
fn text(field: &Field) -> String {
    let access = match field.access {
        Access::ReadWrite => '-',
        Access::ReadOnly => 'r',
        Access::WriteOnly => 'w',
        Access::WriteOneToClear => '1',
        Access::ReadToClear => 'c',
    };
    let (low, width, name) = (field.low, field.width, field.plain_name());
    format!("{low:02}{width:02}{access}{name};")
}

/// The bits of a field.
fn mask(field: &Field) -> Literal {
    let mask = (u64::MAX >> (u64::BITS - field.width)) << field.low;
    format!("{mask:#x}").parse().expect("a number is a literal")
}

/// What makes the compiler say what is wrong with the bits of `field`, if anything is.
fn error(field: &Field) -> Option<TokenStream> {
    let message = Literal::string(field.error.as_deref()?);
    let code = format!("const _: () = ::core::panic!({message});");
    let mut tokens = Tokens::new();
    tokens.all(&field.attributes.cfg);
    let mut tokens = TokenStream::from(tokens);
    tokens.extend(code_at(field.name.span(), &code));
    Some(tokens)
}
