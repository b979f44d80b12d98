//! Registers: types that know their fields, and where they are.
//!
//! [`register!`](crate::register!) defines them. [`Io`](crate::Io) reads and writes them:
//!
//! | call | what it does |
//! |---|---|
//! | `io.read(REG)` | reads a register |
//! | `io.write(REG, value)`, `io.write((), value)`, `io.write_reg(value)` | writes one; the value of a fixed register knows its location |
//! | `io.update(REG, \|r\| r.with_mode(…))` | reads it, changes it, and writes it back |
//! | `REG::at(i)`, `REG::try_at(i)`, `REG::at_const::<I>()` | the location of an element of an array |
//! | `REG::of::<B>()` | the location of a relative register; `.at(i)` and its kin if it is an array |
//! | `Array::at(i)`, `WithBase::of::<B>()` | the same where the value says which register it is |
//! | `io.try_read(…)`, `try_write`, `try_update`, `try_write_reg` | the same, checked when the program runs |
//!
//! Locations are compared with the region's `SIZE` at compile time. Of an array that is indexed at run time
//! the whole has to be in `SIZE`; elements of others are reached with `at_const`, or by the `try_` forms.
//!
//! ```
//! use io_core::{Io, MmioRaw, Mmio, Region, register};
//!
//! register! {
//!     /// Device control.
//!     pub CTRL(u32) @ 0x00 {
//!         /// How fast.
//!         7:4 mode;
//!         0:0 enable => bool;
//!     }
//!
//!     /// Interrupt causes.
//!     pub CAUSE(u32) @ 0x04 {
//!         /// A packet has arrived.
//!         #[w1c]
//!         1:1 packet => bool;
//!     }
//! }
//!
//! let mut memory = [0u64; 2];
//! let raw = MmioRaw::<Region<16>>::new_region(memory.as_mut_ptr().cast(), 16)?;
//! // SAFETY: `memory` is live, and nothing else uses it, for as long as `bar` is used.
//! let bar = unsafe { Mmio::from_raw(raw) };
//!
//! bar.write_reg(CTRL::zeroed().with_const_mode::<3>());
//! bar.update(CTRL, |ctrl| ctrl.with_enable(true));
//! let ctrl = bar.read(CTRL);
//! assert_eq!((ctrl.into_raw(), ctrl.mode().get()), (0x31, 3));
//! assert_eq!(format!("{ctrl:?}"), "CTRL { raw: 0x00000031, mode: 3, enable: 1 }");
//! # Ok::<(), io_core::RegionError>(())
//! ```

mod accessors;
pub mod bits;
mod code;
mod define;
mod field;
mod location;

use crate::num::Integer;

pub(crate) use accessors::register_accessors;
#[doc(hidden)]
pub use field::debug;
pub use field::{BitRange, Bitfield, Effects, Field, FieldAccess, FieldError, Fields};
pub use location::{Absolute, ConstElementLoc, ConstLoc, ElementLoc, IoLoc, RegisterLoc};

/// A register, or an array of them. [`register!`](crate::register!) implements it.
pub trait Register: Bitfield {
    /// The family of bases that its offset may count from; [`Absolute`] for the start of the region.
    type Family;
    /// Its offset from the base, in bytes. That of the first element, if it is an array.
    const OFFSET: usize;
    /// What is known from the register whose alias it is.
    #[doc(hidden)]
    const ALIASED: Effects = Effects::NONE;
}

/// A register that is no array.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is an array of registers",
    label = "say which element: `.at(i)`"
)]
pub trait Single: Register {}

/// What can be read from a device: every register that is not `#[wo]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be read",
    label = "this register is write-only"
)]
pub trait Readable {}

/// What can be written to a device: every register that is not `#[ro]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be written",
    label = "this register is read-only"
)]
pub trait Writable {}

/// A place that registers of the family `F` are relative to.
///
/// ```
/// use io_core::register::{RegisterBase, WithBase};
///
/// /// The registers that each port has.
/// pub struct Port;
/// struct Port1;
/// impl RegisterBase<Port> for Port1 {
///     const BASE: usize = 0x100;
/// }
///
/// io_core::register! {
///     pub STATUS(u32) @ Port + 0x10 {}
/// }
///
/// assert_eq!(format!("{:?}", STATUS::of::<Port1>()), "STATUS at 0x110");
/// ```
pub trait RegisterBase<F> {
    /// The offset from the start of the region, in bytes.
    const BASE: usize;
}

/// A register, or an array of them, that is relative to a base.
pub trait WithBase: Register {
    /// The location of the register at `B`.
    #[inline]
    #[must_use]
    fn of<B: RegisterBase<Self::Family>>() -> RegisterLoc<Self, B> {
        RegisterLoc::new()
    }
}

/// An array of registers.
pub trait Array: Register {
    /// The number of elements.
    const LEN: usize;
    /// The distance from one element to the next, in bytes.
    const STRIDE: usize = size_of::<Self::Storage>();

    /// The location of the element `index`.
    ///
    /// # Panics
    ///
    /// There is no such element, so that no access is made. Where the index is a constant,
    /// [`at_const`](Self::at_const) makes this an error of the build.
    #[inline]
    #[must_use]
    #[track_caller]
    fn at(index: usize) -> ElementLoc<Self>
    where
        Self: Register<Family = Absolute>,
    {
        RegisterLoc::new().at(index)
    }

    /// The location of the element `index`, if there is one.
    #[inline]
    #[must_use]
    fn try_at(index: usize) -> Option<ElementLoc<Self>>
    where
        Self: Register<Family = Absolute>,
    {
        RegisterLoc::new().try_at(index)
    }

    /// The location of the element `INDEX`, which does not compile if there is none.
    #[inline]
    #[must_use]
    fn at_const<const INDEX: usize>() -> ConstElementLoc<Self, INDEX>
    where
        Self: Register<Family = Absolute>,
    {
        RegisterLoc::new().at_const()
    }
}

impl Effects {
    /// Those of the register `T`.
    #[doc(hidden)]
    #[must_use]
    pub const fn of<T: Register>() -> Self {
        Self::of_fields(T::FIELDS).and(T::ALIASED)
    }
}

/// What an update hands on of `value`: zeros in the bits that would clear something when written back.
///
/// A register of which reading clears something does not compile.
#[inline]
pub(crate) fn updatable<T: Register>(value: T) -> T {
    const {
        assert!(
            Effects::of::<T>().read == 0,
            "an update of this register would lose what reading it clears: read and write it instead"
        );
    }
    let kept = const { u64::MAX >> (u64::BITS - T::Storage::BITS) & !Effects::of::<T>().write };
    // Never the default: the mask has no more bits than the register.
    let kept = T::Storage::try_from(kept).unwrap_or_default();
    T::from(T::Storage::from(value) & kept)
}

/// The offset of an alias of `T`, which is of the family `F`.
#[doc(hidden)]
#[must_use]
pub const fn alias_offset<F, T: Single + Register<Family = F>>() -> usize {
    T::OFFSET
}

/// The offset of an alias of the element `index` of `T`, which is of the family `F`.
#[doc(hidden)]
#[must_use]
pub const fn element_offset<F, T: Array + Register<Family = F>>(index: usize) -> usize {
    assert!(index < T::LEN, "the array of registers has no such element");
    T::OFFSET + index * T::STRIDE
}

/// Refuses to compile an array without elements, and one whose elements overlap.
#[doc(hidden)]
pub const fn check_array<T: Array>() {
    assert!(T::LEN > 0, "the array of registers has no elements");
    assert!(
        T::STRIDE >= size_of::<T::Storage>(),
        "the stride of the array is less than the size of an element"
    );
}
