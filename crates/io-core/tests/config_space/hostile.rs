//! Configuration spaces that no device should have.
//!
//! Expected values: PCI Local Bus 3.0 section 6.7 and PCI Express Base 6.0 section 7.6.3 for where a
//! capability can be, and the layouts of the specification for how long one is.

use io_core::pci::{
    Body, BodyError, CapabilityId, Config, HeaderError, HeaderKind, ListError, ListErrorKind,
};

/// A space of `len` bytes of an endpoint whose list of capabilities starts at `start`.
fn endpoint(len: usize, start: u8) -> Vec<u8> {
    let mut space = vec![0; len];
    space[..8].copy_from_slice(&[0xf4, 0x1a, 0x00, 0x10, 0, 0, 0x10, 0]);
    space[0x34] = start;
    space
}

fn put(space: &mut [u8], at: usize, bytes: &[u8]) {
    space[at..at + bytes.len()].copy_from_slice(bytes);
}

/// The offsets of the capabilities, and how the list ends.
fn walk(space: &[u8]) -> (Vec<u16>, Option<ListError>) {
    let list = Config::new(space).capabilities();
    let offsets = list.capabilities.iter().map(|found| found.offset);
    (offsets.collect(), list.error)
}

fn extended_walk(space: &[u8]) -> (Vec<u16>, Option<ListError>) {
    let list = Config::new(space).extended_capabilities();
    let offsets = list.capabilities.iter().map(|found| found.offset);
    (offsets.collect(), list.error)
}

fn broken(offset: u16, kind: ListErrorKind) -> Option<ListError> {
    Some(ListError { offset, kind })
}

/// The body of the only capability, which is `bytes` at 0x40.
fn body_error(bytes: &[u8]) -> Option<BodyError> {
    let mut space = endpoint(0x40 + bytes.len(), 0x40);
    put(&mut space, 0x40, bytes);
    let list = Config::new(&space).capabilities();
    list.capabilities[0].body().err()
}

/// The body of the only extended capability, which is `bytes` at 0x100.
fn extended_body_error(bytes: &[u8]) -> Option<BodyError> {
    let mut space = endpoint(0x100 + bytes.len(), 0);
    put(&mut space, 0x100, bytes);
    let list = Config::new(&space).extended_capabilities();
    list.capabilities[0].body().err()
}

#[test]
fn a_loop_in_the_list_ends() {
    let mut space = endpoint(256, 0x40);
    put(&mut space, 0x40, &[0x09, 0x50]);
    put(&mut space, 0x50, &[0x09, 0x40]);
    assert_eq!(
        walk(&space),
        (vec![0x40, 0x50], broken(0x40, ListErrorKind::Loop))
    );
}

#[test]
fn a_capability_that_leads_to_itself_ends_the_list() {
    let mut space = endpoint(4096, 0xfc);
    put(&mut space, 0xfc, &[0x09, 0xfc]);
    put(&mut space, 0x100, &[0x0b, 0x00, 0x01, 0x10]);
    assert_eq!(
        walk(&space),
        (vec![0xfc], broken(0xfc, ListErrorKind::Loop))
    );
    assert_eq!(
        extended_walk(&space),
        (vec![0x100], broken(0x100, ListErrorKind::Loop))
    );
}

#[test]
fn the_low_bits_of_a_pointer_do_not_count() {
    let mut space = endpoint(256, 0x43);
    put(&mut space, 0x40, &[0x01, 0x52]);
    put(&mut space, 0x50, &[0x11, 0x03]);
    let (offsets, error) = walk(&space);
    // 0x03 is 0 without them.
    assert_eq!((offsets, error), (vec![0x40, 0x50], None));
}

#[test]
fn a_pointer_into_the_header_ends_the_list() {
    let mut space = endpoint(256, 0x40);
    put(&mut space, 0x40, &[0x01, 0x3c]);
    assert_eq!(
        walk(&space),
        (vec![0x40], broken(0x3c, ListErrorKind::Outside))
    );
    assert_eq!(
        walk(&endpoint(256, 0x04)),
        (vec![], broken(0x04, ListErrorKind::Outside))
    );
}

