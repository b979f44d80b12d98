//! The same bytes through the pci-driver crate.

use crate::dumps;
use io_core::pci::{
    Body, CapabilityId, Config, HeaderKind, Status,
    capability::{MsiControl, pcie::DeviceCapabilities},
};
use pci_driver::{
    config::{
        PciConfig,
        caps::{
            Capability, EnhancedAllocationCapability, MsiCapability, PciExpressCapability,
            VendorSpecificCapability,
        },
        ext_caps::{ExtendedCapability, NullExtendedCapability, VendorSpecificExtendedCapability},
    },
    regions::{AsPciSubregion, BackedByPciSubregion, PciMemoryRegion, PciRegion},
};

/// Runs `compare` on each dump, decoded by both.
fn each(compare: impl Fn(Config<'_>, PciConfig<'_>)) {
    for dump in dumps::all() {
        let region = PciMemoryRegion::new(&dump.bytes);
        compare(Config::new(&dump.bytes), PciConfig::backed_by(&region));
    }
}

#[test]
fn headers_agree() {
    each(|ours, theirs| {
        let header = ours.header().unwrap();
        assert_eq!(header.vendor_id, theirs.vendor_id().read().unwrap());
        assert_eq!(header.device_id, theirs.device_id().read().unwrap());
        assert_eq!(header.revision, theirs.revision_id().read().unwrap());
        assert_eq!(
            header.class.sub,
            theirs.class_code().sub_class_code().read().unwrap()
        );
        assert_eq!(
            header.cache_line_size,
            theirs.cache_line_size().read().unwrap()
        );
        assert_eq!(header.latency_timer, theirs.latency_timer().read().unwrap());
        assert_eq!(
            header.multi_function,
            theirs.header_type().multi_function_device().read().unwrap()
        );
        assert_eq!(
            header.bist >> 7 != 0,
            theirs.bist().bist_capable().read().unwrap()
        );
        assert_eq!(
            header.bist & 0xf,
            theirs.bist().completion_code().read().unwrap()
        );
        assert_eq!(
            header.interrupt_line,
            theirs.interrupt_line().read().unwrap()
        );
        assert_eq!(header.interrupt_pin, theirs.interrupt_pin().read().unwrap());
        let (kind, layout) = (
            header.kind,
            theirs.header_type().header_layout().read().unwrap(),
        );
        match kind {
            HeaderKind::Endpoint(endpoint) => {
                assert_eq!(layout, 0);
                assert_eq!(
                    endpoint.cardbus_cis,
                    theirs.cardbus_cis_pointer().read().unwrap()
                );
                assert_eq!(
                    endpoint.subsystem_vendor_id,
                    theirs.subsystem_vendor_id().read().unwrap()
                );
                assert_eq!(endpoint.subsystem_id, theirs.subsystem_id().read().unwrap());
                assert_eq!(endpoint.min_gnt, theirs.min_gnt().read().unwrap());
                assert_eq!(endpoint.max_lat, theirs.max_lat().read().unwrap());
            }
            HeaderKind::Bridge(_) => assert_eq!(layout, 1),
            HeaderKind::CardBus(_) => assert_eq!(layout, 2),
            HeaderKind::Unknown(_) => panic!("no dump has such a header"),
        }
    });
}

#[test]
fn command_and_status_agree_bit_by_bit() {
    each(|ours, theirs| {
        let (command, status) = (theirs.command(), theirs.status());
        let bits = [
            command.io_space_enable().read().unwrap(),
            command.memory_space_enable().read().unwrap(),
            command.bus_master_enable().read().unwrap(),
            command.special_cycle_enable().read().unwrap(),
            command.memory_write_and_invalidate().read().unwrap(),
            command.vga_palette_snoop().read().unwrap(),
            command.parity_error_response().read().unwrap(),
            command.idsel_stepping_wait_cycle_control().read().unwrap(),
            command.serr_enable().read().unwrap(),
            command
                .fast_back_to_back_transactions_enable()
                .read()
                .unwrap(),
            command.interrupt_disable().read().unwrap(),
        ];
        let ours_bits: Vec<bool> = ours
            .command()
            .unwrap()
            .names()
            .map(|(_, set)| set)
            .collect();
        assert_eq!(ours_bits, bits);
        let ours = ours.status().unwrap();
        for (flag, set) in [
            (
                Status::IMMEDIATE_READINESS,
                status.immediate_readiness().read(),
            ),
            (Status::INTERRUPT, status.interrupt_status().read()),
            (Status::CAPABILITIES, status.capabilities_list().read()),
            (Status::SPEED_66_MHZ, status.mhz_66_capable().read()),
            (
                Status::FAST_BACK_TO_BACK,
                status.fast_back_to_back_transactions_capable().read(),
            ),
            (
                Status::MASTER_PARITY_ERROR,
                status.master_data_parity_error().read(),
            ),
            (
                Status::SIGNALED_TARGET_ABORT,
                status.signaled_target_abort().read(),
            ),
            (
                Status::RECEIVED_TARGET_ABORT,
                status.received_target_abort().read(),
            ),
            (
                Status::RECEIVED_MASTER_ABORT,
                status.received_master_abort().read(),
            ),
            (
                Status::SIGNALED_SYSTEM_ERROR,
                status.signaled_system_error().read(),
            ),
            (
                Status::DETECTED_PARITY_ERROR,
                status.detected_parity_error().read(),
            ),
        ] {
            assert_eq!(ours.contains(flag), set.unwrap(), "{flag:?}");
        }
        assert_eq!(ours.devsel(), status.devsel_timing().read().unwrap());
    });
}

