//! Mapping memory for a device and unmapping it, beside the ioctls in the same context.
#![expect(unsafe_code, reason = "maps memory of its own for a device")]

use io_core::dma::DmaOptions;
use memmap2::MmapMut;
use outboard_bench::Target;
use vfio_backend::IommuMode;

use crate::contest::Contest;
use crate::{Result, bound, ioctls};

const DEVICE: &str = "0000:00:03.0";

/// The first address space of an iommufd: numbers start at 1.
const IOAS: u32 = 1;

const SIZES: [(&str, usize); 4] = [
    ("map and unmap, 4 KiB", 4 << 10),
    ("map and unmap, 2 MiB", 2 << 20),
    ("map and unmap, 64 MiB", 64 << 20),
    ("map and unmap, 1 GiB", 1 << 30),
];

pub fn rows(contest: &Contest<'_>) -> Result<()> {
    for (what, len) in SIZES {
        // A processor that counts is slow.
        let too_much = contest.counts && len > 64 << 20;
        if contest.wants(what) && !too_much {
            row(contest, what, len)?;
        }
    }
    Ok(())
}

fn row(contest: &Contest<'_>, what: &str, len: usize) -> Result<()> {
    let device = bound::open(DEVICE, contest.mode)?;
    let space = device.dma().ok_or("no IOMMU")?;
    let mut memory = MmapMut::map_anon(len)?;
    // So that no side pays for the pages.
    memory.fill(1);
    let start = memory.as_mut_ptr();
    // SAFETY: the memory outlives the mapping, and there is no reference to it meanwhile.
    let mapping = unsafe { space.map_memory(start, len, DmaOptions::default()) }?;
    // What is free is given out again: both sides map at the same address.
    let iova = mapping.iova().raw();
    mapping.unmap()?;
    let mut ours = |passes| {
        for _ in 0..passes {
            // SAFETY: the memory outlives the mapping, and there is no reference to it meanwhile.
            let mapping = unsafe { space.map_memory(start, len, DmaOptions::default()) };
            let mapping = mapping.expect("the guest has the memory");
            mapping.unmap().expect("it is mapped");
        }
    };
    let place = (
        u64::try_from(start.expose_provenance())?,
        iova,
        u64::try_from(len)?,
    );
    if contest.mode == IommuMode::Iommufd {
        let iommufd = ioctls::find("/dev/iommu")?;
        let mut theirs = |passes| {
            for _ in 0..passes {
                ioctls::map_and_unmap_iommufd(iommufd, IOAS, place);
            }
        };
        let sides = (what, "the ioctls");
        contest.row(sides, Target::Time(1.03), 1, (&mut ours, &mut theirs));
    } else {
        let container = ioctls::find("/dev/vfio/vfio")?;
        let mut theirs = |passes| {
            for _ in 0..passes {
                ioctls::map_and_unmap_type1(container, place);
            }
        };
        let sides = (what, "the ioctls");
        contest.row(sides, Target::Time(1.03), 1, (&mut ours, &mut theirs));
    }
    Ok(())
}