#[test]
fn an_extended_pointer_below_256_ends_the_list() {
    let mut space = endpoint(4096, 0);
    put(&mut space, 0x100, &[0x03, 0x00, 0x01, 0x04]); // next: 0x040
    assert_eq!(
        extended_walk(&space),
        (vec![0x100], broken(0x40, ListErrorKind::Outside))
    );
}

#[test]
fn all_ones_end_a_list() {
    let mut space = endpoint(4096, 0x40);
    put(&mut space, 0x40, &[0x01, 0x80]);
    space[0x80..].fill(0xff);
    assert_eq!(
        walk(&space),
        (vec![0x40], broken(0x80, ListErrorKind::AllOnes))
    );
    assert_eq!(extended_walk(&space), (vec![], None));
    put(&mut space, 0x100, &[0x03, 0x00, 0x01, 0x20]);
    assert_eq!(
        extended_walk(&space),
        (vec![0x100], broken(0x200, ListErrorKind::AllOnes))
    );
}

#[test]
fn a_list_that_goes_on_behind_what_was_read_says_so() {
    let mut space = endpoint(4096, 0x40);
    assert_eq!(
        walk(&space[..64]),
        (vec![], broken(0x40, ListErrorKind::Truncated))
    );
    put(&mut space, 0x100, &[0x03, 0x00, 0x01, 0x20]);
    assert_eq!(
        extended_walk(&space[..0x203]),
        (vec![0x100], broken(0x200, ListErrorKind::Truncated))
    );
}

#[test]
fn a_null_capability_is_passed_over() {
    let mut space = endpoint(4096, 0x40);
    put(&mut space, 0x40, &[0x00, 0x50]);
    put(&mut space, 0x50, &[0x11, 0x00]);
    put(&mut space, 0x100, &[0x00, 0x00, 0x01, 0x20]);
    put(&mut space, 0x200, &[0x03, 0x00, 0x01, 0x00]);
    assert_eq!(walk(&space), (vec![0x40, 0x50], None));
    assert_eq!(extended_walk(&space), (vec![0x100, 0x200], None));
    let null = &Config::new(&space).capabilities().capabilities[0];
    assert_eq!(null.name(), Some("Null"));
    assert!(matches!(null.body(), Ok(Body::Other(_))));
}

#[test]
fn an_extended_header_of_zeros_is_the_end() {
    let mut space = endpoint(4096, 0);
    put(&mut space, 0x100, &[0x03, 0x00, 0x01, 0x20]);
    assert_eq!(extended_walk(&space), (vec![0x100], None));
}

#[test]
fn bytes_behind_configuration_space_belong_to_no_capability() {
    let mut space = endpoint(5000, 0);
    put(&mut space, 0x100, &[0x0b, 0x00, 0x01, 0x00]);
    let list = Config::new(&space).extended_capabilities();
    assert_eq!(list.capabilities[0].bytes.len(), 4096 - 0x100);
}

#[test]
fn without_the_bit_in_status_there_is_no_list() {
    let mut space = endpoint(256, 0x40);
    put(&mut space, 0x40, &[0x01, 0x00]);
    space[6] = 0;
    assert_eq!(walk(&space), (vec![], None));
}

#[test]
fn a_conventional_space_has_no_extended_capabilities() {
    assert_eq!(extended_walk(&endpoint(256, 0)), (vec![], None));
    assert_eq!(extended_walk(&endpoint(4096, 0)), (vec![], None));
}