#[test]
fn lists_agree() {
    each(|ours, theirs| {
        // It does not know headers of type 2, whose pointer is elsewhere.
        if !matches!(ours.header().unwrap().kind, HeaderKind::CardBus(_)) {
            let theirs = theirs.capabilities().unwrap();
            let theirs: Vec<_> = theirs
                .iter()
                .map(|found| {
                    let id = found.header().capability_id().read().unwrap();
                    let offset = found.as_subregion().offset_in_underlying_region();
                    (CapabilityId::Standard(id), None, offset)
                })
                .collect();
            assert_eq!(found(ours.capabilities()), theirs);
        }
        if ours.bytes().len() == 4096 && !ours.extended_capabilities().capabilities.is_empty() {
            let theirs = theirs.extended_capabilities().unwrap();
            let theirs: Vec<_> = theirs
                .iter()
                .map(|found| {
                    let id = found.header().capability_id().read().unwrap();
                    let version = found.header().capability_version().read().unwrap();
                    let offset = found.as_subregion().offset_in_underlying_region();
                    (CapabilityId::Extended(id), Some(version), offset)
                })
                .collect();
            assert_eq!(found(ours.extended_capabilities()), theirs);
        }
    });
}

fn found(list: io_core::pci::CapabilityList<'_>) -> Vec<(CapabilityId, Option<u8>, u64)> {
    let found = list.into_iter();
    found
        .map(|found| (found.id, found.version, u64::from(found.offset)))
        .collect()
}

#[test]
fn bodies_agree() {
    each(|ours, theirs| {
        let list = theirs.capabilities().unwrap();
        for capability in ours.capabilities() {
            let at = |offset: u64| offset == u64::from(capability.offset);
            match capability.body().unwrap() {
                Body::Msi(msi) => {
                    let mut all = list.of_type::<MsiCapability<'_>>().unwrap();
                    let theirs = all.find(|it| at(it.as_subregion().offset_in_underlying_region()));
                    same_msi(msi.control, &theirs.unwrap());
                }
                Body::PciExpress(express) => {
                    let mut all = list.of_type::<PciExpressCapability<'_>>().unwrap();
                    same_device(express.device.capabilities, &all.next().unwrap());
                }
                Body::VendorSpecific(vendor) => {
                    let mut all = list.of_type::<VendorSpecificCapability<'_>>().unwrap();
                    let theirs = all.find(|it| at(it.as_subregion().offset_in_underlying_region()));
                    assert_eq!(
                        vendor.length,
                        theirs.unwrap().capability_length().read().unwrap()
                    );
                }
                _ => {}
            }
        }
        for capability in ours.extended_capabilities() {
            if let Body::Vsec(vsec) = capability.body().unwrap() {
                let list = theirs.extended_capabilities().unwrap();
                let mut all = list
                    .of_type::<VendorSpecificExtendedCapability<'_>>()
                    .unwrap();
                let here = u64::from(capability.offset);
                let theirs = all.find(|it| it.as_subregion().offset_in_underlying_region() == here);
                let theirs = theirs.unwrap();
                let header = theirs.vendor_specific_header();
                assert_eq!(vsec.id, header.vsec_id().read().unwrap());
                assert_eq!(vsec.revision, header.vsec_rev().read().unwrap());
                assert_eq!(vsec.length, header.vsec_length().read().unwrap());
            }
        }
    });
}

fn same_msi(ours: MsiControl, theirs: &MsiCapability<'_>) {
    let control = theirs.message_control();
    let log2 = |vectors: Option<u8>| vectors.unwrap().ilog2();
    assert_eq!(
        ours.contains(MsiControl::ENABLE),
        control.msi_enable().read().unwrap()
    );
    assert_eq!(
        log2(ours.capable()),
        control.multiple_message_capable().read().unwrap().into()
    );
    assert_eq!(
        log2(ours.enabled()),
        control.multiple_message_enable().read().unwrap().into()
    );
    for (flag, set) in [
        (
            MsiControl::ADDRESS_64,
            control.bit_64_address_capable().read(),
        ),
        (
            MsiControl::PER_VECTOR_MASKING,
            control.per_vector_masking_capable().read(),
        ),
        (
            MsiControl::EXTENDED_DATA,
            control.extended_message_data_capable().read(),
        ),
        (
            MsiControl::EXTENDED_DATA_ENABLE,
            control.extended_message_data_enable().read(),
        ),
    ] {
        assert_eq!(ours.contains(flag), set.unwrap());
    }
}

