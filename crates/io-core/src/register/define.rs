//! The macros that define types with fields.

/// Defines integers that are made of fields: the values of registers, of descriptors, of whatever has bits.
///
/// ```
/// use io_core::{Bounded, bitfield};
///
/// bitfield! {
///     /// A colour of 16 bits.
///     pub struct Rgb(u16) {
///         15:11 blue;
///         /// Green has one bit more.
///         10:5 green;
///         4:0 red;
///     }
/// }
///
/// let colour = Rgb::zeroed()
///     .with_const_red::<0x10>()
///     .with_green(Bounded::<u16, 6>::new::<0x3f>())
///     .try_with_blue(7)?;
/// assert_eq!(colour.into_raw(), 7 << 11 | 0x3f << 5 | 0x10);
/// assert_eq!(colour.green(), 0x3f);
/// assert_eq!(Rgb::GREEN_MASK, 0x07e0);
/// assert!(colour.try_with_blue(32).is_err());
/// # Ok::<(), io_core::register::FieldError>(())
/// ```
///
/// # Fields
///
/// A field is `high:low name;`, both bits included. Fields may overlap, and bits that no field names are
/// kept. The value of a field of `N` bits is a [`Bounded<u16, N>`](crate::Bounded), which has
/// [a short name](crate::register::bits) for each `N`, or what it is converted into:
///
/// - `3:0 mode => Mode;` converts by `From`, in both directions; `0:0 enable => bool;` is most common.
/// - `3:0 mode ?=> Mode;` is for types that do not know all values: the getter uses `TryFrom`, and returns a
///   `Result`.
///
/// Bits that are not there, or stand in the wrong order, do not compile:
///
/// ```compile_fail,E0080
/// io_core::bitfield! {
///     struct Status(u8) {
///         8:8 carry;
///     }
/// }
/// ```
///
/// ```compile_fail,E0080
/// io_core::bitfield! {
///     struct Status(u8) {
///         0:3 code;
///     }
/// }
/// ```
///
/// # What is generated
///
/// The type, which is `Copy` and `PartialEq`, prints itself by field, and converts from its integer and into
/// it by `From`; `zeroed()`, `from_raw(…)`, `into_raw()`. For a field `mode`:
///
/// - `mode()`, the value; `MODE_MASK`, `MODE_SHIFT` and `MODE_RANGE`.
/// - `with_mode(value)`, which returns a changed copy. Its argument always fits: a `Bounded`, a `bool` for one
///   bit, an integer type that is no wider than the field, or the type that the field is converted into.
/// - If it is not converted, `with_const_mode::<VALUE>()`, a `const fn` that is checked at compile time, and
///   `try_with_mode(value)` for every integer.
///
/// ```compile_fail,E0080
/// io_core::bitfield! {
///     struct Config(u8) {
///         3:0 nibble;
///     }
/// }
/// let _ = Config::zeroed().with_const_nibble::<0x10>();
/// ```
///
/// Names of fields must not start with `with_`, `const_`, `try_with_` or `__`, nor be `from_raw`, `into_raw`,
/// `into` or `zeroed`.
///
/// # Fields that cannot be read, or written
///
/// These attributes, which the kernel's macro does not have, can stand before a field:
///
/// | | |
/// |---|---|
/// | `#[ro]` | read-only: there are no setters |
/// | `#[wo]` | write-only: there is no getter, and [`Io::update`](crate::Io::update) writes zeros unless it is set |
/// | `#[w1c]` | write-1-to-clear: `with_` sets the bits that are to be cleared, and `update` clears no others |
/// | `#[rc]` | read-to-clear: there are no setters, and `update` does not compile |
///
/// ```compile_fail,E0599
/// io_core::bitfield! {
///     struct Status(u8) {
///         #[ro] 0:0 link_up => bool;
///     }
/// }
/// let _ = Status::zeroed().with_link_up(true);
/// ```
///
/// ```compile_fail,E0599
/// io_core::bitfield! {
///     struct Command(u8) {
///         #[wo] 0:0 start => bool;
///     }
/// }
/// let _ = Command::zeroed().start();
/// ```
#[macro_export]
macro_rules! bitfield {
    ($($definition:tt)*) => {
        $crate::__macros::bitfield! { $crate $($definition)* }
    };
}