#[test]
fn the_longest_lists_are_walked_to_their_end() {
    let mut space = endpoint(4096, 0x40);
    for at in (0x40..0xfc).step_by(4) {
        put(&mut space, at, &[0x09, u8::try_from(at + 4).unwrap(), 3, 0]);
    }
    for at in (0x100..0xffc).step_by(4) {
        let next = u16::try_from(at + 4).unwrap() << 4;
        put(
            &mut space,
            at,
            &[0x0b, 0x00, next.to_le_bytes()[0] | 1, next.to_le_bytes()[1]],
        );
    }
    space[0xfc..0x100].fill(0);
    put(&mut space, 0xffc, &[0x03, 0x00, 0x01, 0x00]);
    let (offsets, error) = walk(&space);
    assert_eq!((offsets.len(), error), (48, None)); // (0x100 - 0x40) / 4
    let (offsets, error) = extended_walk(&space);
    assert_eq!((offsets.len(), error), (960, None)); // (0x1000 - 0x100) / 4
}

#[test]
fn a_function_that_is_gone_is_told_from_one_with_few_bytes() {
    let gone = Config::new(&[0xff; 4096]);
    assert_eq!(gone.header(), Err(HeaderError::Absent));
    assert!(gone.capabilities().capabilities.is_empty());
    assert!(gone.extended_capabilities().capabilities.is_empty());
    assert_eq!(gone.extended_capabilities().error, None);
    assert_eq!(
        Config::new(&[]).header(),
        Err(HeaderError::Truncated { have: 0 })
    );
    let space = endpoint(63, 0);
    assert_eq!(
        Config::new(&space).header(),
        Err(HeaderError::Truncated { have: 63 })
    );
}

#[test]
fn a_header_of_an_unknown_type_has_64_bytes_too() {
    let mut space = endpoint(62, 0);
    space[0x0e] = 3;
    assert_eq!(
        Config::new(&space).header(),
        Err(HeaderError::Truncated { have: 62 })
    );
}

#[test]
fn a_virtual_function_without_ids_is_not_gone() {
    // SR-IOV 1.1 section 3.4.1: vendor and device id read as ones.
    let mut space = endpoint(256, 0);
    put(&mut space, 0, &[0xff; 4]);
    let header = Config::new(&space).header().unwrap();
    assert_eq!((header.vendor_id, header.device_id), (0xffff, 0xffff));
}

#[test]
fn zeros_are_a_header_with_nothing_in_it() {
    let header = Config::new(&[0; 64]).header().unwrap();
    let HeaderKind::Endpoint(endpoint) = header.kind else {
        panic!("{header:?}");
    };
    assert!(endpoint.bars().is_empty() && endpoint.rom.is_none());
}

#[test]
fn an_unknown_header_type_has_the_common_fields_and_no_list() {
    let mut space = endpoint(256, 0x40);
    space[0x0e] = 0x83;
    let header = Config::new(&space).header().unwrap();
    assert_eq!(
        (header.kind, header.multi_function),
        (HeaderKind::Unknown(3), true)
    );
    assert_eq!(walk(&space), (vec![], None));
}

#[test]
fn a_body_that_is_cut_off_is_an_error() {
    let truncated = |offset, need, have| Some(BodyError::Truncated { offset, need, have });
    // Power management has 8 bytes, and control starts at 4.
    assert_eq!(body_error(&[1, 0, 3, 0]), truncated(0x40, 6, 4));
    // MSI with 64-bit addresses and a mask: its pending bits end at 0x18.
    let mut msi = [0; 0x17];
    put(&mut msi, 0, &[5, 0, 0x80, 0x01]);
    assert_eq!(body_error(&msi), truncated(0x40, 0x18, 0x17));
    // SR-IOV has 0x40 bytes.
    let mut sr_iov = [0; 0x3c];
    put(&mut sr_iov, 0, &[0x10, 0, 1, 0]);
    assert_eq!(extended_body_error(&sr_iov), truncated(0x100, 0x40, 0x3c));
}

