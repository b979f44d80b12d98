//! What reads and writes of registers do to a device, seen from the device: every access is written down.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use io_core::{
    AccessErrorKind, Fault, IndirectIo, Io, Region, register,
    register::{Array, RegisterBase, WithBase},
    sim::{Ram, Recorder},
};

register! {
    /// A status that is cleared by ones, next to what is to be kept.
    STATUS(u32) @ 0x00 {
        #[w1c]
        31:28 errors;
        #[wo]
        9:8 command;
        #[w1c]
        1:1 done => bool;
        0:0 enable => bool;
    }

    /// Other names for the same bits; it knows nothing of what clears.
    CONTROL(u32) => STATUS {
        7:4 mode;
    }

    /// An alias of an alias.
    CONTROL_LOW(u16) => CONTROL {
        3:3 loopback => bool;
    }

    STATUS8(u8) @ 0x10 {
        #[w1c]
        7:7 done => bool;
        6:0 rest;
    }

    STATUS16(u16)[2] @ 0x12 {
        #[w1c]
        15:15 done => bool;
    }

    STATUS64(u64) @ Unit + 0x08 {
        #[w1c]
        63:63 done => bool;
        0:0 enable => bool;
    }
}

struct Unit;

impl RegisterBase<Unit> for Unit {
    const BASE: usize = 0x10;
}

/// The accesses that `body` makes to a device which holds `bytes`: whether they write, where, how wide they are
/// in bytes, and what they read or write.
fn accesses(
    bytes: &[u8],
    body: impl FnOnce(IndirectIo<'_, Region>),
) -> Vec<(bool, usize, usize, u64)> {
    let ram = Ram::with_bytes("a simulated device", bytes);
    let recorder = Recorder::new(&ram);
    body(IndirectIo::new(&recorder).unwrap());
    let access = |access: io_core::sim::Access| {
        let (at, width) = (access.at.bytes(), access.width.bytes());
        (access.write, at, width, access.value.unwrap())
    };
    recorder.take().into_iter().map(access).collect()
}

/// 32 bytes, all ones.
const ONES: [u8; 32] = [0xff; 32];

#[test]
fn an_update_writes_no_bit_back_that_would_clear_something() {
    let seen = accesses(&ONES, |io| {
        io.try_update(STATUS, |status| status.with_enable(false))
            .unwrap();
    });
    // Without bits 31:28, 9:8 and 1, and without bit 0, which the closure has cleared.
    assert_eq!(
        seen,
        [(false, 0, 4, 0xffff_ffff), (true, 0, 4, 0x0fff_fcfc)]
    );
}

#[test]
fn an_update_clears_what_the_closure_says() {
    let seen = accesses(&ONES, |io| {
        io.try_update(STATUS, |status| {
            assert!(!status.done(), "the closure sees zeros there");
            status.with_done(true).with_const_command::<2>()
        })
        .unwrap();
    });
    assert_eq!(seen[1], (true, 0, 4, 0x0fff_feff));
}

#[test]
fn an_update_through_an_alias_spares_the_bits_of_the_register() {
    let seen = accesses(&ONES, |io| {
        io.try_update(CONTROL, |control| control.with_const_mode::<0>())
            .unwrap();
        io.try_update(CONTROL_LOW, |control| control.with_loopback(false))
            .unwrap();
    });
    assert_eq!(seen[1], (true, 0, 4, 0x0fff_fc0d));
    // Bits 9:8 and 1 of the lower half; what was written before is read.
    assert_eq!(seen[2], (false, 0, 2, 0xfc0d));
    assert_eq!(seen[3], (true, 0, 2, 0xfc05));
}

#[test]
fn an_update_spares_bits_in_registers_of_every_width() {
    let seen = accesses(&ONES, |io| {
        io.try_update(STATUS8, |status| status).unwrap();
        io.try_update(STATUS16::at(1), |status| status).unwrap();
        io.try_update(STATUS64::of::<Unit>(), |status| status)
            .unwrap();
    });
    let written: Vec<_> = seen.into_iter().filter(|access| access.0).collect();
    assert_eq!(
        written,
        [
            (true, 0x10, 1, 0x7f),
            (true, 0x14, 2, 0x7fff),
            (true, 0x18, 8, 0x7fff_ffff_ffff_ffff),
        ]
    );
}

#[test]
fn a_write_writes_all_bits_as_they_are() {
    let seen = accesses(&ONES, |io| {
        let status = io.try_read(STATUS).unwrap();
        io.try_write_reg(status).unwrap();
    });
    assert_eq!(
        seen,
        [(false, 0, 4, 0xffff_ffff), (true, 0, 4, 0xffff_ffff)]
    );
}

#[test]
fn an_update_of_a_register_that_is_not_there_makes_no_access() {
    let seen = accesses(&ONES[..8], |io| {
        let error = io
            .try_update(STATUS64::of::<Unit>(), |_| unreachable!())
            .unwrap_err();
        assert_eq!(error.kind(), AccessErrorKind::OutOfBounds);
        assert_eq!((error.offset(), error.len(), error.size()), (0x18, 8, 8));
    });
    assert_eq!(seen, []);
}

#[test]
fn an_update_whose_read_fails_writes_nothing() {
    let ram = Ram::with_bytes("a simulated device", ONES).with_fault(0, Fault::Lost);
    let recorder = Recorder::new(&ram);
    let io = IndirectIo::<Region>::new(&recorder).unwrap();
    let error = io.try_update(STATUS, |_| unreachable!()).unwrap_err();
    assert!(error.is_lost());
    assert!(recorder.take().iter().all(|access| !access.write));
}
