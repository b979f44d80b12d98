//! Commands and completions, as they stand in queues.

use crate::{prp::Prp, status::Status};
use io_core::{AccessError, SysMem, barrier, dma::Iova, io_read, io_write};

/// An entry of a submission queue (NVM Express Base 2.0 section 3.3.3.1), 64 bytes.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Command {
    opcode: u8,
    flags: u8,
    /// Given by who submits it.
    id: u16,
    namespace: u32,
    _reserved: [u32; 2],
    metadata: u64,
    data: [u64; 2],
    /// Dwords 10 to 15.
    arguments: [u32; 6],
}

/// An entry of a completion queue (section 3.3.3.2), 16 bytes.
#[repr(C)]
pub struct CompletionEntry {
    result: u32,
    _reserved: u32,
    _submission_head: u16,
    _submission_queue: u16,
    id: u16,
    status: u16,
}

/// What a controller says of a command.
#[derive(Debug, Clone, Copy)]
pub struct Completion {
    /// What the command has for a result.
    pub result: u32,
    /// The command's identifier.
    pub id: u16,
    /// How it went.
    pub status: Status,
}

/// A queue: its number, where it is, and how many entries it has.
#[derive(Debug, Clone, Copy)]
pub struct QueueAt {
    pub id: u16,
    pub entries: u16,
    pub at: Iova,
}

impl Command {
    fn new(opcode: u8, arguments: [u32; 6]) -> Self {
        Self {
            opcode,
            arguments,
            ..Self::default()
        }
    }

    /// The same for a namespace.
    fn of(self, namespace: u32) -> Self {
        Self { namespace, ..self }
    }

    /// The same with data.
    fn with(self, data: Prp) -> Self {
        Self {
            data: [data.first, data.second],
            ..self
        }
    }

    /// IDENTIFY: the structure `cns` into one page (Base 2.0 section 5.17).
    pub fn identify(cns: u32, namespace: u32, page: Iova) -> Self {
        let data = Prp {
            first: page.raw(),
            second: 0,
        };
        Self::new(0x06, [cns, 0, 0, 0, 0, 0])
            .of(namespace)
            .with(data)
    }

    /// SET FEATURES, Number of Queues: one pair of queues for I/O (section 5.27.1.5; both numbers less one).
    pub fn one_queue_pair() -> Self {
        Self::new(0x09, [0x07, 0, 0, 0, 0, 0])
    }

    /// CREATE I/O COMPLETION QUEUE, in one piece, with this interrupt vector or none (section 5.4).
    pub fn create_completion_queue(queue: QueueAt, vector: Option<u16>) -> Self {
        const IN_ONE_PIECE: u32 = 1 << 0;
        const INTERRUPTS: u32 = 1 << 1;
        let vector = vector.map_or(0, |vector| u32::from(vector) << 16 | INTERRUPTS);
        Self::queue(0x05, queue, vector | IN_ONE_PIECE)
    }

    /// CREATE I/O SUBMISSION QUEUE, in one piece, with the completion queue of the same number (section 5.5).
    pub fn create_submission_queue(queue: QueueAt) -> Self {
        const IN_ONE_PIECE: u32 = 1 << 0;
        Self::queue(0x01, queue, u32::from(queue.id) << 16 | IN_ONE_PIECE)
    }

    fn queue(opcode: u8, queue: QueueAt, options: u32) -> Self {
        let size = u32::from(queue.entries.saturating_sub(1));
        let data = Prp {
            first: queue.at.raw(),
            second: 0,
        };
        Self::new(
            opcode,
            [size << 16 | u32::from(queue.id), options, 0, 0, 0, 0],
        )
        .with(data)
    }

    /// DELETE I/O SUBMISSION QUEUE (section 5.7).
    pub fn delete_submission_queue(id: u16) -> Self {
        Self::new(0x00, [u32::from(id), 0, 0, 0, 0, 0])
    }

    /// DELETE I/O COMPLETION QUEUE (section 5.6).
    pub fn delete_completion_queue(id: u16) -> Self {
        Self::new(0x04, [u32::from(id), 0, 0, 0, 0, 0])
    }

    /// FLUSH: what was written before is on the medium (section 7.1).
    pub fn flush(namespace: u32) -> Self {
        Self::new(0x00, [0; 6]).of(namespace)
    }

