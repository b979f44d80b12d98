//! The driver on QEMU's nvme, in the lab, with the kernel's own driver for a witness.
#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::print_stderr, reason = "it is shown if a test fails")]

mod survive;

use io_core::{AccessWidth, ErrorKind, Io, PciDevice};
use lab_guest::{Bound, ByCalls, modes};
use nvme::{Nvme, Operation, Options};
use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{Read, Seek, SeekFrom, Write},
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};
use vfio_backend::IommuMode;

/// Where the lab has its drive: see docs/lab.md.
const DRIVE: &str = "0000:04:00.0";
const BLOCK: usize = 512;

/// The drive while the kernel's driver has it.
struct Kernels;

impl Kernels {
    fn new() -> Self {
        lab_guest::fact("kernel");
        Self
    }

    /// What sysfs says of the controller, or of the disk.
    fn says(&self, path: &str) -> String {
        let disk = self.disk();
        let name = disk.file_name().unwrap().to_str().unwrap();
        let path = format!("/sys/block/{name}/{path}");
        fs::read_to_string(path).unwrap().trim().to_owned()
    }

    /// The device node of the disk, once it can be opened: all that is said of the disk is there by then.
    fn disk(&self) -> PathBuf {
        let started = Instant::now();
        let controllers = format!("/sys/bus/pci/devices/{DRIVE}/nvme");
        loop {
            let entries = |path: PathBuf| fs::read_dir(path).into_iter().flatten().flatten();
            let disks = entries(controllers.clone().into()).flat_map(|nvme| entries(nvme.path()));
            let names = disks.map(|entry| entry.file_name().into_string().unwrap());
            let mut nodes = names
                .filter(|name| name.starts_with("nvme"))
                .map(|name| PathBuf::from("/dev").join(name));
            if let Some(node) = nodes.find(|node| File::open(node).is_ok()) {
                return node;
            }
            assert!(started.elapsed() < Duration::from_secs(20), "no disk");
            thread::sleep(Duration::from_millis(10));
        }
    }

    fn read(&self, lba: u64, bytes: &mut [u8]) {
        let mut disk = File::open(self.disk()).unwrap();
        disk.seek(SeekFrom::Start(lba * 512)).unwrap();
        disk.read_exact(bytes).unwrap();
    }

    fn write(&self, lba: u64, bytes: &[u8]) {
        let mut disk = OpenOptions::new().write(true).open(self.disk()).unwrap();
        disk.seek(SeekFrom::Start(lba * 512)).unwrap();
        disk.write_all(bytes).unwrap();
        disk.sync_all().unwrap();
    }

    fn bind(self) -> Bound {
        Bound::new(DRIVE)
    }
}

/// Every way to use the drive: each mode that the kernel has, polled and by interrupts, at these depths.
fn ways(depths: &[u16]) -> Vec<(IommuMode, Options)> {
    let mut ways = Vec::new();
    for mode in modes() {
        for interrupts in [false, true] {
            ways.extend(depths.iter().map(|depth| {
                let depth = *depth;
                (mode, Options { depth, interrupts })
            }));
        }
    }
    ways
}

/// Bytes that are the same for the same seed, and no two blocks of them.
fn pattern(seed: u64, len: usize) -> Vec<u8> {
    let words = (0..).map(|i: u64| {
        (i + 1)
            .wrapping_mul(seed | 1)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
    });
    words.flat_map(u64::to_le_bytes).take(len).collect()
}

/// Lengths in blocks, and where they start: within a page, two pages, a list, more than one command, more than eight.
const PIECES: [(u64, usize); 6] = [
    (0, 1),
    (3, 9),
    (100, 16),
    (1000, 33),
    (2000, 700),
    (4000, 2500),
];

#[test]
#[ignore = "needs the lab"]
fn the_drive_is_what_the_kernel_says_that_it_is() {
    let kernels = Kernels::new();
    let [model, serial, firmware] =
        ["device/model", "device/serial", "device/firmware_rev"].map(|path| kernels.says(path));
    // In units of 512 bytes, whatever the blocks are.
    let sectors: u64 = kernels.says("size").parse().unwrap();
    let block: usize = kernels.says("queue/logical_block_size").parse().unwrap();
    let bound = kernels.bind();
    for (mode, options) in ways(&[1]) {
        let device = bound.open_in(mode);
        let nvme = Nvme::new(&device, options).unwrap();
        let (info, namespace) = (nvme.info(), nvme.namespace());
        assert_eq!(
            (&info.model, &info.serial, &info.firmware),
            (&model, &serial, &firmware)
        );
        assert_eq!((namespace.blocks, namespace.block_size), (sectors, block));
        nvme.close().unwrap();
    }
}

