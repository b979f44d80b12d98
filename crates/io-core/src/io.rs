//! The accessors, written once for every backend.

use crate::{
    AccessError, AccessWidth, Difference, IoBackend, IoBase, IoCapable, IoCopyable, KnownSize,
    Region, TryIoCapable, UntypedRegion, bulk,
    project::{access_fault, const_project, try_cast, try_project_region, try_read, try_write},
    register::register_accessors,
};

macro_rules! scalar_accessors {
    ($($ty:ty, $bits:literal: $read:ident, $write:ident, $try_read:ident, $try_write:ident;)*) => {$(
        #[doc = concat!("Reads the ", $bits, "-bit value at the constant `OFFSET` (in bytes).")]
        ///
        #[doc = concat!("One volatile ", $bits, "-bit load; the value is converted from little-endian.")]
        /// An offset that is out of the region's `SIZE`, or not naturally aligned, does not compile.
        #[inline]
        fn $read<const OFFSET: usize>(self) -> $ty
        where
            Self::Target: UntypedRegion,
            Self::Backend: IoCapable<$ty>,
        {
            Self::Backend::io_read(const_project::<Self::Backend, Self::Target, $ty, OFFSET>(self.as_view()))
        }

        #[doc = concat!("Writes the ", $bits, "-bit `value` at the constant `OFFSET` (in bytes).")]
        ///
        #[doc = concat!("One volatile ", $bits, "-bit store; the value is converted to little-endian.")]
        /// An offset that is out of the region's `SIZE`, or not naturally aligned, does not compile.
        #[inline]
        fn $write<const OFFSET: usize>(self, value: $ty)
        where
            Self::Target: UntypedRegion,
            Self::Backend: IoCapable<$ty>,
        {
            Self::Backend::io_write(const_project::<Self::Backend, Self::Target, $ty, OFFSET>(self.as_view()), value);
        }

        #[doc = concat!("Reads the ", $bits, "-bit value at `offset` (in bytes).")]
        ///
        #[doc = concat!("One volatile ", $bits, "-bit load; the value is converted from little-endian.")]
        ///
        /// # Errors
        ///
        /// The access does not fit in the region, its address is not naturally aligned, or it did not
        /// get through.
        #[inline]
        fn $try_read(self, offset: usize) -> Result<$ty, AccessError>
        where
            Self::Target: UntypedRegion,
            Self::Backend: TryIoCapable<$ty>,
        {
            try_read::<Self::Backend, Self::Target, $ty>(self.as_view(), offset)
        }

        #[doc = concat!("Writes the ", $bits, "-bit `value` at `offset` (in bytes).")]
        ///
        #[doc = concat!("One volatile ", $bits, "-bit store; the value is converted to little-endian.")]
        ///
        /// # Errors
        ///
        /// The access does not fit in the region, or its address is not naturally aligned, and nothing
        /// was written; or it did not get through.
        #[inline]
        fn $try_write(self, offset: usize, value: $ty) -> Result<(), AccessError>
        where
            Self::Target: UntypedRegion,
            Self::Backend: TryIoCapable<$ty>,
        {
            try_write::<Self::Backend, Self::Target, $ty>(self.as_view(), offset, value)
        }
    )*};
}

/// The accessors of every view.
///
/// See the [crate's page](crate) for the two kinds of them. An access that goes past the size that
/// is known at compile time is an error of the build, not of the run:
///
/// ```compile_fail,E0080
/// use io_core::{Io, MmioRaw, Mmio, Region};
///
/// let mut memory = [0u64; 2];
/// let raw = MmioRaw::<Region<16>>::new_region(memory.as_mut_ptr().cast(), 16).unwrap();
/// // SAFETY: `memory` is live, and nothing else uses it, for as long as `bar` is used.
/// let bar = unsafe { Mmio::from_raw(raw) };
/// bar.read32::<16>(); // one past the end
/// ```
///
/// So is one that is not naturally aligned:
///
/// ```compile_fail,E0080
/// use io_core::{Io, MmioRaw, Mmio, Region};
///
/// let mut memory = [0u64; 2];
/// let raw = MmioRaw::<Region<16>>::new_region(memory.as_mut_ptr().cast(), 16).unwrap();
/// // SAFETY: `memory` is live, and nothing else uses it, for as long as `bar` is used.
/// let bar = unsafe { Mmio::from_raw(raw) };
/// bar.write64::<4>(0);
/// ```
pub trait Io<'a>: IoBase<'a> {
    /// The size of the target in bytes: the real one, not the one known at compile time.
    #[inline]
    fn size(self) -> usize {
        Self::Target::size(Self::Backend::as_ptr(self.as_view()))
    }

    scalar_accessors! {
        u8, "8": read8, write8, try_read8, try_write8;
        u16, "16": read16, write16, try_read16, try_write16;
        u32, "32": read32, write32, try_read32, try_write32;
        u64, "64": read64, write64, try_read64, try_write64;
    }

