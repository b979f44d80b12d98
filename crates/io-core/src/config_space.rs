//! The view of configuration space.
#![expect(
    unsafe_code,
    reason = "passes the safety conditions of a backend on to the one behind it"
)]

use crate::{
    AccessWidth, CopyFault, Error, ErrorKind, Fault, IndirectBackend, IndirectIo, Io, IoBackend,
    IoBase, IoCopyable, KnownSize, Region, RegionError, RegionName, RegionOps, TryIoCapable, Width,
    pci::Command,
};
use std::{
    fmt,
    sync::{Mutex, PoisonError},
};

/// Configuration space: 256 bytes, or 4096 on PCI Express.
///
/// `ConfigSpace` is the view of the 256 bytes that every function has; `ConfigSpace<Region<4096>>` that
/// of extended configuration space. Its size is the one that the function has, whatever its type says.
///
/// Accesses have 8, 16 or 32 bits, as PCI has no others to configuration space, and may fail. Numbers
/// are little-endian there (PCI Local Bus 3.0 section 6.1), and converted.
///
/// Command (offset 4) and Status (offset 6) have 16 bits each, and are written so: written together, with
/// 32 bits, what was read from Status would clear the bits that were set in it. Such a write is refused with
/// [`Fault::Width`], a copy over them too, unless it is one of 8 or 16 bits.
///
/// ```
/// use io_core::{ConfigSpace, Io, sim::Ram};
///
/// let ram = Ram::new("configuration space of a simulated device", 256);
/// let config: ConfigSpace<'_> = ConfigSpace::new(&ram)?;
/// config.try_write16(0x04, 0x0006)?; // Command: memory decoding and bus mastering on
/// assert_eq!(config.try_read8(0x04)?, 6);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// ```compile_fail,E0277
/// use io_core::{ConfigSpace, Io};
/// fn serial_number(config: ConfigSpace<'_>) -> u64 {
///     config.try_read64(0x104).unwrap() // two accesses of 32 bits
/// }
/// ```
pub struct ConfigSpace<'a, T: ?Sized = Region<256>>(IndirectIo<'a, T>);

impl<'a, const SIZE: usize> ConfigSpace<'a, Region<SIZE>> {
    /// The view of all of it.
    ///
    /// # Errors
    ///
    /// It has less than `SIZE` bytes.
    pub fn new(ops: &'a dyn RegionOps) -> Result<Self, RegionError> {
        IndirectIo::up_to(ops, Width::U32).map(Self)
    }

    /// Sets these bits of Command, or clears them, and leaves the others as they are: threads of this process that
    /// change bits take turns, whatever the device.
    ///
    /// # Errors
    ///
    /// The device does not answer, or what reaches it fails.
    ///
    /// ```
    /// use io_core::{ConfigSpace, Io, pci::Command, sim::Ram};
    ///
    /// let ram = Ram::new("configuration space of a simulated device", 256);
    /// let config: ConfigSpace<'_> = ConfigSpace::new(&ram)?;
    /// config.set_command(Command::MEMORY, true)?;
    /// config.set_command(Command::BUS_MASTER, true)?;
    /// config.set_command(Command::MEMORY, false)?;
    /// assert_eq!(config.try_read16(0x04)?, 0x0004);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set_command(self, bits: Command, on: bool) -> crate::Result<()> {
        static CHANGING: Mutex<()> = Mutex::new(());
        let _changing = CHANGING.lock().unwrap_or_else(PoisonError::into_inner);
        // 16 bits: Status, which stands behind it, is cleared by writing what was read.
        let command = self.try_read16(COMMAND)?;
        // What nobody answers is ones, which are not to be written to a device that is back by then.
        if command == u16::MAX {
            let message = format!("{} does not answer", self.ops().name());
            return Err(Error::new(ErrorKind::Lost, message));
        }
        let command = Command::from_bits(command);
        let wanted = if on {
            command.with(bits)
        } else {
            command.without(bits)
        };
        Ok(self.try_write16(COMMAND, wanted.bits())?)
    }

    /// What reaches it.
    pub(crate) fn ops(self) -> &'a dyn RegionOps {
        self.0.ops
    }
}

