//! Definitions of registers as drivers have them, in every form, and every form of access, on every view.
//!
//! Offsets and values are computed by hand from the specifications that the definitions name.
#![expect(unsafe_code, reason = "makes views of memory that the tests own")]
#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

#[path = "../memory/mod.rs"]
#[allow(dead_code, reason = "other tests use more of it")]
mod memory;
mod nvme;
mod xhci;

use io_core::{
    Io, IoCapable, Region, SysOrIoMap, UntypedRegion,
    register::{Array, WithBase},
};
use memory::{MARGIN, Memory};
use nvme::{AQA, ASQ, ASQ_LOW, CAP, CC, CQHDBL, CSTS, EntrySize, INTMC, SQTDBL, VS};
use xhci::{
    ERDP, FIRST_PORT, IMAN, IMAN_ENABLE, Interrupter0, Interrupter1, LAST_PORT, PORT, PORT_BYTES,
    PORT16, PORTSC, Second,
};

/// Enough for the doorbells.
const SIZE: usize = 0x1020;

/// Runs one test body on every kind of view.
macro_rules! on_every_view {
    ($body:expr) => {{
        let memory = zeroed();
        $body(memory.mmio::<SIZE>(), &memory);
        let memory = zeroed();
        $body(memory.mmio::<SIZE>().relaxed(), &memory);
        let memory = zeroed();
        $body(memory.sys_mem::<SIZE>(), &memory);
        let memory = zeroed();
        $body(SysOrIoMap::from(memory.mmio::<SIZE>()), &memory);
        let memory = zeroed();
        $body(SysOrIoMap::from(memory.sys_mem::<SIZE>()), &memory);
    }};
}

fn zeroed() -> Memory {
    let memory = Memory::new(SIZE);
    // SAFETY: the memory has this size, and no views yet.
    unsafe { memory.base().write_bytes(0, SIZE) };
    memory
}

/// The 32-bit number at `offset`, seen without any view.
fn le32(memory: &Memory, offset: usize) -> u32 {
    u32::from_le_bytes(memory.all()[MARGIN + offset..][..4].try_into().unwrap())
}

/// The 64-bit number at `offset`, seen without any view.
fn le64(memory: &Memory, offset: usize) -> u64 {
    u64::from_le_bytes(memory.all()[MARGIN + offset..][..8].try_into().unwrap())
}

#[test]
fn fixed_registers_are_read_and_written_where_they_are() {
    fn body<'a, V: Io<'a, Target = Region<SIZE>>>(io: V, memory: &Memory)
    where
        V::Backend: IoCapable<u32> + IoCapable<u64>,
    {
        // 2048 entries in queues that are contiguous, ready after 7.5 s at most; version 1.4.0.
        io.write64::<0x0>(0x0040_1820_0f01_07ff);
        io.write32::<0x8>(0x0001_0400);
        let (cap, vs) = (io.read(CAP), io.read(VS));
        assert_eq!((cap.mqes(), cap.cqr(), cap.dstrd().get()), (2047, true, 0));
        assert_eq!((cap.to().get(), cap.mpsmin().get()), (15, 0));
        assert_eq!((vs.mjr(), vs.mnr(), vs.ter()), (1, 4, 0));

        io.write(INTMC, INTMC::from(0xffff_ffff));
        assert_eq!(le32(memory, 0x10), 0xffff_ffff);
        io.write(
            (),
            AQA::zeroed()
                .with_const_acqs::<31>()
                .with_asqs(31_u8.into_bounded()),
        );
        assert_eq!(le32(memory, 0x24), 0x001f_001f);
        io.write_reg(ASQ::zeroed().try_with_page(0x12_3456_u32).unwrap());
        assert_eq!(le64(memory, 0x28), 0x1_2345_6000);
        assert_eq!(io.read(ASQ_LOW).into_raw(), 0x2345_6000);
    }
    on_every_view!(body);
}

/// A short way to a `Bounded` of 12 bits.
trait IntoBounded {
    fn into_bounded(self) -> io_core::Bounded<u32, 12>;
}

impl IntoBounded for u8 {
    fn into_bounded(self) -> io_core::Bounded<u32, 12> {
        io_core::Bounded::<u32, 8>::from(self).extend()
    }
}

#[test]
fn fields_convert_into_the_types_of_the_driver() {
    let cc = CC::zeroed()
        .with_iosqes(EntrySize::SUBMISSION)
        .with_en(true);
    assert_eq!(cc.into_raw(), 0x0006_0001);
    assert_eq!(cc.iosqes().bytes(), 64);
    assert_eq!(cc.iocqes().bytes(), 1);

    assert_eq!(CSTS::from(0x8).shst(), Ok(nvme::Shutdown::Complete));
    assert_eq!(CSTS::from(0xc).shst(), Err(nvme::Reserved(3)));
    assert!(CSTS::from(0xc).failed() && CSTS::from(0x2).failed());
    assert!(!CSTS::from(0x1).failed());
}

