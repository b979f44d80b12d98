//! What is seen on a screen.

use super::{Code, Finding};
use crate::{Host, PciFunction, bind::hands_to_userspace, host::read, select::device_of};

/// Whether somebody may be looking at it.
pub(super) fn users(host: &Host, function: &PciFunction) -> Vec<Finding> {
    let address = function.address;
    let finding = |sentence: String| {
        Finding::new(
            Code::Display,
            sentence,
            "use another graphics card, or none, for what is to be seen",
        )
    };
    let mut found = Vec::new();
    // Once a program may drive it, it shows nothing of the machine's any more: it can be given back.
    let is_handed_over = function.driver.as_deref().is_some_and(hands_to_userspace);
    if !is_handed_over && host.attribute(address, "boot_vga").as_deref() == Some("1") {
        found.push(finding(format!(
            "{address} is what the firmware and the boot loader show themselves on"
        )));
    }
    let of_it = |class: &str| {
        let dir = host.sys().join("class").join(class);
        let names = host
            .class(class)
            .into_iter()
            .map(move |name| (dir.join(&name), name));
        names
            .filter(|(link, _)| device_of(link) == Some(address))
            .collect::<Vec<_>>()
    };
    for (_, name) in of_it("graphics") {
        found.push(finding(format!("{name} of {address} is a console")));
    }
    for (dir, name) in of_it("drm") {
        if read(&dir.join("enabled")).is_ok_and(|enabled| enabled == "enabled") {
            found.push(finding(format!(
                "a screen at {name} shows a picture of {address}"
            )));
        }
    }
    found
}
