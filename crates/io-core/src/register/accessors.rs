//! The accessors of registers: methods of [`Io`](crate::Io), which are written here because they are many.

macro_rules! register_accessors {
    () => {
        /// Reads the register at `location`; see [the module](mod@crate::register).
        ///
        /// A location that is out of the region's `SIZE`, or not naturally aligned, does not compile:
        ///
        /// ```compile_fail,E0080
        /// use io_core::{Io, Mmio, Region, register};
        /// register! { REG(u32) @ 0x10 {} }
        /// fn read(io: Mmio<'_, Region<0x10>>) -> REG {
        ///     io.read(REG) // one past the end
        /// }
        /// # let raw = io_core::MmioRaw::new_region(std::ptr::null_mut(), 0x10).unwrap();
        /// # read(unsafe { Mmio::from_raw(raw) });
        /// ```
        ///
        /// Nor does a read of a register that is `#[wo]`:
        ///
        /// ```compile_fail,E0277
        /// use io_core::{Io, Mmio, Region, register};
        /// register! { #[wo] REG(u32) @ 0x0 {} }
        /// fn read(io: Mmio<'_, Region<0x10>>) -> REG {
        ///     io.read(REG)
        /// }
        /// ```
        #[inline]
        fn read<T: $crate::register::Readable, L: $crate::register::ConstLoc<T>>(
            self,
            location: L,
        ) -> T
        where
            Self::Target: $crate::UntypedRegion,
            Self::Backend: $crate::IoCapable<L::Storage>,
        {
            let view = $crate::project::const_project_at::<Self::Backend, Self::Target, T, L>(
                self.as_view(),
                location,
            );
            Self::Backend::io_read(view).into()
        }

        /// Writes `value` to the register at `location`, which is `()` if the value says where it belongs.
        ///
        /// What does not compile as [`read`](Self::read) does not as a write either, nor does a write to a register
        /// that is `#[ro]`:
        ///
        /// ```compile_fail,E0277
        /// use io_core::{Io, Mmio, Region, register};
        /// register! { #[ro] REG(u32) @ 0x0 {} }
        /// fn write(io: Mmio<'_, Region<0x10>>) {
        ///     io.write(REG, REG::zeroed());
        /// }
        /// ```
        #[inline]
        fn write<T: $crate::register::Writable, L: $crate::register::ConstLoc<T>>(
            self,
            location: L,
            value: T,
        ) where
            Self::Target: $crate::UntypedRegion,
            Self::Backend: $crate::IoCapable<L::Storage>,
        {
            let view = $crate::project::const_project_at::<Self::Backend, Self::Target, T, L>(
                self.as_view(),
                location,
            );
            Self::Backend::io_write(view, value.into());
        }

        /// Writes `value` to the fixed register that it is a value of.
        #[inline]
        fn write_reg<T: $crate::register::Writable>(self, value: T)
        where
            (): $crate::register::ConstLoc<T>,
            Self::Target: $crate::UntypedRegion,
            Self::Backend: $crate::IoCapable<<() as $crate::register::IoLoc<T>>::Storage>,
        {
            self.write((), value);
        }

        /// Reads the register at `location`, changes it by `f`, and writes it back.
        ///
        /// `f` is given zeros in place of what was read from write-1-to-clear fields (`#[w1c]`) and write-only ones
        /// (`#[wo]`), so that only what it sets itself is cleared. A register with a field that reading clears
        /// (`#[rc]`) does not compile:
        ///
        /// ```compile_fail,E0080
        /// use io_core::{Io, MmioRaw, Mmio, Region, register};
        /// register! {
        ///     REG(u32) @ 0x0 {
        ///         #[rc] 15:8 errors;
        ///         0:0 enable;
        ///     }
        /// }
        /// # let mut memory = [0u64; 2];
        /// # let raw = MmioRaw::<Region<16>>::new_region(memory.as_mut_ptr().cast(), 16).unwrap();
        /// # let io = unsafe { Mmio::from_raw(raw) };
        /// io.update(REG, |reg| reg.with_enable(true)); // the number of errors would be lost
        /// ```
        ///
        /// Nothing keeps somebody else from writing to the register in between.
        #[inline]
        fn update<T, L>(self, location: L, f: impl FnOnce(T) -> T)
        where
            T: $crate::register::Register + $crate::register::Readable + $crate::register::Writable,
            L: $crate::register::ConstLoc<T>,
            Self::Target: $crate::UntypedRegion,
            Self::Backend: $crate::IoCapable<L::Storage>,
        {
            let view = $crate::project::const_project_at::<Self::Backend, Self::Target, T, L>(
                self.as_view(),
                location,
            );
            let value = $crate::register::updatable(Self::Backend::io_read(view).into());
            Self::Backend::io_write(view, f(value).into());
        }

        /// Reads the register at `location`, which need not be known to be in the region.
        ///
        /// # Errors
        ///
        /// The register is not in the region, its address is not naturally aligned, or the access did not get
        /// through.
        #[inline]
        fn try_read<T: $crate::register::Readable, L: $crate::register::IoLoc<T>>(
            self,
            location: L,
        ) -> Result<T, $crate::AccessError>
        where
            Self::Target: $crate::UntypedRegion,
            Self::Backend: $crate::TryIoCapable<L::Storage>,
        {
            let (view, offset) = (self.as_view(), location.offset());
            let value =
                $crate::project::try_read::<Self::Backend, Self::Target, L::Storage>(view, offset)?;
            Ok(value.into())
        }

        /// Writes `value` to the register at `location`, which need not be known to be in the region.
        ///
        /// # Errors
        ///
        /// As for [`try_read`](Self::try_read).
        #[inline]
        fn try_write<T: $crate::register::Writable, L: $crate::register::IoLoc<T>>(
            self,
            location: L,
            value: T,
        ) -> Result<(), $crate::AccessError>
        where
            Self::Target: $crate::UntypedRegion,
            Self::Backend: $crate::TryIoCapable<L::Storage>,
        {
            let (view, offset) = (self.as_view(), location.offset());
            $crate::project::try_write::<Self::Backend, Self::Target, L::Storage>(
                view,
                offset,
                value.into(),
            )
        }

        /// Writes `value` to the fixed register that it is a value of, which need not be known to be in the region.
        ///
        /// # Errors
        ///
        /// As for [`try_read`](Self::try_read).
        #[inline]
        fn try_write_reg<T: $crate::register::Writable>(
            self,
            value: T,
        ) -> Result<(), $crate::AccessError>
        where
            (): $crate::register::IoLoc<T>,
            Self::Target: $crate::UntypedRegion,
            Self::Backend: $crate::TryIoCapable<<() as $crate::register::IoLoc<T>>::Storage>,
        {
            self.try_write((), value)
        }

        /// [`update`](Self::update) of a register which need not be known to be in the region.
        ///
        /// # Errors
        ///
        /// As for [`try_read`](Self::try_read), of the read or of the write.
        #[inline]
        fn try_update<T, L>(
            self,
            location: L,
            f: impl FnOnce(T) -> T,
        ) -> Result<(), $crate::AccessError>
        where
            T: $crate::register::Register + $crate::register::Readable + $crate::register::Writable,
            L: $crate::register::IoLoc<T>,
            Self::Target: $crate::UntypedRegion,
            Self::Backend: $crate::TryIoCapable<L::Storage>,
        {
            let (view, offset) = (self.as_view(), location.offset());
            let value =
                $crate::project::try_read::<Self::Backend, Self::Target, L::Storage>(view, offset)?;
            let value = f($crate::register::updatable(value.into()));
            $crate::project::try_write::<Self::Backend, Self::Target, L::Storage>(
                view,
                offset,
                value.into(),
            )
        }
    };
}
pub(crate) use register_accessors;