#[test]
fn elements_of_arrays_are_their_stride_apart() {
    fn body<'a, V: Io<'a, Target = Region<SIZE>>>(io: V, memory: &Memory)
    where
        V::Backend: IoCapable<u8> + IoCapable<u32>,
    {
        io.write(SQTDBL::at(0), SQTDBL::zeroed().with_tail(0x11));
        io.write(Array::at(3), SQTDBL::zeroed().with_tail(0x12));
        io.write(CQHDBL::at_const::<3>(), CQHDBL::zeroed().with_head(0x13));
        io.write(CQHDBL::try_at(0).unwrap(), CQHDBL::zeroed().with_head(0x14));
        assert_eq!(le32(memory, 0x1000), 0x11);
        assert_eq!(le32(memory, 0x1018), 0x12);
        assert_eq!(le32(memory, 0x101c), 0x13);
        assert_eq!(le32(memory, 0x1004), 0x14);
        assert!(CQHDBL::try_at(4).is_none());

        io.write(PORTSC::at(2), PORTSC::zeroed().with_pp(true));
        assert_eq!(le32(memory, 0x120), 0x200);
        assert_eq!(io.read(PORT_BYTES::at(0x21)).into_raw(), 2);
        io.write(FIRST_PORT, FIRST_PORT::zeroed().with_lws(true));
        assert_eq!(le32(memory, 0x100), 0x1_0000);
    }
    on_every_view!(body);
}

#[test]
fn relative_registers_are_at_each_base() {
    fn body<'a, V: Io<'a, Target = Region<SIZE>>>(io: V, memory: &Memory)
    where
        V::Backend: IoCapable<u8> + IoCapable<u16> + IoCapable<u32> + IoCapable<u64>,
    {
        io.write(IMAN::of::<Interrupter0>(), IMAN::from(0x2));
        io.write(
            WithBase::of::<Interrupter1>(),
            IMAN::zeroed().with_ie(true).with_ip(true),
        );
        assert_eq!(le32(memory, 0x220), 0x2);
        assert_eq!(le32(memory, 0x240), 0x3);
        assert!(io.read(IMAN_ENABLE::of::<Interrupter1>()).ie());
        io.write(
            ERDP::of::<Interrupter1>(),
            ERDP::zeroed().with_const_pointer::<0xabc>(),
        );
        assert_eq!(le64(memory, 0x258), 0xabc0);

        io.write(PORT::of::<Second>().at(0), PORT::from(0x4433_2211));
        io.write(WithBase::of::<Second>().at(1), PORT::from(0x8877_6655));
        assert_eq!(le32(memory, 0x310), 0x4433_2211);
        assert_eq!(
            io.read(PORT::of::<Second>().at_const::<1>()).value(),
            0x8877_6655
        );
        assert_eq!(io.read(LAST_PORT::of::<Second>()).low(), 0x55);
        let last = PORT16::of::<Second>().try_at(3).unwrap();
        assert_eq!(io.read(last).into_raw(), 0x8877);
        assert!(PORT16::of::<Second>().try_at(4).is_none());
    }
    on_every_view!(body);
}

#[test]
fn an_update_changes_what_the_closure_changes() {
    fn body<'a, V: Io<'a, Target = Region<SIZE>>>(io: V, memory: &Memory)
    where
        V::Backend: IoCapable<u32>,
    {
        io.write32::<0x14>(0x0046_4001);
        io.update(CC, |cc| cc.with_en(false).with_const_shn::<2>());
        assert_eq!(le32(memory, 0x14), 0x0046_8000);
        io.try_update(CC, |cc| cc.with_en(true)).unwrap();
        assert_eq!(le32(memory, 0x14), 0x0046_8001);
    }
    on_every_view!(body);
}

#[test]
fn the_try_forms_reach_registers_of_a_region_that_promises_no_size() {
    fn body<'a, V: Io<'a, Target: UntypedRegion>>(io: V, memory: &Memory)
    where
        V::Backend: IoCapable<u16> + IoCapable<u32>,
    {
        assert_eq!(io.size(), 0x318);
        io.try_write_reg(INTMC::from(7)).unwrap();
        assert_eq!(io.try_read(INTMC).unwrap().into_raw(), 7);
        io.try_write((), INTMC::from(8)).unwrap();
        assert_eq!(le32(memory, 0x10), 8);
        io.try_write(PORT::of::<Second>().at(1), PORT::from(9))
            .unwrap();
        assert_eq!(le32(memory, 0x314), 9);
        io.try_update(IMAN::of::<Interrupter0>(), |iman| iman.with_ie(true))
            .unwrap();
        assert_eq!(le32(memory, 0x220), 2);
        let half: u16 = io.try_read(0x314).unwrap();
        assert_eq!(half, 9);

        let error = io.try_read(PORTSC::at(0)).map(|_| ()).err();
        assert_eq!(error, None);
        let error = io.try_write(SQTDBL::at(1), SQTDBL::zeroed()).unwrap_err();
        assert_eq!(
            (error.offset(), error.len(), error.size()),
            (0x1008, 4, 0x318)
        );
    }
    let memory = Memory::new(0x318);
    // SAFETY: the memory has this size, and no views yet.
    unsafe { memory.base().write_bytes(0, 0x318) };
    body(memory.mmio::<0>(), &memory);
    body(memory.sys_mem::<0>(), &memory);
    body(SysOrIoMap::from(memory.mmio::<0>()), &memory);
}

#[test]
#[should_panic(expected = "the array of registers has no such element")]
fn an_index_past_the_array_never_reaches_the_device() {
    let index = std::hint::black_box(4);
    let _ = PORTSC::at(index);
}

#[test]
fn registers_print_themselves_by_field() {
    // 0xab << 5 | 2 has port power (bit 9) clear, link state 11 (bits 8:5), and bits that no field names.
    assert_eq!(
        format!("{:?}", PORTSC::from(0x0002_0162)),
        "PORTSC { raw: 0x00020162, csc: 1, pp: 0, pls: 11, ped: 1, ccs: 0 }"
    );
    assert_eq!(format!("{:?}", INTMC::from(1)), "INTMC { raw: 0x00000001 }");
    assert_eq!(format!("{:?}", PORT::of::<Second>().at(1)), "PORT at 0x314");
}