/// Defines registers, as the kernel's macro of the same name does.
///
/// Each is a type, with fields as in [`bitfield!`](crate::bitfield!), and a location in a region. How they
/// are accessed is told in [the module](mod@crate::register).
///
/// | location | meaning |
/// |---|---|
/// | `@ 0x100` | at this offset; any constant expression (a sum that starts with a name goes into parentheses) |
/// | `=> OTHER` | an alias: the same place, other fields |
/// | `[64] @ 0x80` | an array, elements next to each other |
/// | `[16, stride = 8] @ 0xc0` | an array whose elements are 8 bytes apart |
/// | `=> ARRAY[8]` | an alias of one element |
/// | `@ Base + 0x10` | relative to each of the bases of the family `Base` (see [`RegisterBase`](crate::register::RegisterBase)) |
/// | `=> Base + OTHER` | an alias of a relative register |
/// | `[10, stride = 4] @ Base + 0x100` | an array that is relative |
/// | `=> Base + ARRAY[8]` | an alias of one element of that |
///
/// ```
/// use io_core::{Io, Region, SysMem, register, register::{Array, RegisterBase, WithBase}};
///
/// /// The registers that each processor has.
/// pub struct Cpu;
///
/// register! {
///     /// What the device is.
///     #[ro]
///     pub ID(u32) @ 0x00 {
///         31:16 vendor;
///         15:0 device;
///     }
///
///     /// Scratch registers.
///     pub SCRATCH(u32)[4] @ 0x10 {}
///
///     /// The last one holds what the firmware has come to.
///     pub FIRMWARE(u32) => SCRATCH[3] {
///         7:0 status => u8;
///     }
///
///     /// Processor control.
///     pub CPU_CTRL(u32) @ Cpu + 0x04 {
///         0:0 start => bool;
///     }
/// }
///
/// struct Cpu1;
/// impl RegisterBase<Cpu> for Cpu1 {
///     const BASE: usize = 0x30;
/// }
///
/// let mut memory = [0u64; 8];
/// let region = Region::<0x40>::try_from_raw_parts(memory.as_mut_ptr().cast(), 0x40)?;
/// // SAFETY: `memory` is live, and nothing else uses it, for as long as `io` is used.
/// let io = unsafe { SysMem::from_raw(region) };
///
/// assert_eq!(io.read(ID).vendor(), 0);
/// io.write(SCRATCH::at(3), SCRATCH::from(0xff42));
/// assert_eq!(io.read(FIRMWARE).status(), 0x42);
/// io.update(CPU_CTRL::of::<Cpu1>(), |ctrl| ctrl.with_start(true));
/// assert_eq!(io.read32::<0x34>(), 1);
/// # Ok::<(), io_core::RegionError>(())
/// ```
///
/// A register can be `#[ro]` or `#[wo]` as a whole: there is no `io.write` then, or no `io.read`. An alias says
/// so itself; what the fields of the other register do when they are read or written, it takes over. The other
/// register knows nothing of its aliases: an update of it writes back what an alias calls write-1-to-clear.
///
/// # What does not compile
///
/// A stride below the size of an element:
///
/// ```compile_fail,E0080
/// io_core::register! {
///     QUEUE(u32)[4, stride = 2] @ 0x00 {}
/// }
/// ```
///
/// An array without elements:
///
/// ```compile_fail,E0080
/// io_core::register! {
///     QUEUE(u32)[0] @ 0x00 {}
/// }
/// ```
///
/// An alias of an array instead of one of its elements:
///
/// ```compile_fail,E0277
/// io_core::register! {
///     SCRATCH(u32)[4] @ 0x10 {}
///     FIRMWARE(u32) => SCRATCH {}
/// }
/// ```
///
/// An index past the array, in an alias or in a constant location:
///
/// ```compile_fail,E0080
/// io_core::register! {
///     SCRATCH(u32)[4] @ 0x10 {}
///     FIRMWARE(u32) => SCRATCH[4] {}
/// }
/// ```
///
/// ```compile_fail,E0080
/// use io_core::{register, register::Array};
/// register! {
///     SCRATCH(u32)[4] @ 0x10 {}
/// }
/// let _ = SCRATCH::at_const::<4>();
/// ```
///
/// An array that is not in the region's `SIZE` as a whole, where the index is known at run time only:
///
/// ```compile_fail,E0080
/// use io_core::{Io, Region, SysMem, register, register::Array};
/// register! {
///     SCRATCH(u32)[4] @ 0x10 {}
/// }
/// fn read(io: SysMem<'_, Region<0x1c>>, index: usize) -> SCRATCH {
///     io.read(SCRATCH::at(index))
/// }
/// # let mut memory = [0u64; 8];
/// # let region = Region::try_from_raw_parts(memory.as_mut_ptr().cast(), 0x40).unwrap();
/// # read(unsafe { SysMem::from_raw(region) }, 0);
/// ```
///
/// An alias that counts from another base than the register whose alias it is:
///
/// ```compile_fail,E0271
/// struct Cpu;
/// io_core::register! {
///     CPU_CTRL(u32) @ Cpu + 0x04 {}
///     CTRL(u32) => CPU_CTRL {}
/// }
/// ```
#[macro_export]
macro_rules! register {
    ($($definition:tt)*) => {
        $crate::__macros::register! { $crate $($definition)* }
    };
}