#[test]
fn a_body_does_not_reach_into_the_next_capability() {
    let mut space = endpoint(256, 0x50);
    put(&mut space, 0x50, &[0x05, 0x40]); // MSI, 12 bytes
    put(&mut space, 0x40, &[0x11, 0x58]); // MSI-X, 12 bytes, earlier in the space, later in the list
    put(&mut space, 0x58, &[0x01, 0x00]);
    let list = Config::new(&space).capabilities();
    let lens: Vec<_> = list
        .capabilities
        .iter()
        .map(|found| found.bytes.len())
        .collect();
    assert_eq!(lens, [8, 16, 168]);
    let (offset, need, have) = (0x50, 10, 8);
    assert_eq!(
        list.find(CapabilityId::MSI).unwrap().body(),
        Err(BodyError::Truncated { offset, need, have })
    );
    assert!(list.find(CapabilityId::MSI_X).unwrap().body().is_ok());
}

#[test]
fn enhanced_allocation_ends_with_its_bytes_whatever_it_says() {
    // 63 entries, and room for one.
    let mut space = [0; 4 + 12];
    put(&mut space, 0, &[0x14, 0, 63, 0, 0x02]);
    let (offset, need, have) = (0x40, 20, 16);
    assert_eq!(
        body_error(&space),
        Some(BodyError::Truncated { offset, need, have })
    );
    // An entry with 64-bit fields that says it has 2 units of 4 bytes more: it would need 4.
    let mut space = [0; 4 + 20];
    put(
        &mut space,
        0,
        &[0x14, 0, 1, 0, 0x02, 0, 0, 0, 0x02, 0, 0, 0, 0x02, 0, 0, 0],
    );
    assert!(matches!(
        body_error(&space),
        Some(BodyError::Invalid { offset: 0x40, .. })
    ));
}

#[test]
fn lengths_that_lie_are_errors() {
    assert!(matches!(
        body_error(&[9, 0, 2, 0]),
        Some(BodyError::Invalid { .. })
    ));
    let (offset, need, have) = (0x40, 0xff, 4);
    assert_eq!(
        body_error(&[9, 0, 0xff, 0]),
        Some(BodyError::Truncated { offset, need, have })
    );
    let vsec = [0x0b, 0, 1, 0, 0, 0, 0x10, 0x00]; // 1 byte long
    assert!(matches!(
        extended_body_error(&vsec),
        Some(BodyError::Invalid { .. })
    ));
    let vsec = [0x0b, 0, 1, 0, 0, 0, 0x00, 0xff]; // 0xff0 bytes long
    let (offset, need, have) = (0x100, 0xff0, 8);
    assert_eq!(
        extended_body_error(&vsec),
        Some(BodyError::Truncated { offset, need, have })
    );
}

#[test]
fn more_resizable_bars_than_bars_are_an_error() {
    let mut space = [0; 12];
    put(&mut space, 0, &[0x15, 0, 1, 0, 0, 0, 0, 0, 0xe0]); // 7 of them
    assert!(matches!(
        extended_body_error(&space),
        Some(BodyError::Invalid { .. })
    ));
}

#[test]
fn what_the_port_does_not_have_is_not_decoded() {
    // An integrated endpoint of version 2 that ends behind Device Control 2: PCI_CAP_EXP_RC_ENDPOINT_SIZEOF_V2
    // of the kernel's pci_regs.h.
    let mut space = endpoint(0x40 + 0x2c, 0x40);
    put(&mut space, 0x40, &[0x10, 0, 0x92, 0]);
    let list = Config::new(&space).capabilities();
    let Ok(Body::PciExpress(express)) = list.capabilities[0].body() else {
        panic!("{list:?}");
    };
    assert!(express.link.is_none() && express.slot.is_none() && express.root.is_none());
    assert!(express.device2.is_some() && express.link2.is_none());
}

#[test]
fn errors_are_sentences() {
    let list = ListError {
        offset: 0x3c,
        kind: ListErrorKind::Outside,
    };
    let body = BodyError::Truncated {
        offset: 0x40,
        need: 8,
        have: 4,
    };
    assert_eq!(
        list.to_string(),
        "the list of capabilities leads to 0x3c, where no capability of this list can be"
    );
    assert_eq!(
        body.to_string(),
        "the capability at 0x40 needs 8 bytes, and has 4 before the end or the next one"
    );
}
