//! The code of a register: its type, and where it is.

use crate::{
    definition::{Array, Location, Register},
    template::{Template, Values},
    type_code::{self, TypeTemplates},
};
use proc_macro::{TokenStream, TokenTree};

const REGISTER: &str = r##"
    $cfg
    impl $krate::register::Register for $name {
        type Family = $family;
        const OFFSET: usize = $offset;
        $effects
    }
"##;

const READABLE: &str = "$cfg impl $krate::register::Readable for $name {}";
const WRITABLE: &str = "$cfg impl $krate::register::Writable for $name {}";
const SINGLE: &str = "$cfg impl $krate::register::Single for $name {}";
const RELATIVE: &str = "$cfg impl $krate::register::WithBase for $name {}";

const LOCATION: &str = r##"
    $docs
    $cfg
    $lints
    #[allow(dead_code, non_upper_case_globals)]
    $vis const $name: $krate::register::RegisterLoc<$name> = $krate::register::RegisterLoc::new();
"##;

const ARRAY: &str = r##"
    $cfg
    impl $krate::register::Array for $name {
        const LEN: usize = $len;
        const STRIDE: usize = $stride;
    }

    $cfg
    const _: () = $krate::register::check_array::<$name>();
"##;

const ALIAS: &str = r##"
    $cfg
    const _: usize = <$name as $krate::register::Register>::OFFSET;
"##;

/// The code of registers, to be filled in.
pub(crate) struct RegisterTemplates {
    ty: TypeTemplates,
    register: Template,
    readable: Template,
    writable: Template,
    single: Template,
    relative: Template,
    location: Template,
    array: Template,
    alias: Template,
    absolute: Template,
}

impl RegisterTemplates {
    pub(crate) fn new() -> Self {
        Self {
            ty: TypeTemplates::new(),
            register: Template::new(REGISTER),
            readable: Template::new(READABLE),
            writable: Template::new(WRITABLE),
            single: Template::new(SINGLE),
            relative: Template::new(RELATIVE),
            location: Template::new(LOCATION),
            array: Template::new(ARRAY),
            alias: Template::new(ALIAS),
            absolute: Template::new("$krate::register::Absolute"),
        }
    }
}

/// The code of `register`; `krate` is the path of io-core.
pub(crate) fn generate(
    register: &Register,
    krate: &TokenTree,
    templates: &RegisterTemplates,
) -> TokenStream {
    let definition = &register.definition;
    let attributes = &definition.attributes;
    let values = Values::new()
        .token("krate", krate.clone())
        .tokens("cfg", attributes.cfg.clone())
        .token("name", definition.name.clone())
        .token("storage", definition.storage.clone());
    let family = match &register.base {
        Some(base) => base.clone(),
        None => templates.absolute.fill(&values),
    };
    let values = Values::within(&values).tokens("family", family);
    let located = location(register, &values);

    let mut code = type_code::generate(definition, krate, &templates.ty);
    code.extend(templates.register.fill(&located));
    let access = attributes.access.as_ref().map(ToString::to_string);
    if access.as_deref() != Some("wo") {
        code.extend(templates.readable.fill(&values));
    }
    if access.as_deref() != Some("ro") {
        code.extend(templates.writable.fill(&values));
    }
    match &register.array {
        Some(array) => code.extend(templates.array.fill(&array_values(array, &values))),
        None => code.extend(templates.single.fill(&values)),
    }
    if register.base.is_some() {
        code.extend(templates.relative.fill(&values));
    } else if register.array.is_none() {
        let values = Values::within(&values)
            .tokens("docs", type_code::documentation(definition))
            .tokens("lints", attributes.lints.clone())
            .tokens("vis", definition.vis.clone());
        code.extend(templates.location.fill(&values));
    }
    if matches!(register.location, Location::Alias { .. }) {
        code.extend(templates.alias.fill(&values));
    }
    code
}

/// The offset, and what an alias takes over from the register whose alias it is.
fn location<'a>(register: &Register, outer: &'a Values<'a>) -> Values<'a> {
    match &register.location {
        Location::Offset(offset) => Values::within(outer)
            .tokens("offset", offset.clone())
            .tokens("effects", TokenStream::new()),
        Location::Alias { other, index } => {
            let values = Values::within(outer).tokens("other", other.clone());
            let offset = match index {
                Some(index) => {
                    Template::new("$krate::register::element_offset::<$family, $other>($index)")
                        .fill(&Values::within(&values).tokens("index", index.clone()))
                }
                None => Template::new("$krate::register::alias_offset::<$family, $other>()")
                    .fill(&values),
            };
            let effects = Template::new(
                "const ALIASED: $krate::register::Effects = $krate::register::Effects::of::<$other>();",
            )
            .fill(&values);
            Values::within(outer)
                .tokens("offset", offset)
                .tokens("effects", effects)
        }
    }
}

fn array_values<'a>(array: &Array, outer: &'a Values<'a>) -> Values<'a> {
    let stride = match &array.stride {
        Some(stride) => stride.clone(),
        None => Template::new("::core::mem::size_of::<$storage>()").fill(outer),
    };
    Values::within(outer)
        .tokens("len", array.len.clone())
        .tokens("stride", stride)
}