#[test]
#[ignore = "needs the lab"]
fn what_is_written_the_kernel_reads() {
    for (seed, (mode, options)) in (1..).zip(ways(&[1, 8])) {
        eprintln!("{mode}, {options:?}");
        let bound = Kernels::new().bind();
        let device = bound.open_in(mode);
        let mut nvme = Nvme::new(&device, options).unwrap();
        for (lba, blocks) in PIECES {
            nvme.write(lba, &pattern(seed + lba, blocks * BLOCK))
                .unwrap();
        }
        nvme.flush().unwrap();
        nvme.close().unwrap();
        drop(device);
        drop(bound);
        let kernels = Kernels::new();
        for (lba, blocks) in PIECES {
            let mut bytes = vec![0; blocks * BLOCK];
            kernels.read(lba, &mut bytes);
            assert!(
                bytes == pattern(seed + lba, blocks * BLOCK),
                "{blocks} blocks at {lba}"
            );
        }
    }
}

#[test]
#[ignore = "needs the lab"]
fn what_the_kernel_has_written_is_read() {
    let kernels = Kernels::new();
    for (lba, blocks) in PIECES {
        kernels.write(lba, &pattern(77 + lba, blocks * BLOCK));
    }
    let bound = kernels.bind();
    for (mode, options) in ways(&[1, 8]) {
        eprintln!("{mode}, {options:?}");
        let device = bound.open_in(mode);
        let mut nvme = Nvme::new(&device, options).unwrap();
        for (lba, blocks) in PIECES {
            let mut bytes = vec![0; blocks * BLOCK];
            nvme.read(lba, &mut bytes).unwrap();
            assert!(
                bytes == pattern(77 + lba, blocks * BLOCK),
                "{blocks} blocks at {lba}"
            );
        }
        nvme.close().unwrap();
    }
}

#[test]
#[ignore = "needs the lab"]
fn commands_complete_in_any_order_and_each_has_its_own_data() {
    let bound = Kernels::new().bind();
    for (mode, options) in ways(&[32]) {
        let device = bound.open_in(mode);
        let mut nvme = Nvme::new(&device, options).unwrap();
        let image = pattern(5, 1024 * BLOCK);
        nvme.write(0, &image).unwrap();
        let (mut expected, mut order) = (BTreeMap::new(), Vec::new());
        let mut submitted = 0_u64;
        loop {
            while let Some(slot) = (submitted < 500).then(|| nvme.take()).flatten() {
                // Long ones and short ones, so that they overtake each other.
                let blocks = if submitted % 4 == 0 { 256 } else { 1 };
                let lba = submitted * 37 % (1024 - u64::from(blocks));
                expected.insert(slot.number(), (submitted, lba, blocks));
                nvme.submit(slot, Operation::Read(lba, blocks)).unwrap();
                submitted += 1;
            }
            if expected.is_empty() {
                break;
            }
            let (slot, done) = nvme.wait().unwrap();
            done.unwrap();
            let (number, lba, blocks) = expected.remove(&slot.number()).unwrap();
            let mut bytes = vec![0; usize::from(blocks) * BLOCK];
            nvme.data(&slot)
                .unwrap()
                .copy_to_slice(0, &mut bytes, AccessWidth::Auto)
                .unwrap();
            let start = usize::try_from(lba).unwrap() * BLOCK;
            assert!(
                bytes == image[start..start + bytes.len()],
                "{blocks} blocks at {lba}"
            );
            nvme.give_back(slot);
            order.push(number);
        }
        let overtaken = order.windows(2).filter(|pair| pair[0] > pair[1]).count();
        // Or the order would not have been put to the test.
        assert!(overtaken > 0, "{mode}, {options:?}");
        nvme.close().unwrap();
    }
}

