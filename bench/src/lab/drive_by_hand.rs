//! The least that reads of single blocks take: a loop of raw accesses, with a doorbell for each batch of commands and
//! one for each batch of completions, as the benchmark of libvfn, perf, has it. It takes no time of each read, as that
//! does.
#![expect(unsafe_code, reason = "raw accesses to queues and doorbells")]

use std::ptr;
use std::sync::atomic::{Ordering, compiler_fence, fence};
use std::time::Duration;

use io_core::dma::{DmaBuffer, DmaOptions};
use io_core::poll::{Poll, Verdict};
use io_core::{Bar, Io};
use vfio_backend::VfioDevice;

use crate::{Result, bound};

// NVM Express Base 2.0 section 3.1.3.
const CC: usize = 0x14;
const CSTS: usize = 0x1c;
const AQA: usize = 0x24;
const ASQ: usize = 0x28;
const ACQ: usize = 0x30;
const DOORBELLS: usize = 0x1000;
/// The size of commands is 2^6, that of completions 2^4.
const ENABLE: u32 = 4 << 20 | 6 << 16 | 1;

const PAGE: usize = 0x1000;
const COMMAND: usize = 64;
const COMPLETION: usize = 16;
/// The entries of the admin queues.
const ADMIN: usize = 16;

type Words = [u32; 16];

/// A drive with queues of its own.
pub struct ByHand<'d> {
    device: &'d VfioDevice,
    bar: Bar,
    queues: DmaBuffer,
    _data: DmaBuffer,
    /// The next command of each slot, whole.
    commands: Vec<Words>,
    entries: usize,
    tail: usize,
    head: usize,
    phase: u16,
    blocks: u32,
    next: u32,
}

/// Where the queues are: a page for each.
const ADMIN_COMMANDS: usize = 0;
const ADMIN_COMPLETIONS: usize = PAGE;
const COMMANDS: usize = 2 * PAGE;
const COMPLETIONS: usize = 3 * PAGE;

impl<'d> ByHand<'d> {
    pub fn new(device: &'d VfioDevice, depth: u16) -> Result<Self> {
        let space = device.dma().ok_or("no IOMMU")?;
        let options = DmaOptions::default();
        let queues = space.allocate(4 * PAGE, options)?.share()?;
        let data = space
            .allocate(usize::from(depth) * PAGE, options)?
            .share()?;
        let commands = (0..depth).map(|slot| {
            let at = data.iova().raw() + u64::from(slot) * 0x1000;
            command(0x02, slot, 1, at, [0; 3])
        });
        let mut drive = Self {
            device,
            bar: device.bar(0)?,
            commands: commands.collect(),
            queues,
            _data: data,
            entries: usize::from(depth) + 1,
            tail: 0,
            head: 0,
            phase: 1,
            // The lab's drives have 64 MiB.
            blocks: (64 << 20) / 512,
            next: 0,
        };
        drive.start()?;
        Ok(drive)
    }

    /// Brings the controller up, and makes a pair of queues.
    fn start(&mut self) -> Result<()> {
        let io = self.bar.io::<PAGE>()?;
        let at = |page: usize| self.queues.iova().raw() + u64::try_from(page).unwrap_or(0);
        io.try_write32(CC, 0)?;
        self.wait_ready(0)?;
        io.try_write32(AQA, 0x000f_000f)?;
        io.try_write64(ASQ, at(ADMIN_COMMANDS))?;
        io.try_write64(ACQ, at(ADMIN_COMPLETIONS))?;
        self.device.set_bus_master(true)?;
        io.try_write32(CC, ENABLE)?;
        self.wait_ready(1)?;
        let size = u32::try_from(self.entries - 1)? << 16 | 1;
        let (commands, completions) = (at(COMMANDS), at(COMPLETIONS));
        // One pair of queues; the completion queue; the submission queue that belongs to it.
        self.admin(0, command(0x09, 0, 0, 0, [7, 0, 0]))?;
        self.admin(1, command(0x05, 1, 0, completions, [size, 1, 0]))?;
        self.admin(2, command(0x01, 2, 0, commands, [size, 1 << 16 | 1, 0]))
    }

    pub fn stop(self) -> Result<()> {
        self.bar.io::<PAGE>()?.try_write32(CC, 0)?;
        self.wait_ready(0)?;
        self.device.set_bus_master(false)?;
        Ok(())
    }

    fn wait_ready(&self, ready: u32) -> Result<()> {
        let io = self.bar.io::<PAGE>()?;
        let wanted = |status: u32| Verdict::ready_if(status & 1 == ready);
        Poll::within(Duration::from_secs(10))
            .try_until(|| io.try_read32(CSTS), wanted)
            .map_err(|error| error.into_error("the drive does not become ready"))?;
        Ok(())
    }