    /// READ (NVM Command Set 1.0 section 3.2.4). `blocks` is not 0.
    pub fn read(namespace: u32, lba: u64, blocks: u16, data: Prp) -> Self {
        Self::blocks(0x02, lba, blocks).of(namespace).with(data)
    }

    /// WRITE (NVM Command Set 1.0 section 3.2.6). `blocks` is not 0.
    pub fn write(namespace: u32, lba: u64, blocks: u16, data: Prp) -> Self {
        Self::blocks(0x01, lba, blocks).of(namespace).with(data)
    }

    fn blocks(opcode: u8, lba: u64, blocks: u16) -> Self {
        let [a, b, c, d, e, f, g, h] = lba.to_le_bytes();
        let (low, high) = (
            u32::from_le_bytes([a, b, c, d]),
            u32::from_le_bytes([e, f, g, h]),
        );
        let count = u32::from(blocks.saturating_sub(1));
        Self::new(opcode, [low, high, count, 0, 0, 0])
    }

    /// Puts it into a queue, with this identifier.
    pub fn put(&self, id: u16, entry: SysMem<'_, Self>) -> Result<(), AccessError> {
        io_write!(entry, .opcode, self.opcode);
        io_write!(entry, .flags, self.flags);
        io_write!(entry, .id, id);
        io_write!(entry, .namespace, self.namespace);
        io_write!(entry, .metadata, self.metadata);
        for (i, address) in self.data.into_iter().enumerate() {
            io_write!(entry, .data[try: i], address);
        }
        for (i, argument) in self.arguments.into_iter().enumerate() {
            io_write!(entry, .arguments[try: i], argument);
        }
        Ok(())
    }
}

impl Completion {
    /// Takes one out of a queue, if its phase tag says that it is new.
    pub fn take(entry: SysMem<'_, CompletionEntry>, phase: bool) -> Option<Self> {
        let status = Status::from(io_read!(entry, .status));
        if status.phase() != phase {
            return None;
        }
        // The rest is as new as the tag only if it is read after it.
        barrier::dma_rmb();
        Some(Self {
            result: io_read!(entry, .result),
            id: io_read!(entry, .id),
            status,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use io_core::{AccessWidth, Io, dma::DmaOptions, sim::SimulatedDma};

    #[test]
    fn a_command_stands_in_memory_as_the_specification_draws_it() {
        let memory = SimulatedDma::new()
            .space()
            .allocate(64, DmaOptions::default());
        let memory = memory.unwrap().share().unwrap();
        let data = Prp {
            first: 0x1122_3344_5566_7000,
            second: 0x8000,
        };
        let command = Command::write(7, 0x1_0000_0002, 16, data);
        let entry = memory.view().try_cast::<Command>().unwrap();
        command.put(0xabcd, entry).unwrap();
        let mut dwords = [0; 16];
        for (i, dword) in dwords.iter_mut().enumerate() {
            *dword = memory.view().try_read32(4 * i).unwrap();
        }
        // Base 2.0 figure 87 and NVM Command Set 1.0 figures 50 to 53: CDW0 has the identifier in 31:16.
        let expected = [
            0xabcd_0001,
            7,
            0,
            0,
            0,
            0,
            0x5566_7000,
            0x1122_3344,
            0x8000,
            0,
            2,
            1,
            15,
            0,
            0,
            0,
        ];
        assert_eq!(dwords, expected);
    }

    #[test]
    fn a_completion_is_taken_when_its_phase_comes() {
        let memory = SimulatedDma::new()
            .space()
            .allocate(16, DmaOptions::default());
        let memory = memory.unwrap().share().unwrap();
        let entry = || memory.view().try_cast::<CompletionEntry>().unwrap();
        assert!(Completion::take(entry(), true).is_none());
        // Base 2.0 figure 88: DW0 the result, DW3 the identifier in 15:0, the phase tag in bit 16, the status above.
        let bytes = [5, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0x34, 0x12, 0x05, 0];
        memory
            .view()
            .copy_from_slice(0, &bytes, AccessWidth::Auto)
            .unwrap();
        let completion = Completion::take(entry(), true).unwrap();
        assert_eq!((completion.result, completion.id), (5, 0x1234));
        assert_eq!(completion.status.code(), 2);
        assert!(Completion::take(entry(), false).is_none());
    }
}
