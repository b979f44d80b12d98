//! The code of a type with fields.

use crate::{
    definition::Definition,
    field_code::FieldTemplates,
    template::{Template, Values},
};
use proc_macro::{TokenStream, TokenTree};

const TYPE: &str = r##"
    $attributes
    #[allow(non_camel_case_types)]
    #[derive(::core::clone::Clone, ::core::marker::Copy, ::core::cmp::PartialEq)]
    #[repr(transparent)]
    $vis struct $name {
        inner: $storage,
    }

    $cfg
    #[allow(dead_code)]
    impl $name {
        #[doc = "The value with this raw representation."]
        #[inline]
        $vis const fn from_raw(value: $storage) -> Self {
            Self { inner: value }
        }

        #[doc = "The raw representation."]
        #[inline]
        $vis const fn into_raw(self) -> $storage {
            self.inner
        }

        #[doc = "The value all of whose bits are zero."]
        #[inline]
        $vis const fn zeroed() -> Self {
            Self { inner: 0 }
        }

        $fields
    }

    $cfg
    impl ::core::convert::From<$storage> for $name {
        #[inline]
        fn from(value: $storage) -> Self {
            Self { inner: value }
        }
    }

    $cfg
    impl ::core::convert::From<$name> for $storage {
        #[inline]
        fn from(value: $name) -> Self {
            value.inner
        }
    }

    $cfg
    impl $krate::register::Bitfield for $name {
        type Storage = $storage;
        const NAME: &'static str = $text;
        const FIELDS: &'static [$krate::register::Field] = &[$table];
    }

    $cfg
    impl ::core::cmp::Eq for $name {}

    $cfg
    impl ::core::fmt::Debug for $name {
        #[inline]
        fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
            $krate::register::debug::<Self>(self.inner, f)
        }
    }
"##;

/// The code of types with fields, to be filled in.
pub(crate) struct TypeTemplates {
    ty: Template,
    fields: FieldTemplates,
}

impl TypeTemplates {
    pub(crate) fn new() -> Self {
        Self {
            ty: Template::new(TYPE),
            fields: FieldTemplates::new(),
        }
    }
}

/// The code of `definition`; `krate` is the path of io-core.
pub(crate) fn generate(
    definition: &Definition,
    krate: &TokenTree,
    templates: &TypeTemplates,
) -> TokenStream {
    let Definition {
        attributes,
        vis,
        name,
        storage,
        fields,
    } = definition;
    let values = Values::new()
        .token("krate", krate.clone())
        .tokens("vis", vis.clone())
        .token("name", name.clone())
        .token("storage", storage.clone())
        .tokens("cfg", attributes.cfg.clone())
        .string("text", &name.to_string());

    let mut methods = TokenStream::new();
    let mut table = TokenStream::new();
    let mut errors = TokenStream::new();
    for field in fields {
        methods.extend(templates.fields.methods(field, &values));
        table.extend(templates.fields.table_entry(field, &values));
        errors.extend(templates.fields.error(field, &values));
    }
    let all = Values::within(&values)
        .tokens("attributes", all_attributes(definition))
        .tokens("fields", methods)
        .tokens("table", table);
    let mut code = templates.ty.fill(&all);
    code.extend(errors);
    code
}

/// The attributes of the type itself: all, with a line of documentation if there is none.
fn all_attributes(definition: &Definition) -> TokenStream {
    let attributes = &definition.attributes;
    let mut all = documentation(definition);
    all.extend(attributes.cfg.clone());
    all.extend(attributes.lints.clone());
    all.extend(attributes.others.clone());
    all
}

/// The documentation of what is defined.
pub(crate) fn documentation(definition: &Definition) -> TokenStream {
    if definition.attributes.docs.is_empty() {
        let line = format!("`{}`.", definition.name);
        return Template::new("#[doc = $line]").fill(&Values::new().string("line", &line));
    }
    definition.attributes.docs.clone()
}