#[test]
#[ignore = "needs the lab"]
fn what_the_drive_refuses_is_a_sentence_and_no_end() {
    let bound = Kernels::new().bind();
    let device = bound.open_in(IommuMode::Type1);
    let options = Options {
        depth: 2,
        interrupts: false,
    };
    let mut nvme = Nvme::new(&device, options).unwrap();
    // More than CC's number of namespaces, which QEMU has 256 of: its answer is Invalid Namespace or Format, 0Bh.
    let error = nvme
        .identify_namespace(0xffff_0000)
        .unwrap_err()
        .to_string();
    let refused = "0000:04:00.0 refuses to identify (structure 0, namespace 4294901760): there is no such namespace, \
                   or its format does not do (type 0, code 0x0b";
    assert!(error.starts_with(refused), "{error}");

    let blocks = nvme.namespace().blocks;
    let error = nvme.read(blocks, &mut [0; 512]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    let expected =
        format!("cannot transfer 1 blocks from block {blocks} on: the namespace has {blocks}");
    assert_eq!(error.to_string(), expected);
    assert_eq!(
        nvme.read(0, &mut [0; 100]).unwrap_err().kind(),
        ErrorKind::InvalidInput
    );
    assert_eq!(nvme.wait().unwrap_err().kind(), ErrorKind::InvalidInput);
    // All slots are there still.
    nvme.read(blocks - 1, &mut [0; 512]).unwrap();
    assert_eq!(
        (nvme.take().is_some(), nvme.take().is_some(), nvme.take()),
        (true, true, None)
    );

    let too_deep = Options {
        depth: u16::MAX,
        ..options
    };
    drop(nvme);
    let error = Nvme::new(&device, too_deep).unwrap_err().to_string();
    // QEMU's CAP.MQES is 0x7ff.
    assert_eq!(
        error,
        "the queues of 0000:04:00.0 take 1 to 2047 commands at once, and not 65535"
    );
}

#[test]
#[ignore = "needs the lab"]
fn a_drive_that_is_closed_is_shut_down_and_can_be_opened_again() {
    let bound = Kernels::new().bind();
    for (mode, options) in ways(&[4]) {
        let device = bound.open_in(mode);
        let bar = device.bar(0).unwrap();
        // PCIe Transport 1.0 section 3.1: CSTS is at 1Ch; SHST, in bits 3:2, is 2 when the shutdown is complete.
        let shutdown = || bar.mmio::<0x1000>().unwrap().read32::<0x1c>() >> 2 & 3;
        let bus_master = || device.config().try_read16(4).unwrap() & 4 != 0;
        for close in [true, false, true] {
            let mut nvme = Nvme::new(&device, options).unwrap();
            assert_eq!((shutdown(), bus_master()), (0, true));
            nvme.read(0, &mut [0; 4096]).unwrap();
            if close {
                nvme.close().unwrap();
            } else {
                drop(nvme);
            }
            assert_eq!((shutdown(), bus_master()), (2, false));
        }
    }
}

#[test]
#[ignore = "needs the lab"]
fn it_runs_on_a_bar_that_is_reached_by_calls() {
    let bound = Kernels::new().bind();
    let device = ByCalls(bound.open().unwrap());
    assert!(device.bar(0).unwrap().mmio::<4>().is_err());
    for interrupts in [false, true] {
        let mut nvme = Nvme::new(
            &device,
            Options {
                depth: 4,
                interrupts,
            },
        )
        .unwrap();
        let (bytes, mut back) = (pattern(3, 1 << 20), vec![0; 1 << 20]);
        nvme.write(10, &bytes).unwrap();
        nvme.read(10, &mut back).unwrap();
        assert!(bytes == back);
        nvme.close().unwrap();
    }
}

#[test]
#[ignore = "needs the lab"]
fn bytes_are_not_copied_while_commands_are_under_way() {
    let bound = Kernels::new().bind();
    let device = bound.open().unwrap();
    let options = Options {
        depth: 2,
        interrupts: false,
    };
    let mut nvme = Nvme::new(&device, options).unwrap();
    let slot = nvme.take().unwrap();
    nvme.submit(slot, Operation::Read(0, 1)).unwrap();
    assert_eq!(
        nvme.read(0, &mut [0; 512]).unwrap_err().kind(),
        ErrorKind::Busy
    );
    assert_eq!(nvme.flush().unwrap_err().kind(), ErrorKind::Busy);
    let (slot, done) = nvme.wait().unwrap();
    done.unwrap();
    nvme.give_back(slot);
    nvme.flush().unwrap();
}

#[test]
#[ignore = "needs the lab"]
fn what_is_no_drive_is_refused() {
    // An edu.
    let bound = Bound::new("00:03.0");
    let device = bound.open().unwrap();
    let options = Options {
        depth: 1,
        interrupts: false,
    };
    let error = Nvme::new(&device, options).unwrap_err();
    assert_eq!(
        error.to_string(),
        "0000:00:03.0 is no NVMe controller: its class code is 0x00ff00, and not 0x010802"
    );
}