impl<T: ?Sized> Clone for ConfigSpace<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: ?Sized> Copy for ConfigSpace<'_, T> {}

impl<T: ?Sized + KnownSize> fmt::Debug for ConfigSpace<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ConfigSpace").field(&self.0).finish()
    }
}

impl<'a, T: ?Sized + KnownSize + 'a> IoBase<'a> for ConfigSpace<'a, T> {
    type Backend = ConfigBackend;
    type Target = T;

    fn as_view(self) -> Self {
        self
    }
}

/// The backend of [`ConfigSpace`].
#[derive(Debug)]
pub enum ConfigBackend {}

// SAFETY: that of `IndirectIo` keeps to it.
unsafe impl IoBackend for ConfigBackend {
    type View<'a, T: ?Sized + KnownSize + 'a> = ConfigSpace<'a, T>;

    fn as_ptr<'a, T: ?Sized + KnownSize + 'a>(view: ConfigSpace<'a, T>) -> *mut T {
        IndirectBackend::as_ptr(view.0)
    }

    unsafe fn project_view<'a, T: ?Sized + KnownSize + 'a, U: ?Sized + KnownSize + 'a>(
        view: ConfigSpace<'a, T>,
        ptr: *mut U,
    ) -> ConfigSpace<'a, U> {
        // SAFETY: the conditions are the same, and the caller has shown them.
        ConfigSpace(unsafe { IndirectBackend::project_view(view.0, ptr) })
    }

    fn name<'a, T: ?Sized + KnownSize + 'a>(view: ConfigSpace<'a, T>) -> Option<RegionName> {
        IndirectBackend::name(view.0)
    }
}

/// Where Command is, with Status behind it.
const COMMAND: usize = 0x04;

/// Refuses accesses of this width if they would write Command and Status together.
fn check_write(view: ConfigSpace<'_, [u8]>, width: AccessWidth) -> Result<(), CopyFault> {
    let ptr = ConfigBackend::as_ptr(view);
    let covers = ptr.addr() < COMMAND + 4 && ptr.addr().saturating_add(ptr.len()) > COMMAND;
    let narrow = width.only().is_some_and(|width| width <= Width::U16);
    if covers && !narrow {
        return Err(CopyFault {
            done: 0,
            width: Width::U32,
            fault: Fault::Width,
        });
    }
    Ok(())
}

macro_rules! capable {
    ($($ty:ty)*) => {$(
        impl TryIoCapable<$ty> for ConfigBackend {
            fn try_io_read(view: ConfigSpace<'_, $ty>) -> Result<$ty, Fault> {
                IndirectBackend::try_io_read(view.0)
            }

            fn try_io_write(view: ConfigSpace<'_, $ty>, value: $ty) -> Result<(), Fault> {
                if size_of::<$ty>() > 2 && Self::as_ptr(view).addr() == COMMAND {
                    return Err(Fault::Width);
                }
                IndirectBackend::try_io_write(view.0, value)
            }
        }
    )*};
}
capable!(u8 u16 u32);

impl IoCopyable for ConfigBackend {
    unsafe fn copy_from_io(
        view: ConfigSpace<'_, [u8]>,
        dst: &mut [u8],
        width: AccessWidth,
    ) -> Result<(), CopyFault> {
        // SAFETY: the conditions are the same, and the caller has shown them.
        unsafe { IndirectBackend::copy_from_io(view.0, dst, width) }
    }

    unsafe fn copy_to_io(
        view: ConfigSpace<'_, [u8]>,
        src: &[u8],
        width: AccessWidth,
    ) -> Result<(), CopyFault> {
        check_write(view, width)?;
        // SAFETY: the conditions are the same, and the caller has shown them.
        unsafe { IndirectBackend::copy_to_io(view.0, src, width) }
    }

    unsafe fn fill_io(
        view: ConfigSpace<'_, [u8]>,
        byte: u8,
        width: AccessWidth,
    ) -> Result<(), CopyFault> {
        check_write(view, width)?;
        // SAFETY: the conditions are the same, and the caller has shown them.
        unsafe { IndirectBackend::fill_io(view.0, byte, width) }
    }
}