fn same_device(ours: DeviceCapabilities, theirs: &PciExpressCapability<'_>) {
    let theirs = theirs.device_capabilities();
    let payload = theirs.max_payload_size_supported().read().unwrap();
    assert_eq!(ours.max_payload(), Some(128 << payload));
    assert_eq!(
        ours.phantom_functions(),
        theirs.phantom_functions_supported().read().unwrap()
    );
    assert_eq!(
        ours.l0s_latency(),
        theirs.endpoint_l0s_acceptable_latency().read().unwrap()
    );
    assert_eq!(
        ours.l1_latency(),
        theirs.endpoint_l1_acceptable_latency().read().unwrap()
    );
    for (flag, set) in [
        (
            DeviceCapabilities::EXTENDED_TAGS,
            theirs.extended_tag_field_supported().read(),
        ),
        (
            DeviceCapabilities::ROLE_BASED_ERRORS,
            theirs.role_based_error_reporting().read(),
        ),
        (
            DeviceCapabilities::FUNCTION_LEVEL_RESET,
            theirs.function_level_reset_capability().read(),
        ),
    ] {
        assert_eq!(ours.contains(flag), set.unwrap());
    }
}

/// What the page of `io_core::pci` says that it gets wrong. If this fails, that page has to change.
#[test]
fn it_still_gets_wrong_what_we_say_that_it_does() {
    let bytes = dumps::named("82576-sr-iov");
    let region = PciMemoryRegion::new(&bytes);
    let theirs = PciConfig::backed_by(&region);
    // Class 020000, but the base class is read from offset 9, where the programming interface is.
    assert_eq!(theirs.class_code().base_class_code().read().unwrap(), 0x00);
    assert_eq!(
        theirs.class_code().programming_interface().read().unwrap(),
        0x02
    );

    let bytes = dumps::named("thunderx-ea");
    let region = PciMemoryRegion::new(&bytes);
    let list = PciConfig::backed_by(&region)
        .extended_capabilities()
        .unwrap();
    // It has no null capability, but a vendor's.
    assert_eq!(
        list.of_type::<NullExtendedCapability<'_>>()
            .unwrap()
            .count(),
        1
    );

    let bytes = dumps::named("qemu-edu");
    let region = PciMemoryRegion::new(&bytes);
    assert!(
        PciConfig::backed_by(&region)
            .extended_capabilities()
            .is_err()
    );
}

#[test]
fn it_still_makes_an_extended_capability_of_zeros() {
    let mut bytes = dumps::named("82576-sr-iov");
    bytes[0x100..].fill(0);
    let region = PciMemoryRegion::new(&bytes);
    let theirs = PciConfig::backed_by(&region);
    assert_eq!(theirs.extended_capabilities().unwrap().iter().count(), 1);
    let ours = Config::new(&bytes).extended_capabilities();
    assert_eq!(ours.capabilities.len(), 0);
}

#[test]
fn it_still_takes_lengths_of_enhanced_allocation_for_bytes() {
    let bytes = dumps::named("thunderx-ea");
    let region = PciMemoryRegion::new(&bytes);
    let list = PciConfig::backed_by(&region).capabilities().unwrap();
    let mut all = list.of_type::<EnhancedAllocationCapability<'_>>().unwrap();
    // The capability has 4 bytes and 4 entries of 20: lspci says EntrySize=4, in units of 4 bytes
    // behind the first.
    assert_ne!(all.next().unwrap().len(), 4 + 4 * 20);
}

#[test]
fn it_still_leaves_old_bits_in_a_field() {
    let mut bytes = dumps::named("made-by-hand");
    let region = PciMemoryRegion::new_mut(&mut bytes);
    let list = PciConfig::backed_by(&region).capabilities().unwrap();
    let msi = list.of_type::<MsiCapability<'_>>().unwrap().next().unwrap();
    let field = msi.message_control().multiple_message_enable();
    assert_eq!(field.read().unwrap(), 4);
    field.write(1).unwrap();
    assert_eq!(field.read().unwrap(), 5);
}

#[test]
fn it_still_loses_bits_when_it_writes() {
    let mut bytes = dumps::named("qemu-edu");
    bytes[4..6].copy_from_slice(&[0x00, 0x04]); // DisINTx+
    let region = PciMemoryRegion::new_mut(&mut bytes);
    let command = PciConfig::backed_by(&region).command();
    command.bus_master_enable().write(true).unwrap();
    assert_eq!(command.read_le_u16(0).unwrap(), 0x0004);
}
