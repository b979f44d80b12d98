//! What must hold of any operations, and of any address. The fuzz targets `operations` and `pci_address` share it
//! with the tests of their corpora.

use io_core::{
    AccessError, AccessWidth, IndirectIo, Io, IoCopyable, Mmio, MmioRaw, Region, SysMem,
    SysOrIoMap, TryIoCapable, UntypedRegion, Width, pci::PciAddress, sim::Ram,
};

const SIZE: usize = 61;

/// An operation, made of seven bytes.
struct Operation {
    what: u8,
    offset: usize,
    len: usize,
    width: AccessWidth,
    value: u64,
}

impl Operation {
    fn new([what, o0, o1, len, width, v0, v1]: [u8; 7]) -> Self {
        let exact = match width % 4 {
            0 => Width::U8,
            1 => Width::U16,
            2 => Width::U32,
            _ => Width::U64,
        };
        let offset = usize::from(u16::from_le_bytes([o0, o1]));
        Self {
            what: what % 7,
            // Mostly in the region; now and then far out, to the end of the address space.
            offset: match o1 {
                0xff => usize::MAX - usize::from(o0),
                _ => offset % (SIZE + 8),
            },
            len: usize::from(len % 72),
            width: match width / 4 % 3 {
                0 => AccessWidth::Auto,
                1 => AccessWidth::Exact(exact),
                _ => AccessWidth::Padded(exact),
            },
            value: u64::from_le_bytes([v0, v1, v0, !v1, !v0, v1, 0x5a, v0]),
        }
    }

    fn image(&self) -> Vec<u8> {
        let bytes = self.value.to_le_bytes();
        bytes.into_iter().cycle().take(self.len).collect()
    }

    /// Carries it out on a view, and returns what was read.
    fn on<'a, V: Io<'a, Target: UntypedRegion>>(&self, view: V) -> Result<Vec<u8>, AccessError>
    where
        V::Backend: TryIoCapable<u8>
            + TryIoCapable<u16>
            + TryIoCapable<u32>
            + TryIoCapable<u64>
            + IoCopyable,
    {
        let (at, value) = (self.offset, self.value.to_le_bytes());
        let [b0, b1, b2, b3, ..] = value;
        match self.what {
            0 => view
                .copy_from_slice(at, &self.image(), self.width)
                .map(|()| Vec::new()),
            1 => {
                let mut bytes = vec![0; self.len];
                view.copy_to_slice(at, &mut bytes, self.width)?;
                Ok(bytes)
            }
            2 => view.fill(at, self.len, b0, self.width).map(|()| Vec::new()),
            3 => view
                .try_write16(at, u16::from_le_bytes([b0, b1]))
                .map(|()| Vec::new()),
            4 => view
                .try_write32(at, u32::from_le_bytes([b0, b1, b2, b3]))
                .map(|()| Vec::new()),
            5 => view.try_write64(at, self.value).map(|()| Vec::new()),
            _ => view
                .try_read32(at)
                .map(|value| value.to_le_bytes().to_vec()),
        }
    }

    /// What it does to memory, by the documentation: `None` if it is refused.
    fn model(&self, memory: &mut [u8]) -> Option<Vec<u8>> {
        let scalar = match self.what {
            3 => Some(2),
            4 | 6 => Some(4),
            5 => Some(8),
            _ => None,
        };
        let len = scalar.unwrap_or(self.len);
        let (align, covered) = match (scalar, self.width) {
            (Some(width), _) => (width, width),
            (None, AccessWidth::Auto) => (1, len),
            (None, AccessWidth::Exact(width)) => {
                if len % width.bytes() != 0 {
                    return None;
                }
                (width.bytes(), len)
            }
            (None, AccessWidth::Padded(width)) => {
                (width.bytes(), len.next_multiple_of(width.bytes()))
            }
        };
        if self.offset % align != 0 {
            return None;
        }
        let end = self.offset.checked_add(covered)?;
        let covered = memory.get_mut(self.offset..end)?;
        let (bytes, padding) = covered.split_at_mut(len);
        match self.what {
            1 | 6 => return Some(bytes.to_vec()),
            0 => bytes.copy_from_slice(&self.image()),
            2 => bytes.fill(self.value.to_le_bytes()[0]),
            _ => bytes.copy_from_slice(self.value.to_le_bytes().get(..len)?),
        }
        padding.fill(0);
        Some(Vec::new())
    }
}

/// Carries out the operations that `bytes` are on every kind of view and on a model, and panics if they differ.
pub fn operations(bytes: &[u8]) {
    let mut mapped = [0_u128; SIZE.div_ceil(16)];
    let mut system = [0_u128; SIZE.div_ceil(16)];
    let raw = MmioRaw::<Region>::new_region(mapped.as_mut_ptr().cast(), SIZE).unwrap();
    let region = Region::<0>::try_from_raw_parts(system.as_mut_ptr().cast(), SIZE).unwrap();
    // SAFETY: the memory lives until the end of the function, and is used through this view alone.
    #[expect(unsafe_code, reason = "makes a view of memory of its own")]
    let mmio = unsafe { Mmio::from_raw(raw) };
    // SAFETY: as above.
    #[expect(unsafe_code, reason = "makes a view of memory of its own")]
    let sys = unsafe { SysMem::from_raw(region) };
    let ram = Ram::new("memory", SIZE);
    let called = IndirectIo::<Region>::new(&ram).unwrap();

    let mut model = vec![0; SIZE];
    for operation in bytes.chunks_exact(7) {
        let operation = Operation::new(operation.try_into().unwrap());
        let expected = operation.model(&mut model);
        assert_eq!(operation.on(mmio).ok(), expected);
        assert_eq!(operation.on(SysOrIoMap::from(sys)).ok(), expected);
        assert_eq!(operation.on(called).ok(), expected);
    }
    let all = |view: SysOrIoMap<'_, Region>| {
        let mut bytes = vec![0; SIZE];
        view.copy_to_slice(0, &mut bytes, AccessWidth::Auto)
            .unwrap();
        bytes
    };
    assert_eq!(all(mmio.into()), model);
    assert_eq!(all(sys.into()), model);
    assert_eq!(ram.bytes(), model);
}

/// Reads `bytes` as an address, and panics if it is not printed as it was read.
pub fn pci_address(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    match text.parse::<PciAddress>() {
        Ok(address) => assert_eq!(address.to_string().parse(), Ok(address)),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
