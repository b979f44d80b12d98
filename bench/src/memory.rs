//! The memory that everything works on: a mapping in the place of a BAR, and a buffer.
#![expect(unsafe_code, reason = "stands in for a backend that maps a BAR")]

use std::cell::{RefCell, RefMut};
use std::hint::black_box;
use std::{io, ptr::NonNull};

use io_core::{Mmio, MmioRaw, Region, SysMem, SysOrIoMap};
use memmap2::MmapMut;
use pci_driver::regions::{PciMemoryRegion, Permissions};
use safe_mmio::{UniqueMmioPointer, fields::ReadWrite};

/// How large the mapping is, and the buffer.
pub const SIZE: usize = 1 << 20;

/// How much of it is known at compile time.
pub const KNOWN: usize = 0x1000;

/// How many accesses at run-time offsets there are in a pass.
pub const OFFSETS: usize = 64;

/// What safe-mmio knows at compile time.
pub type Registers = [ReadWrite<u32>; KNOWN / size_of::<u32>()];

/// One row is run at a time, by one thread, so that only its own views are in use.
pub struct Memory {
    mapping: MmapMut,
    buffer: RefCell<MmapMut>,
    offsets: [usize; OFFSETS],
}

impl Memory {
    /// Maps it and writes to every page.
    pub fn new() -> io::Result<Self> {
        let mut mapping = MmapMut::map_anon(SIZE)?;
        let mut buffer = MmapMut::map_anon(SIZE)?;
        mapping.fill(1);
        buffer.fill(2);
        Ok(Self {
            mapping,
            buffer: RefCell::new(buffer),
            offsets: std::array::from_fn(|index| index * 8),
        })
    }

    /// The address of the mapping, of which the compiler knows nothing.
    pub fn base(&self) -> *mut u8 {
        black_box(self.mapping.as_ptr().cast_mut())
    }

    /// The address of the buffer, of which the compiler knows nothing.
    pub fn buffer(&self) -> *mut u8 {
        black_box(self.buffer.borrow_mut().as_mut_ptr())
    }

    /// Offsets that are known only when they are read.
    pub fn offsets(&self) -> &[usize] {
        black_box(&self.offsets)
    }

    /// The size of the mapping, known only at run time.
    pub fn size(&self) -> usize {
        black_box(SIZE)
    }

    pub fn mmio(&self) -> Mmio<'_, Region<KNOWN>> {
        let raw = MmioRaw::new_region(self.base(), self.size()).expect("a page is aligned");
        // SAFETY: the mapping lives as long as `self`, and there is no reference to it.
        unsafe { Mmio::from_raw(raw) }
    }

    pub fn sys_mem(&self) -> SysMem<'_, Region<KNOWN>> {
        let region =
            Region::try_from_raw_parts(self.base(), self.size()).expect("a page is aligned");
        // SAFETY: the mapping lives as long as `self`, and there is no reference to it.
        unsafe { SysMem::from_raw(region) }
    }

    /// Device memory, if `io`, which the compiler does not know.
    pub fn map(&self, io: bool) -> SysOrIoMap<'_, Region<KNOWN>> {
        if black_box(io) {
            self.mmio().into()
        } else {
            self.sys_mem().into()
        }
    }

    pub fn pci_driver(&self) -> PciMemoryRegion<'_> {
        // SAFETY: the mapping lives as long as `self`.
        unsafe { PciMemoryRegion::new_raw(self.base(), self.size(), Permissions::ReadWrite) }
    }

    pub fn safe_mmio(&self) -> UniqueMmioPointer<'_, Registers> {
        let registers = self.base().cast::<Registers>();
        let registers = NonNull::new(registers).expect("a mapping is not at zero");
        // SAFETY: the mapping lives as long as `self`, and there is no reference to it.
        unsafe { UniqueMmioPointer::new(registers) }
    }

    /// The first `len` bytes of the buffer, which nothing else uses then.
    pub fn bytes(&self, len: usize) -> RefMut<'_, [u8]> {
        let len = black_box(len.min(SIZE));
        RefMut::map(self.buffer.borrow_mut(), |buffer| {
            black_box(buffer.get_mut(..len).expect("it is that large"))
        })
    }
}