    /// The admin command of this number, of the first round of the queue.
    fn admin(&self, number: usize, command: Words) -> Result<()> {
        let (io, memory) = (self.bar.io::<PAGE>()?, self.queues.view());
        for (word, value) in command.into_iter().enumerate() {
            memory.try_write32(ADMIN_COMMANDS + number * COMMAND + 4 * word, value)?;
        }
        io.try_write32(DOORBELLS, u32::try_from((number + 1) % ADMIN)?)?;
        let status = ADMIN_COMPLETIONS + number * COMPLETION + 14;
        let done = Poll::within(Duration::from_secs(10)).try_until(
            || memory.try_read16(status),
            |status: u16| Verdict::ready_if(status & 1 == 1),
        );
        let done = done.map_err(|error| error.into_error("the drive does not answer"))?;
        io.try_write32(DOORBELLS + 4, u32::try_from((number + 1) % ADMIN)?)?;
        if done == 1 {
            Ok(())
        } else {
            Err(format!("the drive refuses: {done:#x}").into())
        }
    }

    /// Reads so many blocks one after the other, with as many commands under way as there may be.
    pub fn read(&mut self, reads: u32) {
        let bar = bound::start(&self.bar).expect("it is mapped");
        let memory: *mut u8 = self.queues.view().as_ptr().cast();
        let doorbell = |number: usize, index: usize| {
            let at = bar.wrapping_add(DOORBELLS + 4 * number).cast::<u32>();
            let index = u32::try_from(index).expect("a queue is short");
            // SAFETY: the doorbells of the first two pairs of queues are mapped.
            unsafe { at.write_volatile(index) };
        };
        let (mut left, mut under_way) = (reads, 0);
        for slot in 0..self.commands.len().min(usize::try_from(reads).unwrap_or(0)) {
            self.post(memory, slot);
            (left, under_way) = (left - 1, under_way + 1);
        }
        while under_way > 0 {
            fence(Ordering::SeqCst);
            doorbell(2, self.tail);
            let tail = self.tail;
            // Until there is something to tell the drive.
            loop {
                let before = self.head;
                while let Some(slot) = self.reap(memory) {
                    if left > 0 {
                        self.post(memory, slot);
                        left -= 1;
                    } else {
                        under_way -= 1;
                    }
                }
                if self.head != before {
                    doorbell(3, self.head);
                }
                if self.tail != tail || under_way == 0 {
                    break;
                }
            }
        }
    }

    #[inline(always)]
    fn post(&mut self, memory: *mut u8, slot: usize) {
        self.next = (self.next + 1) % self.blocks;
        let command = self
            .commands
            .get_mut(slot)
            .expect("the drive gives slots back");
        command[10] = self.next;
        let at = memory.wrapping_add(COMMANDS + self.tail * COMMAND);
        let from: *const Words = command;
        // SAFETY: there is room in the queue, which does not overlap it.
        unsafe { ptr::copy_nonoverlapping(from.cast::<u8>(), at, COMMAND) };
        compiler_fence(Ordering::SeqCst);
        self.tail += 1;
        if self.tail == self.entries {
            self.tail = 0;
        }
    }

    #[inline(always)]
    fn reap(&mut self, memory: *mut u8) -> Option<usize> {
        let at = memory.wrapping_add(COMPLETIONS + self.head * COMPLETION);
        let word = |offset| {
            let at = at.wrapping_add(offset).cast::<u16>();
            // SAFETY: it is in the queue, and aligned.
            unsafe { at.read_volatile() }
        };
        let status = word(14);
        if status & 1 != self.phase {
            return None;
        }
        assert_eq!(status >> 1, 0, "the drive could not read");
        let slot = usize::from(word(12));
        self.head += 1;
        if self.head == self.entries {
            (self.head, self.phase) = (0, self.phase ^ 1);
        }
        Some(slot)
    }
}

/// A command as it stands in a queue (section 3.3.3.1), with dwords 10 to 12.
fn command(opcode: u32, id: u16, namespace: u32, data: u64, arguments: [u32; 3]) -> Words {
    let [a, b, c, d, e, f, g, h] = data.to_le_bytes();
    let mut words = [0; 16];
    words[0] = opcode | u32::from(id) << 16;
    words[1] = namespace;
    words[6] = u32::from_le_bytes([a, b, c, d]);
    words[7] = u32::from_le_bytes([e, f, g, h]);
    [words[10], words[11], words[12]] = arguments;
    words
}