    register_accessors!();

    /// Reads the one value that this view shows.
    ///
    /// ```
    /// use io_core::{Io, SysMem};
    ///
    /// let mut word = 7u32.to_le();
    /// // SAFETY: `word` is live, and nothing else uses it, for as long as the view is used.
    /// let view = unsafe { SysMem::from_raw(&raw mut word) };
    /// assert_eq!(view.read_val(), 7);
    /// ```
    #[inline]
    fn read_val(self) -> Self::Target
    where
        Self::Target: Sized,
        Self::Backend: IoCapable<Self::Target>,
    {
        Self::Backend::io_read(self.as_view())
    }

    /// Writes the one value that this view shows.
    #[inline]
    fn write_val(self, value: Self::Target)
    where
        Self::Target: Sized,
        Self::Backend: IoCapable<Self::Target>,
    {
        Self::Backend::io_write(self.as_view(), value);
    }

    /// Reads the one value that this view shows, on any backend.
    ///
    /// # Errors
    ///
    /// The access did not get through.
    #[inline]
    fn try_read_val(self) -> Result<Self::Target, AccessError>
    where
        Self::Target: Sized,
        Self::Backend: TryIoCapable<Self::Target>,
    {
        let view = self.as_view();
        Self::Backend::try_io_read(view).map_err(|fault| {
            access_fault::<Self::Backend, Self::Target, Self::Target>(view, 0, fault)
        })
    }

    /// Writes the one value that this view shows, on any backend.
    ///
    /// # Errors
    ///
    /// The access did not get through.
    #[inline]
    fn try_write_val(self, value: Self::Target) -> Result<(), AccessError>
    where
        Self::Target: Sized,
        Self::Backend: TryIoCapable<Self::Target>,
    {
        let view = self.as_view();
        Self::Backend::try_io_write(view, value).map_err(|fault| {
            access_fault::<Self::Backend, Self::Target, Self::Target>(view, 0, fault)
        })
    }

