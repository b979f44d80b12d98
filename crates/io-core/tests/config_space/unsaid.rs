//! What lspci 3.9 does not say. Expected values: read from the bytes by the layouts of the kernel's
//! pci_regs.h.

use crate::dumps;
use io_core::pci::{
    Body, CapabilityId, Config, HeaderKind,
    capability::{DpcRootPort, PriStatus},
};

/// Runs `test` on what a capability of a dump says.
fn with(name: &str, id: CapabilityId, test: impl Fn(Body<'_>)) {
    let bytes = dumps::named(name);
    let config = Config::new(&bytes);
    let list = match id {
        CapabilityId::Standard(_) => config.capabilities(),
        CapabilityId::Extended(_) => config.extended_capabilities(),
    };
    test(list.find(id).unwrap().body().unwrap());
}

#[test]
fn vital_product_data_has_a_window() {
    with("made-by-hand", CapabilityId::VPD, |body| {
        let Body::Vpd(vpd) = body else {
            panic!("{body:?}")
        };
        assert_eq!((vpd.address, vpd.flag, vpd.data), (4, true, 0x1234_5678));
    });
}

#[test]
fn a_root_port_tells_of_programmed_io() {
    with("made-by-hand", CapabilityId::DPC, |body| {
        let Body::Dpc(dpc) = body else {
            panic!("{body:?}")
        };
        let expected = DpcRootPort {
            status: 0x01,
            mask: 0x02,
            severity: 0x04,
            system_error: 0x08,
            exception: 0x10,
        };
        assert_eq!(dpc.root_port, Some(expected));
    });
}

#[test]
fn an_egress_vector_of_33_bits_has_8_bytes() {
    with("made-by-hand", CapabilityId::ACS, |body| {
        let Body::Acs(acs) = body else {
            panic!("{body:?}")
        };
        let expected = [0xef, 0xbe, 0xad, 0xde, 1, 0, 0, 0];
        assert_eq!((acs.egress_bits, acs.egress_vector), (33, &expected[..]));
    });
}

#[test]
fn a_designated_capability_has_its_own_bytes() {
    with("made-by-hand", CapabilityId::DVSEC, |body| {
        let Body::Dvsec(dvsec) = body else {
            panic!("{body:?}")
        };
        assert_eq!(dvsec.data, [0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff, 0x77]);
    });
}

#[test]
fn page_responses_may_need_an_id() {
    // Later versions of lspci say PASID+ of this device.
    with("intel-dsa-pasid", CapabilityId::PRI, |body| {
        let Body::Pri(pri) = body else {
            panic!("{body:?}")
        };
        assert!(pri.status.contains(PriStatus::PASID_REQUIRED));
    });
}

#[test]
fn enhanced_allocation_of_a_bridge_starts_with_its_buses() {
    let mut space = vec![0; 0x60];
    space[6] = 0x10;
    space[0x0e] = 1;
    space[0x34] = 0x40;
    // One entry of 2 more units of 4 bytes, for BAR 0: enabled, 16 bytes at 0xfe000000.
    space[0x40..0x54].copy_from_slice(&[
        0x14, 0, 1, 0, 2, 7, 0, 0, 0x02, 0, 0xff, 0x80, 0, 0, 0, 0xfe, 0x0c, 0, 0, 0,
    ]);
    let list = Config::new(&space).capabilities();
    let Ok(Body::EnhancedAllocation(ea)) = list.capabilities[0].body() else {
        panic!("{list:?}");
    };
    assert_eq!(ea.buses, Some((2, 7)));
    let entry = ea.entries[0];
    assert_eq!(
        (entry.base, entry.max_offset, entry.enabled),
        (0xfe00_0000, 0xf, true)
    );
}

#[test]
fn a_window_of_64_bits_has_both_upper_halves() {
    let mut space = vec![0; 64];
    space[0x0e] = 1;
    // PCI-to-PCI Bridge 1.2 section 3.2.5.10: 0x1_8000_0000 to 0x2_900f_ffff.
    space[0x24..0x28].copy_from_slice(&[0x01, 0x80, 0x01, 0x90]);
    space[0x28] = 1;
    space[0x2c] = 2;
    // Section 3.2.5.6: I/O ports from 0x3_5000 to 0x4_6fff. Memory is shut: its limit is below its base.
    space[0x1c..0x1e].copy_from_slice(&[0x51, 0x61]);
    space[0x20..0x24].copy_from_slice(&[0x10, 0x80, 0x00, 0x80]);
    space[0x30] = 3;
    space[0x32] = 4;
    let HeaderKind::Bridge(bridge) = Config::new(&space).header().unwrap().kind else {
        panic!("not a bridge");
    };
    assert_eq!(
        bridge.prefetchable.range(),
        Some(0x1_8000_0000..=0x2_900f_ffff)
    );
    assert_eq!(bridge.io.range(), Some(0x3_5000..=0x4_6fff));
    assert_eq!(bridge.memory.range(), None);
    assert_eq!((bridge.prefetchable.bits, bridge.io.bits), (64, 32));
}

#[test]
fn the_flag_of_vital_product_data_is_the_highest_bit() {
    let mut space = vec![0; 0x48];
    space[6] = 0x10;
    space[0x34] = 0x40;
    space[0x40..0x44].copy_from_slice(&[0x03, 0, 0xfc, 0x7f]);
    let list = Config::new(&space).capabilities();
    let Ok(Body::Vpd(vpd)) = list.capabilities[0].body() else {
        panic!("{list:?}");
    };
    assert_eq!((vpd.address, vpd.flag), (0x7ffc, false));
}
