//! The macros that project, read and write by field and index.

/// The view of a field, or of an element, of what a view shows: `io_project!(view, .field[try: i])`.
///
/// | step | leads to |
/// |---|---|
/// | `.field`, `.0` | a field of a structure, or of a tuple |
/// | `[try: i]` | an element of an array or a slice; where there is none, the function returns the [`AccessError`](crate::AccessError), by `?` |
/// | `[build: i]` | an element of an array, by a constant that is checked at compile time |
/// | `[panic: i]` | an element of an array or a slice; panics where there is none |
/// | `[try: a..b]`, `[panic: a..b]`, `[build: A .. B]` | the slice of these elements; in `build`, both ends are one token (a literal, a name, or in parentheses) |
///
/// No reference to the memory is formed: all is arithmetic on pointers, and works on the views of every backend.
/// The size of the part is that of its type. Structures need `#[repr(C)]` to be laid out as a device expects.
///
/// ```
/// use io_core::{AccessError, Io, Mmio, MmioRaw, Region, io_project, io_read, io_write};
///
/// #[repr(C)]
/// struct Queue {
///     head: u32,
///     tail: u32,
///     slots: [(u64, u64); 4],
/// }
///
/// fn last_address(queue: Mmio<'_, Queue>, index: usize) -> Result<u64, AccessError> {
///     io_write!(queue, .tail, 1);
///     let slots = io_project!(queue, .slots);
///     io_write!(slots, [build: 3].1, 0x1000);
///     Ok(io_read!(slots, [try: index].1))
/// }
///
/// let mut memory = [0u64; 16];
/// let raw = MmioRaw::<Region>::new_region(memory.as_mut_ptr().cast(), 128)?;
/// // SAFETY: `memory` is live, and nothing else uses it, for as long as `bar` is used.
/// let bar = unsafe { Mmio::from_raw(raw) };
///
/// let queue = bar.try_cast::<Queue>()?;
/// assert_eq!(last_address(queue, 3)?, 0x1000);
/// assert!(last_address(queue, 4).is_err());
/// assert_eq!(bar.try_read32(4)?, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// A field that may not be aligned does not compile:
///
/// ```compile_fail,E0793
/// #[repr(C, packed)]
/// struct Header {
///     kind: u8,
///     length: u32,
/// }
/// fn length(header: io_core::Mmio<'_, Header>) -> u32 {
///     io_core::io_read!(header, .length)
/// }
/// ```
///
/// Nor does one that is behind a pointer:
///
/// ```compile_fail,E0283
/// struct Inner {
///     length: u32,
/// }
/// struct Header {
///     inner: Box<Inner>,
/// }
/// fn length(header: io_core::Mmio<'_, Header>) -> u32 {
///     io_core::io_read!(header, .inner.length)
/// }
/// ```
///
/// Nor a constant index that is out of bounds:
///
/// ```compile_fail,E0080
/// use io_core::SysMem;
/// let mut memory = [0u32; 4];
/// // SAFETY: `memory` is live, and nothing else uses it, for as long as `view` is used.
/// let view = unsafe { SysMem::from_raw(&raw mut memory) };
/// io_core::io_read!(view, [build: 4]);
/// ```
#[macro_export]
macro_rules! io_project {
    ($view:expr, $($steps:tt)+) => {
        match $crate::IoBase::as_view($view) {
            view => $crate::__io_project!(view, $($steps)+),
        }
    };
}

/// Reads a field, or an element, of what a view shows: `io_read!(view, .field[try: i])`.
///
/// The steps are those of [`io_project!`](crate::io_project!). What they lead to is an integer that the
/// backend reads with one access, which never fails. Where it may, as in configuration space, it is
/// `io_project!(view, …).try_read_val()`.
#[macro_export]
macro_rules! io_read {
    ($view:expr, $($steps:tt)+) => {
        $crate::Io::read_val($crate::io_project!($view, $($steps)+))
    };
}

/// Writes a field, or an element, of what a view shows: `io_write!(view, .field[try: i], value)`.
///
/// The steps are those of [`io_project!`](crate::io_project!). What they lead to is an integer that the
/// backend writes with one access, which never fails. Where it may, as in configuration space, it is
/// `io_project!(view, …).try_write_val(value)`.
#[macro_export]
macro_rules! io_write {
    ($view:expr, $($rest:tt)+) => {
        $crate::__io_write!($view, (), $($rest)+)
    };
}

/// Takes step after step.
#[doc(hidden)]
#[macro_export]
macro_rules! __io_project {
    ($view:expr $(,)?) => {
        $view
    };
    ($view:expr, . $field:ident $($rest:tt)*) => {
        $crate::__io_project!($crate::__io_project_field!($view, $field), $($rest)*)
    };
    ($view:expr, . $field:tt $($rest:tt)*) => {
        $crate::__io_project!(
            {
                // `.0.1` is one token, and not one step.
                const _: u32 = $field;
                $crate::__io_project_field!($view, $field)
            },
            $($rest)*
        )
    };
    ($view:expr, [try: $index:expr] $($rest:tt)*) => {
        $crate::__io_project!($crate::projection::try_project_index($view, $index)?, $($rest)*)
    };
    ($view:expr, [panic: $index:expr] $($rest:tt)*) => {
        $crate::__io_project!($crate::projection::project_index($view, $index), $($rest)*)
    };
    ($view:expr, [build: $start:tt .. $end:tt] $($rest:tt)*) => {
        $crate::__io_project!(
            $crate::projection::ConstRange::<{ $start }, { $end }>::project($view),
            $($rest)*
        )
    };
    ($view:expr, [build: $index:expr] $($rest:tt)*) => {
        $crate::__io_project!(
            $crate::projection::ConstIndex::<{ $index }>::project($view),
            $($rest)*
        )
    };
}

/// Takes the step to a field.
#[doc(hidden)]
#[macro_export]
macro_rules! __io_project_field {
    ($view:expr, $field:tt) => {
        match $view {
            view => {
                // SAFETY: the pointer is to one of the fields of the structure, whose place the closure is
                // given. The field is aligned, or the reference, which is never made, would not compile. It
                // is the structure's own, or there would be two ways to have it, and neither is taken.
                unsafe {
                    $crate::projection::project_field(view, |start| {
                        if false {
                            let _ = &(*start).$field;
                        }
                        &raw mut (*start).$field
                    })
                }
            }
        }
    };
}

/// Gathers the steps up to the comma.
#[doc(hidden)]
#[macro_export]
macro_rules! __io_write {
    ($view:expr, ($($steps:tt)*), , $value:expr $(,)?) => {
        $crate::Io::write_val($crate::io_project!($view, $($steps)*), $value)
    };
    ($view:expr, ($($steps:tt)*), $step:tt $($rest:tt)+) => {
        $crate::__io_write!($view, ($($steps)* $step), $($rest)+)
    };
}