    /// Copies `src` into the region, from `offset` (in bytes) on.
    ///
    /// On device memory this is a series of naturally aligned volatile stores of the widths that
    /// `width` says, in ascending order, and never a `memcpy`; on system memory it is a `memcpy`. The
    /// bytes arrive in the order they have in `src`, whatever the widths.
    ///
    /// # Errors
    ///
    /// The copy does not fit in the region, or `width` is exact and its start or its length does not
    /// suit it: nothing was written. Or an access did not get through: the error's offset is that of
    /// this access, and everything before it was written.
    ///
    /// ```
    /// use io_core::{AccessWidth, Io, MmioRaw, Mmio, Region, Width};
    ///
    /// let mut memory = [0u64; 2];
    /// let raw = MmioRaw::<Region>::new_region(memory.as_mut_ptr().cast(), 16)?;
    /// // SAFETY: `memory` is live, and nothing else uses it, for as long as `bar` is used.
    /// let bar = unsafe { Mmio::from_raw(raw) };
    ///
    /// bar.copy_from_slice(3, b"firmware", AccessWidth::Auto)?;
    /// let mut back = [0; 8];
    /// bar.copy_to_slice(3, &mut back, AccessWidth::Auto)?;
    /// assert_eq!(&back, b"firmware");
    ///
    /// assert!(bar.copy_from_slice(3, b"firmware", AccessWidth::Exact(Width::U32)).is_err());
    /// assert!(bar.copy_from_slice(12, b"firmware", AccessWidth::Auto).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    fn copy_from_slice(
        self,
        offset: usize,
        src: &[u8],
        width: AccessWidth,
    ) -> Result<(), AccessError>
    where
        Self::Target: UntypedRegion,
        Self::Backend: IoCopyable,
    {
        bulk::copy_in::<Self::Backend, Self::Target>(self.as_view(), offset, src, width)
    }

    /// Copies the region, from `offset` (in bytes) on, into the whole of `dst`.
    ///
    /// # Errors
    ///
    /// As for [`copy_from_slice`](Self::copy_from_slice).
    #[inline]
    fn copy_to_slice(
        self,
        offset: usize,
        dst: &mut [u8],
        width: AccessWidth,
    ) -> Result<(), AccessError>
    where
        Self::Target: UntypedRegion,
        Self::Backend: IoCopyable,
    {
        bulk::copy_out::<Self::Backend, Self::Target>(self.as_view(), offset, dst, width)
    }

    /// Sets `len` bytes of the region, from `offset` (in bytes) on, to `byte`.
    ///
    /// Device memory is written as by [`copy_from_slice`](Self::copy_from_slice). Firmware images leave
    /// the part of a segment that is to be zero to whoever loads them.
    ///
    /// # Errors
    ///
    /// As for `copy_from_slice`.
    ///
    /// ```
    /// use io_core::{AccessWidth, Io, Region, SysMem};
    ///
    /// let mut memory = [u64::MAX; 2];
    /// let region = Region::<0>::try_from_raw_parts(memory.as_mut_ptr().cast(), 16)?;
    /// // SAFETY: `memory` is live, and nothing else uses it, for as long as `map` is used.
    /// let map = unsafe { SysMem::from_raw(region) };
    /// map.fill(8, 8, 0, AccessWidth::Auto)?;
    /// assert_eq!(memory, [u64::MAX, 0]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    fn fill(
        self,
        offset: usize,
        len: usize,
        byte: u8,
        width: AccessWidth,
    ) -> Result<(), AccessError>
    where
        Self::Target: UntypedRegion,
        Self::Backend: IoCopyable,
    {
        bulk::fill::<Self::Backend, Self::Target>(self.as_view(), offset, len, byte, width)
    }

    /// Compares the region, from `offset` (in bytes) on, with `expected`, and returns the first byte
    /// that differs.
    ///
    /// # Errors
    ///
    /// As for [`copy_to_slice`](Self::copy_to_slice).
    ///
    /// ```
    /// use io_core::{AccessWidth, Difference, Io, Region, SysMem};
    ///
    /// let mut memory = [u64::from_ne_bytes(*b"firmwarx")];
    /// let region = Region::<0>::try_from_raw_parts(memory.as_mut_ptr().cast(), 8)?;
    /// // SAFETY: `memory` is live, and nothing else uses it, for as long as `map` is used.
    /// let map = unsafe { SysMem::from_raw(region) };
    /// assert_eq!(map.verify(0, b"firm", AccessWidth::Auto)?, None);
    /// assert_eq!(
    ///     map.verify(0, b"firmware", AccessWidth::Auto)?,
    ///     Some(Difference { offset: 7, expected: b'e', found: b'x' })
    /// );
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    fn verify(
        self,
        offset: usize,
        expected: &[u8],
        width: AccessWidth,
    ) -> Result<Option<Difference>, AccessError>
    where
        Self::Target: UntypedRegion,
        Self::Backend: IoCopyable,
    {
        bulk::verify::<Self::Backend, Self::Target>(self.as_view(), offset, expected, width)
    }

    /// The view of `len` bytes of the region, from `offset` (in bytes) on.
    ///
    /// # Errors
    ///
    /// They do not fit in the region, there are less than `SIZE` of them, or `offset` is no multiple of
    /// 8, as that of a region must be.
    ///
    /// ```
    /// use io_core::{Io, Region, SysMem};
    ///
    /// let mut memory = [0u64, 7u64.to_le()];
    /// let region = Region::<0>::try_from_raw_parts(memory.as_mut_ptr().cast(), 16)?;
    /// // SAFETY: `memory` is live, and nothing else uses it, for as long as `map` is used.
    /// let map = unsafe { SysMem::from_raw(region) };
    /// let second = map.subview::<8>(8, 8)?;
    /// assert_eq!(second.read64::<0>(), 7);
    /// assert!(map.subview::<0>(8, 9).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    fn subview<const SIZE: usize>(
        self,
        offset: usize,
        len: usize,
    ) -> Result<<Self::Backend as IoBackend>::View<'a, Region<SIZE>>, AccessError>
    where
        Self::Target: UntypedRegion,
    {
        try_project_region::<Self::Backend, Self::Target, SIZE>(self.as_view(), offset, len)
    }

    /// The view of the `T` at the start of the region, to go on from with [`io_project!`](crate::io_project!),
    /// [`io_read!`](crate::io_read!) and [`io_write!`](crate::io_write!).
    ///
    /// One that starts elsewhere is that of a [`subview`](Self::subview).
    ///
    /// # Errors
    ///
    /// The region is smaller than a `T`, or not aligned for it.
    ///
    /// ```
    /// use io_core::{Io, Region, SysMem, io_read};
    ///
    /// #[repr(C)]
    /// struct Pair(u16, u32);
    ///
    /// let mut memory = [u64::from_ne_bytes([1, 0, 0xff, 0xff, 2, 0, 0, 0])];
    /// let region = Region::<0>::try_from_raw_parts(memory.as_mut_ptr().cast(), 8)?;
    /// // SAFETY: `memory` is live, and nothing else uses it, for as long as `map` is used.
    /// let map = unsafe { SysMem::from_raw(region) };
    /// let pair = map.try_cast::<Pair>()?;
    /// assert_eq!((io_read!(pair, .0), io_read!(pair, .1)), (1, 2));
    /// assert!(map.try_cast::<[Pair; 2]>().is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    fn try_cast<T: 'a>(self) -> Result<<Self::Backend as IoBackend>::View<'a, T>, AccessError>
    where
        Self::Target: UntypedRegion,
    {
        try_cast::<Self::Backend, Self::Target, T>(self.as_view())
    }
}

// A handle may give another view each time it is asked, so each method asks once, and the checks and
// the access are made on the same one.

/// Every view has these accessors, and none can replace one of them by its own.
impl<'a, V: IoBase<'a>> Io<'a> for V {}
