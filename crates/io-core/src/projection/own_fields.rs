//! Which types may be asked for a field.

/// What has fields of its own, and no others: every type that does not dereference to another.
///
/// `.field` on a type that does could run its `Deref`, and end up elsewhere. Such a type has the trait in two
/// ways, so that the compiler does not choose one. The names of this module can be written nowhere
/// else, so that nobody chooses for it.
#[diagnostic::on_unimplemented(message = "`{Self}` has no fields to project to")]
pub trait OwnFields<How> {}

/// Every type has fields of its own.
#[derive(Debug)]
pub enum Plainly {}

/// Some types lead to those of others.
#[derive(Debug)]
pub enum ByDeref {}

impl<T> OwnFields<Plainly> for T {}
impl<T: std::ops::Deref> OwnFields<ByDeref> for T {}
