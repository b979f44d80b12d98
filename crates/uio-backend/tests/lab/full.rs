//! What the lab's own kernel has: UIO devices of other buses, and BARs that it keeps for their drivers.

use crate::{NIC, by_sysfs};
use io_core::{ErrorKind, Io, PciDevice};
use pci_host::Host;
use std::{fs, thread::sleep, time::Duration};
use uio_backend::UioNode;

const HPET: &str = "PNP0103:00";
const PLATFORM: &str = "/sys/bus/platform";
const DRIVER: &str = "uio_pdrv_genirq";

#[test]
#[ignore = "needs the lab"]
fn a_platform_device_has_named_maps() {
    let device = format!("{PLATFORM}/devices/{HPET}");
    fs::write(format!("{device}/driver_override"), DRIVER).unwrap();
    fs::write(format!("{PLATFORM}/drivers/{DRIVER}/bind"), HPET).unwrap();
    let name = fs::read_dir(format!("{device}/uio")).unwrap().next();
    let name = name.unwrap().unwrap().file_name().into_string().unwrap();

    let node = UioNode::open(&Host::system(), &name).unwrap();
    let error = node.map("registers").unwrap_err();
    let hint = error.hint().unwrap().to_owned();
    assert_eq!(hint, format!("its maps: {HPET}"), "{error}");
    let map = node.map(HPET).unwrap();
    let io = map.io::<0x100>().unwrap();
    // IA-PC HPET 1.0a, 2.3.4: who made it, and the clock's period in femtoseconds, 100 ns at most.
    assert_eq!(io.try_read32(0).unwrap() >> 16, 0x8086);
    let period = io.try_read32(4).unwrap();
    assert!((1..=0x5f5_e100).contains(&period), "{period}");
    // 2.3.5 and 2.3.7: with ENABLE_CNF, the main counter counts.
    let enabled = io.try_read32(0x10).unwrap() & 1 == 1;
    let before = io.try_read32(0xf0).unwrap();
    sleep(Duration::from_millis(10));
    assert_eq!(io.try_read32(0xf0).unwrap() != before, enabled);
    let error = node.interrupt().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");

    drop((map, node));
    fs::write(format!("{PLATFORM}/drivers/{DRIVER}/unbind"), HPET).unwrap();
    fs::write(format!("{device}/driver_override"), "\n").unwrap();
}

#[test]
#[ignore = "needs the lab"]
fn a_bar_that_a_driver_has_claimed_is_kept_for_it() {
    let driver = format!("/sys/bus/pci/devices/0000:{NIC}/driver");
    let address = format!("0000:{NIC}");
    fs::write(format!("{driver}/unbind"), &address).unwrap();
    let device = by_sysfs(NIC);
    assert!(device.bar(0).is_ok(), "nobody has claimed it");
    fs::write("/sys/bus/pci/drivers/e1000e/bind", &address).unwrap();
    let error = device.bar(0).unwrap_err();
    assert_eq!(error.errno(), Some(22), "{error}");
    let hint = error.hint().unwrap();
    assert!(
        hint.starts_with("e1000e has it by now, and the kernel keeps"),
        "{hint}"
    );
    drop(device);
}
